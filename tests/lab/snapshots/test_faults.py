"""What goes wrong with snapshots on real brokers: damage, kills, wrong targets. Nothing half-done, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import DataCorrupt, NotFound, OperationHalted, PreflightBlocked, UsageError, WrongCluster
from replicator.kafka import KafkaCluster, Outgoing
from replicator.model.archive.restores import OffsetRule, RestoreAction
from replicator.model.archive.snapshots import ChunkStatus
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import Repository, Restorer, RestoreRequest, SnapshotRequest, create_snapshot, verify_snapshot
from replicator.snapshot.keeping.claims import Claim
from replicator.snapshot.repository.packs import pack_key
from replicator.wire import RawClient

pytestmark = pytest.mark.lab


def plain_records(topic: TopicName, count: int, *, partitions: int = 2, size: int = 200) -> list[Outgoing]:
    """Numbered records that do not compress."""
    rng = random.Random(11)
    return [
        Outgoing(topic, b"%d" % n, rng.randbytes(size), partition=n % partitions, timestamp_ms=1_400_000_000_000 + n)
        for n in range(count)
    ]


def flip_byte(path: Path, position: int) -> None:
    """Change one bit of one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def test_flipped_byte_is_named_and_refused(desk, names) -> None:
    """One flipped bit in a pack: verify names the chunk, and a restore produces not a byte of it."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(plain_records(topic, 500, partitions=1))
    manifest = desk.create(topic)
    chunk = manifest.topics[0].partitions[0].chunks[0]
    flip_byte(desk.folder / pack_key(chunk.pack), chunk.offset + chunk.stored.stored_bytes // 2)
    report = verify_snapshot(desk.repository, manifest.id, clock=SYSTEM_CLOCK)
    assert [(f.status, f.what) for f in report.findings] == [(ChunkStatus.CORRUPT, "chunk")]
    assert f"{topic}[0]" in report.findings[0].where
    assert chunk.stored.id in report.findings[0].problem
    target = names.topic("back")
    with pytest.raises(DataCorrupt, match=chunk.stored.id):
        desk.restore(manifest.id, {topic: target})
    tp = TopicPartition(target, 0)
    assert desk.cluster("west").positions.ends([tp], Deadline.after(30))[tp].end == 0


def test_missing_pack_is_refused_before_anything_is_made(desk, names) -> None:
    """Without one of its packs a restore does not even make the topic."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(plain_records(topic, 50, partitions=1))
    manifest = desk.create(topic)
    (desk.folder / pack_key(next(iter(manifest.pack_sizes)))).unlink()
    target = names.topic("back")
    with pytest.raises(DataCorrupt, match="missing"):
        desk.restore(manifest.id, {topic: target})
    assert not desk.cluster("west").topics.describe([target], Deadline.after(30))


def test_lost_pack_is_read_anew_by_the_next_snapshot(desk, names) -> None:
    """A snapshot never names a pack that is gone: what was in it is read from the cluster again."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(plain_records(topic, 50, partitions=1))
    first = desk.create(topic)
    (desk.folder / pack_key(next(iter(first.pack_sizes)))).unlink()
    second = desk.create(topic)
    assert second.totals.new_bytes == first.totals.bytes
    assert verify_snapshot(desk.repository, second.id, clock=SYSTEM_CLOCK).is_ok


def test_filled_topic_is_refused(desk, names) -> None:
    """A target that holds anything else is refused before a byte is written or a setting changed."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(plain_records(topic, 100))
    manifest = desk.create(topic)
    target = desk.make_topic(names.topic("busy"), on="west", segment_bytes="7654321")
    desk.write(plain_records(target, 3), on="west")
    before = desk.read(target, on="west")
    with pytest.raises(PreflightBlocked, match="not empty"):
        desk.restore(manifest.id, {topic: target})
    assert desk.read(target, on="west") == before
    settings = desk.cluster("west").topics.configs([target], Deadline.after(30))[target]
    assert settings["segment.bytes"].value == "7654321"


def test_same_number_of_other_records_is_refused(desk, names) -> None:
    """As many records as the snapshot holds are not enough: they must be the same ones."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(plain_records(topic, 100, partitions=1))
    manifest = desk.create(topic)
    target = desk.make_topic(names.topic("busy"), partitions=1, on="west")
    records = plain_records(target, 100, partitions=1)
    desk.write([*records[:99], replace(records[99], value=b"another")], on="west")
    assert desk.plan(manifest.id, {topic: target}).topics[0].action is RestoreAction.COMPARE
    with pytest.raises(PreflightBlocked, match="not empty"):
        desk.restore(manifest.id, {topic: target})


def test_restoring_twice_changes_nothing(desk, names) -> None:
    """The same command again finds its work done and writes nothing."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(plain_records(topic, 200))
    manifest = desk.create(topic)
    target = names.topic("back")
    assert desk.restore(manifest.id, {topic: target}).written_records == 200
    again = desk.restore(manifest.id, {topic: target})
    assert (again.written_records, again.records, again.topics[0].action) == (0, 200, RestoreAction.COMPARE)
    assert desk.read(target, on="west") == desk.read(topic)


def test_empty_topic_is_filled_and_wrong_partition_count_refused(desk, names) -> None:
    """An empty topic with the captured number of partitions is filled; another number is refused."""
    topic = desk.make_topic(names.topic("t"), segment_bytes="11111111")
    desk.write(plain_records(topic, 100))
    manifest = desk.create(topic)
    empty = desk.make_topic(names.topic("empty"), on="west")
    assert desk.restore(manifest.id, {topic: empty}).topics[0].action is RestoreAction.FILL
    assert desk.read(empty, on="west") == desk.read(topic)
    settings = desk.cluster("west").topics.configs([empty], Deadline.after(30))[empty]
    assert settings["segment.bytes"].value == "11111111"
    other = desk.make_topic(names.topic("other"), partitions=3, on="west")
    with pytest.raises(PreflightBlocked, match="3 partitions"):
        desk.restore(manifest.id, {topic: other})


def test_bad_requests_are_told_apart(desk, names) -> None:
    """Nothing selected, two topics as one, a rename of nothing: each says what is wrong."""
    topic, other = desk.make_topic(names.topic("a")), desk.make_topic(names.topic("b"))
    manifest = desk.create(topic, other)
    with pytest.raises(NotFound, match="no topic that matches"):
        desk.restorer().plan(manifest.id, RestoreRequest(topics=Selection(include=("nothing-like-this",))))
    with pytest.raises(UsageError, match="two topics"):
        desk.plan(manifest.id, {topic: TopicName("x"), other: TopicName("x")})
    with pytest.raises(UsageError, match="not restored"):
        desk.restorer().plan(
            manifest.id,
            RestoreRequest(topics=Selection(include=(topic,)), renames={TopicName("nope"): TopicName("x")}),
        )
    with pytest.raises(NotFound, match="no topic matches"):
        desk.create(names.topic("not-there"))


def test_wrong_cluster_is_refused(lab, desk, names) -> None:
    """A cluster that is not the one configured is neither captured nor restored to."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(plain_records(topic, 10))
    manifest = desk.create(topic)
    wrong = replace(lab.east, cluster_id="AAAAAAAAAAAAAAAAAAAAAA")
    with KafkaCluster(wrong) as cluster, RawClient(wrong) as raw:
        with pytest.raises(WrongCluster):
            create_snapshot(
                cluster, raw, desk.repository, SnapshotRequest(), clock=SYSTEM_CLOCK, deadline=Deadline.after(30)
            )
        restorer = Restorer(cluster, raw, desk.repository, clock=SYSTEM_CLOCK, deadline=Deadline.after(30))
        with pytest.raises(WrongCluster):
            restorer.plan(manifest.id, RestoreRequest(topics=Selection(include=(topic,))))


KILLED_RESTORE = """
import os, signal, sys
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Selection
from replicator.snapshot import Repository, Restorer, RestoreRequest, Stage
from replicator.wire import RawClient
import replicator.wire.appending as appending

bootstrap, url, snapshot, topic, target, after = sys.argv[1:]
appending.QUEUE_BYTES = 0  # each batch is sent before the next one is queued: some are acknowledged when we die
access = ClusterAccess(name="west", bootstrap=bootstrap)

def die(progress):
    if progress.stage is Stage.RESTORE and progress.done >= int(after):
        os.kill(os.getpid(), signal.SIGKILL)

with KafkaCluster(access) as cluster, RawClient(access) as raw:
    restorer = Restorer(cluster, raw, Repository.open(url), clock=SYSTEM_CLOCK, deadline=Deadline.after(60), report=die)
    request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target})
    restorer.apply(restorer.plan(snapshot, request))
"""


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_killed_restore_goes_on_and_duplicates_nothing(lab, desk, names, share: float) -> None:
    """SIGKILLed midway and run again, a restore ends with every record once, in order, under its own settings."""
    topic = desk.make_topic(names.topic("t"), cleanup_policy="compact")
    desk.write(plain_records(topic, 2000), **{"batch.size": 4000})
    manifest = desk.create(topic)
    target = names.topic("back")
    command = [sys.executable, "-c", KILLED_RESTORE, lab.west.bootstrap, str(desk.folder), manifest.id, topic, target]
    killed = subprocess.run([*command, str(int(2000 * share))], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    parts = [TopicPartition(target, number) for number in range(2)]
    ends = desk.cluster("west").positions.ends(parts, Deadline.after(30))
    there = sum(end.end for end in ends.values())
    assert there < 2000
    assert share == 0.0 or there > 0, "the kill came after something was written"
    plan = desk.plan(manifest.id, {topic: target})
    assert plan.topics[0].action is RestoreAction.RESUME
    report = desk.restore(manifest.id, {topic: target})
    assert report.topics[0].found_records >= there
    assert report.written_records == 2000 - report.topics[0].found_records
    assert desk.read(target, on="west") == desk.read(topic)
    settings = desk.cluster("west").topics.configs([target], Deadline.after(30))[target]
    assert settings["cleanup.policy"].value == "compact"
    assert settings["delete.retention.ms"].is_default


def test_half_restored_topic_with_a_foreign_record_is_refused(lab, desk, names) -> None:
    """A record that somebody wrote into a half restored topic is noticed before the restore goes on."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(plain_records(topic, 500, partitions=1), **{"batch.size": 4000})
    manifest = desk.create(topic)
    target = names.topic("back")
    command = [sys.executable, "-c", KILLED_RESTORE, lab.west.bootstrap, str(desk.folder), manifest.id, topic, target]
    subprocess.run([*command, "200"], timeout=60, check=False)
    desk.write([Outgoing(target, b"k", b"foreign", partition=0)], on="west")
    with pytest.raises(OperationHalted, match="something else"):
        desk.restore(manifest.id, {topic: target})
    other = desk.create(topic)
    with pytest.raises(PreflightBlocked, match="half restored from another"):
        desk.restore(other.id, {topic: target})


KILLED_CAPTURE = """
import os, signal, sys
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Selection
from replicator.snapshot import Repository, SnapshotRequest, Stage, create_snapshot
from replicator.wire import RawClient

bootstrap, url, topic, stage = sys.argv[1:]
access = ClusterAccess(name="east", bootstrap=bootstrap)

def die(progress):
    if progress.stage is Stage(stage):
        os.kill(os.getpid(), signal.SIGKILL)

with KafkaCluster(access) as cluster, RawClient(access) as raw:
    request = SnapshotRequest(topics=Selection(include=(topic,)))
    create_snapshot(
        cluster, raw, Repository.open(url), request, clock=SYSTEM_CLOCK, deadline=Deadline.after(60), report=die
    )
"""


@pytest.mark.parametrize("stage", ["survey", "copy", "store", "publish"])
def test_killed_capture_leaves_no_snapshot(lab, desk, names, stage: str) -> None:
    """A capture killed at any stage is not visible; the next one is whole."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(plain_records(topic, 500))
    command = [sys.executable, "-c", KILLED_CAPTURE, lab.east.bootstrap, str(desk.folder), topic, stage]
    killed = subprocess.run(command, timeout=60, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert desk.repository.list_ids() == []
    manifest = desk.create(topic)
    assert verify_snapshot(desk.repository, manifest.id, clock=SYSTEM_CLOCK).is_ok
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    assert desk.read(target, on="west") == desk.read(topic)


def test_retention_race_is_a_recorded_gap(lab, desk, names, monkeypatch) -> None:
    """Records deleted between the cut and their reading are a gap with its reason, and the snapshot is whole."""
    from replicator.snapshot.capture import create

    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(plain_records(topic, 300, partitions=1), **{"batch.size": 2000})
    real = create.plan_copying

    def delete_then_plan(survey, bases):
        desk.cluster().positions.delete_records({TopicPartition(topic, 0): 120}, Deadline.after(30))
        return real(survey, bases)

    monkeypatch.setattr(create, "plan_copying", delete_then_plan)
    manifest = desk.create(topic)
    partition = manifest.topics[0].partitions[0]
    assert [(gap.start, gap.stop, gap.reason) for gap in partition.gaps] == [(0, 120, "retention")]
    assert manifest.totals.records == 180
    assert verify_snapshot(desk.repository, manifest.id, clock=SYSTEM_CLOCK).is_ok


def test_store_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    """A folder without repository.json is no repository, and one with other things does not become one."""
    with pytest.raises(NotFound, match="not a repository"):
        Repository.open(str(tmp_path))
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(PreflightBlocked, match="not empty"):
        Repository.init(str(tmp_path), clock=SYSTEM_CLOCK, tool="test")


@pytest.mark.parametrize("offsets", list(OffsetRule))
def test_a_restore_that_compares_for_long_keeps_its_claim(desk, names, monkeypatch, offsets: OffsetRule) -> None:
    """While what is there is compared, batch by batch, the claim is renewed: nobody takes the restore for dead."""
    topic, target = desk.make_topic(names.topic("t"), partitions=1), names.topic("back")
    for turn in range(4):
        desk.write([Outgoing(topic, b"k", b"%d" % turn, partition=0)])
    made = desk.create(topic)
    request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target}, offsets=offsets)
    desk.restorer().apply(desk.restorer().plan(made.id, request))
    confirmed: list[str] = []
    confirm = Claim.confirm
    monkeypatch.setattr("replicator.snapshot.keeping.claims.RENEW_SECONDS", 0.0)
    monkeypatch.setattr(Claim, "confirm", lambda claim: (confirmed.append(claim.key), confirm(claim))[1])
    again = desk.restorer().apply(desk.restorer().plan(made.id, request))
    assert (again.written_records, again.topics[0].found_records) == (0, 4)
    assert len(set(confirmed)) >= 4
    assert not list(desk.repository.store.list("claims"))
