"""What the snapshot benchmark's contenders do, each in a process of its own: `python -m benchmarks.snapshot_hands JOB`.

JOB is JSON; the answer on stdout is one line of JSON with the seconds, the CPU seconds of this process, its peak
memory and the bytes moved. Time and CPU are counted from the first request on: no import, no connecting to a store.
"""

from __future__ import annotations

import json
import os
import random
import resource
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster
from replicator.model.archive.snapshots import VerifyLevel
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Selection
from replicator.model.names import ClusterName, TopicName, TopicPartition
from replicator.snapshot import (
    Compression,
    Repository,
    Restorer,
    RestoreRequest,
    SnapshotRequest,
    create_snapshot,
    load_keys,
    verify_snapshot,
)
from replicator.snapshot.capture.gathering import gather_spans
from replicator.wire import RawClient
from replicator.wire.reading import Slice, Span

Job = dict[str, Any]
SECONDS_MAX = 900.0
BLOCK_BYTES = 8 * 1024 * 1024
POOL = 2_000
"""Different payloads of compressible records."""
_FRAME = struct.Struct(">qii")


def payloads(job: Job) -> Iterator[bytes]:
    """Yield values for ever: random bytes, or text as services write it where a codec is to have something to do."""
    size = job["record_bytes"]
    rng = random.Random(7)
    while job["codec"] == "none":
        yield os.urandom(size)
    texts = [
        b'{"order": %d, "customer": %d, "state": "paid", "lines": [%s]}'
        % (
            rng.randrange(10**9),
            rng.randrange(10**6),
            b"".join(b'{"item": %d},' % rng.randrange(10**6) for _ in range(size // 16)),
        )
        for _ in range(POOL)
    ]
    texts = [text[:size] for text in texts]
    while True:
        yield texts[rng.randrange(POOL)]


def fill(job: Job) -> int:
    """The topic holds the records, each different where they are random."""
    return _send(job, payloads(job))


def produce(job: Job) -> int:
    """A plain producer loop: each record from memory, acknowledged by all."""
    return _send(job, cycle(list(islice(payloads(job), POOL))))


def _send(job: Job, source: Iterator[bytes]) -> int:
    producer = Producer({
        "bootstrap.servers": job["bootstrap"], "compression.type": job["codec"], "linger.ms": 20, "acks": "all",
        "batch.size": job["batch_bytes"], "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 256 * 1024, "message.max.bytes": 2_000_000,
    })  # fmt: skip
    for number in range(job["records"]):
        value = next(source)
        while True:
            try:
                producer.produce(job["topic"], value=value, partition=number % job["partitions"])
                break
            except BufferError:
                producer.poll(0.05)
        if number % 10_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise SystemExit("records were not acknowledged")
    return int(job["records"]) * int(job["record_bytes"])


def receive(job: Job) -> int:
    """(a) Every raw batch received, nothing kept."""
    with RawClient(_access(job)) as raw:
        deadline = Deadline.after(SECONDS_MAX)
        ends = raw.read_ends(_partitions(job), deadline=deadline)
        spans = [Span(tp, end.log_start, end.end) for tp, end in ends.items() if end.log_start < end.end]
        found = gather_spans(raw, spans, deadline=deadline, clock=SYSTEM_CLOCK)
        return sum(len(item.data) for item in found if isinstance(item, Slice))


def capture(job: Job) -> int:
    """(b) A snapshot taken."""
    repository = _repository(job)
    with KafkaCluster(_access(job)) as cluster, RawClient(_access(job)) as raw:
        request = SnapshotRequest(topics=Selection((job["topic"],)), compression=Compression(job["compression"]))
        manifest = create_snapshot(
            cluster, raw, repository, request, clock=SYSTEM_CLOCK, deadline=Deadline.after(SECONDS_MAX)
        )
    if manifest.totals.records != job["total_records"]:
        raise SystemExit(f"{manifest.totals.records} records captured, {job['total_records']} written")
    return manifest.totals.bytes


def consume(job: Job) -> int:
    """(c) A plain consume-and-write loop: each record framed into one file, flushed and synced at the end."""
    consumer = Consumer({
        "bootstrap.servers": job["bootstrap"], "group.id": "bench", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "fetch.message.max.bytes": BLOCK_BYTES, "check.crcs": True,
    })  # fmt: skip
    consumer.assign([Place(job["topic"], number, 0) for number in range(job["partitions"])])
    seen = written = 0
    with open(job["file"], "wb", buffering=1024 * 1024) as file:  # noqa: PTH123 - the loop people write
        while seen < job["total_records"]:
            for message in consumer.consume(10_000, 5.0):
                if message.error() is None:
                    key, value = message.key() or b"", message.value() or b""
                    head = _FRAME.pack(message.offset(), message.timestamp()[1] & 0x7FFFFFFF, len(value))
                    written += file.write(head) + file.write(key) + file.write(value)
                    seen += 1
        file.flush()
        os.fsync(file.fileno())
    consumer.close()
    return written


def write(job: Job) -> int:
    """(d) As many bytes written one after another and synced."""
    left, block = int(job["bytes"]), os.urandom(BLOCK_BYTES)
    with open(job["file"], "wb", buffering=0) as file:  # noqa: PTH123 - no more than a plain write
        while left > 0:
            left -= file.write(block[: min(left, BLOCK_BYTES)])
        os.fsync(file.fileno())
    return int(job["bytes"])


def restore(job: Job) -> int:
    """The newest snapshot restored under another name."""
    repository = _repository(job)
    source, target = TopicName(job["topic"]), TopicName(job["as"])
    with KafkaCluster(_access(job)) as cluster, RawClient(_access(job)) as raw:
        restorer = Restorer(cluster, raw, repository, clock=SYSTEM_CLOCK, deadline=Deadline.after(SECONDS_MAX))
        request = RestoreRequest(topics=Selection((source,)), renames={source: target})
        report = restorer.apply(restorer.plan(repository.find("latest"), request))
    if report.written_records != job["total_records"]:
        raise SystemExit(f"{report.written_records} records restored, {job['total_records']} captured")
    return report.written_bytes


def verify(job: Job) -> int:
    """The newest snapshot proven down to its batches."""
    repository = _repository(job)
    report = verify_snapshot(repository, repository.find("latest"), level=VerifyLevel.BATCHES, clock=SYSTEM_CLOCK)
    if not report.is_ok:
        raise SystemExit(str(report.findings[0]))
    return sum(chunk.stored.plain_bytes for _, chunk in repository.read_manifest(report.snapshot).chunks())


ACTS: dict[str, Callable[[Job], int]] = {
    act.__name__: act for act in (fill, produce, receive, capture, consume, write, restore, verify)
}


def _access(job: Job) -> ClusterAccess:
    return ClusterAccess(name=ClusterName("bench"), bootstrap=job["bootstrap"])


def _partitions(job: Job) -> list[TopicPartition]:
    return [TopicPartition(TopicName(job["topic"]), number) for number in range(job["partitions"])]


def _repository(job: Job) -> Repository:
    return Repository.open(job["store"], keys=load_keys(job.get("signing_key")))


@contextmanager
def measured(answer: dict[str, float]) -> Iterator[None]:
    """Note wall time, CPU and peak memory of what happens inside."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    yield
    answer["seconds"] = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    answer["cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answer["peak_mib"] = after.ru_maxrss / 1024


def main(argv: list[str]) -> int:
    """Do one job and print what it took."""
    job: Job = json.loads(argv[0])
    answer: dict[str, float] = {}
    with measured(answer):
        answer["bytes"] = ACTS[job["act"]](job)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
