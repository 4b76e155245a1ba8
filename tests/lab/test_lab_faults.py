"""What can be done to a lab, each proven on the process and on the wire."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from replicator.clock import Deadline
from replicator.errors import LabFailed, Unreachable
from replicator.jvm import ProcessState
from replicator.kafka import KafkaCluster, Outgoing, probe_listeners
from replicator.lab import Lab
from replicator.model.cluster import ClusterAccess, TopicSpec
from replicator.model.names import TopicName
from replicator.model.observations import Reachability
from replicator.worker import is_worker_ready


def state_of(lab: Lab, member: str) -> ProcessState:
    """Return a member's state."""
    return next(m.state for m in lab.status() if m.member == member)


def probe(access: ClusterAccess) -> Reachability:
    """Return how the cluster's addresses answer a plain connection."""
    return probe_listeners(access.bootstrap.split(","), timeout_seconds=1.0)


def is_answering(access: ClusterAccess, *, seconds: float = 1.5) -> bool:
    """Return whether the cluster describes itself in time."""
    try:
        with KafkaCluster(access) as cluster:
            cluster.describe(Deadline.after(seconds))
    except Unreachable:
        return False
    return True


@contextlib.contextmanager
def written(access: ClusterAccess, topic: TopicName) -> Iterator[KafkaCluster]:
    """Give the cluster with one acknowledged record in a new topic."""
    with KafkaCluster(access) as cluster:
        cluster.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(10))
        writer = cluster.writer("lab-test")
        writer.send(Outgoing(topic, b"key", b"value"))
        writer.flush(Deadline.after(10))
        yield cluster


def values_of(cluster: KafkaCluster, topic: TopicName) -> list[bytes | None]:
    """Return the values in the topic's only partition."""
    with contextlib.closing(cluster.tail([topic])) as tail:
        return [record.value for record in tail.poll_to_end(Deadline.after(10))]


def test_a_killed_cluster_refuses_and_keeps_its_data(private_lab: Lab, names) -> None:
    """SIGKILL: the process is gone, its port refuses, the other cluster lives; started again it has what it had."""
    topic = names.topic("orders")
    with written(private_lab.east, topic) as cluster:
        private_lab.kill("east")
        assert state_of(private_lab, "east/broker-1") is ProcessState.GONE
        assert probe(private_lab.east) is Reachability.REFUSED
        assert is_answering(private_lab.west)
        private_lab.start("east", wait=Deadline.after(60))
        assert values_of(cluster, topic) == [b"value"]
    assert private_lab.is_ready("east")


def test_a_frozen_cluster_accepts_and_never_answers(private_lab: Lab) -> None:
    """SIGSTOP: the system shows it frozen, connections open, requests hang; thawed it answers with the same process."""
    before = next(m.pid for m in private_lab.status() if m.member == "east/broker-1")
    private_lab.freeze("east")
    try:
        assert state_of(private_lab, "east/broker-1") is ProcessState.FROZEN
        assert probe(private_lab.east) is Reachability.REACHABLE
        assert not is_answering(private_lab.east)
        assert not private_lab.is_ready("east")
    finally:
        private_lab.thaw("east")
    private_lab.wait_ready("east", Deadline.after(30))
    assert next(m.pid for m in private_lab.status() if m.member == "east/broker-1") == before


def test_a_stopped_cluster_comes_back_at_the_same_address(private_lab: Lab, names) -> None:
    """SIGTERM and start: the same address, the same id, the same data."""
    topic = names.topic("orders")
    with written(private_lab.east, topic) as cluster:
        private_lab.stop("east")
        assert state_of(private_lab, "east/broker-1") is ProcessState.GONE
        private_lab.start("east", wait=Deadline.after(60))
        assert values_of(cluster, topic) == [b"value"]
        assert cluster.verify_identity(Deadline.after(10)).cluster_id == private_lab.east.cluster_id


def test_a_killed_worker_comes_back(private_lab: Lab) -> None:
    """The worker beside west is killed alone, is seen gone, and is ready again after a start."""
    private_lab.kill("west/connect")
    assert state_of(private_lab, "west/connect") is ProcessState.GONE
    assert not is_worker_ready(private_lab.connect_url("west"))
    assert is_answering(private_lab.west)
    private_lab.start("west/connect", wait=Deadline.after(60))
    assert is_worker_ready(private_lab.connect_url("west"))


def test_a_worker_beside_east_starts_on_demand(private_lab: Lab) -> None:
    """Failback needs a worker on the other side: it starts when asked for, and writes to east."""
    assert not is_worker_ready(private_lab.connect_url("east"))
    private_lab.start("east/connect", wait=Deadline.after(60))
    assert is_worker_ready(private_lab.connect_url("east"))
    with KafkaCluster(private_lab.east) as cluster:
        assert f"{private_lab.group_id('east')}.offsets" in cluster.topics.names(Deadline.after(10))
    private_lab.kill("east/connect")


def test_what_does_not_run_cannot_be_frozen(private_lab: Lab) -> None:
    """Freezing a dead member says so and names the command that starts it."""
    with pytest.raises(LabFailed, match="east/connect is not running") as caught:
        private_lab.freeze("east/connect")
    assert "lab start east/connect" in (caught.value.hint or "")


def test_what_does_not_run_is_not_waited_for(private_lab: Lab) -> None:
    """Waiting for a cluster that was killed ends at once and says what to do; it is never taken for ready."""
    private_lab.kill("east")
    try:
        with pytest.raises(LabFailed, match="east is not running"):
            private_lab.wait_ready("east", Deadline.after(60))
    finally:
        private_lab.start("east", wait=Deadline.after(60))
