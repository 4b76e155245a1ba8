"""Fences by table: who is denied what, which fences stand by the journals, and what a probe's answer means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import AccessDenied, DeadlineExceeded, ReplicatorError, Unreachable
from replicator.failover import FenceGrade
from replicator.failover.drill import Likeness, judge_first
from replicator.failover.drill.comparing import are_alike, find_hollowness
from replicator.failover.fences import ProbeOutcome, outside, reached_grade
from replicator.failover.fences.proof import NOT_PROBED, judge_probes
from replicator.failover.fences.rules import fence_rules, rule_from_row, rule_to_row, standing_fences
from replicator.kafka import Record
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName, FlowName, GroupName, OperationId, TopicName, TopicPartition
from replicator.model.operations import JournalRecord
from replicator.wire.format.batches import is_batch_whole, walk_batches
from replicator.wire.probing import WriteProbe, corrupt_batch, judge_write

TOPIC, GROUP = TopicName("orders"), GroupName("billing")
EAST = ClusterName("east")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def allow(
    user: str,
    right: Right,
    name: str,
    *,
    kind: ResourceType = ResourceType.TOPIC,
    pattern: PatternType = PatternType.LITERAL,
    permission: Permission = Permission.ALLOW,
) -> AclBinding:
    """Return a rule."""
    return AclBinding(
        principal=f"User:{user}", resource_type=kind, name=name, pattern=pattern, right=right, permission=permission
    )


def denied(*standing: AclBinding) -> set[str]:
    """Return whom a fence denies to write the topic, ours and MirrorMaker's principals exempt."""
    exempt = frozenset({"User:mm2", "User:replicator"})
    rules = fence_rules(standing, topics=[TOPIC], groups=[], exempt=exempt)
    assert all((r.permission, r.right, r.name) == (Permission.DENY, Right.WRITE, TOPIC) for r in rules)
    return {rule.principal for rule in rules}


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        ((), {"User:*"}),
        ((allow("app", Right.WRITE, TOPIC),), {"User:app"}),
        ((allow("app", Right.ALL, "*"),), {"User:app"}),
        ((allow("app", Right.WRITE, "ord", pattern=PatternType.PREFIXED),), {"User:app"}),
        ((allow("app", Right.WRITE, "pay", pattern=PatternType.PREFIXED),), {"User:*"}),
        ((allow("app", Right.READ, TOPIC),), {"User:*"}),
        ((allow("*", Right.WRITE, TOPIC), allow("app", Right.WRITE, TOPIC)), {"User:*"}),
        ((allow("app", Right.WRITE, TOPIC), allow("mm2", Right.WRITE, "*")), {"User:app"}),
        ((allow("mm2", Right.WRITE, "*"),), set()),
        (
            (allow("app", Right.WRITE, TOPIC), allow("app", Right.WRITE, TOPIC, permission=Permission.DENY)),
            {"User:app"},
        ),
    ],
)
def test_denied_is_who_may(standing: tuple[AclBinding, ...], expected: set[str]) -> None:
    """Each principal that a rule lets write; everybody, where anybody might; never our own or MirrorMaker's."""
    assert denied(*standing) == expected


def test_groups_are_denied_to_commit() -> None:
    """A group's readers are denied READ on it, so that its positions stand still from the fence on."""
    standing = [allow("app", Right.READ, "*", kind=ResourceType.GROUP)]
    (rule,) = fence_rules(standing, topics=[], groups=[GROUP], exempt=frozenset())
    assert (rule.principal, rule.resource_type, rule.right) == ("User:app", ResourceType.GROUP, Right.READ)


def record(
    operation: str, step: str, phase: str, *, item: str | None = None, rows: list[AclBinding] | None = None
) -> JournalRecord:
    """Return a record of the journal about a fence on east."""
    body = {} if rows is None else {"cluster": EAST, "rows": [rule_to_row(rule) for rule in rows]}
    return JournalRecord(
        sequence=0,
        epoch=1,
        operation_id=OperationId(operation),
        flow=FlowName("f"),
        kind="switchover",
        step=step,
        phase=phase,
        item=item,
        actor="ann@host",
        written_at=NOW,
        body=body,
        previous="",
        digest="",
    )


RULES = list(fence_rules([allow("app", Right.WRITE, TOPIC)], topics=[TOPIC], groups=[GROUP], exempt=frozenset()))
FENCED = record("a", "fence_source", "fact", item="rules", rows=RULES)


def test_a_fence_stands_until_it_is_lifted_or_undone() -> None:
    """What an operation put up stands on that cluster alone; an abort or a later promotion takes it away."""
    assert set(standing_fences([FENCED], EAST)) == set(RULES)
    assert standing_fences([FENCED], ClusterName("west")) == ()
    assert standing_fences([FENCED, record("a", "fence_source", "undone")], EAST) == ()
    assert set(standing_fences([FENCED, record("b", "fence_source", "undone")], EAST)) == set(RULES)
    lifted = record("b", "promote", "fact", item="lifted", rows=RULES[:1])
    assert set(standing_fences([FENCED, lifted], EAST)) == set(RULES[1:])
    assert set(standing_fences([FENCED, lifted, FENCED], EAST)) == set(RULES)


def test_what_else_is_told_of_a_fence_is_no_rule() -> None:
    """The fact that names the grade holds no rules, and takes none away."""
    told = replace(FENCED, item="fenced", body={"grade": "acl", "cluster": EAST, "actor": "me"})
    assert set(standing_fences([FENCED, told], EAST)) == set(RULES)
    assert standing_fences([told], EAST) == ()


def test_rules_survive_the_journal() -> None:
    """A rule reads back as it was written."""
    assert [rule_from_row(rule_to_row(rule)) for rule in RULES] == RULES


def test_no_broker_appends_the_probe() -> None:
    """The probe is one whole batch in form, and its CRC is wrong."""
    (batch,) = walk_batches(memoryview(corrupt_batch()))
    assert batch.header.record_count == 1
    assert not is_batch_whole(batch.header, batch.data)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (29, WriteProbe.FENCED),
        (2, WriteProbe.OPEN),
        (0, WriteProbe.OPEN),
        (53, WriteProbe.FENCED),
        (87, WriteProbe.REFUSED),
    ],
)
def test_what_a_broker_says_of_the_probe(code: int, expected: WriteProbe) -> None:
    """29 is the authorizer's no; 2 came past it."""
    assert judge_write(code) is expected


ORDERS, BILLS = TopicName("orders"), TopicName("bills")
DENIED, OPEN = (WriteProbe.FENCED, "29"), (WriteProbe.OPEN, "2")
UNREACHED, REFUSED = (WriteProbe.UNKNOWN, "unreachable"), (WriteProbe.REFUSED, "87")


@pytest.mark.parametrize(
    ("answers", "outcome", "acl", "hook", "verified_hook"),
    [
        ({}, ProbeOutcome.UNKNOWN, "attested", "attested", "hook"),
        ({ORDERS: DENIED}, ProbeOutcome.FENCED, "acl", "hook", "hook"),
        ({ORDERS: DENIED, BILLS: OPEN}, ProbeOutcome.OPEN, "none", "none", "none"),
        ({ORDERS: UNREACHED, BILLS: OPEN}, ProbeOutcome.OPEN, "none", "none", "none"),
        ({ORDERS: DENIED, BILLS: UNREACHED}, ProbeOutcome.UNKNOWN, "attested", "attested", "hook"),
        ({ORDERS: DENIED, BILLS: REFUSED}, ProbeOutcome.UNKNOWN, "attested", "attested", "hook"),
        (None, ProbeOutcome.UNPROBED, "attested", "attested", "hook"),
    ],
)
def test_only_the_authorizers_no_to_every_topic_is_a_proof(
    answers: dict[TopicName, tuple[WriteProbe, str]] | None,
    outcome: ProbeOutcome,
    acl: str,
    hook: str,
    verified_hook: str,
) -> None:
    """Unreachable is unknown, unprobed is said; without a proof a fence is attested at most, an open one is none."""
    probed = NOT_PROBED if answers is None else judge_probes(answers)
    assert probed.outcome is outcome
    assert reached_grade(FenceGrade.ACL, probed, is_hook_verified=False).value == acl
    assert reached_grade(FenceGrade.ACL, probed, is_hook_verified=True).value == acl
    assert reached_grade(FenceGrade.HOOK, probed, is_hook_verified=False).value == hook
    assert reached_grade(FenceGrade.HOOK, probed, is_hook_verified=True).value == verified_hook
    assert reached_grade(FenceGrade.NONE, probed, is_hook_verified=True) is FenceGrade.NONE


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unreachable("gone"), "unreachable"),
        (DeadlineExceeded("slow"), "unreachable"),
        (AccessDenied("no log-in"), "access denied"),
    ],
)
def test_who_does_not_answer_has_refused_nothing(
    monkeypatch: pytest.MonkeyPatch, error: ReplicatorError, told: str
) -> None:
    """Neither a broker that is not reached nor a log-in that fails is a fence."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(outside, "probe_write", fail)
    world: Any = SimpleNamespace(clock=SYSTEM_CLOCK, deadline=Deadline.after)
    access = ClusterAccess(name=EAST, bootstrap="127.0.0.1:1")
    found = outside.probe_topics(world, access, [ORDERS, BILLS])
    assert {answer for answer, _ in found.values()} == {WriteProbe.UNKNOWN}
    assert found[ORDERS][1] == told


def row(offset: int, value: bytes) -> Record:
    """Return a record."""
    return Record(TopicPartition(TOPIC, 0), offset, 1, False, b"k", value, ())


@pytest.mark.parametrize(
    ("ahead", "below", "expected"),
    [
        ([b"x", b"y"], [], Likeness.SAME),
        ([b"w", b"x"], [b"v"], Likeness.BEHIND),
        ([b"y"], [b"w", b"x"], Likeness.SKIPPED),
        ([], [b"x"], Likeness.SKIPPED),
        ([b"y"], [b"w"], Likeness.UNREADABLE),
    ],
)
def test_a_drill_sees_a_skip(ahead: list[bytes], below: list[bytes], expected: Likeness) -> None:
    """The source's next record is ahead of the clone, or was skipped, or is nowhere near."""
    found = judge_first(
        row(7, b"x"), [row(n, v) for n, v in enumerate(ahead)], [row(n, v) for n, v in enumerate(below)]
    )
    assert found is expected


@pytest.mark.parametrize(("must_be_there", "expected"), [(True, Likeness.MISSING), (False, Likeness.UNREADABLE)])
def test_a_drill_sees_what_the_copy_lacks(must_be_there: bool, expected: Likeness) -> None:
    """Where all that may be read again was searched and nothing compacts the copy, only loss explains it."""
    assert judge_first(row(7, b"x"), [row(0, b"y")], [row(1, b"w")], must_be_there=must_be_there) is expected


@pytest.mark.parametrize(
    ("stamped", "expected"), [((False, False), False), ((True, False), True), ((False, True), True)]
)
def test_a_time_that_a_broker_stamped_tells_nothing(stamped: tuple[bool, bool], expected: bool) -> None:
    """Two records with other times are alike only where one of the times is a broker's."""
    ours, theirs = (replace(row(1, b"x"), is_log_append_time=one) for one in stamped)
    assert are_alike(ours, replace(theirs, timestamp_ms=2)) is expected


@pytest.mark.parametrize(
    ("counts", "is_hollow"),
    [
        ({}, False),
        ({"at_end": 3}, False),
        ({"same": 1, "unreadable": 5}, False),
        ({"behind": 1, "failed": 5}, False),
        ({"unreadable": 1}, True),
        ({"failed": 2, "at_end": 3}, True),
        ({"unreadable": 2, "skipped": 1}, True),
    ],
)
def test_a_drill_that_found_nothing_has_proven_nothing(counts: dict[str, int], is_hollow: bool) -> None:
    """Nothing ahead is nothing to find; looked for and found nowhere is no proof, and is told."""
    told = find_hollowness(counts)
    assert (told is not None) == is_hollow
    assert told is None or "nothing is proven" in told
