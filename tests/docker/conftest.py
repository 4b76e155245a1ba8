"""What tests with containers share: workers that are removed afterwards, and the engine's own view of them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.lab.ports import choose_ports
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName
from replicator.worker import ContainerPlan, DockerWorker, WorkerSpec

REMOVE_SECONDS = 3.0
MakeWorker = Callable[..., DockerWorker]


@pytest.fixture(scope="session")
def engine(docker_engine: None) -> Iterator[Any]:
    """The docker SDK's client."""
    import docker

    with closing(docker.from_env(timeout=60)) as client:
        yield client


@pytest.fixture(scope="module")
def docker_worker(kafka_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorker]:
    """A function that makes workers, not started; their containers are gone afterwards."""
    with ExitStack() as stack:

        def make(access: ClusterAccess, *, group_id: str = "", plan: ContainerPlan | None = None, **spec: Any) -> Any:
            (port,) = choose_ports(1, rng=random.Random())
            worker = DockerWorker(
                WorkerSpec(
                    cluster=access,
                    group_id=group_id or f"docker-{os.getpid()}-{port}",
                    rest_port=port,
                    rebalance_delay_ms=0,
                    session_timeout_ms=6_000,
                    **spec,
                ),
                folder=tmp_path_factory.mktemp("worker"),
                plan=plan or ContainerPlan(image=kafka_image, heap_mib=256, memory_mib=640),
            )
            stack.callback(lambda: worker.remove(Deadline.after(REMOVE_SECONDS)))
            return worker

        yield make


@pytest.fixture
def nowhere() -> ClusterAccess:
    """A cluster where nobody listens, for workers that need none."""
    return ClusterAccess(name=ClusterName("nowhere"), bootstrap="127.0.0.1:1")


def java_pid(container: Any) -> int:
    """Return the pid, on this machine, of the JVM in a container."""
    columns = container.top()
    pid, command = columns["Titles"].index("PID"), columns["Titles"].index("CMD")
    return next(int(row[pid]) for row in columns["Processes"] if "/java " in row[command] + " ")


@pytest.fixture
def find_java() -> Callable[[Any], int]:
    """A function that finds the JVM in a container."""
    return java_pid
