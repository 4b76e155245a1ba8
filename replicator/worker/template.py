"""The worker's properties: what makes a distributed Connect worker fit to mirror exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replicator.jvm.properties import client_security_properties
from replicator.model.cluster import ClusterAccess

_BYTE_ARRAYS = "org.apache.kafka.connect.converters.ByteArrayConverter"
_FILE_PROVIDER = "org.apache.kafka.common.config.provider.FileConfigProvider"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One worker beside the cluster it writes to. `secrets_folder` holds the files that connector
    configurations may refer to as `${file:PATH:KEY}`; None allows no file at all. `secrets` are the texts of
    such files by name, written there before the worker starts. `topics` names the worker's own topics by purpose
    where they have other names than ours."""

    cluster: ClusterAccess
    group_id: str
    rest_port: int
    rest_host: str = "127.0.0.1"
    replication_factor: int = -1
    rebalance_delay_ms: int = 10_000
    session_timeout_ms: int = 10_000
    secrets_folder: Path | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    topics: Mapping[str, str] = field(default_factory=dict)

    def topic(self, purpose: str) -> str:
        """Return the worker's own topic for `configs`, `offsets` or `status`; `group_id.purpose` unless named."""
        return self.topics.get(purpose) or f"{self.group_id}.{purpose}"

    @property
    def url(self) -> str:
        """The address of the worker's REST interface."""
        return f"http://{self.rest_host}:{self.rest_port}"


def worker_properties(spec: WorkerSpec) -> dict[str, str]:
    """Return the properties of the worker that `spec` describes; secrets in clear."""
    return {
        "bootstrap.servers": spec.cluster.bootstrap,
        "group.id": spec.group_id,
        # Applies to every source connector of this worker. Positions and data end in one transaction.
        "exactly.once.source.support": "enabled",
        **_internal_topics(spec),
        # The default header converter turns binary headers into base64: all three must be bytes.
        "key.converter": _BYTE_ARRAYS,
        "value.converter": _BYTE_ARRAYS,
        "header.converter": _BYTE_ARRAYS,
        "offset.flush.interval.ms": "5000",
        # A dead worker's tasks wait this long for it to come back; Kafka's default is five minutes.
        "scheduled.rebalance.max.delay.ms": str(spec.rebalance_delay_ms),
        # How long a killed worker is taken for alive, and nobody takes its place.
        "session.timeout.ms": str(spec.session_timeout_ms),
        "heartbeat.interval.ms": str(spec.session_timeout_ms // 3),
        # The flow's template tunes producer.override.* and consumer.override.*; who may create a
        # connector here may read and write the whole cluster anyway, so the policy guards nothing.
        "connector.client.config.override.policy": "All",
        "listeners": spec.url,
        "rest.advertised.host.name": spec.rest_host,
        "rest.advertised.port": str(spec.rest_port),
        "admin.listeners": "",
        # Halves the start: plugins are found through their service files, nothing is scanned.
        "plugin.discovery": "service_load",
        **_config_providers(spec),
        **_client_security(spec),
    }


def _internal_topics(spec: WorkerSpec) -> dict[str, str]:
    factor = str(spec.replication_factor)
    return {
        "config.storage.topic": spec.topic("configs"),
        "config.storage.replication.factor": factor,
        "offset.storage.topic": spec.topic("offsets"),
        "offset.storage.replication.factor": factor,
        "offset.storage.partitions": "5",
        "status.storage.topic": spec.topic("status"),
        "status.storage.replication.factor": factor,
        "status.storage.partitions": "2",
    }


def _config_providers(spec: WorkerSpec) -> dict[str, str]:
    """Let connectors name secrets in files of one folder, so that none travels over REST or into a topic."""
    if spec.secrets_folder is None:
        return {}
    return {
        "config.providers": "file",
        "config.providers.file.class": _FILE_PROVIDER,
        "config.providers.file.param.allowed.paths": str(spec.secrets_folder),
    }


def _client_security(spec: WorkerSpec) -> dict[str, str]:
    """The worker's own clients, and those it makes for connectors, which inherit nothing."""
    found = client_security_properties(spec.cluster.security)
    return {
        f"{prefix}{key}": value for prefix in ("", "producer.", "consumer.", "admin.") for key, value in found.items()
    }
