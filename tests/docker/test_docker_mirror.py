"""Workers in containers at their work: they mirror, are killed, come back, and lose and double nothing; with SCRAM
over TLS, their secrets arrive and show nowhere."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient, secret_text, secrets_path
from replicator.flow import FlowHandles, FlowWiring, JournalFacts, Plan, apply_plan, plan_flow, read_facts
from replicator.jvm import Guardian
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName
from replicator.worker import DockerWorker

pytestmark = pytest.mark.docker
MakeWorker = Callable[..., DockerWorker]
READY_SECONDS = 90.0
MIRROR_SECONDS = 120.0


@contextmanager
def mirroring(worker: DockerWorker, lab: Lab, topic: TopicName) -> Iterator[FlowHandles]:
    """Run a flow of one topic, east to west, on the worker."""
    flow = Flow(
        name=FlowName(f"{topic}-flow"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((str(topic),)),
    )
    folder = worker.spec.secrets_folder
    wiring = FlowWiring(
        source=lab.access("east", "mm2"),
        target=lab.access("west", "mm2"),
        secrets_folder=None if folder is None else str(folder),
    )
    with FlowHandles(
        source=KafkaCluster(lab.east),
        target=KafkaCluster(lab.west),
        connect=ConnectClient(worker.url),
        offsets_topic=TopicName(worker.spec.topic("offsets")),
    ) as handles:

        def plan() -> Plan:
            deadline = Deadline.after(60)
            facts = read_facts(flow, handles=handles, wiring=wiring, journal=JournalFacts(), deadline=deadline)
            return plan_flow(flow, others=(flow,), facts=facts, wiring=wiring)

        apply_plan(plan(), handles=handles, replan=plan, deadline=Deadline.after(120))
        yield handles


def produce(cluster: KafkaCluster, topic: TopicName, numbers: range) -> None:
    """Write a record for each number."""
    writer = cluster.writer("docker-test")
    for number in numbers:
        writer.send(Outgoing(topic, b"%d" % number, b"%d" % number, partition=0))
    writer.flush(Deadline.after(30))
    writer.close()


def mirrored(cluster: KafkaCluster, topic: TopicName, count: int) -> list[int]:
    """Return the numbers that arrived, in order, once there are `count` of them."""
    deadline, found = Deadline.after(MIRROR_SECONDS), []
    with_topic = cluster.tail([topic])
    try:
        while len(found) < count:
            deadline.check(f"{len(found)} of {count} records of {topic} arrived")
            found += [int(record.value or b"-1") for record in with_topic.poll_to_end(Deadline.after(30))]
            deadline.clock.sleep(0.2)
    finally:
        with_topic.close()
    return found


def test_a_killed_worker_goes_on_where_it_was(
    docker_worker: MakeWorker, lab: Lab, names: Any, engine: Any, find_java: Callable[[Any], int]
) -> None:
    """After the JVM's SIGKILL the engine brings the worker back; every record arrives, once, in order."""
    worker, topic = docker_worker(lab.access("west", "mm2")), names.topic("orders")
    worker.start()
    worker.wait_ready(Deadline.after(READY_SECONDS))
    with KafkaCluster(lab.east) as east, KafkaCluster(lab.west) as west:
        east.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(30))
        produce(east, topic, range(1_000))
        with mirroring(worker, lab, topic):
            assert mirrored(west, topic, 1_000) == list(range(1_000))
            container = engine.containers.get(worker.name)
            pid = find_java(container)
            os.kill(pid, signal.SIGKILL)
            produce(east, topic, range(1_000, 2_000))
            assert mirrored(west, topic, 2_000) == list(range(2_000))
            container.reload()
            assert container.attrs["RestartCount"] == 1
            assert find_java(container) != pid


@pytest.fixture(scope="module")
def secure_clusters(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """Secured clusters without a worker of their own: its name and its rights are the container's."""
    made = Lab.make(
        tmp_path_factory.mktemp("secure"),
        LabSpec(is_secure=True, has_connect=False),
        guardian=_guardian,
        rng=random.Random(),
    )
    made.up(Deadline.after(120))
    try:
        yield made
    finally:
        made.down()


@pytest.mark.lab
@pytest.mark.security
def test_secrets_arrive_and_show_nowhere(
    docker_worker: MakeWorker,
    secure_clusters: Lab,
    names: Any,
    engine: Any,
    tmp_path: Any,
    find_java: Callable[[Any], int],
) -> None:
    """The worker logs in by SCRAM over TLS and mirrors from a cluster that wants the same of its connectors; no
    password is in what the engine tells, in the command line, the environment, the log, or what Connect answers."""
    lab = secure_clusters
    sides = [lab.access(name, "mm2") for name in ("east", "west")]
    passwords = {side.security.password.value for side in sides if side.security.password}
    assert passwords
    folder = tmp_path / "secrets"
    secrets = {secrets_path(side, ""): secret_text(side) for side in sides}
    worker = docker_worker(sides[1], group_id=lab.group_id("west"), secrets_folder=folder, secrets=secrets)
    worker.start()
    worker.wait_ready(Deadline.after(READY_SECONDS))
    topic = TopicName("orders")
    with KafkaCluster(lab.access("east", "admin")) as east, KafkaCluster(lab.access("west", "admin")) as west:
        east.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(30))
        produce(east, topic, range(100))
        with mirroring(worker, lab, topic) as handles:
            assert mirrored(west, topic, 100) == list(range(100))
            configs = {name: found.config for name, found in handles.connect.list(Deadline.after(30)).items()}
    container = engine.containers.get(worker.name)
    pid = find_java(container)
    with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as command:  # noqa: PTH123 - files of /proc
        shown = environ.read().decode() + command.read().decode()
    shown += json.dumps(container.attrs) + json.dumps(configs) + "\n".join(worker.logs(tail=100_000))
    assert "connect-distributed" in shown
    assert [password for password in passwords if password in shown] == []
    assert "file:" in json.dumps(configs)
