"""Where a chain's bytes live: an append-only log with one writer at a time. The real one is a Kafka topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from replicator.clock import Deadline
from replicator.journal.chain import Stored
from replicator.kafka import KafkaCluster, Outgoing, TransactionalWriter
from replicator.model.cluster import TopicSpec
from replicator.model.names import TopicName, TopicPartition

REPLICATION_FACTOR_MAX = 3
RECORD_BYTES_MAX = 900_000
"""No record is larger: below every default limit of clients and brokers. Larger facts are cut into parts."""


class LogWriter(Protocol):
    """The right to append, until somebody opens the log again under the same writer id."""

    def append(self, values: Sequence[bytes], deadline: Deadline) -> list[int]:
        """Return the offsets of the values once all of them are durable, or none of them is there.

        Readers may see them a moment later; whoever opens the log for writing afterwards sees them at once.

        Raises:
            Fenced: a newer writer of this id was opened; nothing was written.
            OutcomeUnknown: contact was lost; open again and read back.
        """
        ...

    def close(self) -> None:
        """Let go; nothing more can be appended."""
        ...


class RecordLog(Protocol):
    """An append-only log. Readers see committed values only, in order."""

    def exists(self, deadline: Deadline) -> bool:
        """Whether the log was made already."""
        ...

    def ensure(self, deadline: Deadline) -> None:
        """Leave the log existing; one that exists is left as it is."""
        ...

    def read(self, deadline: Deadline) -> list[Stored]:
        """Return every committed value up to the end at the call; none when the log does not exist."""
        ...

    def open_writer(self, writer_id: str, deadline: Deadline) -> LogWriter:
        """Return the only writer of this id: every earlier one is fenced, its unfinished append undone."""
        ...


class KafkaLog:
    """One partition of one topic that never expires; a writer id is a transactional id."""

    def __init__(self, cluster: KafkaCluster, topic: TopicName) -> None:
        self._cluster = cluster
        self._partition = TopicPartition(topic, 0)

    def exists(self, deadline: Deadline) -> bool:
        """Whether the topic was made already."""
        return bool(self._cluster.topics.describe([self._partition.topic], deadline))

    def ensure(self, deadline: Deadline) -> None:
        """Leave the topic existing: delete policy, infinite retention, replicated as far as brokers allow."""
        if not self.exists(deadline):
            self._cluster.topics.create([self._spec(deadline)], deadline)

    def _spec(self, deadline: Deadline) -> TopicSpec:
        brokers = len(self._cluster.describe(deadline).brokers)
        return internal_topic(
            self._partition.topic,
            brokers=brokers,
            configs={"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
        )

    def read(self, deadline: Deadline) -> list[Stored]:
        """Return every committed value up to the end at the call; none when the topic does not exist."""
        tail = self._cluster.tail([self._partition.topic])
        try:
            return [Stored(record.offset, record.value or b"") for record in tail.poll_to_end(deadline)]
        finally:
            tail.close()

    def open_writer(self, writer_id: str, deadline: Deadline) -> LogWriter:
        """Return the owner of the transactional id `replicator.<writer_id>`; its former owner is fenced."""
        owner = self._cluster.transactional_writer(f"replicator.{writer_id}", deadline)
        return _KafkaLogWriter(owner, self._partition)


class _KafkaLogWriter:
    """Each append is one transaction."""

    def __init__(self, owner: TransactionalWriter, partition: TopicPartition) -> None:
        self._owner = owner
        self._partition = partition

    def append(self, values: Sequence[bytes], deadline: Deadline) -> list[int]:
        """Return the offsets of the values, committed in one transaction."""
        records = [Outgoing(self._partition.topic, None, value, partition=0) for value in values]
        return self._owner.append(records, deadline)

    def close(self) -> None:
        """Let go of the producer."""
        self._owner.close()


def internal_topic(name: TopicName, *, brokers: int, configs: dict[str, str]) -> TopicSpec:
    """Return a topic of ours with one partition, kept by three brokers where there are as many."""
    replicas = min(REPLICATION_FACTOR_MAX, brokers)
    durable = {"min.insync.replicas": str(max(1, replicas - 1)), "compression.type": "producer"}
    return TopicSpec(name=name, partitions=1, replication_factor=replicas, configs={**configs, **durable})
