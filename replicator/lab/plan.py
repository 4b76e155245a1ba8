"""What a lab is made of, decided once when it is made: clusters, nodes, ports, ids."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from replicator.lab.ports import choose_ports

CLUSTER_NAMES = ("east", "west")
_HOST = "127.0.0.1"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabSpec(_Frozen):
    """What was asked for."""

    is_secure: bool = Field(default=False, description="SASL_SSL, SCRAM and ACLs instead of plain text")
    brokers: int = Field(default=1, ge=1, le=3, description="brokers in each cluster")
    has_connect: bool = Field(default=True, description="start the worker beside west with the clusters")
    has_flow: bool = Field(default=False, description="write a first flow, shop, and a store into the configuration")
    is_quick: bool = Field(default=True, description="JVMs that start fast; False for figures of throughput")
    broker_heap_mib: int = Field(default=320, ge=128, description="heap of each broker in MiB")
    connect_heap_mib: int = Field(default=512, ge=128, description="heap of each worker in MiB")
    broker_settings: Mapping[str, str] = Field(
        default_factory=dict, description="settings of every broker, over the lab's own"
    )


class NodePlan(_Frozen):
    """One broker, which is a controller too."""

    node_id: int
    client_port: int
    controller_port: int


class ClusterPlan(_Frozen):
    """One cluster and the worker that may stand beside it."""

    name: str
    cluster_id: str
    nodes: tuple[NodePlan, ...]
    connect_port: int

    @property
    def bootstrap(self) -> str:
        """The addresses clients start from."""
        return ",".join(f"{_HOST}:{node.client_port}" for node in self.nodes)

    @property
    def connect_url(self) -> str:
        """The REST address of the worker beside this cluster, running or not."""
        return f"http://{_HOST}:{self.connect_port}"

    @property
    def voters(self) -> str:
        """The controllers, as `controller.quorum.voters` wants them."""
        return ",".join(f"{node.node_id}@{_HOST}:{node.controller_port}" for node in self.nodes)

    @property
    def replication_factor(self) -> int:
        """How many copies the cluster's own topics have."""
        return len(self.nodes)


class LabPlan(_Frozen):
    """A whole lab."""

    spec: LabSpec
    clusters: tuple[ClusterPlan, ...]
    supervisor_port: int

    @property
    def supervisor_address(self) -> str:
        """Where the lab's supervisor may listen: another lab's is elsewhere."""
        return f"{_HOST}:{self.supervisor_port}"

    def cluster(self, name: str) -> ClusterPlan:
        """Return the cluster called `name`; KeyError when there is none."""
        return {cluster.name: cluster for cluster in self.clusters}[name]


@dataclass(frozen=True, slots=True)
class LabFolders:
    """Where a lab keeps what."""

    root: Path

    @property
    def state(self) -> Path:
        """The plan and the processes."""
        return self.root / "lab.json"

    @property
    def config(self) -> Path:
        """A ready configuration for `replicator -c`."""
        return self.root / "replicator.yaml"

    @property
    def secrets(self) -> Path:
        """Keys, certificates and passwords; 0700."""
        return self.root / "secrets"

    def node(self, cluster: str, node_id: int) -> Path:
        """The folder of one broker."""
        return self.root / cluster / f"broker-{node_id}"

    def connect(self, cluster: str) -> Path:
        """The folder of one worker."""
        return self.root / cluster / "connect"


def make_plan(spec: LabSpec, *, rng: random.Random) -> LabPlan:
    """Return a plan with free ports and new ids."""
    per_cluster = 2 * spec.brokers + 1
    *ports, supervisor_port = choose_ports(per_cluster * len(CLUSTER_NAMES) + 1, rng=rng)
    return LabPlan(
        spec=spec,
        clusters=tuple(
            _plan_cluster(name, ports[i * per_cluster : (i + 1) * per_cluster], rng=rng)
            for i, name in enumerate(CLUSTER_NAMES)
        ),
        supervisor_port=supervisor_port,
    )


def _plan_cluster(name: str, ports: list[int], *, rng: random.Random) -> ClusterPlan:
    *rest, connect_port = ports
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return ClusterPlan(
        name=name,
        cluster_id=make_uuid(rng=rng),
        nodes=tuple(
            NodePlan(node_id=i, client_port=client, controller_port=controller)
            for i, (client, controller) in enumerate(pairs, start=1)
        ),
        connect_port=connect_port,
    )


def make_uuid(*, rng: random.Random) -> str:
    """Return a random UUID as Kafka writes them: 22 characters, the first no dash.

    Source: org.apache.kafka.common.Uuid.randomUuid, which avoids ids that look like an option.
    """
    while True:
        text = base64.urlsafe_b64encode(uuid.UUID(int=rng.getrandbits(128), version=4).bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
