"""The gates of a failover by table: each red one says why and names its fix."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.failover import MissingRight, Sides, decide_gates
from replicator.failover.forecasting import GateFacts
from replicator.failover.forecasting.gates import find_bites
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


def thin(number: int, in_sync: tuple[int, ...], *, leader: int | None = 1) -> PartitionDescription:
    """Return a partition of three replicas of which so many are in sync."""
    return PartitionDescription(number, leader, (0, 1, 2), in_sync)


def copies_of(*rows: PartitionDescription) -> dict[str, Any]:
    """Return the change in which the copy has these partitions."""
    return sides(copies={ORDERS: TopicDescription(ORDERS, "id1", rows)})


MONTH = timedelta(days=30)
PARTITIONS = tuple(TopicPartition(ORDERS, number) for number in range(4))
RIGHTS = tuple(MissingRight(f"right {number}", None) for number in range(5))


@pytest.mark.parametrize(
    ("changes", "name", "is_open", "told"),
    [
        ({}, "standby_is_free", True, "west is the standby"),
        ({"is_active_already": True}, "standby_is_free", False, "west is active already"),
        ({}, "no_operation_is_open", True, "none is open"),
        ({"open_operation": "op-1"}, "no_operation_is_open", False, "op-1 is not over"),
        ({"partitions_mirrored": 1, "observed": {}}, "something_is_mirrored", True, "1 partitions are mirrored"),
        ({"partitions_mirrored": 0}, "something_is_mirrored", True, "0 partitions are mirrored"),
        ({"window_seconds": None}, "groups_are_known", False, "groups were never observed"),
        ({"window_seconds": 900.0}, "groups_are_known", True, "groups were read 15"),
        ({"window_seconds": 900.1}, "groups_are_known", False, "groups were read 15"),
        ({"source_read_at": NOW - timedelta(seconds=30)}, "source_is_observed", True, "the source was read 30s ago"),
        ({"source_read_at": NOW - timedelta(seconds=31)}, "source_is_observed", False, "the source was read 31s ago"),
        ({"groups_read_at": NOW - timedelta(seconds=30)}, "offsets_are_fresh", True, "positions were read 30s ago"),
        ({"running": ()}, "flow_runs", False, "no connector runs"),
        ({"running": ("a", "b")}, "flow_runs", True, "a, b run"),
        ({}, "partitions_match", True, "no copy lacks a partition"),
        (sides(copies={ORDERS: topic(1, 3)}), "partitions_match", False, "fewer partitions than on the source: orders"),
        (copies_of(thin(0, (0, 1)), thin(1, (1,))), "standby_is_healthy", False, "fewer replicas in sync than {}"),
        (copies_of(thin(0, (0, 1)), thin(1, (1, 2))), "standby_is_healthy", True, "every copy has a leader and enough"),
        (copies_of(thin(0, (0, 1)), thin(1, (0, 1), leader=None)), "standby_is_healthy", False, "no leader: orders"),
        ({"missing_rights": RIGHTS[:3]}, "rights_are_there", False, "right 0; right 1; right 2"),
        ({"missing_rights": RIGHTS[:4]}, "rights_are_there", False, "right 0; right 1; right 2 and 1 more"),
        ({"missing_rights": RIGHTS}, "rights_are_there", False, "right 0; right 1; right 2 and 2 more"),
        (sides(disks={1: DiskSpace(100, 10)}), "standby_has_room", True, "broker 1 has 10 B of 100 B left"),
        (sides(disks={1: DiskSpace(100, 9)}), "standby_has_room", False, "broker 1 has 9 B of 100 B left"),
        ({}, "nobody_else_writes_the_copies", True, "only the flow writes them"),
        (
            sides(foreign_partitions=PARTITIONS[:3]),
            "nobody_else_writes_the_copies",
            False,
            "records that the flow did not write: orders[0], orders[1], orders[2]",
        ),
        (
            sides(foreign_partitions=PARTITIONS),
            "nobody_else_writes_the_copies",
            False,
            "records that the flow did not write: orders[0], orders[1], orders[2] and 1 more",
        ),
        ({"last_drill_at": None}, "drilled_lately", False, "never drilled"),
        ({"last_drill_at": NOW - MONTH}, "drilled_lately", True, "the last drill that passed ended 30"),
        ({"last_drill_at": NOW - MONTH - timedelta(seconds=1)}, "drilled_lately", False, "the last drill that passed"),
        ({}, "groups_are_free", True, "no group has members there"),
        (sides(active_groups=(GroupName("b"), GroupName("a"))), "groups_are_free", False, "members on west: a, b"),
    ],
)
def test_each_gate_tells_its_facts_on_both_sides_of_its_edge(
    changes: dict[str, Any], name: str, is_open: bool, told: str
) -> None:
    """To the second, the byte and the replica; lists end in how many more there are."""
    gate = {gate.name: gate for gate in decide_gates(replace(GOOD, **changes))}[name]
    begun = told.format("min.insync.replicas asks for: orders")
    assert gate.is_open is is_open
    assert gate.told.startswith(begun)
    assert (" more" in gate.told) == (" more" in begun)


@pytest.mark.parametrize("name", ["source_read_at", "groups_read_at", "last_drill_at"])
def test_a_reading_ahead_of_the_clock_has_no_age(name: str) -> None:
    """One of two clocks stepped: how old it is nobody knows, and that is told; a second apart is no step."""
    gates = {
        "source_read_at": "source_is_observed",
        "groups_read_at": "offsets_are_fresh",
        "last_drill_at": "drilled_lately",
    }
    for seconds, is_open in ((1.0, True), (60.0, None)):
        facts = replace(GOOD, **{name: NOW + timedelta(seconds=seconds)})
        gate = next(one for one in decide_gates(facts) if one.name == gates[name])
        assert gate.is_open is is_open, gate
        assert ("this clock has not reached" in gate.told) is (is_open is None)


def test_a_copy_that_asks_for_no_replicas_needs_one() -> None:
    """Where the setting cannot be read, one replica in sync is enough, and none is not."""
    for in_sync, is_open in (((0,), True), ((), False)):
        changes = sides(copies={ORDERS: topic(1, 3)}, copy_configs={}, source_configs=None)
        changes["sides"] = replace(
            changes["sides"], copies={ORDERS: TopicDescription(ORDERS, "id1", (thin(0, in_sync),))}
        )
        gates = {gate.name: gate for gate in decide_gates(replace(GOOD, observed={ORDERS: 1}, **changes))}
        assert gates["standby_is_healthy"].is_open is is_open


def test_a_standby_nobody_asked_would_stop_a_failover() -> None:
    """Of what was not asked only the standby's health blocks."""
    gates = decide_gates(replace(GOOD, sides=None))
    assert [gate.name for gate in gates if gate.is_open is None and gate.is_blocking] == ["standby_is_healthy"]


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ("604800000", "604800000", None),
        ("604799999", "604800000", "retention.ms=604799999: it is deleted sooner than on the source (604800000)"),
        ("604800000", "-1", "retention.ms=604800000: it is deleted sooner than on the source (-1)"),
        ("0", "1", "retention.ms=0: it is deleted sooner than on the source (1)"),
        ("0", "0", None),
        ("-1", "5", None),
        ("1", "0", None),
        (None, "5", None),
        ("5", None, "retention.ms=5: it is deleted sooner than on the source (-1)"),
    ],
)
def test_what_is_deleted_sooner_on_the_copy_bites(ours: str | None, theirs: str | None, told: str | None) -> None:
    """Kept for ever is longer than any time; what is not told is kept for ever."""
    both = replace(SIDES, copy_configs=configs(retention_ms=ours), source_configs=configs(retention_ms=theirs))
    assert [what for _, what, _ in find_bites(both, ORDERS)] == ([] if told is None else [told])


def test_the_fix_of_a_setting_names_the_copy_and_quotes_a_list() -> None:
    """The command takes a value with commas in brackets, and the copy's own name."""
    source = configs(cleanup_policy="compact,delete")
    copy = TopicDescription(TopicName("east.orders"), "id1", topic(2, 3).partitions)
    changes = sides(copies={ORDERS: copy}, source_configs=source)
    gate = {gate.name: gate for gate in decide_gates(replace(GOOD, **changes))}["settings_would_hold"]
    assert gate.told == "orders: cleanup.policy is delete, on the source compact,delete"
    assert gate.fix is not None
    assert gate.fix.endswith("--topic east.orders --add-config [cleanup.policy=compact,delete]")
    plain = {gate.name: gate for gate in decide_gates(replace(GOOD, **sides(copy_configs=configs(retention_ms="5"))))}
    assert (plain["settings_would_hold"].fix or "").endswith("--add-config retention.ms=604800000")


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
