"""A broker's list of groups, of every kind: what we make of its words."""

from __future__ import annotations

import pytest

from replicator.model.names import GroupName
from replicator.model.observations import GroupState, GroupType, ListedGroup
from replicator.wire.messages import call_list_groups


class Told:
    """One group as a broker tells of it."""

    def __init__(self, group_id: str, protocol_type: str, group_state: str, group_type: str) -> None:
        self.group_id = group_id
        self.protocol_type = protocol_type
        self.group_state = group_state
        self.group_type = group_type


class Answer:
    """A broker's answer."""

    def __init__(self, *groups: Told) -> None:
        self.error_code = 0
        self.groups = groups


@pytest.mark.parametrize(
    ("told", "expected", "has_positions"),
    [
        (("consumer", "Stable", "Classic"), (GroupType.CLASSIC, GroupState.ACTIVE), True),
        (("consumer", "Empty", "Consumer"), (GroupType.CONSUMER, GroupState.EMPTY), True),
        (("", "Empty", "Classic"), (GroupType.CLASSIC, GroupState.EMPTY), True),
        (("streams", "NotReady", "Streams"), (GroupType.STREAMS, GroupState.ACTIVE), True),
        (("share", "Stable", "Share"), (GroupType.SHARE, GroupState.ACTIVE), False),
        (("connect", "Stable", "Classic"), (GroupType.CLASSIC, GroupState.ACTIVE), False),
        (("consumer", "Dead", "Tomorrow"), (GroupType.UNKNOWN, GroupState.DEAD), True),
    ],
)
def test_each_kind_is_told_as_what_it_is(
    told: tuple[str, str, str], expected: tuple[GroupType, GroupState], has_positions: bool
) -> None:
    """Share groups and Connect's own keep no positions to move; every state but two has members."""
    found = call_list_groups().read(Answer(Told("g", *told))).groups[0]
    assert found == ListedGroup(group=GroupName("g"), type=expected[0], state=expected[1], protocol_type=told[0])
    assert found.has_positions is has_positions
