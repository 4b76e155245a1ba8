"""What should be: topics and connectors that a flow stands for, computed from the flow and both clusters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from replicator.connect import MirrorSides, checkpoint_config, source_config, uncopied_settings
from replicator.flow.planning.facts import ClusterFacts, FlowWiring
from replicator.model.cluster import ConfigValue, TopicDescription, TopicSpec
from replicator.model.flow import Flow
from replicator.model.names import TopicName

HEARTBEATS = TopicName("heartbeats")
INTERNAL_REPLICAS = 3
SYNC_HISTORY_MS = 30 * 24 * 3600 * 1000
"""How long every offset sync is kept before compaction may drop it: the history is the offset map."""

ALIKE = ("cleanup.policy", "max.message.bytes", "retention.bytes", "retention.ms")
"""Settings that must have the source's effect even where the source only has its broker's default."""

ACCEPT_ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}
"""What the source accepted the target must accept: Kafka 4 refuses records more than an hour ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTopic:
    """A topic of the source and what it has to be on the target."""

    source: TopicName
    spec: TopicSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredFlow:
    """Everything that has to be for a flow to run."""

    flow: Flow
    remote_topics: Mapping[TopicName, RemoteTopic]
    internal_topics: Mapping[TopicName, TopicSpec]
    source_topics: Mapping[TopicName, TopicSpec]
    connectors: Mapping[str, Mapping[str, str]]


def desired_flow(flow: Flow, *, wiring: FlowWiring, source: ClusterFacts, target: ClusterFacts) -> DesiredFlow:
    """Return what has to be for the flow to run between these two clusters.

    Raises:
        ConfigInvalid: a pattern or a secret cannot be told to MM2.
    """
    remote = [
        _remote_topic(flow, source.topics[name], source.configs.get(name, {}), target=target)
        for name in sorted(travelling_topics(flow, source.topics))
        if name != HEARTBEATS
    ]
    sides = MirrorSides(
        source=wiring.source,
        target=wiring.target,
        replication_factor=replicas_on(target.brokers),
        secrets_folder=wiring.secrets_folder,
        epoch=wiring.epoch,
        record_bytes_max=max((_record_bytes_max(topic) for topic in remote), default=0),
    )
    return DesiredFlow(
        flow=flow,
        remote_topics={topic.spec.name: topic for topic in (_remote_heartbeats(flow, source, target), *remote)},
        internal_topics={spec.name: spec for spec in _internal_topics(flow, brokers=target.brokers)},
        source_topics={HEARTBEATS: heartbeats_spec(source.brokers)},
        connectors={
            flow.source_connector: source_config(flow, sides),
            flow.checkpoint_connector: checkpoint_config(flow, sides),
        },
    )


def _record_bytes_max(topic: RemoteTopic) -> int:
    told = topic.spec.configs.get("max.message.bytes", "")
    return int(told) if told.isdigit() else 0


def travelling_topics(flow: Flow, names: Iterable[TopicName]) -> set[TopicName]:
    """Return the topics of the source that MM2 mirrors for this flow: its data, and every heartbeat topic.

    Source: MirrorSourceConnector.shouldReplicateTopic lets heartbeats pass whatever the filters say.
    """
    return {name for name in names if flow.carries_topic(name) or _is_travelling_heartbeat(flow, name)}


def _is_travelling_heartbeat(flow: Flow, name: str) -> bool:
    is_heartbeat = name == HEARTBEATS or name.endswith(f".{HEARTBEATS}")
    return is_heartbeat and not name.startswith(f"{flow.target}.")


def replicas_on(brokers: int) -> int:
    """Return how many replicas our own topics get on a cluster of so many brokers."""
    return max(1, min(INTERNAL_REPLICAS, brokers))


def heartbeats_spec(brokers: int) -> TopicSpec:
    """Return the source's heartbeat topic."""
    return _compacted(HEARTBEATS, brokers=brokers)


def _internal_topics(flow: Flow, *, brokers: int) -> list[TopicSpec]:
    history = {"min.compaction.lag.ms": str(SYNC_HISTORY_MS)}
    return [
        _compacted(flow.syncs_topic, brokers=brokers, extra=history),
        _compacted(flow.checkpoints_topic, brokers=brokers),
    ]


def _compacted(name: TopicName, *, brokers: int, extra: Mapping[str, str] | None = None) -> TopicSpec:
    configs = {"cleanup.policy": "compact", **(extra or {})}
    return TopicSpec(name=name, partitions=1, replication_factor=replicas_on(brokers), configs=configs)


def _remote_heartbeats(flow: Flow, source: ClusterFacts, target: ClusterFacts) -> RemoteTopic:
    """Return the copy of the source's heartbeats, which exist soon if not yet.

    Stamped on arrival, so that their age on the target needs no reader's clock.
    """
    found = source.topics.get(HEARTBEATS)
    spec = TopicSpec(
        name=flow.remote_topic(HEARTBEATS),
        partitions=len(found.partitions) if found is not None else 1,
        replication_factor=replicas_on(target.brokers),
        configs={"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"},
    )
    return RemoteTopic(source=HEARTBEATS, spec=spec)


def _remote_topic(
    flow: Flow, topic: TopicDescription, configs: Mapping[str, ConfigValue], *, target: ClusterFacts
) -> RemoteTopic:
    spec = TopicSpec(
        name=flow.remote_topic(topic.name),
        partitions=len(topic.partitions),
        replication_factor=max(1, min(topic.replication_factor, target.brokers)),
        configs=remote_configs(configs, excluded=uncopied_settings(flow)),
    )
    return RemoteTopic(source=topic.name, spec=spec)


def remote_configs(configs: Mapping[str, ConfigValue], *, excluded: Sequence[str]) -> dict[str, str]:
    """Return the settings the copy of a topic must have, given those of the topic itself.

    `excluded` are regular expressions of the settings that may differ.
    """
    own = {key: entry for key, entry in configs.items() if not entry.is_default or key in ALIKE}
    copied = {
        key: entry.value
        for key, entry in own.items()
        if entry.value is not None and not any(re.fullmatch(pattern, key) for pattern in excluded)
    }
    return dict(sorted({**copied, **ACCEPT_ANY_TIME}.items()))
