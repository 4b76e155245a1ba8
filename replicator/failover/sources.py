"""What a living source says of itself, in the form in which a dead one is known: one `Observed`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from replicator.clock import Clock, Deadline
from replicator.journal import Observed
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    Reachability,
    TopicObservation,
)


def read_source(
    source: KafkaCluster, flow: Flow, moves_group: Callable[[GroupName], bool], clock: Clock, deadline: Deadline
) -> Observed:
    """Return topics, ends and groups of the flow's source as they are now.

    Raises:
        Unreachable, DeadlineExceeded, AccessDenied, WrongCluster: the source cannot be read.
    """
    found = read_ends_again(source, flow, Observed(), clock, deadline)
    return replace(found, groups=_read_groups(source, moves_group, deadline))


def read_ends_again(source: KafkaCluster, flow: Flow, known: Observed, clock: Clock, deadline: Deadline) -> Observed:
    """Return what is known with topics and ends as they are now; the groups are those that were read before.

    Raises: as `read_source`.
    """
    described = source.verify_identity(deadline)
    now = clock.now()
    cluster = ClusterObservation(
        cluster=source.name,
        cluster_id=described.cluster_id,
        reachability=Reachability.REACHABLE,
        observed_at=now,
        last_reached_at=now,
        listeners=tuple(f"{broker.host}:{broker.port}" for broker in described.brokers),
    )
    return replace(known, clusters={source.name: cluster}, topics=_read_topics(source, flow, clock, deadline))


def _read_topics(
    source: KafkaCluster, flow: Flow, clock: Clock, deadline: Deadline
) -> dict[TopicName, TopicObservation]:
    topics = {name: topic for name, topic in source.topics.list(deadline).items() if flow.carries_topic(name)}
    partitions = [TopicPartition(name, p.partition) for name, topic in topics.items() for p in topic.partitions]
    ends = source.positions.ends(partitions, deadline)
    now = clock.now()
    return {
        name: TopicObservation(
            cluster=source.name,
            topic=name,
            topic_id=topic.topic_id,
            observed_at=now,
            partitions=tuple(ends[TopicPartition(name, p.partition)] for p in topic.partitions),
        )
        for name, topic in topics.items()
    }


def _read_groups(
    source: KafkaCluster, moves_group: Callable[[GroupName], bool], deadline: Deadline
) -> dict[GroupName, GroupObservation]:
    names = [name for name in source.groups.list(deadline) if moves_group(name)]
    found = source.groups.committed(names, deadline)
    return {name: seen for name, seen in found.items() if seen.state is not GroupState.DEAD}
