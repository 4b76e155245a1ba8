"""Our heartbeats: produced on the source, so that one on the target proves the whole way.

MM2's own heartbeat connector writes to the cluster its worker produces to, the target: it proves nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from replicator.clock import Deadline
from replicator.connect import Heartbeat, encode_heartbeat
from replicator.flow.planning.desired import HEARTBEATS, heartbeats_spec
from replicator.kafka import KafkaCluster, Outgoing
from replicator.model.names import ClusterName, TopicPartition

CLIENT_ID = "replicator.heartbeat"


class FlowHeartbeat:
    """Beats for one pair of clusters. One thread at a time; a context manager."""

    def __init__(self, source: KafkaCluster, *, target: ClusterName) -> None:
        self._source = source
        self._target = target
        self._writer = source.writer(CLIENT_ID)

    def ensure_topic(self, deadline: Deadline) -> bool:
        """Leave the source with a heartbeats topic; return whether it was made now."""
        if HEARTBEATS in self._source.topics.describe([HEARTBEATS], deadline):
            return False
        brokers = len(self._source.describe(deadline).brokers)
        return HEARTBEATS in self._source.topics.create([heartbeats_spec(brokers)], deadline)

    def beat(self, now: datetime, deadline: Deadline) -> int:
        """Return the offset at which the source has acknowledged the heartbeat of `now`.

        Raises:
            Unreachable, DeadlineExceeded, AccessDenied: the source did not acknowledge it.
        """
        beat = Heartbeat(self._source.name, self._target, int(now.timestamp() * 1000))
        key, value = encode_heartbeat(beat)
        self._writer.send(Outgoing(HEARTBEATS, key, value, partition=0, timestamp_ms=beat.timestamp_ms))
        return self._writer.flush(deadline)[TopicPartition(HEARTBEATS, 0)]

    def close(self) -> None:
        """Let go of the producer."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
