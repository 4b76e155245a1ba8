"""The configurations of MM2's connectors that a flow stands for: exactly once by default, and fast.

    stock                                    ours, and why
    converters of the worker                 three ByteArrayConverters: bytes stay bytes, headers too
    read_uncommitted                         read_committed: aborted data never becomes data
    offset syncs on the source               on the target: they must survive the source
    topics, ACLs and groups synced by MM2    off: each can damage the standby; the plan manages them
    16 KiB batches, 500 records a poll       512 KiB and 5,000: 5 times the throughput
    the classic consumer                     the threaded one (KIP-848's client): a tenth more

Source: the ConfigDefs of connect-mirror 4.3; figures by benchmarks/flow.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from replicator.connect.overrides import is_for_checkpoints, is_for_source
from replicator.connect.security import client_config
from replicator.errors import ConfigInvalid
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import ALWAYS_EXCLUDED_TOPICS, Delivery, Flow, Naming, pattern_to_regex

SOURCE_CLASS = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
CHECKPOINT_CLASS = "org.apache.kafka.connect.mirror.MirrorCheckpointConnector"
LABEL_FLOW = "replicator.flow"
LABEL_EPOCH = "replicator.epoch"
ALWAYS_EXCLUDED_GROUPS = ("__*",)
TASKS_MAX = 2

_UNCOPIED_KEY = "config.properties.exclude"

_BYTE_ARRAYS = "org.apache.kafka.connect.converters.ByteArrayConverter"
_POLICIES = MappingProxyType(
    {
        Naming.IDENTITY: "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        Naming.PREFIX: "org.apache.kafka.connect.mirror.DefaultReplicationPolicy",
    }
)

THROUGHPUT: Mapping[str, str] = MappingProxyType(
    {
        # A poll is one transaction: fewer, larger ones. Beyond 5,000 records a 1 GiB heap collapses.
        "source.consumer.max.poll.records": "5000",
        "source.consumer.max.partition.fetch.bytes": "8388608",
        # The consumer that receives on a thread of its own: the next records arrive while these are produced. It is
        # assigned by hand and in no group, so that it asks nothing new of the source's brokers.
        "source.consumer.group.protocol": "consumer",
        "producer.override.batch.size": "524288",
        # A poll fills batches by itself and its commit sends them: lingering adds latency and nothing else.
        "producer.override.linger.ms": "0",
        # Safe with idempotence, which both deliveries have: order holds for up to five.
        "producer.override.max.in.flight.requests.per.connection": "5",
        # Fixed sizes forbid the kernel to open the window on a long line between two sites.
        "source.consumer.receive.buffer.bytes": "-1",
        "producer.override.send.buffer.bytes": "-1",
    }
)
"""What makes the template fast; all may be overridden."""

REQUEST_BYTES = 16 * 1024 * 1024
"""Largest produce request: several batches in one, and records of topics that accept more than 1 MiB."""

NOT_COPIED = (
    r"(follower|leader)\.replication\.throttled\.replicas",
    r"local\.retention\..*",
    r"message\.timestamp\..*",
    r"min\.insync\.replicas",
    r"remote\..*",
    r"unclean\.leader\.election\.enable",
)
"""Topic settings that belong to a cluster, not to the data: on the target they may differ."""


CALM_ADMIN = {"source.admin.metadata.recovery.strategy": "none"}
"""Kafka 4's admin client starts over with its bootstrap servers as often as it can while every broker refuses:
seen after a SIGKILL of the source, thousands of times a second and ever more, which starves the worker just when a
failover needs it. Without that it goes on asking the brokers it knew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSides:
    """What a flow's connectors have to know of both clusters and of the worker.

    `replication_factor` is for topics MM2 makes itself; `secrets_folder` is the worker's, None where no cluster
    wants a secret; `epoch` labels the connectors with the failover they belong to; `record_bytes_max` is the
    largest record a mirrored topic accepts.
    """

    source: ClusterAccess
    target: ClusterAccess
    replication_factor: int
    secrets_folder: str | None = None
    epoch: int = 0
    record_bytes_max: int = 0


def source_config(flow: Flow, sides: MirrorSides) -> dict[str, str]:
    """Return the configuration of the flow's MirrorSourceConnector.

    Raises:
        ConfigInvalid: a pattern cannot be told to MM2, or a secret has no place.
    """
    return {
        **_common(flow, sides, name=flow.source_connector, connector_class=SOURCE_CLASS),
        "tasks.max": str(TASKS_MAX),
        **_delivery(flow),
        **THROUGHPUT,
        **_sizes(sides.record_bytes_max),
        "replication.factor": str(sides.replication_factor),
        "offset-syncs.topic.replication.factor": str(sides.replication_factor),
        "offset.lag.max": "100",
        "refresh.topics.interval.seconds": "30",
        "sync.topic.configs.enabled": "false",
        "sync.topic.acls.enabled": "false",
        "source.consumer.auto.offset.reset": "earliest",
        "source.consumer.allow.auto.create.topics": "false",
        **{key: value for key, value in flow.connector.items() if is_for_source(key)},
        _UNCOPIED_KEY: ",".join(uncopied_settings(flow)),
    }


def uncopied_settings(flow: Flow) -> tuple[str, ...]:
    """Return regular expressions of the topic settings that are not copied: ours, and what the flow adds to them.

    Raises:
        ConfigInvalid: one of the flow's is no regular expression.
    """
    added = [pattern.strip() for pattern in flow.connector.get(_UNCOPIED_KEY, "").split(",") if pattern.strip()]
    for pattern in added:
        try:
            re.compile(pattern)
        except re.error as exc:
            raise ConfigInvalid(
                f"flows.{flow.name}.connector.{_UNCOPIED_KEY}: {pattern!r} is no regular expression: {exc}"
            ) from exc
    return tuple(dict.fromkeys((*NOT_COPIED, *added)))


def checkpoint_config(flow: Flow, sides: MirrorSides) -> dict[str, str]:
    """Return the configuration of the flow's MirrorCheckpointConnector.

    Raises:
        ConfigInvalid: a pattern cannot be told to MM2, or a secret has no place.
    """
    return {
        **_common(flow, sides, name=flow.checkpoint_connector, connector_class=CHECKPOINT_CLASS),
        "tasks.max": "1",
        "groups": _regex_list(flow.groups.include),
        "groups.exclude": _regex_list((*flow.groups.exclude, *ALWAYS_EXCLUDED_GROUPS)),
        "checkpoints.topic.replication.factor": str(sides.replication_factor),
        "emit.checkpoints.interval.seconds": "10",
        "refresh.groups.interval.seconds": "30",
        "sync.group.offsets.enabled": "false",
        **{key: value for key, value in flow.connector.items() if is_for_checkpoints(key)},
    }


def _common(flow: Flow, sides: MirrorSides, *, name: str, connector_class: str) -> dict[str, str]:
    folder = sides.secrets_folder
    return {
        "name": name,
        "connector.class": connector_class,
        "source.cluster.alias": flow.source,
        "target.cluster.alias": flow.target,
        **client_config(sides.source, prefix="source.cluster.", secrets_folder=folder),
        **client_config(sides.target, prefix="target.cluster.", secrets_folder=folder),
        **CALM_ADMIN,
        "topics": _regex_list(flow.topics.include),
        "topics.exclude": _regex_list((*flow.topics.exclude, *ALWAYS_EXCLUDED_TOPICS)),
        "replication.policy.class": _POLICIES[flow.naming],
        "offset-syncs.topic.location": "target",
        "key.converter": _BYTE_ARRAYS,
        "value.converter": _BYTE_ARRAYS,
        "header.converter": _BYTE_ARRAYS,
        LABEL_FLOW: flow.name,
        LABEL_EPOCH: str(sides.epoch),
    }


def _delivery(flow: Flow) -> dict[str, str]:
    """Return the keys of the delivery. Both read committed data only: aborted records would become data."""
    committed = {"source.consumer.isolation.level": "read_committed"}
    if flow.delivery is Delivery.EXACTLY_ONCE:
        return {**committed, "exactly.once.support": "required"}
    return {**committed, "producer.override.enable.idempotence": "true"}


def _sizes(record_bytes_max: int) -> dict[str, str]:
    """Return room for the largest record: the client's own limit of 1 MiB would fail the task on a larger one."""
    request = max(REQUEST_BYTES, record_bytes_max)
    sizes = {"producer.override.max.request.size": str(request)}
    if request > REQUEST_BYTES:
        sizes["producer.override.buffer.memory"] = str(2 * request)
    return sizes


def _regex_list(patterns: Iterable[str]) -> str:
    """Return the patterns as MM2's comma-separated list of expressions, each once."""
    return ",".join(dict.fromkeys(_regex(pattern) for pattern in patterns))


def _regex(pattern: str) -> str:
    expression = pattern_to_regex(pattern)
    if "," in expression or any(ord(char) < 0x20 or ord(char) == 0x7F for char in expression):
        raise ConfigInvalid(
            f"pattern {pattern!r}: a comma or control character cannot stand in MM2's list of patterns",
            hint="write it as several patterns without a comma",
        )
    return expression
