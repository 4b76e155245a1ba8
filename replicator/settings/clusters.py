"""The sections `clusters`, `connect` and `registries`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import Field

from replicator.model.cluster import Secret, SecurityProtocol
from replicator.model.names import ClusterName
from replicator.settings.values import Addresses, FilePath, SecretReference, Section, TopicText, Url


class SecuritySettings(Section):
    """How we prove ourselves to a cluster and whom we trust."""

    protocol: SecurityProtocol = Field(
        default=SecurityProtocol.PLAINTEXT, description="Kafka's listener protocol; the default is Kafka's own."
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="SASL mechanism; needed by SASL_SSL and SASL_PLAINTEXT."
    )
    username: str | None = Field(default=None, min_length=1, description="SASL user.")
    password: SecretReference | None = Field(
        default=None, description="SASL password, by reference: env:NAME or file:/path. Never the text itself."
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities to trust; without it, the system's. Relative to this file.",
    )
    certificate_file: FilePath | None = Field(
        default=None, description="PEM file of our own certificate, for mutual TLS."
    )
    key_file: FilePath | None = Field(
        default=None, description="PEM file of our own key; refused if others than its owner can read it."
    )
    key_password: SecretReference | None = Field(default=None, description="Password of key_file, by reference.")
    insecure: bool = Field(
        default=False,
        description="Must be true where nothing is encrypted (PLAINTEXT, SASL_PLAINTEXT): said aloud, not by default.",
    )

    @property
    def is_encrypted(self) -> bool:
        """Whether the protocol encrypts."""
        return self.protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)

    @property
    def is_sasl(self) -> bool:
        """Whether the protocol asks for a user and a password."""
        return self.protocol in (SecurityProtocol.SASL_SSL, SecurityProtocol.SASL_PLAINTEXT)


class ClusterSettings(Section):
    """One Kafka cluster."""

    bootstrap: Addresses = Field(
        description="host:port of some brokers, separated by commas.", examples=["kafka-1.example.com:9093"]
    )
    cluster_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="The id the cluster must answer with; without it a wrong cluster at the right address goes unseen.",
    )
    security: SecuritySettings = Field(default=SecuritySettings(), description="How to reach it safely.")
    mirror: SecuritySettings | None = Field(
        default=None,
        description="How MirrorMaker 2 and its worker reach it, as a principal of their own with rights of their own "
        "(`replicator acl show`); without it, as we do.",
    )
    application: SecuritySettings | None = Field(
        default=None,
        description="How an application reaches it: as it, a fence is probed by a batch that no broker appends. "
        "Without it, a fence is proven by its rules and by ends that stand still.",
    )


class Runtime(StrEnum):
    """Where the Connect workers of a cluster run."""

    DOCKER = "docker"
    PROCESS = "process"
    EXTERNAL = "external"


class ConnectSettings(Section):
    """The Kafka Connect beside one cluster: it writes to that cluster."""

    runtime: Runtime = Field(
        default=Runtime.EXTERNAL,
        description="docker and process: we start the worker; external: it is yours, at `url`.",
    )
    url: Url = Field(
        default="http://127.0.0.1:8083",
        description="Where Connect's REST answers. The port is the one a worker of ours takes.",
    )
    group_id: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
        description="The worker's group.id; its transactional ids begin with it. Default: PREFIX.connect.CLUSTER with "
        "supervisor.topic_prefix, so that one prefix covers all we own.",
    )
    offsets_topic: TopicText | None = Field(
        default=None, description="The worker's offset.storage.topic; default GROUP_ID.offsets."
    )
    configs_topic: TopicText | None = Field(
        default=None, description="The worker's config.storage.topic; default GROUP_ID.configs."
    )
    status_topic: TopicText | None = Field(
        default=None, description="The worker's status.storage.topic; default GROUP_ID.status."
    )
    replication_factor: int = Field(
        default=-1, ge=-1, le=32, description="Replicas of the worker's own topics; -1 takes the broker's default."
    )
    heap_mib: int = Field(
        default=768, ge=256, le=65_536, description="Java heap of a worker of ours, in MiB; large polls need room."
    )
    image: str | None = Field(
        default=None, min_length=1, description="Docker image of the worker (runtime docker only)."
    )
    username: str | None = Field(
        default=None, min_length=1, description="User for Connect's REST, where it asks for one."
    )
    password: SecretReference | None = Field(default=None, description="Password for Connect's REST, by reference.")
    ca_file: FilePath | None = Field(default=None, description="PEM file of the authorities to trust for https.")
    folder: FilePath | None = Field(
        default=None,
        description="Folder in which a worker of ours (runtime process or docker) keeps its files, relative to this "
        "file; by default $XDG_STATE_HOME/replicator/connect/CLUSTER.",
    )
    secrets_folder: str | None = Field(
        default=None,
        pattern=r"^/[^\x00-\x1f\x7f${}:,]*$",
        description="Runtime external: folder, as the worker sees it, with CLUSTER.properties for each secured "
        "cluster: the values of sasl.jaas.config and the like, which connectors name as ${file:...} and never hold.",
    )


class RegistrySettings(Section):
    """The schema registry beside one cluster: what it holds goes into the cluster's snapshots."""

    url: Url = Field(description="Where the registry's REST answers.", examples=["https://registry.example.com:8081"])
    username: str | None = Field(
        default=None, min_length=1, pattern=r"^[^:]*$", description="User, where it asks for one; holds no colon."
    )
    password: SecretReference | None = Field(default=None, description="Its password, by reference.")
    ca_file: FilePath | None = Field(default=None, description="PEM file of the authorities to trust for https.")
    certificate_file: FilePath | None = Field(
        default=None, description="PEM file of our own certificate, where it asks for one."
    )
    key_file: FilePath | None = Field(default=None, description="PEM file of our own key, readable by its owner alone.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectTopics:
    """What a Connect calls its group and its own topics, every default filled in."""

    group_id: str
    offsets_topic: str
    configs_topic: str
    status_topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectAccess:
    """The Connect beside one cluster, every default filled in. `folder` is where a worker of ours keeps its files;
    `secrets_folder` holds what connectors refer to, as the worker sees it."""

    cluster: ClusterName
    runtime: Runtime
    url: str
    group_id: str
    offsets_topic: str
    configs_topic: str
    status_topic: str
    replication_factor: int
    heap_mib: int
    image: str | None
    username: str | None
    password: Secret | None
    ca_file: str | None
    folder: str
    secrets_folder: str | None = None
