"""How groups look, and which of them a flow moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from replicator.cli.groups.desk import groups_of_flow
from replicator.cli.groups.rows import GROUP_COLUMNS, age_seconds, comparison_row, group_row
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import compare_group

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = TopicPartition(TopicName("orders"), 0)
FLOW = Flow(
    name=FlowName("shop"),
    source=ClusterName("east"),
    target=ClusterName("west"),
    topics=Selection(("orders",)),
    groups=Selection(exclude=("secret*",)),
)


def seen(group: str, committed: dict[TopicPartition, int], state: GroupState = GroupState.EMPTY) -> GroupObservation:
    """Return a group as observed ten seconds ago."""
    return GroupObservation(
        cluster=ClusterName("east"),
        group=GroupName(group),
        state=state,
        observed_at=NOW - timedelta(seconds=10),
        committed=committed,
    )


def translation(target_offset: int | None, grade: Grade = Grade.EXACT) -> Translation:
    """Return a translation of orders[0]."""
    return Translation(
        partition=ORDERS,
        target_partition=ORDERS,
        source_offset=Offset(7),
        target_offset=None if target_offset is None else Offset(target_offset),
        grade=grade,
        reread_records_max=None if target_offset is None else 0,
        rule="not_mirrored" if target_offset is None else "sync_point",
    )


def test_only_groups_that_move_are_meant() -> None:
    """Excluded ones, our own, dead ones and those without positions on the flow's topics are left out."""
    other = TopicPartition(TopicName("other"), 0)
    found = {
        name: seen(name, committed, state)
        for name, committed, state in [
            ("billing", {ORDERS: 7, other: 3}, GroupState.EMPTY),
            ("secret-audit", {ORDERS: 7}, GroupState.EMPTY),
            ("replicator-reader", {ORDERS: 7}, GroupState.EMPTY),
            ("__replicator.lease", {ORDERS: 7}, GroupState.EMPTY),
            ("drill.drill-20261123-034330-4a56ad.billing", {ORDERS: 7}, GroupState.EMPTY),
            ("gone", {ORDERS: 7}, GroupState.DEAD),
            ("elsewhere", {other: 3}, GroupState.EMPTY),
        ]
    }
    kept = groups_of_flow(FLOW, {GroupName(k): v for k, v in found.items()}, prefix="__replicator")
    assert list(kept) == ["billing"]
    assert kept[GroupName("billing")].committed == {ORDERS: 7}


def test_a_group_row_has_the_worst_grade_and_an_age() -> None:
    """One partition that is not mirrored makes the group UNAVAILABLE and its cost unknown, never 0."""
    answer = GroupTranslation(FLOW.name, GroupName("billing"), (translation(9), translation(None, Grade.UNAVAILABLE)))
    row = group_row(answer, seen("billing", {}), seen("billing", {}), known_from="source", now=NOW)
    assert (row["grade"], row["reread_records_max"], row["age_seconds"]) == (Grade.UNAVAILABLE, None, 10.0)


@pytest.mark.parametrize(("committed", "ahead"), [({ORDERS: 12}, 3), ({ORDERS: 9}, 0), ({ORDERS: 2}, -7), ({}, None)])
def test_a_comparison_says_how_far_the_target_is_ahead(committed: dict[TopicPartition, int], ahead: int | None) -> None:
    """Above 0 the target would skip records; a group without a position there is unknown, not 0."""
    answer = GroupTranslation(FLOW.name, GroupName("billing"), (translation(9),))
    row = comparison_row(compare_group(answer, seen("billing", committed))[0], now=NOW)
    assert row["ahead_offsets"] == ahead


def test_an_age_is_never_negative() -> None:
    """Two clocks that disagree make nothing younger than now; what nobody saw has no age."""
    assert age_seconds(NOW + timedelta(seconds=5), NOW) == 0.0
    assert age_seconds(None, NOW) is None


@pytest.mark.parametrize(("state", "shown"), [(GroupState.DEAD, "none"), (GroupState.EMPTY, GroupState.EMPTY)])
def test_a_group_that_is_not_on_the_target_is_no_fault(state: GroupState, shown: object) -> None:
    """Kafka calls a group DEAD that it never saw: people read that there is none."""
    (column,) = [one for one in GROUP_COLUMNS if one.title == "ON TARGET"]
    assert column.cell({"state_on_target": state}) == shown
