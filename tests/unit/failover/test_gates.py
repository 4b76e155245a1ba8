"""The gates of a failover by table: each red one says why and names its fix."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.failover import MissingRight, Sides, decide_gates
from replicator.failover.forecasting import GateFacts
from replicator.model.cluster import PartitionDescription, TopicDescription
from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from replicator.wire import DiskSpace

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDERS = TopicName("orders")


def topic(partitions: int, replicas: int, *, in_sync: int | None = None, leader: int | None = 1) -> TopicDescription:
    """Return a topic."""
    alive = tuple(range(replicas if in_sync is None else in_sync))
    rows = tuple(PartitionDescription(n, leader, tuple(range(replicas)), alive) for n in range(partitions))
    return TopicDescription(ORDERS, "id1", rows)


def configs(**changes: str | None) -> dict[TopicName, dict[str, str | None]]:
    """Return the settings of the topic; `_` stands for `.`."""
    usual = {
        "min.insync.replicas": "2",
        "unclean.leader.election.enable": "false",
        "retention.ms": "604800000",
        "retention.bytes": "-1",
        "max.message.bytes": "1048588",
        "cleanup.policy": "delete",
    }
    return {ORDERS: {**usual, **{key.replace("_", "."): value for key, value in changes.items()}}}


SIDES = Sides(
    read_at=NOW,
    copies={ORDERS: topic(2, 3)},
    copy_configs=configs(),
    on_source={ORDERS: topic(2, 3)},
    source_configs=configs(),
    disks={1: DiskSpace(100, 60)},
    foreign_partitions=(),
)
GOOD = GateFacts(
    flow=FlowName("shop"),
    target="west",
    now=NOW,
    window_seconds=2.0,
    source_read_at=NOW - timedelta(seconds=2),
    is_source_answering=True,
    partitions_mirrored=2,
    observed={ORDERS: 2},
    groups_read_at=NOW - timedelta(seconds=3),
    open_operation=None,
    is_active_already=False,
    running=("shop.source",),
    last_drill_at=NOW - timedelta(days=3),
    sides=SIDES,
    missing_rights=(),
)


def sides(**changes: Any) -> dict[str, Any]:
    """Return the change of the facts in which the clusters are otherwise."""
    return {"sides": replace(SIDES, **changes)}


def test_a_healthy_flow_opens_every_gate() -> None:
    """Nothing is red, and every gate has a name of its own."""
    gates = decide_gates(GOOD)
    assert all(gate.is_open for gate in gates), gates
    assert len({gate.name for gate in gates}) == len(gates)


@pytest.mark.parametrize(
    ("changes", "name", "is_blocking", "fix"),
    [
        ({"is_active_already": True}, "standby_is_free", True, "failback shop"),
        ({"open_operation": "op-1"}, "no_operation_is_open", True, "op resume op-1"),
        ({"partitions_mirrored": 0, "observed": {}}, "something_is_mirrored", True, "apply shop"),
        ({"window_seconds": 3600.0}, "groups_are_known", True, "run"),
        ({"window_seconds": None}, "groups_are_known", True, "run"),
        ({"source_read_at": NOW - timedelta(minutes=5)}, "source_is_observed", False, "run"),
        ({"groups_read_at": NOW - timedelta(minutes=5)}, "offsets_are_fresh", False, "run"),
        ({"running": None}, "flow_runs", False, "flow show shop"),
        ({"running": ()}, "flow_runs", False, "flow resume shop"),
        ({"last_drill_at": None}, "drilled_lately", False, "drill shop"),
        ({"last_drill_at": NOW - timedelta(days=40)}, "drilled_lately", False, "drill shop"),
        (sides(copies={}), "every_topic_has_a_copy", False, "apply shop"),
        (sides(copies={ORDERS: topic(1, 3)}), "partitions_match", False, "apply shop"),
        (sides(copies={ORDERS: topic(2, 1)}), "durability_matches", False, "more replicas"),
        (sides(copy_configs=configs(min_insync_replicas="1")), "durability_matches", False, "min.insync.replicas=2"),
        (sides(copies={ORDERS: topic(2, 3, leader=None)}), "standby_is_healthy", True, "brokers of west"),
        (sides(copies={ORDERS: topic(2, 3, in_sync=1)}), "standby_is_healthy", False, "brokers of west"),
        (sides(copy_configs=configs(retention_ms="1000")), "settings_would_hold", False, "retention.ms=604800000"),
        (sides(copy_configs=configs(retention_bytes="5")), "settings_would_hold", False, "retention.bytes=-1"),
        (sides(copy_configs=configs(max_message_bytes="5")), "settings_would_hold", False, "max.message.bytes=1048588"),
        (sides(copy_configs=configs(cleanup_policy="compact")), "settings_would_hold", False, "cleanup.policy=delete"),
        (
            sides(copy_configs=configs(unclean_leader_election_enable="true")),
            "settings_would_hold",
            False,
            "unclean.leader.election.enable=false",
        ),
        (sides(disks={1: DiskSpace(100, 60), 2: DiskSpace(100, 4)}), "standby_has_room", False, "broker 2"),
        (
            {"missing_rights": (MissingRight("User:r lacks READ on topic orders", "kafka-acls.sh --add"),)},
            "rights_are_there",
            False,
            "kafka-acls.sh",
        ),
        (
            sides(foreign_partitions=(TopicPartition(ORDERS, 1),)),
            "nobody_else_writes_the_copies",
            False,
            "who writes on west",
        ),
        (sides(active_groups=(GroupName("billing"),)), "groups_are_free", False, "billing"),
    ],
)
def test_a_red_gate_names_its_fix(changes: dict[str, Any], name: str, is_blocking: bool, fix: str) -> None:
    """What is wrong closes its gate and no other, and says whether a failover would stop there."""
    gates = {gate.name: gate for gate in decide_gates(replace(GOOD, **changes))}
    assert gates[name].is_open is False
    assert gates[name].is_blocking is is_blocking
    assert fix in (gates[name].fix or "")


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"source_read_at": None}, "source_is_observed", "the source was never read"),
        ({"source_read_at": NOW - timedelta(seconds=2)}, "source_is_observed", "the source was read 2"),
        (sides(copies={}), "every_topic_has_a_copy", "no copy of orders"),
        ({}, "every_topic_has_a_copy", "1 topic"),
        (sides(copy_configs=configs(max_message_bytes="5")), "settings_would_hold", "(and 0 more)"),
    ],
)
def test_a_gate_tells_what_it_saw(changes: dict[str, Any], name: str, words: str) -> None:
    """What is told is of the facts at hand, and one setting that bites has no others beside it."""
    told = {gate.name: gate.told for gate in decide_gates(replace(GOOD, **changes))}[name]
    assert (words in told) is (words != "(and 0 more)")


def test_settings_that_bite_are_counted() -> None:
    """The first is told, the others are a number."""
    two = configs(max_message_bytes="5", retention_ms="5")
    gates = {gate.name: gate for gate in decide_gates(replace(GOOD, **sides(copy_configs=two)))}
    assert "(and 1 more)" in gates["settings_would_hold"].told


def test_a_right_is_missing_by_its_name() -> None:
    """The gate tells who lacks what."""
    facts = replace(GOOD, missing_rights=(MissingRight("User:r lacks READ on topic orders", None),))
    (gate,) = [gate for gate in decide_gates(facts) if gate.name == "rights_are_there"]
    assert "User:r lacks READ on topic orders" in gate.told


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        (
            {"sides": None},
            {
                "standby_is_healthy",
                "every_topic_has_a_copy",
                "partitions_match",
                "durability_matches",
                "settings_would_hold",
                "standby_has_room",
                "nobody_else_writes_the_copies",
                "groups_are_free",
            },
        ),
        (sides(on_source=None, source_configs=None), {"durability_matches"}),
        (sides(disks=None), {"standby_has_room"}),
        (sides(foreign_partitions=None), {"nobody_else_writes_the_copies"}),
        ({"missing_rights": None}, {"rights_are_there"}),
        ({"groups_read_at": None}, {"offsets_are_fresh"}),
    ],
)
def test_what_nobody_asked_is_unknown(changes: dict[str, Any], unknown: set[str]) -> None:
    """Neither open nor closed: a gate that cannot be looked at does not call itself green."""
    gates = decide_gates(replace(GOOD, **changes))
    assert {gate.name for gate in gates if gate.is_open is None} == unknown
    assert not [gate for gate in gates if gate.is_open is False]


def test_a_setting_that_keeps_for_ever_bites_nobody() -> None:
    """A copy that keeps longer, or takes larger records, than the source is as good."""
    kind = configs(retention_ms="-1", max_message_bytes="9999999")
    assert all(gate.is_open for gate in decide_gates(replace(GOOD, **sides(copy_configs=kind))))
