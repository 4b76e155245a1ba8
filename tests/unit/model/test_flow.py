"""Which groups a flow moves, and which topic of the source a copy is of."""

from __future__ import annotations

import pytest

from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, TopicName


def flow(*groups: str, exclude: tuple[str, ...] = (), naming: Naming = Naming.IDENTITY) -> Flow:
    """Return a flow of the orders' topics."""
    return Flow(
        name=FlowName("shop"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection(("orders*",)),
        groups=Selection(groups or ("*",), exclude),
        naming=naming,
    )


@pytest.mark.parametrize(
    ("chosen", "group", "is_moved"),
    [
        (flow(), "billing", True),
        (flow(), "connect-sink", False),
        (flow("*", "connect-*"), "connect-sink", True),
        (flow("connect-sink"), "connect-sink", True),
        (flow("billing"), "connect-sink", False),
        (flow("connect-*", exclude=("connect-old",)), "connect-old", False),
        (flow(exclude=("billing",)), "billing", False),
    ],
)
def test_a_sinks_group_moves_only_where_it_is_asked_for(chosen: Flow, group: str, is_moved: bool) -> None:
    """`*` means every application's group; a connector's own is meant only by name."""
    assert chosen.moves_group(group) is is_moved


@pytest.mark.parametrize(
    ("naming", "remote", "topic"),
    [
        (Naming.IDENTITY, "orders.eu", "orders.eu"),
        (Naming.IDENTITY, "payments", None),
        (Naming.PREFIX, "east.orders.eu", "orders.eu"),
        (Naming.PREFIX, "orders.eu", None),
    ],
)
def test_a_copy_is_traced_to_its_topic(naming: Naming, remote: str, topic: str | None) -> None:
    """The way back of a name, where this flow makes such a copy."""
    assert flow(naming=naming).source_topic(TopicName(remote)) == topic


@pytest.mark.parametrize("pattern", ["*", "odd*", "?dd?group", "re:odd.*", "re:(odd.group|x)"])
def test_a_name_with_a_line_break_is_selected_and_excluded_like_any_other(pattern: str) -> None:
    """A group may be called anything: none is passed over, none slips past an exclude."""
    assert Selection((pattern,)).matches("odd\ngroup")
    assert not Selection(("*",), (pattern,)).matches("odd\ngroup")
