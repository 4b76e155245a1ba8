"""Exact offsets where it is harder: with no more rights than are told, and while the leaders of partitions die."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import AccessDenied
from replicator.kafka import Outgoing
from replicator.model.acls import AclBinding, PatternType, ResourceType, Right
from replicator.model.archive.restores import OffsetRule
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import Restorer, RestoreRequest, Stage
from replicator.wire.exact import Hole, HoleFiller
from tests.lab.snapshots.test_elections import kill_once, leaders
from tests.lab.snapshots.test_exact import look, plan_exactly

pytestmark = pytest.mark.lab


def write_with_holes(desk, topic: TopicName, transactional_id: str, *, rounds: int, partitions: int) -> None:
    """Plain records, and after each round a hole of one to five offsets in every partition."""
    rng, parts = random.Random(9), [TopicPartition(topic, number) for number in range(partitions)]
    with closing(HoleFiller(desk.raw("east"), transactional_id, partitions=parts, clock=SYSTEM_CLOCK)) as filler:
        filler.begin(Deadline.after(60))
        for _ in range(rounds):
            desk.write([Outgoing(topic, b"k", rng.randbytes(500), partition=n % partitions) for n in range(60)])
            ends = desk.raw("east").read_ends(parts, deadline=Deadline.after(60))
            holes = {tp: Hole(one.end, one.end + rng.randint(1, 5), 0) for tp, one in ends.items()}
            filler.fill(holes, deadline=Deadline.after(60))


@pytest.mark.security
def test_over_tls_with_the_rights_that_are_told(secure_desk, names) -> None:
    """A transactional id that is not ours is refused and named; with our own and no DELETE on the topic a log start
    cannot be had; once it is granted the same command goes on, and offsets are what they were."""
    desk = secure_desk
    topic, target = desk.make_topic(names.topic("t")), names.topic("back")

    def rule(kind: ResourceType, name: str, right: Right) -> AclBinding:
        return AclBinding(
            principal="User:replicator", resource_type=kind, name=name, pattern=PatternType.PREFIXED, right=right
        )

    source_id = f"{names.prefix}-holes"
    with pytest.raises(AccessDenied, match="transactional id"):
        write_with_holes(desk, topic, source_id, rounds=1, partitions=2)
    here = [
        rule(ResourceType.TRANSACTIONAL_ID, source_id, Right.WRITE),
        rule(ResourceType.TOPIC, topic, Right.DELETE),
    ]
    there = [
        rule(ResourceType.TOPIC, target, Right.DELETE),
    ]
    desk.cluster("east").acls.create(here, Deadline.after(30))
    try:
        deadline = Deadline.after(60)
        while True:
            try:
                write_with_holes(desk, topic, source_id, rounds=3, partitions=2)
                desk.cluster("east").positions.delete_records({TopicPartition(topic, 0): 5}, Deadline.after(30))
                break
            except AccessDenied:
                deadline.check("the brokers to know the rule")
        original = look(desk, topic, "east", 2)
        manifest = desk.create(topic)
        plan = plan_exactly(desk, manifest, topic, target)
        assert plan.topics[0].exact.holes >= 6
        assert plan.topics[0].exact.burned_offsets == 5
        with pytest.raises(AccessDenied, match="delete records"):
            desk.restorer().apply(plan)
        desk.cluster("west").acls.create(there, Deadline.after(30))
        while True:
            try:
                desk.restorer().apply(plan_exactly(desk, manifest, topic, target))
                break
            except AccessDenied:
                deadline.check("the brokers to know the rule")
        assert look(desk, target, "west", 2) == original
    finally:
        desk.cluster("east").acls.delete(here, Deadline.after(30))
        desk.cluster("west").acls.delete(there, Deadline.after(30))


@pytest.mark.long
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_leaders_die_while_holes_are_filled(broker_trio, trio_desk, names, share: float) -> None:
    """Three replicas, a broker killed midway: partitions find other leaders, markers are written, offsets stay."""
    desk = trio_desk
    topic = desk.make_topic(names.topic("t"), partitions=6, replicas=3, min_insync_replicas="2")
    write_with_holes(desk, topic, f"{names.prefix}-holes", rounds=60, partitions=6)
    original = look(desk, topic, "east", 6)
    manifest = desk.create(topic)
    target = names.topic("back")
    cluster, raw = desk.doors["west"]
    report, killed = kill_once(broker_trio, "west/broker-2", Stage.RESTORE, share)
    restorer = Restorer(cluster, raw, desk.repository, clock=SYSTEM_CLOCK, deadline=Deadline.after(240), report=report)
    request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target}, offsets=OffsetRule.EXACT)
    try:
        restorer.apply(restorer.plan(manifest.id, request))
        assert killed.is_set()
        assert 2 not in leaders(desk, target, "west")
        assert look(desk, target, "west", 6) == original
    finally:
        broker_trio.start("west/broker-2", wait=Deadline.after(120))
