"""The stage of the flow benchmark: two brokers, one worker with and one without exactly-once, a full topic.

Every contender mirrors the same topic into a topic of its own and is gone afterwards. All JVMs have the same
heap and flags; nothing but the connector's configuration differs between contenders of one delivery.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.jvm import Guardian, JvmCommand, JvmProcess, JvmProfile, kafka_classpath, render_properties
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.connectors import ConnectorState
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.wire import RawClient, count_visible
from replicator.worker import WorkerSpec, is_worker_ready, worker_properties
from replicator.worker.files import LOG4J_FILE, PROPERTIES_FILE, write_worker_files

HEAP_MIB = 1024
RECORD_BYTES = 1024
POLL_SECONDS = 0.05
RUN_SECONDS_MAX = 300.0
KEEP = {"retention.ms": "-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """One run, from the first record seen to the last.

    `cpu_seconds` is what brokers and workers used, `others_share` the part of the machine's CPUs that processes
    outside the benchmark took meanwhile.
    """

    mb_per_second: float
    seconds: float
    cpu_seconds: float
    others_share: float


class CpuMeter:
    """CPU used since it was made: by the given processes, and by everybody else."""

    def __init__(self, own: Sequence[psutil.Process]) -> None:
        self._own = own
        self._began = (time.monotonic(), self._own_seconds(), self._busy_seconds())

    def read(self) -> tuple[float, float]:
        """Return the processes' CPU seconds, and the share of all CPUs that others used."""
        at, own, busy = self._began
        own_used = self._own_seconds() - own
        others = self._busy_seconds() - busy - own_used
        return own_used, max(0.0, others) / ((time.monotonic() - at) * (psutil.cpu_count() or 1))

    def _own_seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._own)

    @staticmethod
    def _busy_seconds() -> float:
        times = psutil.cpu_times()
        return float(times.user + times.system)


class Stage:
    """Everything the contenders share. A context manager; leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        guardian = Guardian()
        self._stack.callback(guardian.close)
        spec = LabSpec(is_quick=False, broker_heap_mib=HEAP_MIB, connect_heap_mib=HEAP_MIB)
        self.lab = Lab.make(self._folder / "lab", spec, guardian=guardian, rng=random.Random())
        self._stack.callback(self.lab.down)
        self.lab.up(Deadline.after(120))
        self.source = self._stack.enter_context(KafkaCluster(self.lab.east))
        self.target = self._stack.enter_context(KafkaCluster(self.lab.west))
        self.exactly_once = self._stack.enter_context(ConnectClient(self.lab.connect_url("west")))
        self.at_least_once = self._stack.enter_context(ConnectClient(self._plain_worker(guardian)))
        self._own = [psutil.Process(), *(psutil.Process(m.pid) for m in self.lab.status() if m.pid is not None)]
        self._own.append(psutil.Process(self._plain_pid))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _plain_worker(self, guardian: Guardian) -> str:
        """Start the worker without exactly-once: with it on, every connector would be transactional."""
        spec = WorkerSpec(cluster=self.lab.west, group_id="plain", rest_port=free_port(), replication_factor=1)
        folder = self._folder / "plain-worker"
        write_worker_files(folder, spec)
        own = {"exactly.once.source.support": "disabled"}
        properties = folder / PROPERTIES_FILE
        properties.write_text(render_properties({**worker_properties(spec), **own}), encoding="utf-8")
        process = JvmProcess.start(
            JvmCommand(
                name="plain worker",
                main_class="org.apache.kafka.connect.cli.ConnectDistributed",
                arguments=(str(properties),),
                flags=JvmProfile(heap_mib=HEAP_MIB).flags(log4j_file=folder / LOG4J_FILE),
                classpath=kafka_classpath(),
                log_file=folder / "worker.log",
            ),
            guardian=guardian,
        )
        self._stack.callback(process.kill, Deadline.after(3600))
        self._plain_pid = process.identity.pid
        deadline = Deadline.after(120)
        while not is_worker_ready(spec.url):
            process.check_alive()
            deadline.check("the plain worker is not ready")
            time.sleep(0.1)
        return spec.url

    def make_topic(self, cluster: KafkaCluster, name: str, partitions: int) -> TopicName:
        """Make a topic that keeps everything."""
        spec = TopicSpec(name=TopicName(name), partitions=partitions, configs=KEEP)
        cluster.topics.create([spec], Deadline.after(60))
        return spec.name

    def fill(self, name: str, records: int, *, partitions: int) -> float:
        """Leave a topic with so many records of random bytes; returns the seconds it took."""
        topic = self.make_topic(self.source, name, partitions)
        writer = self.source.writer("fill", **{"linger.ms": 20, "batch.size": 262144, "delivery.timeout.ms": 120_000})
        began = time.monotonic()
        for number in range(records):
            writer.send(Outgoing(topic, None, os.urandom(RECORD_BYTES), partition=number % partitions))
        writer.flush(Deadline.after(120))
        seconds = time.monotonic() - began
        writer.close()
        return seconds

    def mirror(
        self, connect: ConnectClient, config: Mapping[str, str], *, remote: str, records: int, partitions: int
    ) -> Throughput:
        """Run one contender until every record is on the target, and clean up after it.

        Raises:
            DeadlineExceeded: it did not finish. AssertionError: the copy is not complete.
        """
        topic = self.make_topic(self.target, remote, partitions)
        copies = [TopicPartition(topic, number) for number in range(partitions)]
        connect.create(config["name"], config, deadline=Deadline.after(60), initial_state=ConnectorState.RUNNING)
        try:
            meter = CpuMeter(self._own)
            began, ended = self._watch(copies, records)
            own_seconds, others_share = meter.read()
            copied = sum(self.count(self.target, partition) for partition in copies)
        finally:
            connect.stop(config["name"], Deadline.after(60))
            connect.delete(config["name"], Deadline.after(60))
            self.target.topics.delete([topic], Deadline.after(60))
        assert copied == records, f"{config['name']} copied {copied} of {records} records"
        seconds = ended - began
        return Throughput(
            mb_per_second=records * RECORD_BYTES / 1e6 / seconds,
            seconds=seconds,
            cpu_seconds=own_seconds,
            others_share=others_share,
        )

    def _watch(self, partitions: list[TopicPartition], records: int) -> tuple[float, float]:
        """Return when the first offsets moved and when the last did; markers move offsets as well."""
        deadline = Deadline.after(RUN_SECONDS_MAX)
        before, began, ended, seen = time.monotonic(), 0.0, 0.0, 0
        while not (seen >= records and time.monotonic() - ended > 1.5):
            deadline.check("the contender does not finish")
            total = sum(ends.end for ends in self.target.positions.ends(partitions, deadline).values())
            now = time.monotonic()
            if total > seen:
                began = began or before
                seen, ended = total, now
            before = now
            time.sleep(POLL_SECONDS)
        return began, ended

    def count(self, cluster: KafkaCluster, partition: TopicPartition) -> int:
        """Return how many visible records a partition holds, counted from its raw batches."""
        ends = cluster.positions.ends([partition], Deadline.after(30))[partition]
        with RawClient(cluster.access) as raw:
            found = count_visible(
                raw,
                partition,
                from_offset=ends.log_start,
                to_offset=ends.last_stable,
                deadline=Deadline.after(120),
                max_bytes=2**33,
            )
        assert found.to_offset == ends.end, f"{partition}: an open transaction is left"
        return found.visible_records

    def read_speed(self, topic: TopicName, *, partitions: int) -> float:
        """Return MB/s of reading the whole source topic raw, checksums proven: the limit of one reader."""
        began, total = time.monotonic(), 0
        for number in range(partitions):
            total += self.count(self.source, TopicPartition(topic, number))
        return total * RECORD_BYTES / 1e6 / (time.monotonic() - began)

    def latencies(
        self, connect: ConnectClient, config: Mapping[str, str], *, topic: str, remote: str, rate: int, seconds: float
    ) -> list[float]:
        """Return the milliseconds from produce to consume of each record under a light, steady load."""
        source, target = self.make_topic(self.source, topic, 1), self.make_topic(self.target, remote, 1)
        connect.create(config["name"], config, deadline=Deadline.after(60), initial_state=ConnectorState.RUNNING)
        try:
            connect.wait_for(
                config["name"], lambda status: bool(status.tasks), Deadline.after(60), what="running with a task"
            )
            return self._drip(source, target, rate=rate, seconds=seconds)
        finally:
            connect.stop(config["name"], Deadline.after(60))
            connect.delete(config["name"], Deadline.after(60))
            self.source.topics.delete([source], Deadline.after(60))
            self.target.topics.delete([target], Deadline.after(60))

    def _drip(self, source: TopicName, target: TopicName, *, rate: int, seconds: float) -> list[float]:
        """Produce evenly and consume in the same thread's breaks; the first seconds warm up and do not count."""
        warm = min(5.0, seconds / 2)
        found: list[float] = []
        writer = self.source.writer("drip", **{"linger.ms": 0})
        with self.target.subscribe(GroupName(f"drip.{target}"), [target]) as consumer:
            consumer.wait_for_assignment(Deadline.after(60))
            began = time.monotonic()
            sent = 0
            while (elapsed := time.monotonic() - began) < seconds + 3.0:
                while sent < rate * min(elapsed, seconds):
                    stamp = time.monotonic_ns().to_bytes(8, "big")
                    writer.send(Outgoing(source, None, stamp + os.urandom(RECORD_BYTES - 8), partition=0))
                    sent += 1
                for record in consumer.poll(timeout_seconds=0.001):
                    at = int.from_bytes((record.value or b"")[:8], "big")
                    if at / 1e9 - began > warm:
                        found.append((time.monotonic_ns() - at) / 1e6)
        writer.close()
        assert len(found) >= 0.9 * rate * (seconds - warm), f"only {len(found)} of {sent} records arrived"
        return found


def free_port() -> int:
    """Return a port nobody listens on now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
