"""Leaders die while a snapshot is taken and while one is restored: nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import Outgoing
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import Progress, Restorer, RestoreRequest, SnapshotRequest, Stage, create_snapshot

pytestmark = pytest.mark.lab

PARTITIONS = 6
RECORDS = 12_000


def fill(desk, topic: TopicName) -> None:
    """Write about 24 MB in small batches."""
    rng = random.Random(5)
    blob = rng.randbytes(1 << 16)
    records = []
    for number in range(RECORDS):
        start = rng.randrange(1 << 15)
        records.append(Outgoing(topic, b"%d" % number, blob[start : start + 2000], partition=number % PARTITIONS))
    desk.write(records)


def kill_once(lab, member: str, stage: Stage, share: float) -> tuple[Callable[[Progress], None], threading.Event]:
    """A report that kills a broker when a stage has come so far, and says that it did."""
    killed = threading.Event()

    def report(progress: Progress) -> None:
        if progress.stage is stage and not killed.is_set() and progress.done >= share * (progress.total or 1) > 0:
            lab.kill(member)
            killed.set()

    return report, killed


def leaders(desk, topic: TopicName, on: str) -> set[int]:
    """Who leads the topic's partitions."""
    parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    return set(desk.raw(on).find_leaders(parts, deadline=Deadline.after(30), is_fresh=True).values())


def test_leaders_die_while_captured_and_while_restored(broker_trio, trio_desk, names, monkeypatch) -> None:
    """A broker killed mid-capture and one killed mid-restore: the restored topic equals the original."""
    from replicator.wire import reading

    monkeypatch.setattr(reading, "ANSWER_BYTES", 256 * 1024)  # many answers, so that the kill comes between two
    desk = trio_desk
    topic = desk.make_topic(names.topic("t"), partitions=PARTITIONS, replicas=3, min_insync_replicas="2")
    fill(desk, topic)
    original = desk.read(topic, partitions=PARTITIONS)
    assert leaders(desk, topic, "east") == {1, 2, 3}
    cluster, raw = desk.doors["east"]
    report, killed = kill_once(broker_trio, "east/broker-2", Stage.COPY, 0.1)
    manifest = create_snapshot(
        cluster,
        raw,
        desk.repository,
        SnapshotRequest(topics=Selection(include=(topic,))),
        clock=SYSTEM_CLOCK,
        deadline=Deadline.after(120),
        report=report,
    )
    assert killed.is_set()
    assert leaders(desk, topic, "east") == {1, 3}
    assert (manifest.totals.records, manifest.gap_count) == (RECORDS, 0)

    target = names.topic("back")
    cluster, raw = desk.doors["west"]
    report, killed = kill_once(broker_trio, "west/broker-2", Stage.RESTORE, 0.5)
    restorer = Restorer(cluster, raw, desk.repository, clock=SYSTEM_CLOCK, deadline=Deadline.after(120), report=report)
    request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target})
    done = restorer.apply(restorer.plan(manifest.id, request))
    assert killed.is_set()
    assert done.written_records == RECORDS
    assert desk.read(target, partitions=PARTITIONS, on="west") == original
