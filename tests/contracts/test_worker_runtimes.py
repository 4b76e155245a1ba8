"""One suite for every place a worker runs: a container, a local JVM, and somebody else's behind a URL.

What is promised of all: start and start again, readiness, a state that never calls a frozen or dead worker
running, and connectors that survive it. Two things differ and are asked for as they differ: an external worker is
neither started nor stopped by us, and seen from outside a frozen one is gone.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import ReplicatorError, Unreachable
from replicator.jvm import ProcessState
from replicator.lab import Lab
from replicator.lab.ports import choose_ports
from replicator.worker import DockerWorker, ProcessWorker, WorkerOrder, WorkerRuntime, is_worker_ready, make_worker

READY_SECONDS = 90.0
STOP_SECONDS = 30.0
HEARTBEATS = "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector"


@dataclass
class Stage:
    """A worker under test, and what really runs it: `owner` is somebody else's for an external one."""

    kind: str
    order: WorkerOrder
    runtime: WorkerRuntime
    owner: ProcessWorker | DockerWorker

    @property
    def is_ours(self) -> bool:
        """Whether starting and stopping it is ours to do."""
        return self.runtime is self.owner

    def bring_up(self) -> None:
        """Leave the worker ready, whatever happened to it before."""
        if self.owner.state() is ProcessState.FROZEN:
            self.signal(signal.SIGCONT)
        self.owner.start()
        self.owner.wait_ready(Deadline.after(READY_SECONDS))

    def signal(self, number: signal.Signals) -> None:
        """Hurt what really runs: a JVM by its pid, a container through its engine."""
        if isinstance(self.owner, ProcessWorker):
            assert self.owner.process is not None
            assert self.owner.process.identity.send(number)
        else:
            tell_container(self.owner.name, number)

    def generation(self) -> str:
        """Something that changes with every new process of the worker."""
        if isinstance(self.owner, ProcessWorker):
            assert self.owner.process is not None
            return str(self.owner.process.identity)
        found = self.owner.inspect()
        assert found is not None
        return found.id

    def wait_state(self, *, is_running: bool) -> ProcessState:
        """Return the state once it is, or is not, RUNNING."""
        deadline = Deadline.after(20)
        while ((state := self.runtime.state()) is ProcessState.RUNNING) != is_running:
            deadline.check(f"{self.kind}: the worker stayed {state}")
            deadline.clock.sleep(0.1)
        return state

    def wait_ended(self) -> None:
        """Return once what really runs is gone: its port refuses a moment before its process has ended."""
        deadline = Deadline.after(20)
        while self.owner.state() is not ProcessState.GONE:
            deadline.check(f"{self.kind}: the killed worker is still there")
            deadline.clock.sleep(0.05)


def tell_container(name: str, number: signal.Signals) -> None:
    """Freeze, thaw or kill a container, as `docker pause`, `unpause` and `kill` do."""
    import docker

    engine = docker.from_env()
    try:
        container = engine.containers.get(name)
        acts: dict[int, Callable[[], Any]] = {
            signal.SIGSTOP: container.pause,
            signal.SIGCONT: container.unpause,
            signal.SIGKILL: container.kill,
        }
        acts[number]()
    finally:
        engine.close()


@pytest.fixture(
    scope="module", params=["process", "external", pytest.param("docker", marks=pytest.mark.docker)], ids=str
)
def stage(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A worker of each kind beside west, not started yet; nothing of it is left."""
    kind = request.param
    image = request.getfixturevalue("kafka_image") if kind == "docker" else None
    (port,) = choose_ports(1, rng=random.Random())
    order = WorkerOrder(
        url=f"http://127.0.0.1:{port}",
        cluster=lab.access("west", "mm2"),
        group_id=f"contract-{kind}-{os.getpid()}",
        folder=tmp_path_factory.mktemp(f"worker-{kind}"),
        heap_mib=256,
        image=image,
    )
    owner = make_worker("docker" if kind == "docker" else "process", order)
    assert isinstance(owner, ProcessWorker | DockerWorker)
    made = Stage(kind, order, make_worker(kind, order) if kind == "external" else owner, owner)
    try:
        yield made
    finally:
        leave_nothing(made)


def leave_nothing(stage: Stage) -> None:
    """End the worker and remove its container."""
    stage.owner.stop(Deadline.after(STOP_SECONDS))
    if isinstance(stage.owner, DockerWorker):
        stage.owner.remove(Deadline.after(STOP_SECONDS))


@pytest.fixture
def running(stage: Stage) -> Stage:
    """The worker, ready."""
    stage.bring_up()
    return stage


def test_one_that_never_ran_is_gone(stage: Stage) -> None:
    """Its state is GONE, waiting for it fails at once or within the deadline, and a stop does nothing."""
    assert stage.runtime.state() is ProcessState.GONE
    with pytest.raises(ReplicatorError):
        stage.runtime.wait_ready(Deadline.after(1.0))
    stage.runtime.stop(Deadline.after(STOP_SECONDS))
    if not stage.is_ours:
        with pytest.raises(Unreachable, match=stage.order.url):
            stage.runtime.start()
    assert not is_worker_ready(stage.order.url)


def test_started_it_serves_its_cluster_and_starting_again_changes_nothing(running: Stage, lab: Lab) -> None:
    """It is RUNNING, its REST answers at the URL for west, and a second start keeps this very process."""
    before = running.generation()
    running.runtime.start()
    running.runtime.wait_ready(Deadline.after(READY_SECONDS))
    assert running.runtime.state() is ProcessState.RUNNING
    assert running.generation() == before
    with ConnectClient(running.runtime.url) as connect:
        assert connect.worker(Deadline.after(10)).kafka_cluster_id == lab.plan.cluster("west").cluster_id


def test_another_process_of_ours_finds_it(running: Stage) -> None:
    """A runtime made anew from the same configuration sees the worker and does not start a second one."""
    before = running.generation()
    other = make_worker(running.kind, running.order)
    assert other.state() is ProcessState.RUNNING
    other.start()
    other.wait_ready(Deadline.after(READY_SECONDS))
    assert running.generation() == before


def test_a_frozen_one_is_not_called_running(running: Stage) -> None:
    """Frozen it is FROZEN, or GONE for who sees its silence only; thawed it runs on."""
    before = running.generation()
    running.signal(signal.SIGSTOP)
    try:
        state = running.wait_state(is_running=False)
        assert state is (ProcessState.FROZEN if running.is_ours else ProcessState.GONE)
    finally:
        running.signal(signal.SIGCONT)
    assert running.wait_state(is_running=True) is ProcessState.RUNNING
    assert running.generation() == before


def test_its_connectors_survive_it(running: Stage) -> None:
    """Killed it is GONE; started anew it is another process with the same connectors."""
    before = running.generation()
    config = {
        "connector.class": HEARTBEATS,
        "source.cluster.alias": "east",
        "target.cluster.alias": "west",
        "target.cluster.bootstrap.servers": running.order.cluster.bootstrap,
    }
    with ConnectClient(running.runtime.url) as connect:
        connect.create("survivor", {**config, "name": "survivor"}, deadline=Deadline.after(60))
        running.signal(signal.SIGKILL)
        assert running.wait_state(is_running=False) is ProcessState.GONE
        running.wait_ended()
        running.bring_up()
        running.runtime.wait_ready(Deadline.after(READY_SECONDS))
        assert running.generation() != before
        assert set(connect.list(Deadline.after(30))) == {"survivor"}


def test_a_stop_ends_what_is_ours_and_leaves_what_is_not(running: Stage) -> None:
    """A worker of ours is GONE and silent, also when it was frozen; an external one runs on."""
    if running.is_ours:
        running.signal(signal.SIGSTOP)
    running.runtime.stop(Deadline.after(STOP_SECONDS))
    assert is_worker_ready(running.order.url) is not running.is_ours
    assert running.runtime.state() is (ProcessState.GONE if running.is_ours else ProcessState.RUNNING)
