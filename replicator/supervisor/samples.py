"""Samples: what one observer saw at one moment. Frozen; the newest of each kind is on the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from replicator.model.cluster import TopicDescription
from replicator.model.connectors import Connector, ConnectorStatus
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, PartitionEnds, TailCount
from replicator.model.offsets import GroupTranslation
from replicator.model.supervision.status import Drift

Tails = Mapping[TopicPartition, tuple[TailCount, ...]]
"""The counted parts of each partition's unmirrored tail, in order and without a hole between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSample:
    """One sweep over the source: the flow's topics, and log start, last stable offset and end of each
    partition. Whatever was written before `began_at` is in it."""

    began_at: datetime
    ended_at: datetime
    topics: Mapping[TopicName, TopicDescription]
    ends: Mapping[TopicPartition, PartitionEnds]

    @property
    def took_seconds(self) -> float:
        """How long reading the offsets took."""
        return (self.ended_at - self.began_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsSample:
    """The selected groups of a cluster with their committed positions; `shares` are those that have none to move."""

    began_at: datetime
    groups: Mapping[GroupName, GroupObservation]
    shares: Mapping[GroupName, GroupObservation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredSample:
    """The next source offset to be mirrored, by source partition. Whatever was mirrored before `began_at` is in it."""

    began_at: datetime
    ended_at: datetime
    positions: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationsSample:
    """Where groups would resume if the source were lost at that moment, and which already run on the target."""

    began_at: datetime
    translations: Mapping[GroupName, GroupTranslation]
    active_on_target: frozenset[GroupName]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSample:
    """How the flow differs from its configuration."""

    began_at: datetime
    drift: tuple[Drift, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSample:
    """The flow's connectors as Connect tells of them; one that does not exist is absent."""

    began_at: datetime
    connectors: tuple[Connector, ...]

    @property
    def statuses(self) -> tuple[ConnectorStatus, ...]:
        """The status of each connector that has one."""
        return tuple(connector.status for connector in self.connectors if connector.status is not None)
