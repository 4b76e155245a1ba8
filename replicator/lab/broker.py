"""The properties of one lab broker: small, fast to react, one machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from replicator.lab.plan import ClusterPlan, NodePlan

_HOST = "127.0.0.1"
CLIENT_LISTENER = "CLIENT"
CONTROLLER_LISTENER = "CONTROLLER"


def broker_properties(
    cluster: ClusterPlan, node: NodePlan, *, data_folder: Path, security: Mapping[str, str]
) -> dict[str, str]:
    """Return the properties of one combined broker and controller."""
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.node_id),
        "controller.quorum.voters": cluster.voters,
        "controller.listener.names": CONTROLLER_LISTENER,
        "inter.broker.listener.name": CLIENT_LISTENER,
        "listeners": f"{CLIENT_LISTENER}://{_HOST}:{node.client_port},"
        f"{CONTROLLER_LISTENER}://{_HOST}:{node.controller_port}",
        "advertised.listeners": f"{CLIENT_LISTENER}://{_HOST}:{node.client_port}",
        "listener.security.protocol.map": f"{CLIENT_LISTENER}:PLAINTEXT,{CONTROLLER_LISTENER}:PLAINTEXT",
        "log.dirs": str(data_folder),
        "auto.create.topics.enable": "false",
        **_SMALL,
        **_PROMPT,
        **_replication(cluster.replication_factor),
        **security,
    }


def _replication(factor: int) -> dict[str, str]:
    in_sync = "2" if factor >= 3 else "1"
    return {
        "default.replication.factor": str(factor),
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": str(factor),
        "transaction.state.log.replication.factor": str(factor),
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": str(factor),
        "share.coordinator.state.topic.min.isr": in_sync,
    }


_SMALL = {
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "4",
    # The cleaner's map of keys is allocated at start; the default is 128 MiB of heap.
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
}

_PROMPT = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "controller.quorum.append.linger.ms": "5",
    # A killed broker may register again only when its old session is over.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # Retention, deletion and compaction act in seconds, so that tests of them need not wait:
    # per topic, set segment.ms, min.cleanable.dirty.ratio and max.compaction.lag.ms.
    "log.initial.task.delay.ms": "1000",
    "log.retention.check.interval.ms": "2000",
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.backoff.ms": "500",
}
