"""What is: everything a plan is decided from, read once and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replicator.connect import StoredConnector
from replicator.model.cluster import ClusterAccess, ConfigValue, TopicDescription
from replicator.model.connectors import ConfigFinding, Connector, WorkerInfo
from replicator.model.names import ClusterName, OperationId, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowWiring:
    """How a flow's two clusters are reached. `secrets_folder` is the worker's, as the worker sees it;
    `epoch` labels connectors with the failover they belong to."""

    source: ClusterAccess
    target: ClusterAccess
    secrets_folder: str | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """One cluster as it stands. `configs` holds the settings of the topics that matter to the flow."""

    cluster_id: str
    brokers: int
    topics: Mapping[TopicName, TopicDescription]
    configs: Mapping[TopicName, Mapping[str, ConfigValue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectFacts:
    """The Connect beside the target. `findings` is what its worker objects to in our desired configurations."""

    worker: WorkerInfo
    connectors: Mapping[str, Connector]
    findings: Mapping[str, tuple[ConfigFinding, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFacts:
    """What the journal says of the flow: which cluster is active (None: never moved), and what runs now."""

    active: ClusterName | None = None
    operation_id: OperationId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """All of it.

    `positions` are the next source offsets to mirror, `target_ends` those of the topics the flow writes;
    `foreign` are topics of the target that the flow would write into and that hold records it never wrote;
    `opposite` the connectors kept by the Connect beside the source, None when there is none.
    """

    source: ClusterFacts
    target: ClusterFacts
    connect: ConnectFacts
    target_ends: Mapping[TopicPartition, PartitionEnds] = field(default_factory=dict)
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)
    foreign: frozenset[TopicName] = frozenset()
    opposite: Mapping[str, StoredConnector] | None = None
    journal: JournalFacts = JournalFacts()
