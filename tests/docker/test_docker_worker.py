"""A worker in a container on a real engine: run, found again, replaced, stopped, and every way to end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import LabFailed, NotFound
from replicator.jvm import ProcessState
from replicator.lab import Lab
from replicator.model.cluster import ClusterAccess
from replicator.worker import ContainerEnd, ContainerPlan, ContainerState, DockerWorker
from replicator.worker.container import LABEL_CLUSTER, LABEL_KIND, LABEL_WORKER

pytestmark = pytest.mark.docker
MakeWorker = Callable[..., DockerWorker]
READY_SECONDS = 90.0
STOP_SECONDS = 30.0


def inspect(worker: DockerWorker) -> ContainerState:
    """Return a container that must be there."""
    found = worker.inspect()
    assert found is not None, "there is no container"
    return found


def wait_for(worker: DockerWorker, is_reached: Callable[[ContainerState], Any], *, what: str) -> ContainerState:
    """Return the container's state once it is as wanted."""
    deadline = Deadline.after(60)
    while not is_reached(state := inspect(worker)):
        deadline.check(f"{what}: {state}")
        deadline.clock.sleep(0.2)
    return state


@pytest.fixture(scope="module")
def worker(docker_worker: MakeWorker, lab: Lab) -> DockerWorker:
    """A worker beside west."""
    made: DockerWorker = docker_worker(lab.access("west", "mm2"))
    return made


@pytest.fixture
def running(worker: DockerWorker) -> DockerWorker:
    """The same, ready."""
    worker.start()
    worker.wait_ready(Deadline.after(READY_SECONDS))
    return worker


def test_it_is_found_by_its_labels_and_says_that_it_is_healthy(running: DockerWorker, engine: Any) -> None:
    """The engine lists it by each of our labels, and its own health check comes to the same as Connect's."""
    labels = {
        LABEL_KIND: "connect-worker",
        LABEL_WORKER: f"{running.spec.group_id}@{running.spec.rest_port}",
        LABEL_CLUSTER: "west",
    }
    for key, value in labels.items():
        found = engine.containers.list(filters={"label": f"{key}={value}"})
        assert running.name in {container.name for container in found}
    state = wait_for(running, lambda state: state.health == "healthy", what="never healthy")
    assert (state.status, state.end, state.restarts) == ("running", None, 0)


def test_its_log_can_be_read(running: DockerWorker) -> None:
    """The last lines are those the worker said, without the dumps of every client's configuration."""
    lines = running.logs(tail=2000)
    assert any("Kafka Connect started" in line for line in lines)
    assert [line for line in lines if line.endswith(" values: ")] == []
    assert len(running.logs(tail=5)) == 5


def test_it_may_do_next_to_nothing(running: DockerWorker, engine: Any, find_java: Callable[[Any], int]) -> None:
    """The JVM runs as us without a capability, and can write to /tmp alone."""
    container = engine.containers.get(running.name)
    with open(f"/proc/{find_java(container)}/status", encoding="ascii") as handle:  # noqa: PTH123 - a line of /proc
        status = dict(line.split(":\t", 1) for line in handle.read().splitlines() if ":\t" in line)
    assert status["CapEff"].strip() == "0" * 16
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Uid"].split()[0] == str(os.getuid())
    assert container.exec_run(["touch", "/opt/kafka/x"]).exit_code != 0
    assert container.exec_run(["touch", "/tmp/x"]).exit_code == 0
    assert container.attrs["HostConfig"]["Memory"] == 640 * 1024**2


def test_a_replaced_one_has_the_new_plan_and_the_old_connectors(
    running: DockerWorker, kafka_image: str, engine: Any
) -> None:
    """Another container with the new limit serves what the old one served; no container of before is left."""
    config = {
        "name": "kept",
        "connector.class": "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
        "source.cluster.alias": "east",
        "target.cluster.alias": "west",
        "target.cluster.bootstrap.servers": running.spec.cluster.bootstrap,
    }
    before = inspect(running)
    with ConnectClient(running.url) as connect:
        connect.create("kept", config, deadline=Deadline.after(60))
        running.replace(ContainerPlan(image=kafka_image, heap_mib=256, memory_mib=700), Deadline.after(STOP_SECONDS))
        running.wait_ready(Deadline.after(READY_SECONDS))
        assert "kept" in connect.list(Deadline.after(30))
    after = inspect(running)
    assert after.id != before.id
    assert engine.containers.get(after.id).attrs["HostConfig"]["Memory"] == 700 * 1024**2
    label = f"{LABEL_WORKER}={running.spec.group_id}@{running.spec.rest_port}"
    assert len(engine.containers.list(all=True, filters={"label": label})) == 1


def test_a_replacement_that_cannot_be_leaves_the_old_one_running(running: DockerWorker) -> None:
    """A missing image is noticed before the worker is stopped."""
    before = inspect(running)
    with pytest.raises(NotFound):
        running.replace(ContainerPlan(image="localhost/no-such:1"), Deadline.after(STOP_SECONDS))
    assert inspect(running) == replace(before, health=inspect(running).health)


def test_stopped_killed_and_removed_are_told_apart(running: DockerWorker, engine: Any) -> None:
    """SIGTERM is a clean end, SIGKILL a kill; an ended container keeps its log until it is removed."""
    running.stop(Deadline.after(STOP_SECONDS))
    state = inspect(running)
    assert (state.status, state.exit_status, state.end) == ("exited", 143, ContainerEnd.STOPPED)
    assert any("stopped" in line for line in running.logs())
    running.start()
    engine.containers.get(running.name).kill()
    state = wait_for(running, lambda state: state.status == "exited", what="never ended")
    assert (state.exit_status, state.end) == (137, ContainerEnd.KILLED)
    running.remove(Deadline.after(STOP_SECONDS))
    assert running.inspect() is None
    assert running.state() is ProcessState.GONE
    assert running.logs() == []
    running.remove(Deadline.after(STOP_SECONDS))


def test_out_of_memory_is_not_a_kill(docker_worker: MakeWorker, nowhere: ClusterAccess, kafka_image: str) -> None:
    """A worker beyond its container's memory ends with SIGKILL too, and is said to have run out of memory."""
    plan = ContainerPlan(
        image=kafka_image, heap_mib=512, memory_mib=128, restart="no", jvm_flags="-XX:+AlwaysPreTouch -Xms512m"
    )
    starved = docker_worker(nowhere, plan=plan)
    starved.start()
    with pytest.raises(LabFailed, match="out of memory") as caught:
        starved.wait_ready(Deadline.after(60))
    assert caught.value.hint == f"docker logs {starved.name}"
    state = inspect(starved)
    assert (state.exit_status, state.end) == (137, ContainerEnd.OUT_OF_MEMORY)


def test_one_that_keeps_dying_is_given_up_with_its_last_words(
    docker_worker: MakeWorker, nowhere: ClusterAccess, kafka_image: str
) -> None:
    """The engine would start it again for ever; waiting for it ends after a few deaths, and says why."""
    plan = ContainerPlan(image=kafka_image, heap_mib=256, memory_mib=640, jvm_flags="-XX:+NoSuchFlag")
    broken = docker_worker(nowhere, plan=plan)
    broken.start()
    with pytest.raises(LabFailed, match="keeps dying") as caught:
        broken.wait_ready(Deadline.after(60))
    assert "NoSuchFlag" in str(caught.value.detail)
    assert inspect(broken).restarts >= 3


def test_a_missing_image_is_not_looked_for_elsewhere(docker_worker: MakeWorker, nowhere: ClusterAccess) -> None:
    """Nothing is pulled: the error names the image and how to get it, and no container is left."""
    worker = docker_worker(nowhere, plan=ContainerPlan(image="localhost/no-such:1"))
    with pytest.raises(NotFound, match=r"localhost/no-such:1") as caught:
        worker.start()
    assert "make -C compose image" in str(caught.value.hint)
    assert worker.inspect() is None


def test_killed_behind_the_engine_it_comes_back_by_itself(
    running: DockerWorker, engine: Any, find_java: Callable[[Any], int]
) -> None:
    """The JVM's own death is nobody's wish: the same container runs a new JVM, nobody of ours having asked."""
    before, pid = inspect(running), find_java(engine.containers.get(running.name))
    os.kill(pid, signal.SIGKILL)
    after = wait_for(running, lambda state: state.restarts > before.restarts and state.is_running, what="no restart")
    assert after.id == before.id
    running.wait_ready(Deadline.after(READY_SECONDS))
    assert find_java(engine.containers.get(running.name)) != pid


def test_what_an_engine_tells_anybody_holds_no_secret(running: DockerWorker, engine: Any) -> None:
    """Inspection shows the mounts of private files, and neither a property nor a password in clear."""
    shown = json.dumps(engine.containers.get(running.name).attrs)
    assert "worker" in shown
    assert running.spec.cluster.bootstrap not in shown
