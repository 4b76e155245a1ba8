"""A Connect worker as a local JVM: found again by its folder, alone at its port, plain when it dies."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.errors import LabFailed
from replicator.jvm import Guardian, JvmProfile, ProcessState
from replicator.lab import Lab
from replicator.lab.ports import choose_ports
from replicator.worker import ProcessWorker, WorkerSpec, is_worker_ready

pytestmark = pytest.mark.lab

PROFILE = JvmProfile(heap_mib=384, is_quick=True)


def make_spec(lab: Lab, names) -> WorkerSpec:
    """Return a worker beside west in a group of this test's own."""
    (port,) = choose_ports(1, rng=random.Random())
    return WorkerSpec(
        cluster=lab.access("west", "mm2"), group_id=names.group("worker"), rest_port=port, replication_factor=1
    )


def test_who_opens_the_folder_finds_the_worker(lab: Lab, names, tmp_path: Path) -> None:
    """Another process of ours takes up the same JVM instead of a second, and ends it for all."""
    guardian = Guardian()
    here = ProcessWorker(make_spec(lab, names), folder=tmp_path, profile=PROFILE, guardian=guardian, is_lasting=True)
    try:
        started = here.start()
        here.wait_ready(Deadline.after(60))
        there = ProcessWorker(here.spec, folder=tmp_path, profile=PROFILE, is_lasting=True)
        assert there.start().identity == started.identity
        there.stop(Deadline.after(20))
        assert there.state() is ProcessState.GONE
        assert started.wait_gone(Deadline.after(5))
        assert here.state() is ProcessState.GONE
        assert not is_worker_ready(here.url)
        assert is_worker_ready(lab.connect_url("west"))
    finally:
        here.stop(Deadline.after(10))
        guardian.close()


def test_a_port_of_somebody_else_is_refused(lab: Lab, names, tmp_path: Path) -> None:
    """A worker already answers at the address: ours is not started, and that one is not taken for it."""
    taken = int(lab.connect_url("west").rsplit(":", 1)[1])
    worker = ProcessWorker(replace(make_spec(lab, names), rest_port=taken), folder=tmp_path, profile=PROFILE)
    with pytest.raises(LabFailed, match="cannot listen at http"):
        worker.start()
    assert worker.state() is ProcessState.GONE
    assert is_worker_ready(lab.connect_url("west"))


def test_a_worker_that_dies_at_its_start_says_why(lab: Lab, names, tmp_path: Path) -> None:
    """Flags that the JVM refuses: the wait ends at once, with the JVM's own words and the log's place."""
    profile = JvmProfile(heap_mib=384, extra=("-XX:+NoSuchFlag",))
    guardian = Guardian()
    worker = ProcessWorker(make_spec(lab, names), folder=tmp_path, profile=profile, guardian=guardian)
    try:
        worker.start()
        with pytest.raises(LabFailed, match=r"west/connect died.*NoSuchFlag") as caught:
            worker.wait_ready(Deadline.after(60))
    finally:
        worker.stop(Deadline.after(10))
        guardian.close()
    assert "worker.log" in (caught.value.hint or "")


def test_a_spoilt_note_of_the_process_is_told(lab: Lab, names, tmp_path: Path) -> None:
    """A note that names no process is an error, not a second worker; never started is its own answer."""
    worker = ProcessWorker(make_spec(lab, names), folder=tmp_path, profile=PROFILE, is_lasting=True)
    with pytest.raises(LabFailed, match="never started"):
        worker.wait_ready(Deadline.after(1))
    worker.files.process.write_text("[]")
    with pytest.raises(LabFailed, match=r"process\.json"):
        worker.start()
