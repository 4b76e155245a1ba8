"""What a failover would cost, at one tick: what is not known is not made up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.model.names import ClusterName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.model.supervision.overview import GroupStatus
from replicator.supervisor.decide.outlook.forecast import ForecastFacts, decide_forecast

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TP = TopicPartition(TopicName("orders"), 0)
FACTS = ForecastFacts(
    observed={TP.topic: 1},
    partitions_mirrored=1,
    sides=None,
    missing_rights=None,
    expected_rto_seconds=9.0,
    rto_measured_in=3,
    last_drill_at=None,
)


def group(flow: Any, name: str, *, rereads: int | None, is_placed: bool = True, is_known: bool = True) -> GroupStatus:
    """Return a group and what it would read twice."""
    answer = Translation(
        partition=TP,
        target_partition=TP,
        source_offset=Offset(5),
        target_offset=Offset(4) if is_placed else None,
        grade=Grade.BOUNDED if is_placed else Grade.UNAVAILABLE,
        reread_records_max=rereads,
        rule="test",
    )
    seen = GroupObservation(cluster=flow.source.cluster, group=GroupName(name), state=GroupState.EMPTY, observed_at=NOW)
    translation = GroupTranslation(flow.flow, GroupName(name), (answer,)) if is_known else None
    return GroupStatus(flow=flow.flow, observation=seen, translation=translation)


@pytest.mark.parametrize(
    ("members", "rereads", "unavailable"),
    [
        ([], 0, ()),
        ([("a", 3, True, True), ("b", 4, True, True)], 7, ()),
        # One group whose place nobody knows makes the sum unknown.
        ([("a", 3, True, True), ("b", None, True, True)], None, ()),
        ([("a", 3, True, True), ("b", 0, True, False)], None, ()),
        ([("a", None, False, True)], None, ("a",)),
    ],
)
def test_rereads_are_the_sum_of_all_groups_or_unknown(
    make: Any, members: list[tuple[str, int | None, bool, bool]], rereads: int | None, unavailable: tuple[str, ...]
) -> None:
    """Groups that could not be set are named."""
    flow = make.flow()
    groups = [
        group(flow, name, rereads=count, is_placed=is_placed, is_known=is_known)
        for name, count, is_placed, is_known in members
    ]
    found = decide_forecast(flow, loss=None, groups=groups, facts=FACTS, now=NOW)
    assert found is not None
    assert (found.reread_records_max, found.groups_unavailable) == (rereads, unavailable)
    assert (found.groups, found.expected_rto_seconds, found.rto_measured_in) == (len(members), 9.0, 3)


def test_what_nobody_read_is_unknown(make: Any) -> None:
    """A source never read: no seconds, no sum; the clusters not asked yet: no runway, and gates that say so."""
    found = decide_forecast(make.flow(window_seconds=None), loss=None, groups=None, facts=FACTS, now=NOW)
    assert found is not None
    assert found.lost_seconds_max is None
    assert found.reread_records_max is None
    assert found.retention_runway_seconds is None
    assert found.gates_read_at is None
    assert "standby_is_healthy" in {gate.name for gate in found.gates if gate.is_open is None}


def test_a_flow_that_has_moved_has_nothing_to_foresee(make: Any) -> None:
    """Its target is the active one already."""
    flow = make.flow()
    moved = make.flow(active=ClusterName(flow.target.cluster))
    assert decide_forecast(moved, loss=None, groups=[], facts=FACTS, now=NOW) is None
