"""Overlap of patterns: decided for globs, checked against brute force."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.flow.planning.overlap import data_selection, find_overlap, remote_selection
from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, TopicName


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        (Selection(("*",)), Selection(("*",)), True),
        (Selection(("orders",)), Selection(("orders.*",)), False),
        (Selection(("a*",)), Selection(("*b",)), True),
        (Selection(("*",), ("back.*",)), Selection(("back.*",)), False),
        (Selection(("*",), ("back.*",)), Selection(("back*",)), True),
        (Selection(("a?c",)), Selection(("ab*",), ("abc",)), False),
        (Selection(("a.b",)), Selection(("aXb",)), False),
        (Selection(()), Selection(("*",)), False),
    ],
)
def test_overlap_by_table(one: Selection, other: Selection, overlaps: bool) -> None:
    """Two selections overlap when a name exists that both mean; the witness is such a name."""
    found = find_overlap(one, other)
    assert found.is_decided
    assert (found.witness is not None) is overlaps
    if found.witness is not None:
        assert one.matches(found.witness)
        assert other.matches(found.witness)


def test_regular_expressions_are_not_decided() -> None:
    """What cannot be decided is said to be undecided, not disjoint."""
    assert not find_overlap(Selection(("re:o.*",)), Selection(("orders",))).is_decided
    assert find_overlap(Selection(("re:o.*", "orders")), Selection(("orders",))).witness == "orders"


PATTERNS = st.lists(st.text(alphabet="ab*?", min_size=1, max_size=4), max_size=2).map(tuple)
SELECTIONS = st.builds(Selection, PATTERNS, PATTERNS)
NAMES = ["".join(chars) for size in range(1, 7) for chars in product("abc", repeat=size)]


@given(one=SELECTIONS, other=SELECTIONS)
def test_overlap_agrees_with_brute_force(one: Selection, other: Selection) -> None:
    """Over all short names the automaton and the patterns themselves say the same."""
    found = find_overlap(one, other)
    brute = next((name for name in NAMES if one.matches(name) and other.matches(name)), None)
    assert found.is_decided
    if brute is not None:
        assert found.witness is not None
    if found.witness is not None:
        assert one.matches(found.witness)
        assert other.matches(found.witness)


@pytest.mark.parametrize("naming", list(Naming))
@pytest.mark.parametrize("topic", ["orders", "west.orders", "east.orders", "x.internal", "__x", "pay.tmp"])
def test_selections_say_what_the_flow_says(naming: Naming, topic: str) -> None:
    """What a flow reads and writes, as a selection, is what it carries and how it names it."""
    flow = Flow(
        name=FlowName("shop"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        naming=naming,
        topics=Selection(("*",), ("pay.*", "re:p[0-9]+")),
    )
    assert data_selection(flow).matches(topic) is flow.carries_topic(topic)
    remote = flow.remote_topic(TopicName(topic))
    assert remote_selection(flow).matches(remote) is flow.carries_topic(topic)
