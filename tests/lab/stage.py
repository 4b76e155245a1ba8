"""What tests of the supervisor on real clusters share: a stage with flows, a daemon as a user starts it, patience."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from replicator.clock import Deadline
from replicator.flow import read_positions
from replicator.journal import Observations, Observed
from replicator.jvm import ProcessState
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, free_address
from replicator.model.cluster import ClusterAccess, TopicSpec
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.observations import ClusterObservation
from replicator.model.supervision.status import FlowStatus
from replicator.supervisor.daemon import Supervisor

PERIOD_SECONDS = 2.0
"""What the design calls one observation period."""

SHOP, BACK = FlowName("shop"), FlowName("back")
ORDERS, BOOKINGS, OVERTAKEN = TopicName("orders"), TopicName("bookings"), TopicName("overtaken")
EAST = ClusterName("east")
Value = TypeVar("Value")


@dataclass
class Stage:
    """A lab with the flow `shop` from east to west running, and `back` from west to east only watched."""

    lab: Lab
    config: Path
    east: KafkaCluster
    west: KafkaCluster

    def observed(self) -> Observed:
        return Observations(self.west).read(SHOP, Deadline.after(10))

    def contact(self) -> ClusterObservation:
        return self.observed().clusters[EAST]

    def produce(self, count: int, *, topic: TopicName = ORDERS, partition: int | None = None) -> None:
        writer = self.east.writer("test")
        for number in range(count):
            writer.send(Outgoing(topic, str(number).encode(), b"x" * 100, partition=partition))
        writer.flush(Deadline.after(20))
        writer.close()

    def mirrored_position(self, tp: TopicPartition) -> int | None:
        offsets_topic = TopicName(f"{self.lab.group_id('west')}.offsets")
        return read_positions(self.west, offsets_topic, f"{SHOP}.source", Deadline.after(10)).get(tp)

    def revive_east(self) -> None:
        """Leave east running, whatever a test did to it."""
        states = {member.member: member.state for member in self.lab.status()}
        match states["east/broker-1"]:
            case ProcessState.FROZEN:
                self.lab.thaw("east")
            case ProcessState.GONE:
                self.lab.start("east", wait=None)
        self.lab.wait_ready("east", Deadline.after(60))


def run_cli(*arguments: str, listen: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command; `listen` is where its configuration says that the supervisor answers."""
    env = {**os.environ, "REPLICATOR_SUPERVISOR__LISTEN": listen or free_address()}
    return subprocess.run(cli(arguments), capture_output=True, text=True, timeout=60, check=False, env=env)


@contextmanager
def start_cli(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a command that runs beside us, where no supervisor answers; it is gone afterwards."""
    env = {**os.environ, "REPLICATOR_SUPERVISOR__LISTEN": free_address()}
    pipe = subprocess.PIPE
    with subprocess.Popen(cli(arguments), stdout=pipe, stderr=pipe, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def cli(arguments: Sequence[str]) -> list[str]:
    """The command line of our own program."""
    return [sys.executable, "-m", "replicator", *arguments]


def make_topics(access: ClusterAccess, *names: TopicName) -> None:
    with KafkaCluster(access) as cluster:
        specs = [TopicSpec(name=name, partitions=3, configs={"retention.ms": "-1"}) for name in names]
        cluster.topics.create(specs, Deadline.after(20))


@contextmanager
def open_stage(lab: Lab, folder: Path, *, rpo_seconds: float = 30) -> Iterator[Stage]:
    """Yield a lab with `shop` applied and running, and `back` configured."""
    flows = {
        SHOP: {
            "source": "east",
            "target": "west",
            "topics": {"include": [ORDERS, BOOKINGS, OVERTAKEN]},
            "objectives": {"rpo_seconds": rpo_seconds},
        },
        BACK: {"source": "west", "target": "east", "topics": {"include": ["west-only"]}, "naming": "prefix"},
    }
    text = lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps(flows)}")
    config = folder / "replicator.yaml"
    config.write_text(text)
    make_topics(lab.east, ORDERS, BOOKINGS, OVERTAKEN)
    make_topics(lab.west, TopicName("west-only"))
    applied = run_cli("-c", str(config), "apply", SHOP)
    assert applied.returncode == 0, applied.stderr
    with KafkaCluster(lab.east) as east, KafkaCluster(lab.west) as west:
        yield Stage(lab, config, east, west)


class Daemon:
    """One `replicator run`, as a user starts it; its log is read line by line."""

    def __init__(self, stage: Stage, folder: Path, name: str = "run") -> None:
        self._log_path = folder / f"{name}.log"
        self._log = self._log_path.open("wb")
        self.listen = free_address()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "replicator", "-c", str(stage.config), "run"],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env={**os.environ, "REPLICATOR_SUPERVISOR__LISTEN": self.listen},
        )

    def events(self, event: str, **wanted: Any) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log_path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event and wanted.items() <= line.items()]

    def log_text(self) -> str:
        return self._log_path.read_text()

    def wait_for_event(self, event: str, *, seconds: float = 30, **wanted: Any) -> dict[str, Any]:
        return wait_until(lambda: next(iter(self.events(event, **wanted)), None), seconds=seconds, what=event)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(timeout=30)
        self._log.close()


@contextmanager
def running(stage: Stage, folder: Path, name: str = "run") -> Iterator[Daemon]:
    daemon = Daemon(stage, folder, name)
    try:
        yield daemon
    finally:
        daemon.close()


def wait_until(
    ask: Callable[[], Value | None], *, seconds: float = 30, what: str = "it", told: Callable[[], object] = str
) -> Value:
    """Return the first answer that is true, or fail and say how it stands then."""
    deadline = Deadline.after(seconds)
    while not deadline.is_over:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within {seconds:g} s: {told()}")


def flow_of(supervisor: Supervisor) -> FlowStatus:
    found = supervisor.status.flow(SHOP)
    assert found is not None
    return found
