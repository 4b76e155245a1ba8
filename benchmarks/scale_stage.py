"""The stage of the scale benchmark: clusters that grow, groups with positions, and a supervisor with its faces.

No record is mirrored: what Connect would store of 10,000 mirrored partitions is written as Connect writes it, so
that every part of the supervisor has all it would have, and the machine's CPUs are left to what is measured.
"""

from __future__ import annotations

import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from replicator.clock import Deadline
from replicator.connect import encode_stored_offset
from replicator.errors import OperationFailed, ReplicatorError
from replicator.http import HttpClient
from replicator.jvm import Guardian, kafka_classpath, show_download
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition

FLOW = "scale"
PARTITIONS_A_TOPIC = 10
PARTITIONS_A_GROUP = 10
TOPICS_AT_ONCE = 200
RECORDS_AT_ONCE = 500
"""Each opens a segment on the broker: more of them at once time out on a busy machine."""
WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to look at."""

    partitions: int
    groups: int

    @property
    def name(self) -> str:
        """As the table's rows say it."""
        return f"{self.partitions:,} partitions, {self.groups:,} groups"


class Stage:
    """Two clusters with the same topics, which only grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with show_download() as progress:
            kafka_classpath(progress)
        self._guardian = Guardian()
        spec = LabSpec(broker_heap_mib=640)
        self.lab = Lab.make(folder / "lab", spec, guardian=self._guardian, rng=random.Random())
        self.partitions: list[TopicPartition] = []
        self.groups: list[GroupName] = []

    def __enter__(self) -> Self:
        self.lab.up(Deadline.after(120))
        self.east, self.west = KafkaCluster(self.lab.east), KafkaCluster(self.lab.west)
        self._write_config()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.east.close()
        self.west.close()
        self.lab.down()
        self._guardian.close()

    def _write_config(self) -> None:
        self.config = self.folder / "replicator.yaml"
        objectives = {"rpo_seconds": 60}
        flow = {"source": "east", "target": "west", "topics": {"include": ["scale.*"]}, "objectives": objectives}
        text = self.lab.config_path.read_text()
        self.config.write_text(text.replace("flows: {}", f"flows: {json.dumps({FLOW: flow})}"))

    def grow(self, size: Size) -> None:
        """Leave both clusters with that many partitions, one record in each, and groups with positions."""
        first = len(self.partitions) // PARTITIONS_A_TOPIC
        names = [TopicName(f"scale.{number:05}") for number in range(first, size.partitions // PARTITIONS_A_TOPIC)]
        for cluster in (self.east, self.west):
            for place in range(0, len(names), TOPICS_AT_ONCE):
                specs = [TopicSpec(name=name, partitions=PARTITIONS_A_TOPIC) for name in names[place:][:TOPICS_AT_ONCE]]
                cluster.topics.create(specs, Deadline.after(WAIT_SECONDS))
        added = [TopicPartition(name, number) for name in names for number in range(PARTITIONS_A_TOPIC)]
        self.partitions += added
        self._write_records(added)
        self._write_positions(added)
        self._commit_groups(size.groups)

    def _write_records(self, partitions: list[TopicPartition]) -> None:
        writer = self.east.writer("scale")
        for place in range(0, len(partitions), RECORDS_AT_ONCE):
            for tp in partitions[place:][:RECORDS_AT_ONCE]:
                writer.send(Outgoing(tp.topic, None, b"x" * 100, partition=tp.partition))
            writer.flush(Deadline.after(WAIT_SECONDS))
        writer.close()

    def _write_positions(self, partitions: list[TopicPartition]) -> None:
        """Write what Connect stores of a mirrored partition."""
        topic = TopicName(f"{self.lab.group_id('west')}.offsets")
        writer = self.west.writer("scale")
        for tp in partitions:
            writer.send(Outgoing(topic, *encode_stored_offset(f"{FLOW}.source", "east", tp, 0)))
        writer.flush(Deadline.after(WAIT_SECONDS))
        writer.close()

    def _commit_groups(self, count: int) -> None:
        new = [GroupName(f"scale-group-{number:05}") for number in range(len(self.groups), count)]
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(self._commit, new, range(len(self.groups), count)))
        self.groups += new

    def _commit(self, group: GroupName, number: int) -> None:
        first = number * PARTITIONS_A_GROUP % len(self.partitions)
        chosen = self.partitions[first : first + PARTITIONS_A_GROUP]
        self.east.groups.commit(group, dict.fromkeys(chosen, 1), Deadline.after(WAIT_SECONDS))

    @contextmanager
    def supervisor(self) -> Iterator[Supervised]:
        """Yield a supervisor, as a user starts it, that has seen every partition and group."""
        log = (self.folder / "run.log").open("ab")
        argv = [sys.executable, "-m", "replicator", "-c", str(self.config), "run"]
        address = "127.0.0.1:19108"
        environ = {**os.environ, "REPLICATOR_SUPERVISOR__LISTEN": address}
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environ)
        supervised = Supervised(process, f"http://{address}", environ, self.config)
        try:
            supervised.wait_whole(partitions=len(self.partitions), groups=len(self.groups))
            yield supervised
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            log.close()


class Supervised:
    """A supervisor that runs."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, environ: dict[str, str], config: Path) -> None:
        self._process = psutil.Process(process.pid)
        self._environ = environ
        self._config = config
        self.url = url

    def wait_whole(self, *, partitions: int, groups: int) -> None:
        """Return once its status holds every partition's lag and every group."""
        deadline = Deadline.after(WAIT_SECONDS)
        while not self._is_whole(partitions=partitions, groups=groups):
            deadline.check("the supervisor did not see everything")
            time.sleep(0.5)

    def _is_whole(self, *, partitions: int, groups: int) -> bool:
        with HttpClient(self.url, timeout_seconds=10.0) as client:
            try:
                flow: Any = client.request("GET", f"/v1/flows/{FLOW}").json()["item"]
                lag: Any = client.request("GET", f"/v1/flows/{FLOW}/lag", params={"limit": "1"}).json()["item"]
            except (ReplicatorError, KeyError):
                return False
        is_lag_known = lag["lag_records"] == 0 and lag["topics_total"] * PARTITIONS_A_TOPIC == partitions
        return is_lag_known and flow["groups_observed"] == groups

    @property
    def resident_mib(self) -> float:
        """Resident memory."""
        return float(self._process.memory_info().rss) / 2**20

    def cpu_seconds(self) -> float:
        """CPU spent so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def scrape_seconds(self) -> tuple[float, int]:
        """Return how long one scrape took, and its bytes."""
        with HttpClient(self.url, timeout_seconds=30.0) as client:
            began = time.monotonic()
            size = len(client.request("GET", "/metrics").body)
            return time.monotonic() - began, size

    def command_seconds(self, *words: str) -> float:
        """Return how long a command took."""
        argv = [sys.executable, "-m", "replicator", "-c", str(self._config), *words]
        began = time.monotonic()
        subprocess.run(argv, env=self._environ, capture_output=True, check=True, timeout=60)
        return time.monotonic() - began

    def first_paint_seconds(self) -> float:
        """Return how long the dashboard took from its start until the flow's name stood on the terminal."""
        argv = [sys.executable, "-m", "replicator", "-c", str(self._config), "tui"]
        environ = {**self._environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        master, slave = pty.openpty()
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environ, close_fds=True)
        os.close(slave)
        try:
            return _until_seen(master, FLOW.encode()) - began
        finally:
            process.kill()
            process.wait(10)
            os.close(master)


def _until_seen(master: int, word: bytes) -> float:
    """Return the moment at which the word stood on the terminal."""
    seen = b""
    end = time.monotonic() + 30.0
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65_536)
            if word in seen:
                return time.monotonic()
    raise OperationFailed(f"nothing of the flow was painted in 30 s: {seen[-300:]!r}")
