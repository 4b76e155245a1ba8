"""Asks both clusters what the gates need: shapes, settings, members, room, and how long the source keeps what waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from replicator.clock import Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.failover.forecasting.gates import KEYS, RETENTION, Configs, Sides
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupState
from replicator.wire import DiskSpace, RawClient, read_disks

RUNWAYS_MAX = 64
"""So many partitions that wait are asked for their oldest record; those nearest to their log start first."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Whom to ask about what. `topics` are the flow's on the source, `groups` those it moves, `mirrored` the next
    offset to mirror by source partition. `source` None: it does not answer, and is not asked."""

    flow: Flow
    source: KafkaCluster | None
    target: KafkaCluster
    topics: Sequence[TopicName]
    groups: Sequence[GroupName]
    mirrored: Mapping[TopicPartition, int]
    foreign_partitions: tuple[TopicPartition, ...] | None = None


def ask_sides(asking: Asking, *, clock: Clock, deadline: Deadline) -> Sides:
    """Return both clusters as they stand. What the source does not tell is None.

    Raises:
        Unreachable, DeadlineExceeded, AccessDenied: the standby does not answer.
    """
    target, source = asking.target, asking.source
    sources = {asking.flow.remote_topic(topic): topic for topic in asking.topics}
    read_at = clock.now()
    described = target.topics.describe(sources, deadline)
    configs = _configs(target, sorted(described), deadline)
    committed = target.groups.committed(list(asking.groups), deadline)
    on_source = _told(lambda: source.topics.describe(asking.topics, deadline)) if source is not None else None
    source_configs = None
    if source is not None and on_source is not None:
        source_configs = _told(lambda: _configs(source, sorted(on_source), deadline))
    runway = None
    if source is not None and source_configs is not None:
        runway = _told(lambda: _runway_seconds(source, asking.mirrored, source_configs, clock, deadline))
    return Sides(
        read_at=read_at,
        copies={sources[copy]: topic for copy, topic in described.items()},
        copy_configs={sources[copy]: found for copy, found in configs.items()},
        on_source=on_source,
        source_configs=source_configs,
        active_groups=tuple(name for name, seen in committed.items() if seen.state is GroupState.ACTIVE),
        disks=_told(lambda: _disks(target, described, clock, deadline)),
        foreign_partitions=asking.foreign_partitions,
        retention_runway_seconds=runway,
    )


def _told(ask: Callable[[], Value]) -> Value | None:
    """Return what was answered; None where nothing was: the gate that needs it says so."""
    try:
        return ask()
    except ReplicatorError:
        return None


def _configs(cluster: KafkaCluster, names: Sequence[TopicName], deadline: Deadline) -> Configs:
    found = cluster.topics.configs(names, deadline)
    return {name: {key: values[key].value if key in values else None for key in KEYS} for name, values in found.items()}


def _disks(
    target: KafkaCluster, topics: Mapping[TopicName, object], clock: Clock, deadline: Deadline
) -> dict[int, DiskSpace]:
    first = [TopicPartition(name, 0) for name in topics]
    with RawClient(target.access, client_id="replicator-forecast", clock=clock) as raw:
        return {broker: disk for broker, disk in read_disks(raw, first, deadline=deadline).items() if disk is not None}


def _runway_seconds(
    source: KafkaCluster, mirrored: Mapping[TopicPartition, int], configs: Configs, clock: Clock, deadline: Deadline
) -> float | None:
    """Return in how many seconds the oldest record that is not mirrored yet is deleted by its retention.

    None: nothing waits, or what waits is kept for ever. Topics kept by size alone are left out.
    """
    kept = {name: int(found[RETENTION] or -1) for name, found in configs.items()}
    asked = [tp for tp in sorted(mirrored) if kept.get(tp.topic, -1) >= 0]
    ends = source.positions.ends(asked, deadline)
    starts = {tp: max(mirrored[tp], ends[tp].log_start) for tp in asked if tp in ends}
    waiting = [tp for tp, start in starts.items() if start < ends[tp].last_stable]
    waiting.sort(key=lambda tp: starts[tp] - ends[tp].log_start)
    left = []
    for tp in waiting[:RUNWAYS_MAX]:
        read = source.read_range(tp, starts[tp], ends[tp].last_stable, deadline=deadline, records_max=1)
        if read.records:
            age_seconds = clock.now().timestamp() - read.records[0].timestamp_ms / 1000
            left.append(max(0.0, kept[tp.topic] / 1000 - age_seconds))
    return min(left, default=None)
