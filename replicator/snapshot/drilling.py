"""A snapshot restored to a scratch cluster and read back by a client: the last proof there is.

Two ways of reading meet here: the snapshot's side decodes chunks with our own code, the cluster's side is what a
consumer of committed records gets from Kafka's C client. Equal digests mean equal records in equal order.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from replicator.clock import Clock, Deadline
from replicator.errors import PreflightBlocked
from replicator.kafka import KafkaCluster
from replicator.model.archive.drilling import PartitionProof, SnapshotDrill
from replicator.model.archive.restores import RestorePlan
from replicator.model.archive.snapshots import CapturedPartition, Manifest
from replicator.model.flow import Selection
from replicator.model.names import SnapshotId, TopicName, TopicPartition
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.reading import visible_records
from replicator.snapshot.repository import Repository
from replicator.snapshot.restore import Restorer, RestoreRequest
from replicator.wire import RawClient

READ_BYTES = 16 * 1024 * 1024
"""So much is read back at once, about: the records of one look are in memory together."""
READ_RECORDS_MAX = 10_000
_NULL = -1


class _Recorded(Protocol):
    """What both ways of reading tell of a record."""

    @property
    def timestamp_ms(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]: ...


class OrderedDigest:
    """The SHA-256 of records in the order they are added: time, key, value, headers; null and empty stay apart."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.records = 0

    def add(self, record: _Recorded) -> None:
        """Take one record in."""
        self._digest.update(struct.pack(">qi", record.timestamp_ms, len(record.headers)))
        self._add_bytes(record.key)
        self._add_bytes(record.value)
        for name, value in record.headers:
            self._add_bytes(name.encode("utf-8", "surrogateescape"))
            self._add_bytes(value)
        self.records += 1

    def _add_bytes(self, content: bytes | None) -> None:
        self._digest.update(struct.pack(">i", _NULL if content is None else len(content)))
        self._digest.update(content or b"")

    def hexdigest(self) -> str:
        """Return the digest so far, in hex."""
        return self._digest.hexdigest()


def drill_snapshot(
    repository: Repository,
    snapshot_id: SnapshotId,
    cluster: KafkaCluster,
    raw: RawClient,
    *,
    clock: Clock,
    deadline: Deadline,
    topics: Selection | None = None,
    report: Report = say_nothing,
) -> SnapshotDrill:
    """The snapshot is on the scratch cluster; return how what a client reads there compares with it.

    Nothing is deleted there meanwhile: the settings that hold a restore's records stay in force. Topics that were
    shredded are left out, with a warning.
    Raises: PreflightBlocked when the cluster holds one of the topics already; as a restore.
    """
    begun = clock.monotonic()
    restorer = Restorer(cluster, raw, repository, clock=clock, deadline=deadline, report=report)
    request = RestoreRequest(topics=topics or Selection(), groups=Selection())
    plan = hold_on(restorer.plan(snapshot_id, request))
    done = restorer.apply(plan)
    manifest = repository.read_manifest(snapshot_id)
    wanted = list(_partitions_of(manifest, plan))
    proofs = []
    for number, (topic, partition) in enumerate(wanted):
        report(Progress(stage=Stage.COMPARE, done=number, total=len(wanted)))
        proofs.append(_prove(repository, cluster, raw, topic, partition, deadline))
    return SnapshotDrill(
        snapshot=snapshot_id,
        partitions=tuple(proofs),
        groups=done.groups,
        records=sum(proof.records for proof in proofs),
        restore_seconds=done.seconds,
        seconds=clock.monotonic() - begun,
        warnings=done.warnings,
    )


def hold_on(plan: RestorePlan) -> RestorePlan:
    """Return the plan whose topics keep the settings that hold their records.

    Raises: PreflightBlocked when it may not begin.
    """
    if plan.refusals:
        raise PreflightBlocked(
            f"the scratch cluster {plan.cluster} is no empty one: {plan.refusals[0]}", detail="\n".join(plan.refusals)
        )
    return replace(plan, topics=tuple(replace(topic, final_settings={}) for topic in plan.topics))


def _partitions_of(manifest: Manifest, plan: RestorePlan) -> Iterator[tuple[TopicName, CapturedPartition]]:
    chosen = {topic.source for topic in plan.topics}
    for topic in manifest.topics:
        if topic.name in chosen:
            for partition in topic.partitions:
                yield topic.name, partition


def _prove(
    repository: Repository,
    cluster: KafkaCluster,
    raw: RawClient,
    topic: TopicName,
    partition: CapturedPartition,
    deadline: Deadline,
) -> PartitionProof:
    captured = OrderedDigest()
    for chunk in partition.chunks:
        for record in visible_records(repository.read_chunk(chunk), chunk):
            captured.add(record)
    found = _read_back(cluster, raw, TopicPartition(topic, partition.partition), partition, deadline)
    return PartitionProof(
        topic=topic,
        partition=partition.partition,
        records=captured.records,
        digest=captured.hexdigest(),
        found_records=found.records,
        found_digest=found.hexdigest(),
    )


def _read_back(
    cluster: KafkaCluster, raw: RawClient, tp: TopicPartition, partition: CapturedPartition, deadline: Deadline
) -> OrderedDigest:
    """Read the partition from its log start to its end; records that should not be there count, too."""
    found = OrderedDigest()
    ends = raw.read_ends([tp], deadline=deadline)[tp]
    position = ends.log_start
    while position < ends.end:
        seen = cluster.read_range(tp, position, ends.end, deadline=deadline, records_max=records_at_once(partition))
        for record in seen.records:
            found.add(record)
        if seen.next_offset <= position:
            break
        position = seen.next_offset
    return found


def records_at_once(partition: CapturedPartition) -> int:
    """Return how many records to read at once, so that they fit in memory whatever their size."""
    mean = max(1, partition.plain_bytes // max(1, partition.records))
    return max(1, min(READ_RECORDS_MAX, READ_BYTES // mean))
