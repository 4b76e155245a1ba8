"""How far a flow has mirrored, read from Connect's offsets topic through Kafka: it needs no worker alive."""

from __future__ import annotations

from typing import Self

from replicator.clock import Deadline
from replicator.connect import decode_stored_offset
from replicator.kafka import KafkaCluster, Record
from replicator.model.names import TopicName, TopicPartition


class MirroredPositions:
    """The next source offset to be mirrored, by source partition, of one connector. One thread at a time.

    The first `refresh` reads the topic from its start, every later one only what is new. Only committed
    entries count: under exactly-once a position is seen no earlier than the records it stands for.
    """

    def __init__(self, cluster: KafkaCluster, offsets_topic: TopicName, connector: str) -> None:
        self._connector = connector
        self._tail = cluster.tail([offsets_topic])
        self._positions: dict[TopicPartition, int] = {}

    def refresh(self, deadline: Deadline) -> dict[TopicPartition, int]:
        """Return the positions as they are now; a partition nothing was ever mirrored of is absent.

        Raises:
            Unreachable, DeadlineExceeded, AccessDenied: the target cannot be read.
            DataCorrupt: the topic is no offsets topic.
        """
        for record in self._tail.poll_to_end(deadline):
            self._take(record)
        return dict(self._positions)

    def _take(self, record: Record) -> None:
        if record.key is None:
            return
        stored = decode_stored_offset(record.key, record.value)
        partition = stored.topic_partition
        if stored.connector != self._connector or partition is None:
            return
        position = stored.next_to_mirror
        if position is None:
            self._positions.pop(partition, None)
        else:
            self._positions[partition] = position

    def close(self) -> None:
        """Let go of the reader."""
        self._tail.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_positions(
    cluster: KafkaCluster, offsets_topic: TopicName, connector: str, deadline: Deadline
) -> dict[TopicPartition, int]:
    """Return the mirrored positions of a connector once."""
    with MirroredPositions(cluster, offsets_topic, connector) as positions:
        return positions.refresh(deadline)
