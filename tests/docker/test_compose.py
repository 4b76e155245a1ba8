"""The compose file's core, built on this machine without pulling an image, through an outage and a failover."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab.ports import choose_ports
from replicator.model.cluster import ClusterAccess, TopicSpec
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition

pytestmark = [pytest.mark.docker, pytest.mark.drill]

ROOT = Path(__file__).parents[2]
IMAGES = ("kafka", "s3", "replicator")
COMMAND_SECONDS = 240
FAILOVER_SECONDS = 240.0
HALTED = 9
ORDERS = TopicName("orders")
BILLING = GroupName("billing")
RECORDS = 1_200
BILLED = 250
"""How far the group has come in each of the three partitions of 400 records."""


@dataclass(frozen=True)
class Stage:
    """The running stage: what compose knows, and both clusters as this machine reaches them."""

    compose: Any
    command: str
    project: str
    east: ClusterAccess
    west: ClusterAccess

    def make(self, *targets: str) -> subprocess.CompletedProcess[str]:
        """Run targets of the stage's Makefile, as people do."""
        return subprocess.run(
            [
                find_program("make"),
                "--no-print-directory",
                "-C",
                str(ROOT / "compose"),
                f"COMPOSE={self.command} compose",
                *targets,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def replicator(self, *arguments: str) -> dict[str, Any]:
        """Run the command line in the supervisor's container and return what it answers."""
        output, _, _ = self.compose.exec_in_container(["replicator", "-o", "json", *arguments], "supervisor")
        answer: dict[str, Any] = json.loads(output)
        return answer

    def flow(self) -> dict[str, Any]:
        """Return the flow's status."""
        found: dict[str, Any] = self.replicator("status")["item"]["flows"][0]
        return found


def find_program(name: str) -> str:
    """Return the path of a program that must be here."""
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed"
    return path


def wait_until(is_reached: Callable[[], Any], *, seconds: float, what: str) -> None:
    """Return once it is so."""
    deadline = Deadline.after(seconds)
    while not is_reached():
        deadline.check(what)
        deadline.clock.sleep(0.5)


@pytest.fixture(scope="module")
def compose_command(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that understands `compose …`: docker with its plugin, or a word before docker-compose 1.29."""
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return "docker"
    if shutil.which("docker-compose") is None:
        what = "neither `docker compose` nor `docker-compose` is installed"
        pytest.fail(what) if os.environ.get("REPLICATOR_REQUIRE_DOCKER") == "1" else pytest.skip(what)
    shim = tmp_path_factory.mktemp("compose") / "docker"
    shim.write_text('#!/bin/sh\n[ "$1" = compose ] && shift\nexec docker-compose "$@"\n', encoding="ascii")
    shim.chmod(0o755)
    return str(shim)


@contextmanager
def environment(project: str, images: dict[str, str], ports: list[int]) -> Iterator[None]:
    """Set what the compose file and testcontainers read."""
    values = {
        "COMPOSE_PROJECT_NAME": project,
        "KAFKA_IMAGE": images["kafka"],
        "S3_IMAGE": images["s3"],
        "REPLICATOR_IMAGE": images["replicator"],
        "EAST_PORT": str(ports[0]),
        "WEST_PORT": str(ports[1]),
        "PROMETHEUS_PORT": str(ports[2]),
        # Ryuk's image cannot be pulled here; without a mode, addresses come out empty on some machines.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in values.items():
            patch.setenv(key, value)
        yield


@pytest.fixture(scope="module")
def stage(compose_command: str, build_image: Callable[[str], str]) -> Iterator[Stage]:
    """Two clusters, Connect, S3 and the supervisor up, the flow applied; nothing of it is left."""
    images = {name: build_image(name) for name in IMAGES}
    ports, project = choose_ports(3, rng=random.Random()), f"replicator-test-{os.getpid()}"
    with environment(project, images, ports):
        from testcontainers.compose import DockerCompose

        compose = DockerCompose(
            str(ROOT / "compose"),
            compose_file_name="compose.yaml",
            wait=False,
            services=["supervisor"],
            docker_command_path=compose_command,
        )
        try:
            compose.start()
            yield Stage(
                compose,
                compose_command,
                project,
                *(
                    ClusterAccess(name=ClusterName(name), bootstrap=f"127.0.0.1:{port}")
                    for name, port in zip(("east", "west"), ports, strict=False)
                ),
            )
        finally:
            compose.services = None  # `down` takes everything
            compose.stop()


def numbers_on(access: ClusterAccess, *, at_least: int = 0) -> list[tuple[TopicPartition, int, int]]:
    """Return partition, offset and number of every visible order, once there are enough."""
    found: list[tuple[TopicPartition, int, int]] = []
    deadline = Deadline.after(120)
    with KafkaCluster(access) as cluster:
        tail = cluster.tail([ORDERS])
        while not found or len(found) < at_least:
            found += [(r.partition, r.offset, int(r.value or b"-1")) for r in tail.poll_to_end(Deadline.after(30))]
            deadline.check(f"{len(found)} of {at_least} orders arrived on {access.name}")
            deadline.clock.sleep(0.2)
        tail.close()
    return found


def write_orders(access: ClusterAccess, numbers: range) -> None:
    """Write an order for each number, spread over the partitions."""
    with KafkaCluster(access) as cluster:
        writer = cluster.writer("shop")
        for number in numbers:
            writer.send(Outgoing(ORDERS, None, b"%d" % number, partition=number % 3))
        writer.flush(Deadline.after(60))
        writer.close()


@pytest.mark.timeout(900)
def test_the_core_survives_an_outage(stage: Stage, engine: Any) -> None:
    """Orders are mirrored once each and captured in the S3 store; the active is killed; a failover is refused until
    somebody says that it is dead; then the standby is active, the group has skipped nothing, and writes go on."""
    with KafkaCluster(stage.east) as east:
        east.topics.create([TopicSpec(name=ORDERS, partitions=3)], Deadline.after(60))
    write_orders(stage.east, range(RECORDS))
    with KafkaCluster(stage.east) as east:
        offsets = {TopicPartition(ORDERS, partition): BILLED for partition in range(3)}
        east.groups.commit(BILLING, offsets, Deadline.after(60))
    applied = stage.make("apply")
    assert applied.returncode == 0, applied.stderr
    assert sorted(number for _, _, number in numbers_on(stage.west, at_least=RECORDS)) == list(range(RECORDS))
    wait_until(lambda: stage.flow()["groups_observed"], seconds=90, what="no group was observed")
    prove_store(stage)

    was_killed_at = kill_active(stage, engine)
    refused = stage.make("failover")
    assert "Error 4" in refused.stderr
    assert "--accept split-brain" in refused.stderr
    fail_over(stage, deadline=Deadline.after(FAILOVER_SECONDS))
    took_seconds = time.monotonic() - was_killed_at

    flow = stage.flow()
    assert (flow["state"], flow["active"]) == ("FAILED_OVER", "west")
    prove_nothing_skipped(stage)
    write_orders(stage.west, range(RECORDS, RECORDS + 30))
    assert {number for _, _, number in numbers_on(stage.west, at_least=RECORDS + 30)} == set(range(RECORDS + 30))
    print(f"compose: from outage to a proven failover in {took_seconds:.1f} s")


def prove_store(stage: Stage) -> None:
    """A repository in the S3 store holds a snapshot of the standby."""
    stage.replicator("repo", "init")
    stage.replicator("snapshot", "create", "--flow", "shop")
    (snapshot,) = stage.replicator("snapshot", "list")["items"]
    assert snapshot["records"] >= RECORDS


def kill_active(stage: Stage, engine: Any) -> float:
    """Kill the active cluster and return when; it is dead, by SIGKILL, when this returns."""
    killed = stage.make("outage")
    assert killed.returncode == 0, killed.stderr
    labels = [f"com.docker.compose.project={stage.project}", "com.docker.compose.service=east"]
    (container,) = engine.containers.list(all=True, filters={"label": labels})
    assert (container.attrs["State"]["Status"], container.attrs["State"]["ExitCode"]) == ("exited", 137)
    return time.monotonic()


def fail_over(stage: Stage, *, deadline: Deadline) -> None:
    """Leave the flow failed over: a halted operation goes on with the same command."""
    while True:
        done = stage.make("failover", "ACCEPT=split-brain")
        if done.returncode == 0:
            return
        assert f"Error {HALTED}" in done.stderr, done.stderr
        deadline.check(f"the failover still halts: {done.stderr[-600:]}")


def prove_nothing_skipped(stage: Stage) -> None:
    """Every order the group had not seen comes after its place on the standby; what it reads twice is bounded."""
    with KafkaCluster(stage.west) as west:
        committed = west.groups.committed([BILLING], Deadline.after(60))[BILLING].committed
    assert {place.partition for place in committed} == {0, 1, 2}
    unseen = {number for number in range(RECORDS) if number // 3 >= BILLED}
    ahead = {number for place, offset, number in numbers_on(stage.west) if offset >= committed[place]}
    assert unseen <= ahead
    assert len(ahead) < RECORDS, "the group was sent back to the start"
