"""However it ends, nothing of a lab is left running, and who failed says why."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.errors import LabFailed
from replicator.jvm import Guardian, JvmCommand, JvmProcess, ProcessIdentity, ProcessState
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.lab.state import read_state
from replicator.model.cluster import TopicSpec

pytestmark = pytest.mark.lab

BROKERS_ONLY = LabSpec(has_connect=False)

_PARENT = """
import sys, time
from pathlib import Path
from replicator.jvm import Guardian, JvmCommand, JvmProcess

folder, is_lifelong = Path(sys.argv[1]), sys.argv[2] == "lifelong"
guardian = Guardian(is_lifelong=is_lifelong)
waiting = ("-XX:+UnlockDiagnosticVMOptions", "-XX:+PauseAtStartup", f"-XX:PauseAtStartupFile={folder}/pause")
command = JvmCommand(
    name="idle", main_class="None", arguments=(), flags=waiting, classpath="", log_file=folder / "idle.log"
)
found = JvmProcess.start(command, guardian=guardian).identity
print(found.pid, found.started_at, guardian._process.pid, flush=True)
time.sleep(600)
"""
"""A parent with one JVM that waits at its very start."""


def wait_gone(identities: list[ProcessIdentity], *, seconds: float = 10.0) -> bool:
    """Return whether all processes are gone in time."""
    deadline = Deadline.after(seconds)
    while any(identity.state is not ProcessState.GONE for identity in identities):
        if deadline.is_over:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    """A guardian of this test alone."""
    made = Guardian()
    yield made
    made.close()


def make_lab(folder: Path, spec: LabSpec, guardian: Guardian) -> Lab:
    """Plan a lab that dies with the test."""
    return Lab.make(folder, spec, guardian=guardian, rng=random.Random())


def start_parent(folder: Path, kind: str) -> tuple[subprocess.Popen[str], ProcessIdentity, int]:
    """Start a parent with a JVM; return it, the JVM, and the watchdog's pid."""
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(folder), kind], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, started_at, watchdog_pid = parent.stdout.readline().split()
    return parent, ProcessIdentity(int(pid), float(started_at)), int(watchdog_pid)


@pytest.mark.parametrize(
    ("kind", "is_watchdog_killed"),
    [
        pytest.param("lifelong", False, id="both nets"),
        pytest.param("temporary", False, id="the watchdog alone"),
        pytest.param(
            "lifelong",
            True,
            id="the kernel alone",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal"),
        ),
    ],
)
def test_a_jvm_dies_with_its_parent(tmp_path: Path, kind: str, is_watchdog_killed: bool) -> None:
    """The parent gets SIGKILL and can clean up nothing: its JVM is gone all the same, by each net alone."""
    parent, jvm, watchdog_pid = start_parent(tmp_path, kind)
    with parent:
        try:
            assert jvm.state is ProcessState.RUNNING
            if is_watchdog_killed:
                os.kill(watchdog_pid, signal.SIGKILL)
                assert jvm.state is ProcessState.RUNNING
        finally:
            parent.kill()
    assert wait_gone([jvm])


def test_a_jvm_stays_while_its_parent_lives(tmp_path: Path) -> None:
    """The nets catch nothing that does not fall: a second later the JVM is still there."""
    parent, jvm, _ = start_parent(tmp_path, "lifelong")
    with parent:
        try:
            assert not wait_gone([jvm], seconds=1.0)
        finally:
            parent.kill()
    assert wait_gone([jvm])


def test_a_released_jvm_outlives_its_guardian(tmp_path: Path) -> None:
    """What `lab up` leaves behind is let go on purpose, and can be ended later by its identity."""
    guardian = Guardian(is_lifelong=False)
    waiting = ("-XX:+UnlockDiagnosticVMOptions", "-XX:+PauseAtStartup", f"-XX:PauseAtStartupFile={tmp_path}/pause")
    process = JvmProcess.start(
        JvmCommand(
            name="idle", main_class="None", arguments=(), flags=waiting, classpath="", log_file=tmp_path / "idle.log"
        ),
        guardian=guardian,
    )
    try:
        guardian.release(process.identity)
        guardian.close()
        assert process.state is ProcessState.RUNNING
    finally:
        process.kill(Deadline.after(10))
    assert process.state is ProcessState.GONE


def test_a_jvm_that_dies_at_its_start_says_why(tmp_path: Path, guardian: Guardian) -> None:
    """A broker whose port is taken: the error names the member, the cause and the log; nothing else is left."""
    made = make_lab(tmp_path / "lab", BROKERS_ONLY, guardian)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", made.plan.cluster("east").nodes[0].client_port))
        taken.listen()
        with pytest.raises(LabFailed, match=r"east/broker-1 died \(exit code 1\).*Address already in use") as caught:
            made.up(Deadline.after(60))
    assert "broker.log" in (caught.value.hint or "")
    assert "BindException" in (caught.value.detail or "")
    assert not made.is_running


def test_three_brokers_a_side_survive_the_loss_of_one(tmp_path: Path, guardian: Guardian) -> None:
    """Both clusters come up with three brokers; a topic with three copies takes writes with one broker killed."""
    with make_lab(tmp_path / "lab", LabSpec(brokers=3, has_connect=False), guardian) as made:
        made.up(Deadline.after(120))
        with KafkaCluster(made.west) as cluster:
            assert len(cluster.describe(Deadline.after(10)).brokers) == 3
        with KafkaCluster(made.east) as cluster:
            topic = cluster.topics.create([TopicSpec(name="orders", partitions=3)], Deadline.after(20)).pop()
            assert cluster.topics.describe([topic], Deadline.after(10))[topic].replication_factor == 3
            made.kill("east/broker-2")
            writer = cluster.writer("lab-test")
            for partition in range(3):
                writer.send(Outgoing(topic, b"key", b"value", partition=partition))
            writer.flush(Deadline.after(30))
            made.start("east/broker-2", wait=Deadline.after(60))
            assert len(cluster.describe(Deadline.after(10)).brokers) == 3


def lab_command(*arguments: str) -> list[str]:
    """Return the command line of a lab verb."""
    return [sys.executable, "-m", "replicator", "lab", *arguments]


def run_lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a lab verb to its end."""
    return subprocess.run(lab_command(*arguments), capture_output=True, text=True, timeout=120, check=False)


def members_of(answer: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return member to state as a verb printed them."""
    assert answer.returncode == 0, answer.stderr
    envelope = json.loads(answer.stdout)
    assert (envelope["apiVersion"], envelope["kind"]) == ("replicator/v1", "Lab")
    return {member["member"]: member["state"] for member in envelope["item"]["members"]}


def known_processes(folder: Path) -> list[ProcessIdentity]:
    """Return the processes a lab's folder remembers."""
    return [process.identity for process in read_state(folder / "lab.json").processes.values()]


def test_the_command_line_tells_the_whole_story(tmp_path: Path) -> None:
    """`lab up` detaches and prints addresses and a configuration, the other verbs act on it from new
    processes, a second `up` is refused, one of another kind too, the next after `down` finds its data, `--purge`
    leaves nothing."""
    folder = tmp_path / "lab"
    where = ("--dir", str(folder), "-o", "json")
    try:
        up = run_lab("up", "--no-connect", *where)
        running = {"east/broker-1": "running", "west/broker-1": "running"}
        assert members_of(up) == running
        item = json.loads(up.stdout)["item"]
        assert Path(item["config"]).is_file()
        with KafkaCluster(Lab.open(folder).west) as cluster:
            assert cluster.describe(Deadline.after(10)).cluster_id == item["clusters"]["west"]["cluster_id"]
            cluster.topics.create([TopicSpec(name="kept", partitions=1)], Deadline.after(10))
        refused = run_lab("up", "--no-connect", *where)
        assert (refused.returncode, json.loads(refused.stderr.splitlines()[-1])["kind"]) == (4, "Error")
        assert members_of(run_lab("freeze", "east", *where)) == {**running, "east/broker-1": "frozen"}
        assert members_of(run_lab("thaw", "east", *where)) == running
        assert members_of(run_lab("kill", "east", *where)) == {**running, "east/broker-1": "gone"}
        assert members_of(run_lab("down", *where)) == dict.fromkeys(running, "gone")
        assert run_lab("up", "--brokers", "3", *where).returncode == 2
        assert members_of(run_lab("up", "--no-connect", *where)) == running
        with KafkaCluster(Lab.open(folder).west) as cluster:
            assert "kept" in cluster.topics.names(Deadline.after(10))
        known = known_processes(folder)
    finally:
        gone = run_lab("down", "--purge", "--dir", str(folder))
    assert gone.returncode == 0
    assert wait_gone(known, seconds=1.0)
    assert not folder.exists()
    assert run_lab("status", "--dir", str(folder)).returncode == 10


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_up_leaves_nothing_running(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Ctrl-C, or even SIGKILL, while brokers start: none of them is left."""
    folder = tmp_path / "lab"
    up = subprocess.Popen(lab_command("up", "--no-connect", "--dir", str(folder)), stderr=subprocess.DEVNULL)
    deadline = Deadline.after(60)
    while not (folder / "lab.json").exists() or len(known_processes(folder)) < 2:
        deadline.check("the lab's brokers were not started")
        time.sleep(0.02)
    started = known_processes(folder)
    up.send_signal(number)
    assert up.wait(timeout=30) == status
    assert wait_gone(started)
