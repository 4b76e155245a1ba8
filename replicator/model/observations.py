"""What was seen, when. A failover whose source is gone knows the source by these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition


class Reachability(StrEnum):
    """REFUSED: every broker's port actively refuses, so no client can write there either.
    SILENT: no answer in time; the cluster may be alive for others."""

    REACHABLE = "reachable"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterObservation:
    """Whether a cluster answered, and since when it has not (`unreachable_since`)."""

    cluster: ClusterName
    cluster_id: str | None
    reachability: Reachability
    observed_at: datetime
    last_reached_at: datetime | None
    unreachable_since: datetime | None = None
    listeners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionEnds:
    """Log start, last stable offset and end of one partition, read in one sweep."""

    partition: int
    log_start: int
    last_stable: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCount:
    """Visible records counted by reading [from_offset, to_offset): markers and aborted data left out."""

    partition: int
    from_offset: int
    to_offset: int
    visible_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicObservation:
    """All partitions of one topic. `peak_rate` is the highest rate of the last week, in records/s over the topic.

    `mirrored_topic_id` is the id under which the flow began to mirror it: another than `topic_id` once the
    topic was deleted and made again. None: not known.
    """

    cluster: ClusterName
    topic: TopicName
    topic_id: str
    observed_at: datetime
    partitions: tuple[PartitionEnds, ...]
    mirrored_positions: Mapping[int, int] = field(default_factory=dict)
    tails: tuple[TailCount, ...] = ()
    peak_rate: float | None = None
    mirrored_topic_id: str | None = None


class GroupState(StrEnum):
    """A group's state as the broker names it, folded to what we act upon."""

    EMPTY = "EMPTY"
    ACTIVE = "ACTIVE"
    DEAD = "DEAD"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupObservation:
    """Committed positions of one group (next record to read) at one moment."""

    cluster: ClusterName
    group: GroupName
    state: GroupState
    observed_at: datetime
    committed: Mapping[TopicPartition, int] = field(default_factory=dict)
    members: int | None = None
    protocol_type: str = "consumer"
