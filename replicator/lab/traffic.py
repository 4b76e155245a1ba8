"""Something to mirror: numbered records, and a group that left its positions behind the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.kafka import KafkaCluster, Outgoing
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition

_BURST = 500
_FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Numbered records for one topic; `per_second` None is as fast as they go. Record n has key `key-<n mod 100>`."""

    topic: TopicName
    records: int
    partitions: int = 3
    per_second: float | None = None

    def send(self, cluster: KafkaCluster, *, told: Callable[[int], None], clock: Clock = SYSTEM_CLOCK) -> None:
        """Make the topic where it is missing, and write the records.

        `told` is called with the number of records acknowledged so far.

        Raises:
            ReplicatorError: the cluster refused or did not acknowledge in time; what was told of is written.
        """
        cluster.topics.create(
            [TopicSpec(name=self.topic, partitions=self.partitions)], Deadline.after(_FLUSH_SECONDS, clock=clock)
        )
        writer, began = cluster.writer("replicator-lab"), clock.monotonic()
        try:
            for first in range(0, self.records, self._burst):
                last = min(first + self._burst, self.records)
                for number in range(first, last):
                    writer.send(_record(self.topic, number))
                writer.flush(Deadline.after(_FLUSH_SECONDS, clock=clock))
                told(last)
                self._keep_pace(last, began, clock)
        finally:
            writer.close()

    @property
    def _burst(self) -> int:
        return _BURST if self.per_second is None else max(1, min(_BURST, round(self.per_second / 10)))

    def _keep_pace(self, sent: int, began: float, clock: Clock) -> None:
        if self.per_second is not None and sent < self.records:
            clock.sleep(max(0.0, began + sent / self.per_second - clock.monotonic()))


def leave_group(cluster: KafkaCluster, group: GroupName, topic: TopicName, *, behind: int, deadline: Deadline) -> None:
    """Commit a group `behind` records before the end of each partition, or at its start where it is shorter.

    Raises:
        ReplicatorError: the group has members, or the cluster refused.
    """
    partitions = cluster.topics.describe([topic], deadline)[topic].partitions
    tps = [TopicPartition(topic, number) for number in range(len(partitions))]
    places = {tp: max(at.log_start, at.end - behind) for tp, at in cluster.positions.ends(tps, deadline).items()}
    cluster.groups.commit(group, places, deadline)


def _record(topic: TopicName, number: int) -> Outgoing:
    return Outgoing(topic, f"key-{number % 100}".encode(), f'{{"number": {number}}}'.encode())
