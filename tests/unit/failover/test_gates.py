"""The gates of a failover by table: each red one says why and names its fix."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.failover import decide_gates
from replicator.failover.facts import Cut, GroupsKnownFrom, Survey
from replicator.failover.forecasting import GateFacts
from replicator.model.cluster import PartitionDescription, TopicDescription
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    PartitionEnds,
    Reachability,
    TopicObservation,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EAST, WEST = ClusterName("east"), ClusterName("west")
ORDERS = TopicName("orders")


def seen_at(moment: datetime) -> ClusterObservation:
    """Return the observation of a source that was read at a moment."""
    return ClusterObservation(
        cluster=EAST,
        cluster_id="e1",
        reachability=Reachability.REACHABLE,
        observed_at=moment,
        last_reached_at=moment,
    )


def topic(partitions: int, replicas: int) -> TopicDescription:
    """Return a topic."""
    rows = tuple(PartitionDescription(n, 1, tuple(range(replicas)), tuple(range(replicas))) for n in range(partitions))
    return TopicDescription(ORDERS, "id1", rows)


SURVEY = Survey(
    answer=Reachability.REACHABLE,
    is_answering=True,
    answered_at=NOW,
    listeners=("east:9092",),
    target_cluster_id="w1",
    observation=seen_at(NOW - timedelta(seconds=2)),
    topics_observed=1,
    groups_observed=1,
    groups_known_from=GroupsKnownFrom.OBSERVATIONS,
    partitions_mirrored=2,
)
OBSERVED = TopicObservation(
    cluster=EAST,
    topic=ORDERS,
    topic_id="id1",
    observed_at=NOW,
    partitions=tuple(PartitionEnds(partition=n, log_start=0, last_stable=5, end=5) for n in range(2)),
)
GOOD = GateFacts(
    flow=FlowName("shop"),
    target="west",
    now=NOW,
    survey=SURVEY,
    open_operation=None,
    is_active_already=False,
    cut=Cut(taken_at=NOW, partitions=()),
    observed={ORDERS: OBSERVED},
    copies={ORDERS: topic(2, 3)},
    on_source={ORDERS: topic(2, 3)},
    on_target_groups={},
    running=("shop.source",),
)


def test_a_healthy_flow_opens_every_gate() -> None:
    """Nothing is red, and every gate has a name of its own."""
    gates = decide_gates(GOOD)
    assert all(gate.is_open for gate in gates), gates
    assert len({gate.name for gate in gates}) == len(gates)


def active(name: str) -> dict[GroupName, GroupObservation]:
    """Return a group with members on the target."""
    group = GroupName(name)
    seen = GroupObservation(cluster=WEST, group=group, state=GroupState.ACTIVE, observed_at=NOW, members=1)
    return {group: seen}


@pytest.mark.parametrize(
    ("changes", "name", "is_blocking", "fix"),
    [
        ({"is_active_already": True}, "standby_is_free", True, "failback shop"),
        ({"open_operation": "op-1"}, "no_operation_is_open", True, "op resume op-1"),
        (
            {"survey": replace(SURVEY, partitions_mirrored=0, topics_observed=0)},
            "something_is_mirrored",
            True,
            "apply shop",
        ),
        ({"survey": replace(SURVEY, observation=seen_at(NOW - timedelta(hours=1)))}, "groups_are_known", True, "run"),
        (
            {"survey": replace(SURVEY, observation=seen_at(NOW - timedelta(minutes=5)))},
            "source_is_observed",
            False,
            "run",
        ),
        ({"running": None}, "flow_runs", False, "flow show shop"),
        ({"running": ()}, "flow_runs", False, "flow resume shop"),
        ({"copies": {}}, "every_topic_has_a_copy", False, "apply shop"),
        ({"copies": {ORDERS: topic(1, 3)}}, "partitions_match", False, "apply shop"),
        ({"copies": {ORDERS: topic(2, 1)}}, "durability_matches", False, "more replicas"),
        ({"on_target_groups": active("billing")}, "groups_are_free", False, "billing"),
    ],
)
def test_a_red_gate_names_its_fix(changes: dict[str, Any], name: str, is_blocking: bool, fix: str) -> None:
    """What is wrong closes its gate, and says whether a failover would stop there."""
    gates = {gate.name: gate for gate in decide_gates(replace(GOOD, **changes))}
    assert not gates[name].is_open
    assert gates[name].is_blocking is is_blocking
    assert fix in (gates[name].fix or "")
