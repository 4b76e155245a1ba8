"""Restores at the offsets the records had: log start, end, last stable offset and each record where it was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from replicator.clock import Deadline
from replicator.errors import OperationHalted, PreflightBlocked
from replicator.kafka import Outgoing
from replicator.model.archive.restores import OffsetRule, RestoreAction, RestorePlan
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import RestoreRequest
from replicator.snapshot.restore.exact import hand
from replicator.wire.exact import filling
from tests.lab.snapshots.test_round_trip import make_holes, odd_records

pytestmark = pytest.mark.lab

SECONDS = 120.0


def plan_exactly(desk, manifest: Manifest, topic: TopicName, target: TopicName, *groups: str) -> RestorePlan:
    """Plan to restore one topic under another name at its offsets."""
    request = RestoreRequest(
        topics=Selection(include=(topic,)),
        renames={topic: target},
        groups=Selection(include=groups) if groups else None,
        offsets=OffsetRule.EXACT,
    )
    return desk.restorer().plan(manifest.id, request)


def look(desk, topic: TopicName, on: str, partitions: int) -> list[tuple[object, ...]]:
    """Log start, last stable offset, end and every visible record with its offset, of each partition."""
    parts = [TopicPartition(topic, number) for number in range(partitions)]
    ends = desk.raw(on).read_ends(parts, deadline=Deadline.after(SECONDS))
    found = []
    for tp in parts:
        one = ends[tp]
        seen = desk.cluster(on).read_range(
            tp, one.log_start, one.end, deadline=Deadline.after(SECONDS), records_max=1_000_000
        )
        records = [(r.offset, r.timestamp_ms, r.key, r.value, r.headers) for r in seen.records]
        found.append((one.log_start, one.last_stable, one.end, records))
    return found


def write_transactions(desk, topic: TopicName, prefix: str, *, rounds: int, partitions: int = 1, seed: int = 1) -> None:
    """Transactions of two producers in turn, committed, aborted or empty, with plain records in between."""
    from confluent_kafka import Producer

    rng = random.Random(seed)
    settings = {"bootstrap.servers": desk.cluster().access.bootstrap, "batch.size": 4000}
    producers = [Producer({**settings, "transactional.id": f"{prefix}-{seed}-{name}"}) for name in ("a", "b")]
    for producer in producers:
        producer.init_transactions(30)
    for number in range(rounds):
        for producer in producers:
            producer.begin_transaction()
            for _ in range(rng.randrange(1, 30)):
                producer.produce(topic, rng.randbytes(rng.randrange(50)), partition=rng.randrange(partitions))
            producer.flush(30)
        for producer in rng.sample(producers, 2):
            if rng.random() < 0.5 and number < rounds - 1:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)
        plain = [Outgoing(topic, b"k", b"plain", partition=n) for n in range(partitions) if rng.random() < 0.7]
        desk.write(plain if number < rounds - 1 else [])


def wait_for_markers(desk, topic: TopicName, partitions: int) -> None:
    """Return once no transaction is open: a coordinator answers before the last markers are written."""
    parts, deadline = [TopicPartition(topic, number) for number in range(partitions)], Deadline.after(SECONDS)
    while any(one.last_stable < one.end for one in desk.raw().read_ends(parts, deadline=deadline).values()):
        deadline.check("the markers of the last transactions")
        time.sleep(0.05)


def fill_oddly(desk, names) -> TopicName:
    """A topic of two partitions: log starts inside a batch, transactions, an aborted tail, one partition drained."""
    topic = desk.make_topic(names.topic("t"), partitions=3)
    desk.write(odd_records(topic, seed=11, count=300, partitions=3), **{"linger.ms": 300, "batch.size": 1 << 20})
    write_transactions(desk, topic, names.prefix, rounds=6, partitions=2)
    wait_for_markers(desk, topic, 3)
    ends = desk.cluster().positions.ends([TopicPartition(topic, 2)], Deadline.after(30))
    drained = {TopicPartition(topic, 2): ends[TopicPartition(topic, 2)].end}
    desk.cluster().positions.delete_records({TopicPartition(topic, 0): 37, **drained}, Deadline.after(30))
    return topic


def test_everything_has_its_offset_again(desk, names) -> None:
    """Over transactions, aborted tails, log starts inside a batch and a drained partition, offsets are what they were;
    groups stand where they stood, and the same command again finds nothing to do."""
    topic, target = fill_oddly(desk, names), names.topic("back")
    original = look(desk, topic, "east", 3)
    records = original[0][3]
    assert original[0][0] == 37
    assert original[2][0] == original[2][2] > 0, "one partition is drained"
    assert original[0][2] > records[-1][0] + 1, "something invisible is at the end"
    places = {0: 37, records[5][0]: 5, original[0][2]: -1}
    groups = {names.group(f"at-{offset}"): offset for offset in places}
    for group, offset in groups.items():
        desk.cluster().groups.commit(group, {TopicPartition(topic, 0): offset}, Deadline.after(30))
    manifest = desk.create(topic)
    plan = plan_exactly(desk, manifest, topic, target, f"{names.prefix}*")
    effort = plan.topics[0].exact
    assert effort is not None
    assert effort.burned_offsets == sum(part[0] for part in original)
    assert effort.hole_offsets == sum(part[2] - part[0] - len(part[3]) for part in original)
    assert effort.holes > 3
    report = desk.restorer().apply(plan)
    assert look(desk, target, "west", 3) == original
    assert report.filled_offsets == effort.burned_offsets + effort.hole_offsets
    stand = desk.cluster("west").groups.committed(groups, Deadline.after(30))
    for group, offset in groups.items():
        assert stand[group].committed == {TopicPartition(target, 0): max(37, offset)}
    again = plan_exactly(desk, manifest, topic, target, f"{names.prefix}*")
    assert again.topics[0].action is RestoreAction.COMPARE
    assert desk.restorer().apply(again).written_records == 0
    assert look(desk, target, "west", 3) == original


def test_compaction_holes_stay_holes(desk, names) -> None:
    """What compaction left keeps its offsets, tombstones too; the cleaner rests meanwhile."""
    topic = desk.make_topic(
        names.topic("t"), partitions=1, cleanup_policy="compact", min_cleanable_dirty_ratio="0.01", segment_ms="500",
        max_compaction_lag_ms="1000", delete_retention_ms="86400000",
    )  # fmt: skip
    make_holes(desk, topic)
    desk.cluster().topics.alter_configs(topic, {"cleanup.policy": "delete"}, Deadline.after(30))
    deadline, original = Deadline.after(60), None
    while original != (seen := look(desk, topic, "east", 1)):
        deadline.check("the log cleaner does not rest")
        original = seen
        manifest = desk.create(topic)
    assert any(chunk.facts.rebuilds for _tp, chunk in manifest.chunks()), "sparse batches were captured"
    target = names.topic("back")
    desk.restorer().apply(plan_exactly(desk, manifest, topic, target))
    assert look(desk, target, "west", 1) == original


DYING = """
import os, signal, sys
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster
from replicator.model.archive.restores import OffsetRule
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Selection
from replicator.snapshot import Repository, Restorer, RestoreRequest
from replicator.wire import RawClient
import replicator.wire.appending as appending
import replicator.wire.exact.filling as filling
import replicator.snapshot.restore.exact.hand as hand
import replicator.wire.exact.fillers as fillers

bootstrap, url, snapshot, topic, target, door, nth = sys.argv[1:]
hand.FILLER_RECORDS_MAX = 20
left = int(nth)

def count_down(at):
    global left
    if at == door:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def watch(owner, name, before, after):
    real = getattr(owner, name)
    def watched(self, *args, **kwargs):
        count_down(before)
        done = real(self, *args, **kwargs)
        count_down(after)
        return done
    setattr(owner, name, watched)

watch(filling.HoleFiller, "_add", "before add", "after add")
watch(filling.HoleFiller, "_produce", "before produce", "after produce")
watch(filling.HoleFiller, "_wait_for_markers", "after end", "after markers")
watch(appending.Appender, "_take_answer", "before answer", "after answer")
watch(hand.ExactHand, "_burn", "before burn", "after burn")
watch(hand.ExactHand, "_prove", "before proof", "after proof")

access = ClusterAccess(name="lab", bootstrap=bootstrap)
with KafkaCluster(access) as cluster, RawClient(access) as raw:
    restorer = Restorer(cluster, raw, Repository.open(url), clock=SYSTEM_CLOCK, deadline=Deadline.after(300))
    request = RestoreRequest(
        topics=Selection(include=(topic,)), renames={topic: target}, offsets=OffsetRule.EXACT)
    restorer.apply(restorer.plan(snapshot, request))
"""
OFTEN = [("after produce", 0), ("after end", 1)]
KILLS = [
    *OFTEN,
    *(
        pytest.param(door, nth, marks=pytest.mark.long)
        for door, times in {
            "before add": range(4), "after add": range(4), "before produce": range(3), "after produce": (1, 2),
            "after end": (0, 2, 3), "after markers": range(4), "before answer": (0, 1, 2, 4, 6),
            "after answer": range(4),
            "before burn": range(1), "after burn": range(1), "before proof": range(1), "after proof": range(1),
        }.items()
        for nth in times
    ),
]  # fmt: skip


@pytest.mark.parametrize(("door", "nth"), KILLS)
def test_killed_midway_offsets_do_not_drift(desk, names, door: str, nth: int) -> None:
    """Killed with a transaction open, ended or half marked, or with batches on their way: run again, every record is
    there once, at its offset."""
    topic, target = fill_oddly(desk, names), names.topic("back")
    original = look(desk, topic, "east", 3)
    manifest = desk.create(topic)
    bootstrap = desk.raw("west").access.bootstrap
    words = [bootstrap, str(desk.folder), manifest.id, topic, target, door, str(nth)]
    done = subprocess.run(
        [sys.executable, "-c", DYING, *words], timeout=400, check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    assert done.returncode == -signal.SIGKILL
    plan = plan_exactly(desk, manifest, topic, target)
    assert plan.topics[0].action is RestoreAction.RESUME
    desk.restorer().apply(plan)
    assert look(desk, target, "west", 3) == original


def test_a_hole_larger_than_a_filler_takes_several(desk, names, monkeypatch) -> None:
    """Holes and log starts beyond one batch of empty records are filled by several, of bounded size."""
    topic, target = desk.make_topic(names.topic("t"), partitions=1), names.topic("back")
    desk.write([Outgoing(topic, b"k", b"%d" % n, partition=0) for n in range(700)])
    desk.cluster().positions.delete_records({TopicPartition(topic, 0): 650}, Deadline.after(30))
    write_long_abort(desk, topic, names.prefix, 333)
    desk.write([Outgoing(topic, b"k", b"last", partition=0)])
    wait_for_markers(desk, topic, 1)
    original = look(desk, topic, "east", 1)
    manifest = desk.create(topic)
    sizes: list[int] = []
    real = filling.encode_filler

    def note(count: int, **fields):
        sizes.append(count)
        return real(count, **fields)

    monkeypatch.setattr(filling, "FILLER_RECORDS_MAX", 100)
    monkeypatch.setattr(filling, "encode_filler", note)
    monkeypatch.setattr(hand, "FILLER_RECORDS_MAX", 100)
    monkeypatch.setattr(hand, "encode_filler", note)
    desk.restorer().apply(plan_exactly(desk, manifest, topic, target))
    assert look(desk, target, "west", 1) == original
    assert max(sizes) == 100
    assert len([size for size in sizes if size >= 99]) == 6 + 3, "99 records and a marker are a hundred offsets"


def write_long_abort(desk, topic: TopicName, prefix: str, count: int) -> None:
    """One aborted transaction of so many records."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": desk.cluster().access.bootstrap, "transactional.id": f"{prefix}-long"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(count):
        producer.produce(topic, b"dropped", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)


def test_a_foreign_record_stops_it(desk, names, monkeypatch) -> None:
    """One record of somebody else would shift all that follow: the restore stops, and says whose turn it is."""
    topic, target = fill_oddly(desk, names), names.topic("back")
    manifest = desk.create(topic)
    plan = plan_exactly(desk, manifest, topic, target)
    real, written = hand.ExactHand._fill, []

    def write_between(self, lines, *rest):
        real(self, lines, *rest)
        if not written:
            written.append(desk.write([Outgoing(target, b"k", b"foreign", partition=0)], on="west"))

    monkeypatch.setattr(hand.ExactHand, "_fill", write_between)
    with pytest.raises(OperationHalted, match="somebody else"):
        desk.restorer().apply(plan)
    assert written
    monkeypatch.undo()
    with pytest.raises(OperationHalted, match="something else"):
        desk.restorer().apply(plan_exactly(desk, manifest, topic, target))


def test_targets_that_cannot_get_the_offsets_are_refused(desk, names) -> None:
    """Offsets only rise: a topic that has passed them is refused, one that has not reached them is filled."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write([Outgoing(topic, b"k", b"%d" % n, partition=0) for n in range(100)])
    desk.cluster().positions.delete_records({TopicPartition(topic, 0): 50}, Deadline.after(30))
    manifest = desk.create(topic)
    for used, is_refused in ((60, True), (20, False)):
        target = desk.make_topic(names.topic(f"used-{used}"), partitions=1, on="west")
        desk.write([Outgoing(target, b"k", b"old", partition=0) for _ in range(used)], on="west")
        desk.cluster("west").positions.delete_records({TopicPartition(target, 0): used}, Deadline.after(30))
        plan = plan_exactly(desk, manifest, topic, target)
        assert (plan.topics[0].action is RestoreAction.REFUSE) is is_refused
        assert ("has passed the captured offsets" in str(plan.topics[0].refusal)) is is_refused
    desk.restorer().apply(plan)
    assert look(desk, target, "west", 1) == look(desk, topic, "east", 1)


def test_half_done_in_the_other_way_is_refused(desk, names) -> None:
    """A topic that is being restored with remapped positions is not gone on with at exact offsets."""
    topic, target = desk.make_topic(names.topic("t"), partitions=1), names.topic("back")
    desk.write([Outgoing(topic, b"k", b"%d" % n, partition=0) for n in range(20)])
    manifest = desk.create(topic)
    settings = desk.plan(manifest.id, {topic: target}).topics[0].settings
    desk.make_topic(target, partitions=1, on="west")
    desk.cluster("west").topics.alter_configs(target, settings, Deadline.after(30))
    plan = plan_exactly(desk, manifest, topic, target)
    assert "half restored" in plan.refusals[0]
    with pytest.raises(PreflightBlocked):
        desk.restorer().apply(plan)
