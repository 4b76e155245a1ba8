"""A cluster as we reach it, and a cluster as it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.model.names import ClusterName, TopicName


class SecurityProtocol(StrEnum):
    """Kafka's four listener protocols."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and where it came from (`env:NAME` or `file:/path`). Never shows its value."""

    reference: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        return f"<secret {self.reference}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How a client proves itself and whom it trusts. `ca_file` is a PEM path; mechanism is
    PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."""

    protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    mechanism: str | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """All a door needs to reach one cluster. `cluster_id` None means: any cluster will do."""

    name: ClusterName
    bootstrap: str
    cluster_id: str | None = None
    security: Security = Security()


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker as the cluster advertises it."""

    id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """What a cluster says of itself."""

    cluster_id: str
    brokers: tuple[Broker, ...]


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """Leadership of one partition; `leader` None means that it has none now."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """One topic as it stands. `topic_id` changes when a topic is deleted and made again."""

    name: TopicName
    topic_id: str
    partitions: tuple[PartitionDescription, ...]
    is_internal: bool = False

    @property
    def replication_factor(self) -> int:
        """The smallest number of replicas over the partitions."""
        return min((len(p.replicas) for p in self.partitions), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic to make. `replication_factor` -1 takes the broker's default."""

    name: TopicName
    partitions: int
    replication_factor: int = -1
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """One topic setting; `is_default` when nobody set it on the topic."""

    value: str | None
    is_default: bool
