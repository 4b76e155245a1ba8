"""The operation lease on a real broker, with holders that are processes of their own: killed, frozen, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO

import pytest

from replicator.clock import Deadline
from replicator.errors import Fenced, LockHeld
from replicator.journal import Hold, Journal, Observations, has_live_holder, take_lease
from replicator.kafka import KafkaCluster
from replicator.model.names import ClusterName, FlowName, TopicName
from replicator.model.observations import PartitionEnds, TopicObservation

pytestmark = pytest.mark.lab

SESSION_SECONDS = 2.0

HOLDER = """
import sys
from replicator.clock import Deadline
from replicator.errors import Fenced
from replicator.journal import Entry, Journal, OperationPhase, take_lease
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterAccess

bootstrap, prefix, session_seconds = sys.argv[1:]
cluster = KafkaCluster(ClusterAccess(name="west", bootstrap=bootstrap))
journal = Journal(cluster, prefix)

def write(hold, step, phase):
    body = {"source": "east", "target": "west"}
    entry = Entry(operation_id="op-1", flow="f", kind="failover", step=step, phase=phase, actor="holder", body=body)
    hold.writer.append([entry], Deadline.after(10))

with take_lease(cluster, journal, topic_prefix=prefix, supervisor_id="main", deadline=Deadline.after(30),
                session_seconds=float(session_seconds)) as hold:
    write(hold, "operation", OperationPhase.REQUESTED)
    print("held", flush=True)
    for line in sys.stdin:
        try:
            write(hold, line.strip(), "intent")
            print("written", flush=True)
        except Fenced:
            print("fenced", flush=True)
"""


class Holder:
    """A process that holds the lease and appends a record for every line it is sent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def answer(self) -> str:
        """Return the next line the process says."""
        return _pipe(self.process.stdout).readline().strip()

    def write(self, step: str) -> str:
        """Let the process append a record and return how it went."""
        stdin = _pipe(self.process.stdin)
        stdin.write(f"{step}\n")
        stdin.flush()
        return self.answer()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextmanager
def holder(bootstrap: str, prefix: str, session_seconds: float = SESSION_SECONDS) -> Iterator[Holder]:
    """Yield a process that has won the lease and journaled its operation."""
    argv = [sys.executable, "-c", HOLDER, bootstrap, prefix, str(session_seconds)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            held = Holder(process)
            assert held.answer() == "held"
            yield held
        finally:
            process.kill()


@pytest.fixture
def west(lab) -> Iterator[KafkaCluster]:
    """The cluster the lease lives on."""
    with KafkaCluster(lab.west) as cluster:
        yield cluster


def take(cluster: KafkaCluster, prefix: str) -> Hold:
    """Take the lease in this process."""
    return take_lease(
        cluster,
        Journal(cluster, prefix),
        topic_prefix=prefix,
        supervisor_id="main",
        deadline=Deadline.after(60),
        session_seconds=SESSION_SECONDS,
    )


def test_a_live_holder_keeps_it_and_is_named(lab, west: KafkaCluster, names) -> None:
    """A newcomer is refused, as often as it asks, with the id of the operation that runs; the holder goes on."""
    with holder(lab.west.bootstrap, names.prefix) as held:
        for number in range(3):
            with pytest.raises(LockHeld) as caught:
                take(west, names.prefix)
            assert caught.value.operation_id == "op-1"
            assert held.write(f"step-{number}") == "written"
        assert has_live_holder(west, topic_prefix=names.prefix, supervisor_id="main", deadline=Deadline.after(10))


def test_a_killed_holder_loses_it_with_its_session(lab, west: KafkaCluster, names) -> None:
    """Before the session of a SIGKILLed holder is over nobody gets the lease; then the newcomer does."""
    with holder(lab.west.bootstrap, names.prefix, session_seconds=6.0) as held:
        held.process.kill()
        killed_at = time.monotonic()
        assert held.process.wait(timeout=10) == -signal.SIGKILL
        with take(west, names.prefix) as hold:
            waited = time.monotonic() - killed_at
            assert hold.lease.is_held
            assert hold.writer.epoch == 2
            assert [r.step for r in hold.writer.records] == ["operation"]
        assert 3.0 < waited < 20.0, "the session is six seconds, renewed a moment before the kill"


def test_an_ended_holder_gives_it_back_at_once(lab, west: KafkaCluster, names) -> None:
    """A holder that ends leaves the election: the next one does not wait for a session of a minute."""
    with holder(lab.west.bootstrap, names.prefix, session_seconds=60.0) as held:
        _pipe(held.process.stdin).close()
        assert held.process.wait(timeout=30) == 0
        began = time.monotonic()
        with take(west, names.prefix):
            assert time.monotonic() - began < 30.0
    assert not has_live_holder(west, topic_prefix=names.prefix, supervisor_id="main", deadline=Deadline.after(10))


def test_a_frozen_holder_that_wakes_up_changes_nothing(lab, west: KafkaCluster, names) -> None:
    """A holder frozen longer than its session loses the lease; awake again, its next record is refused."""
    with holder(lab.west.bootstrap, names.prefix) as held:
        os.kill(held.process.pid, signal.SIGSTOP)
        try:
            with take(west, names.prefix) as hold:
                os.kill(held.process.pid, signal.SIGCONT)
                assert held.write("late") == "fenced"
                assert hold.lease.is_held
        finally:
            os.kill(held.process.pid, signal.SIGCONT)
        assert held.write("later") == "fenced"
    assert [r.step for r in Journal(west, names.prefix).read(Deadline.after(10))] == ["operation"]


def test_leases_of_two_supervisors_are_apart(lab, west: KafkaCluster, names) -> None:
    """Another supervisor id is another election: nobody waits for it."""
    with (
        holder(lab.west.bootstrap, names.prefix),
        take_lease(
            west,
            Journal(west, names.prefix),
            topic_prefix=names.prefix,
            supervisor_id="other",
            deadline=Deadline.after(30),
            session_seconds=SESSION_SECONDS,
        ) as hold,
    ):
        assert hold.lease.is_held


def seen(end: int) -> TopicObservation:
    """An observation of a topic that ends there."""
    return TopicObservation(
        cluster=ClusterName("east"),
        topic=TopicName("orders"),
        topic_id="id",
        observed_at=datetime(2026, 1, 1, tzinfo=UTC),
        partitions=(PartitionEnds(partition=0, log_start=0, last_stable=end, end=end),),
    )


def test_who_was_replaced_writes_no_observation(lab, west: KafkaCluster, names) -> None:
    """What a supervisor saw before it stood still never lies over what the one that leads since has written; another
    flow's observations are another's."""
    flow, other, deadline = FlowName("shop"), FlowName("else"), Deadline.after(60)
    first, second = (Observations(west, names.prefix, writer_id="main") for _ in range(2))
    first.ensure_topic(deadline)
    first.write(flow, [seen(10)], deadline)
    first.write(other, [seen(1)], deadline)
    second.write(flow, [seen(20)], deadline)
    for _ in range(2):
        with pytest.raises(Fenced):
            first.write(flow, [seen(11)], deadline)
    first.write(other, [seen(2)], deadline)
    second.write(flow, [seen(21)], deadline)
    ends = {name: second.read(name, deadline).topics[TopicName("orders")].partitions[0].end for name in (flow, other)}
    assert ends == {flow: 21, other: 2}
    first.close()
    second.close()
