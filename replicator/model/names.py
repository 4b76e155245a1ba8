"""Names are types, so that a topic is never passed where a group is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

TopicName = NewType("TopicName", str)
GroupName = NewType("GroupName", str)
ClusterName = NewType("ClusterName", str)
FlowName = NewType("FlowName", str)
OperationId = NewType("OperationId", str)
SnapshotId = NewType("SnapshotId", str)
Offset = NewType("Offset", int)


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one topic. Prints as `topic[partition]`."""

    topic: TopicName
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"
