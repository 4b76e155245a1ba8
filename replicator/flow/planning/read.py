"""Reads what a plan is decided from: both clusters, the worker, the offsets topic. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicator.clock import Deadline
from replicator.connect import ConnectClient, StoredConnector, fold_connectors
from replicator.errors import NotFound, OperationFailed
from replicator.flow.handles import FlowHandles
from replicator.flow.planning.desired import DesiredFlow, desired_flow, travelling_topics
from replicator.flow.planning.facts import ClusterFacts, ConnectFacts, FlowFacts, FlowWiring, JournalFacts
from replicator.flow.positions import read_positions
from replicator.kafka import KafkaCluster
from replicator.model.connectors import ConfigFinding
from replicator.model.flow import Flow
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds


def read_facts(
    flow: Flow, *, handles: FlowHandles, wiring: FlowWiring, journal: JournalFacts, deadline: Deadline
) -> FlowFacts:
    """Return everything that `plan_flow` wants to know, read now.

    Raises:
        Unreachable, DeadlineExceeded, AccessDenied: a cluster or the worker cannot be read.
        WrongCluster: a cluster is not the one the configuration names.
    """
    source = read_cluster(handles.source, deadline)
    target = read_cluster(handles.target, deadline)
    source = _with_configs(source, handles.source, travelling_topics(flow, source.topics), deadline)
    desired = desired_flow(flow, wiring=wiring, source=source, target=target)
    wanted = {*desired.internal_topics, *desired.remote_topics} & target.topics.keys()
    remote = sorted(desired.remote_topics.keys() & target.topics.keys())
    ends = _read_ends(handles.target, target, remote, deadline)
    positions = read_positions(handles.target, handles.offsets_topic, flow.source_connector, deadline)
    return FlowFacts(
        source=_with_configs(source, handles.source, {*source.configs, *desired.source_topics}, deadline),
        target=_with_configs(target, handles.target, wanted, deadline),
        connect=read_connect(handles.connect, desired, deadline),
        target_ends=ends,
        positions=positions,
        foreign=_find_foreign(handles.target, desired, ends, positions, deadline),
        opposite=_read_opposite(handles, deadline),
        journal=journal,
    )


def read_cluster(cluster: KafkaCluster, deadline: Deadline) -> ClusterFacts:
    """Return the cluster's identity, checked, and its topics."""
    description = cluster.verify_identity(deadline)
    return ClusterFacts(
        cluster_id=description.cluster_id, brokers=len(description.brokers), topics=cluster.topics.list(deadline)
    )


def _with_configs(
    facts: ClusterFacts, cluster: KafkaCluster, topics: Iterable[TopicName], deadline: Deadline
) -> ClusterFacts:
    missing = sorted({name for name in topics if name in facts.topics} - facts.configs.keys())
    configs = {**facts.configs, **cluster.topics.configs(missing, deadline)}
    return ClusterFacts(cluster_id=facts.cluster_id, brokers=facts.brokers, topics=facts.topics, configs=configs)


def _read_ends(
    cluster: KafkaCluster, facts: ClusterFacts, topics: Iterable[TopicName], deadline: Deadline
) -> dict[TopicPartition, PartitionEnds]:
    partitions = [TopicPartition(name, part.partition) for name in topics for part in facts.topics[name].partitions]
    return cluster.positions.ends(partitions, deadline)


def _find_foreign(
    cluster: KafkaCluster,
    desired: DesiredFlow,
    ends: Mapping[TopicPartition, PartitionEnds],
    positions: Mapping[TopicPartition, int],
    deadline: Deadline,
) -> frozenset[TopicName]:
    """Return the topics with records though the flow never mirrored one into them.

    Offsets alone prove nothing: a transaction of ours that was aborted leaves its marker behind.
    """
    mirrored = {partition.topic for partition in positions}
    suspects = {
        name
        for name, remote in desired.remote_topics.items()
        if desired.flow.carries_topic(remote.source) and remote.source not in mirrored
    }
    return frozenset(
        partition.topic
        for partition, seen in ends.items()
        if partition.topic in suspects and _has_record(cluster, partition, seen, deadline)
    )


def _has_record(cluster: KafkaCluster, partition: TopicPartition, ends: PartitionEnds, deadline: Deadline) -> bool:
    read = cluster.read_range(partition, ends.log_start, ends.last_stable, deadline=deadline, records_max=1)
    return bool(read.records)


def read_connect(connect: ConnectClient, desired: DesiredFlow, deadline: Deadline) -> ConnectFacts:
    """Return the worker, its connectors, and what it objects to in the desired configurations."""
    worker = connect.worker(deadline)
    connectors = connect.list(deadline)
    findings = {name: _findings(connect, config, deadline) for name, config in desired.connectors.items()}
    return ConnectFacts(
        worker=worker, connectors=connectors, findings={name: found for name, found in findings.items() if found}
    )


def _findings(connect: ConnectClient, config: Mapping[str, str], deadline: Deadline) -> tuple[ConfigFinding, ...]:
    try:
        return connect.validate(config, deadline)
    except (NotFound, OperationFailed) as exc:
        return (ConfigFinding("connector.class", (exc.message,)),)


def _read_opposite(handles: FlowHandles, deadline: Deadline) -> dict[str, StoredConnector] | None:
    """Read the opposite Connect's own memory: it runs these connectors as soon as a worker of it starts."""
    if handles.opposite_configs_topic is None:
        return None
    tail = handles.source.tail([handles.opposite_configs_topic])
    try:
        return fold_connectors((record.key, record.value) for record in tail.poll_to_end(deadline))
    finally:
        tail.close()
