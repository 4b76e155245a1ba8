"""A small world for the flow's decisions: two clusters, a worker, and nothing running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from replicator.connect import StoredConnector
from replicator.flow import (
    Act,
    ClusterFacts,
    ConnectFacts,
    FlowFacts,
    FlowWiring,
    JournalFacts,
    Plan,
    desired_flow,
    plan_flow,
)
from replicator.model.cluster import ClusterAccess, ConfigValue, PartitionDescription, TopicDescription
from replicator.model.connectors import Connector, ConnectorState, ConnectorStatus, TaskStatus, WorkerInfo
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds

BROKER_DEFAULTS = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.type": "CreateTime",
    "min.compaction.lag.ms": "0",
}


def make_topic(name: str, partitions: int = 1, *, replicas: int = 1) -> TopicDescription:
    """A healthy topic."""
    ids = tuple(range(replicas))
    return TopicDescription(
        name=TopicName(name),
        topic_id=f"id-{name}",
        partitions=tuple(PartitionDescription(number, 0, ids, ids) for number in range(partitions)),
    )


def make_settings(own: Mapping[str, str]) -> dict[str, ConfigValue]:
    """A topic's settings: the broker's defaults, and its own on top."""
    defaults = {key: ConfigValue(value, is_default=True) for key, value in BROKER_DEFAULTS.items()}
    return {**defaults, **{key: ConfigValue(value, is_default=False) for key, value in own.items()}}


def make_connector(name: str, config: Mapping[str, str], state: str = "RUNNING", *, tasks: int = 1) -> Connector:
    """A connector whose tasks share its state; STOPPED ones have none."""
    found = ConnectorState(state)
    count = 0 if found is ConnectorState.STOPPED else tasks
    statuses = tuple(TaskStatus(id=number, state=found, worker="w") for number in range(count))
    return Connector(
        name=name, config=config, status=ConnectorStatus(name=name, state=found, worker="w", tasks=statuses)
    )


@dataclass
class World:
    """Facts that a test bends before it asks for a plan."""

    flow: Flow
    others: tuple[Flow, ...] = ()
    source: dict[str, tuple[TopicDescription, dict[str, str]]] = field(default_factory=dict)
    target: dict[str, tuple[TopicDescription, dict[str, str]]] = field(default_factory=dict)
    target_ends: dict[TopicPartition, PartitionEnds] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    foreign: frozenset[TopicName] = frozenset()
    connectors: dict[str, Connector] = field(default_factory=dict)
    opposite: dict[str, StoredConnector] | None = None
    journal: JournalFacts = JournalFacts()
    findings: dict[str, Any] = field(default_factory=dict)
    brokers: int = 1
    worker_cluster: str = "id-west"
    source_id: str = "id-east"
    epoch: int = 0

    @property
    def wiring(self) -> FlowWiring:
        """How both clusters are reached."""
        return FlowWiring(
            source=ClusterAccess(name=self.flow.source, bootstrap=f"{self.flow.source}:9092"),
            target=ClusterAccess(name=self.flow.target, bootstrap=f"{self.flow.target}:9092"),
            epoch=self.epoch,
        )

    def add_source(self, name: str, partitions: int = 1, *, replicas: int = 1, **own: str) -> None:
        """Put a topic on the source; settings are given with underscores for dots."""
        settings = {key.replace("_", "."): value for key, value in own.items()}
        self.source[name] = (make_topic(name, partitions, replicas=replicas), settings)

    def add_target(self, name: str, partitions: int = 1, **own: str) -> None:
        """Put a topic on the target."""
        settings = {key.replace("_", "."): value for key, value in own.items()}
        self.target[name] = (make_topic(name, partitions), settings)

    def cluster(self, topics: Mapping[str, tuple[TopicDescription, dict[str, str]]], cluster_id: str) -> ClusterFacts:
        """One side's facts."""
        return ClusterFacts(
            cluster_id=cluster_id,
            brokers=self.brokers,
            topics={TopicName(name): topic for name, (topic, _) in topics.items()},
            configs={TopicName(name): make_settings(own) for name, (_, own) in topics.items()},
        )

    def facts(self) -> FlowFacts:
        """Everything a plan is decided from."""
        return FlowFacts(
            source=self.cluster(self.source, self.source_id),
            target=self.cluster(self.target, "id-west"),
            connect=ConnectFacts(
                worker=WorkerInfo("4.3.1", self.worker_cluster), connectors=self.connectors, findings=self.findings
            ),
            target_ends=self.target_ends,
            positions=self.positions,
            foreign=self.foreign,
            opposite=self.opposite,
            journal=self.journal,
        )

    def plan(self) -> Plan:
        """The plan as things stand."""
        return plan_flow(self.flow, others=(self.flow, *self.others), facts=self.facts(), wiring=self.wiring)

    def apply(self) -> None:
        """Make the world what the plan wants, as Kafka and Connect would."""
        for change in self.plan().changes:
            side = self.source if change.cluster == self.flow.source else self.target
            if change.act is Act.CREATE_TOPIC:
                assert change.topic is not None
                side[change.name] = (make_topic(change.name, change.topic.partitions), dict(change.topic.configs))
            elif change.act is Act.GROW_TOPIC:
                assert change.topic is not None
                side[change.name] = (make_topic(change.name, change.topic.partitions), side[change.name][1])
            elif change.act is Act.ALTER_TOPIC:
                side[change.name][1].update({d.key: d.desired or "" for d in change.differences})
            elif change.act is Act.CREATE_CONNECTOR:
                self.connectors[change.name] = make_connector(change.name, change.config, "STOPPED")
            elif change.act is Act.UPDATE_CONNECTOR:
                self.connectors[change.name] = replace(self.connectors[change.name], config=change.config)
            else:
                self.connectors[change.name] = make_connector(change.name, self.connectors[change.name].config)

    def desired(self) -> Any:
        """The desired flow as things stand."""
        facts = self.facts()
        return desired_flow(self.flow, wiring=self.wiring, source=facts.source, target=facts.target)


def make_flow(name: str = "shop", source: str = "east", target: str = "west", **changes: Any) -> Flow:
    """A flow of orders and payments from east to west unless told otherwise."""
    values: dict[str, Any] = {"topics": Selection(("orders", "pay.*")), **changes}
    return Flow(name=FlowName(name), source=ClusterName(source), target=ClusterName(target), **values)


@pytest.fixture
def flow_of() -> Callable[..., Flow]:
    """A function that makes flows."""
    return make_flow


@pytest.fixture
def connector_of() -> Callable[..., Connector]:
    """A function that makes connectors."""
    return make_connector


@pytest.fixture
def world() -> World:
    """A source with orders (3 partitions) and pay.x, an empty target."""
    made = World(make_flow())
    made.add_source("orders", 3, retention_ms="-1")
    made.add_source("pay.x", cleanup_policy="compact", min_insync_replicas="2")
    made.add_source("elsewhere")
    return made
