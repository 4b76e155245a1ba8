"""From what a configuration says of a Connect to the runtime that runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from replicator.errors import ConfigInvalid
from replicator.jvm import JvmProfile
from replicator.model.cluster import ClusterAccess
from replicator.worker.container import DEFAULT_IMAGE, ContainerPlan
from replicator.worker.docker import DockerWorker
from replicator.worker.external import ExternalWorker
from replicator.worker.process import ProcessWorker
from replicator.worker.runtime import RestLogin, WorkerRuntime
from replicator.worker.template import WorkerSpec

_DEFAULT_PORT = 8083
_OVERHEAD_MIB = 384
"""What a JVM takes besides its heap: code, threads, buffers of the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """One Connect worker as it was asked for. All but `url` and `login` matter only where we run it.

    `folder` is where it keeps its files. `secrets` are the files that connectors refer to, by name; they are
    put into `secrets_folder`. `files` are further files a worker must be able to read where they are.
    """

    url: str
    cluster: ClusterAccess
    group_id: str
    folder: Path
    topics: Mapping[str, str] = field(default_factory=dict)
    replication_factor: int = -1
    heap_mib: int = 768
    image: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()
    login: RestLogin = RestLogin()

    @property
    def secrets_folder(self) -> Path | None:
        """Where the connectors' secrets are, as the worker sees them; None where there are none."""
        return self.folder / "secrets" if self.secrets else None


def make_worker(runtime: str, order: WorkerOrder) -> WorkerRuntime:
    """Return the worker; `runtime` is docker, process or external. Nothing is touched.

    Raises:
        ConfigInvalid: no such runtime, or a worker of ours cannot answer at that URL.
    """
    match runtime:
        case "external":
            return ExternalWorker(order.url, login=order.login)
        case "process":
            profile = JvmProfile(heap_mib=order.heap_mib)
            return ProcessWorker(worker_spec(order), folder=order.folder, profile=profile, is_lasting=True)
        case "docker":
            return DockerWorker(worker_spec(order), folder=order.folder, plan=container_plan(order))
    raise ConfigInvalid(f"no runtime {runtime!r} for a Connect worker", hint="docker, process or external")


def worker_spec(order: WorkerOrder) -> WorkerSpec:
    """Return the worker we are to run.

    Raises: ConfigInvalid when it cannot answer at the order's URL.
    """
    host, port = _rest_address(order)
    return WorkerSpec(
        cluster=order.cluster,
        group_id=order.group_id,
        rest_host=host,
        rest_port=port,
        replication_factor=order.replication_factor,
        topics=order.topics,
        secrets_folder=order.secrets_folder,
        secrets=order.secrets,
    )


def _rest_address(order: WorkerOrder) -> tuple[str, int]:
    parts = urlsplit(order.url)
    if parts.scheme == "http" and parts.hostname and not (parts.path.strip("/") or parts.username or parts.query):
        with contextlib.suppress(ValueError):  # a port that is none
            return parts.hostname, parts.port or _DEFAULT_PORT
    raise ConfigInvalid(
        f"connect.{order.cluster.name}.url: a worker of ours answers at http://HOST:PORT, not at {order.url}",
        hint="http://127.0.0.1:8083 keeps it on this machine; runtime: external takes any URL",
    )


def container_plan(order: WorkerOrder) -> ContainerPlan:
    """Return how the order's container is run."""
    return ContainerPlan(
        image=order.image or DEFAULT_IMAGE,
        heap_mib=order.heap_mib,
        memory_mib=order.heap_mib + max(_OVERHEAD_MIB, order.heap_mib // 4),
        files=order.files,
    )
