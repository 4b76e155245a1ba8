"""What is done on the standby about a group that waits there, by table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from replicator.failover.groups import Upkeep, decide_upkeep
from replicator.failover.groups.upkeep import COMMIT_AGAIN_SECONDS, is_due
from replicator.model.flow import DeletedGroups, Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, GroupTranslation, Translation

ORDERS, OTHER = TopicPartition(TopicName("orders"), 0), TopicPartition(TopicName("local"), 0)


def flow(deleted: DeletedGroups) -> Flow:
    """Return a flow with a policy for deleted groups."""
    return Flow(
        name=FlowName("shop"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection(("orders",)),
        deleted_groups=deleted,
    )


def on_target(at: dict[TopicPartition, int], state: GroupState = GroupState.EMPTY) -> GroupObservation:
    """Return the group as it stands on the standby."""
    return GroupObservation(
        cluster=ClusterName("west"),
        group=GroupName("billing"),
        state=state,
        observed_at=datetime(2026, 1, 1, tzinfo=UTC),
        committed=at,
    )


def translated(place: int) -> GroupTranslation:
    """Return where the group resumed when it was last translated."""
    row = Translation(
        partition=ORDERS,
        target_partition=ORDERS,
        source_offset=Offset(place),
        target_offset=Offset(place),
        grade=Grade.EXACT,
        reread_records_max=0,
        rule="sync_point",
    )
    return GroupTranslation(FlowName("shop"), GroupName("billing"), (row,))


KEEP, DELETE = DeletedGroups.KEEP, DeletedGroups.DELETE
LONG, JUST = COMMIT_AGAIN_SECONDS, 1.0


@pytest.mark.parametrize(
    ("policy", "is_deleted", "at", "state", "place", "ago", "act"),
    [
        (DELETE, True, {ORDERS: 7}, GroupState.EMPTY, 7, JUST, Upkeep.DELETE),
        (DELETE, True, {ORDERS: 5}, GroupState.EMPTY, 7, JUST, Upkeep.DELETE),
        (DELETE, True, {ORDERS: 8}, GroupState.EMPTY, 7, JUST, Upkeep.LEAVE),
        (DELETE, True, {ORDERS: 8}, GroupState.EMPTY, 7, LONG, Upkeep.COMMIT_AGAIN),
        (DELETE, True, {ORDERS: 7, OTHER: 1}, GroupState.EMPTY, 7, JUST, Upkeep.LEAVE),
        (DELETE, True, {ORDERS: 7}, GroupState.EMPTY, None, JUST, Upkeep.LEAVE),
        (DELETE, True, {ORDERS: 7}, GroupState.ACTIVE, 7, None, Upkeep.LEAVE),
        (DELETE, True, {}, GroupState.DEAD, 7, None, Upkeep.LEAVE),
        (DELETE, False, {ORDERS: 7}, GroupState.EMPTY, 7, JUST, Upkeep.LEAVE),
        (KEEP, True, {ORDERS: 7}, GroupState.EMPTY, 7, JUST, Upkeep.LEAVE),
        (KEEP, True, {ORDERS: 7}, GroupState.EMPTY, 7, LONG, Upkeep.COMMIT_AGAIN),
        (KEEP, False, {ORDERS: 7}, GroupState.EMPTY, 7, None, Upkeep.COMMIT_AGAIN),
        (KEEP, False, {OTHER: 7}, GroupState.EMPTY, 7, None, Upkeep.LEAVE),
        (KEEP, False, {ORDERS: 7}, GroupState.UNKNOWN, 7, None, Upkeep.LEAVE),
        (KEEP, False, {ORDERS: 7}, GroupState.ACTIVE, 7, LONG, Upkeep.LEAVE),
    ],
)
def test_a_waiting_group_is_kept_deleted_or_left(
    policy: DeletedGroups,
    is_deleted: bool,
    at: dict[TopicPartition, int],
    state: GroupState,
    place: int | None,
    ago: float | None,
    act: Upkeep,
) -> None:
    """Nothing with members is touched, nothing with commits of its own is deleted, nothing expires."""
    found = decide_upkeep(
        on_target(at, state),
        flow=flow(policy),
        is_deleted=is_deleted,
        translation=None if place is None else translated(place),
        committed_seconds_ago=ago,
    )
    assert found.act is act
    assert found.reason
    assert set(found.positions) <= {ORDERS}
    if act is Upkeep.COMMIT_AGAIN:
        assert found.positions == {ORDERS: at[ORDERS]}


@pytest.mark.parametrize(
    ("ago", "retention", "expected"),
    [(None, 600.0, True), (199.0, 600.0, False), (200.0, 600.0, True), (LONG - 1, None, False), (LONG, 10**9, True)],
)
def test_positions_are_due_well_before_they_expire(ago: float | None, retention: float | None, expected: bool) -> None:
    """A third of the retention, or six hours where that is less; at once where nobody knows when it was last."""
    assert is_due(ago, retention) is expected
