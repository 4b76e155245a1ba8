"""Snapshots beside plain loops over the same records, in one run: `python -m benchmarks.snapshot`.

On an embedded broker and a real S3 server: (a) raw receive with nothing stored, (b) our snapshot to a folder (with its
default settings, and bare), to S3 and to a memory-backed folder, (c) a plain `confluent_kafka` loop that consumes and
writes, (d) a plain write and fsync of as many bytes to the same disk. Then restore beside a plain producer loop,
verification, fifty partitions for memory, and a snapshot of a thousand partitions in which nothing changed.
Each contender runs in a process of its own and in turn, round after round; its CPU and peak memory are its process's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console

from benchmarks.report import Report
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.jvm import Guardian
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.names import TopicName
from replicator.snapshot import Repository, load_keys
from tests.s3 import environment_for, s3_server

HEAP_MIB = 1024
MB = 1e6
RAW, DISK, LOOP = "(a) raw receive", "(d) write + fsync", "(c) consume and write"
FOLDER, BARE, S3, MEMORY = "(b) to a folder", "(b) bare, to a folder", "(b) to S3", "(b) to a memory-backed folder"
RESTORE, PRODUCE, VERIFY = "restore", "producer loop", "verify level 3"
RUN_SECONDS_MAX = 900
SHM = Path("/dev/shm")  # noqa: S108 - the memory-backed folder that is measured
BATCH_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of records."""

    record_bytes: int
    codec: str
    partitions: int

    @property
    def name(self) -> str:
        """What its rows are called."""
        size = f"{self.record_bytes} B" if self.record_bytes < 1024 else f"{self.record_bytes // 1024} KiB"
        codec = "uncompressed" if self.codec == "none" else self.codec
        return f"{size}, {codec}, {self.partitions} partition{'s' if self.partitions > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    megabytes: int
    rounds: int
    cases: tuple[Case, ...]
    idle_partitions: int


SMALL_LZ4, MAIN = Case(100, "lz4", 12), Case(1024, "none", 12)
ALL = tuple(Case(size, codec, count) for size in (100, 1024, 10240) for codec in ("none", "lz4") for count in (1, 12))
FULL = Scale(512, 3, ALL, 1000)
QUICK = Scale(96, 1, (SMALL_LZ4, MAIN), 200)
RESTORED = Case(1024, "none", 8)


class Stage:
    """A broker, an S3 server, a signing key, and the contenders' processes. Leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        key = Ed25519PrivateKey.generate()
        self._key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._number = 0

    def __enter__(self) -> Self:
        guardian = Guardian()
        self._stack.callback(guardian.close)
        spec = LabSpec(is_quick=False, has_connect=False, broker_heap_mib=HEAP_MIB)
        lab = Lab.make(self.folder / "lab", spec, guardian=guardian, rng=random.Random())
        self._stack.callback(lab.down)
        lab.up(Deadline.after(120))
        self.bootstrap = lab.east.bootstrap
        self.cluster = self._stack.enter_context(KafkaCluster(lab.east))
        self.s3 = self._stack.enter_context(s3_server(self.folder / "s3", guardian))
        os.environ.update(environment_for(self.s3.endpoint))
        self._memory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=SHM)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fresh(self, kind: str, *, is_signed: bool = True) -> dict[str, str]:
        """Return an empty store of a kind, with a repository in it, as the part of a job that names it."""
        self._number += 1
        name = f"store-{self._number}"
        url = {
            S3: lambda: self.s3.make_bucket(name),
            MEMORY: lambda: str(self._memory / name),
        }.get(kind, lambda: str(self.folder / name))()
        Repository.init(url, clock=SYSTEM_CLOCK, tool="benchmark", keys=load_keys(self._key if is_signed else None))
        return {"store": url} | ({"signing_key": self._key} if is_signed else {})

    def drop(self, store: str) -> None:
        """Make room: what a run stored is gone."""
        place = self.s3.data / store.removeprefix("s3://") if store.startswith("s3://") else Path(store)
        shutil.rmtree(place, ignore_errors=True)

    def make_topic(self, name: str, partitions: int) -> TopicName:
        """Make a topic that keeps everything."""
        spec = TopicSpec(name=TopicName(name), partitions=partitions, configs={"retention.ms": "-1"})
        self.cluster.topics.create([spec], Deadline.after(120))
        return spec.name

    def delete_topic(self, name: str) -> None:
        """Make room on the broker."""
        self.cluster.topics.delete([TopicName(name)], Deadline.after(60))

    def run(self, act: str, **job: Any) -> dict[str, float]:
        """Return what a contender took, in a process of its own."""
        text = json.dumps({"act": act, "bootstrap": self.bootstrap, **job})
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.snapshot_hands", text],
            check=False, capture_output=True, text=True, timeout=RUN_SECONDS_MAX,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{act}: {done.stderr[-2000:]}")
        answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return answer


def fill(stage: Stage, case: Case, megabytes: int) -> dict[str, Any]:
    """Leave a topic with a case's records; return what jobs need to know of it."""
    records = megabytes * 1_000_000 // case.record_bytes
    topic = stage.make_topic(case.name.translate(str.maketrans({" ": "-", ",": None})), case.partitions)
    job = {
        "topic": topic, "partitions": case.partitions, "records": records, "record_bytes": case.record_bytes,
        "codec": case.codec, "batch_bytes": BATCH_BYTES, "total_records": records, "compression": "auto",
    }  # fmt: skip
    stage.run("fill", **job)
    return job


def measure_case(stage: Stage, case: Case, scale: Scale, report: Report, console: Console) -> None:
    """Run every contender over a case's records, in turn, round after round."""
    job = fill(stage, case, scale.megabytes)
    runs: dict[str, list[dict[str, float]]] = {}
    for number in range(scale.rounds):
        runs.setdefault(RAW, []).append(stage.run("receive", **job))
        stored = int(runs[RAW][0]["bytes"])
        file = stage.folder / "plain"
        runs.setdefault(DISK, []).append(stage.run("write", file=str(file), bytes=stored))
        for kind in (FOLDER, BARE, S3, MEMORY):
            place = stage.fresh(kind, is_signed=kind is not BARE)
            compression = "none" if kind is BARE else "auto"
            runs.setdefault(kind, []).append(stage.run("capture", **{**job, **place, "compression": compression}))
            if kind is FOLDER:
                runs.setdefault(VERIFY, []).append(stage.run("verify", **job, **place))
            stage.drop(place["store"])
        runs.setdefault(LOOP, []).append(stage.run("consume", **job, file=str(file)))
        file.unlink()
        console.print(f"{case.name}: round {number + 1} of {scale.rounds}", style="dim")
    for subject, found in runs.items():
        add_rows(report, case.name, subject, found, job)
    for subject in (FOLDER, S3):
        report.compare(case.name, subject, LOOP)
    stage.delete_topic(str(job["topic"]))


def add_rows(report: Report, case: str, subject: str, runs: Sequence[dict[str, float]], job: dict[str, Any]) -> None:
    """Add a contender's speed in bytes as the broker keeps them and in records, its CPU and its memory.

    CPU is told per GB of records as clients see them, uncompressed.
    """
    stored = max(run["bytes"] for run in runs)
    plain_gb = job["total_records"] * job["record_bytes"] / 1e9
    report.add(case, subject, [stored / MB / run["seconds"] for run in runs], "MB/s")
    if subject != DISK:
        report.add(case, f"{subject}: records", [job["total_records"] / run["seconds"] for run in runs], "records/s")
    report.add(case, f"{subject}: CPU", [run["cpu_seconds"] / plain_gb for run in runs], "CPU-s/GB")
    report.add(case, f"{subject}: memory", [run["peak_mib"] for run in runs], "MiB peak")


def measure_restore(stage: Stage, case: Case, scale: Scale, report: Report, console: Console) -> None:
    """Restore a snapshot beside a producer that writes as many records from memory."""
    job = fill(stage, case, scale.megabytes)
    place = stage.fresh(FOLDER)
    captured = stage.run("capture", **job, **place)
    ours, loop = [], []
    for number in range(scale.rounds):
        name = f"restored-{case.record_bytes}-{case.codec}-{number}"
        ours.append(stage.run("restore", **job, **place, **{"as": name}) | {"bytes": captured["bytes"]})
        stage.delete_topic(name)
        plain = stage.make_topic(f"produced-{case.record_bytes}-{case.codec}-{number}", case.partitions)
        loop.append(stage.run("produce", **{**job, "topic": plain}) | {"bytes": captured["bytes"]})
        stage.delete_topic(plain)
        console.print(f"restore, {case.name}: round {number + 1} of {scale.rounds}", style="dim")
    label = f"restore: {case.name}"
    add_rows(report, label, RESTORE, ours, job)
    add_rows(report, label, PRODUCE, loop, job)
    report.compare(label, RESTORE, PRODUCE)
    stage.drop(place["store"])
    stage.delete_topic(str(job["topic"]))


def measure_idle(stage: Stage, scale: Scale, report: Report) -> None:
    """Take a snapshot of many partitions, and another one in which nothing changed."""
    partitions = scale.idle_partitions
    topic = stage.make_topic("idle", partitions)
    writer = stage.cluster.writer("idle", **{"linger.ms": 50})
    for number in range(partitions):
        writer.send(Outgoing(topic, b"k", b"v" * 1000, partition=number))
    writer.flush(Deadline.after(120))
    writer.close()
    place = stage.fresh(FOLDER)
    job = {"topic": topic, "partitions": partitions, "total_records": partitions, "compression": "auto", **place}
    stage.run("capture", **job)
    before = count_files(place["store"])
    again = stage.run("capture", **job)
    case = f"nothing changed, {partitions} partitions"
    report.add(case, "(b) to a folder", [again["seconds"]], "s")
    report.add(case, "(b) to a folder: new objects", [count_files(place["store"]) - before], "objects")
    report.promise(f"{case}: s", target=5, measured=again["seconds"], is_at_most=True)
    report.promise(f"{case}: new objects", target=10, measured=count_files(place["store"]) - before, is_at_most=True)
    stage.delete_topic(topic)


def measure_memory(stage: Stage, scale: Scale, report: Report) -> None:
    """Take a snapshot of fifty partitions for its peak memory."""
    case = Case(1024, "none", 50)
    job = fill(stage, case, scale.megabytes)
    place = stage.fresh(FOLDER)
    add_rows(report, case.name, FOLDER, [stage.run("capture", **job, **place)], job)
    peak = report.value(case.name, f"{FOLDER}: memory")
    report.promise("peak memory with 50 partitions, MiB", target=300, measured=peak, is_at_most=True)
    stage.drop(place["store"])
    stage.delete_topic(str(job["topic"]))


def count_files(folder: str) -> int:
    """Return how many objects a folder store holds."""
    return sum(path.is_file() for path in Path(folder).rglob("*"))


def judge(report: Report) -> None:
    """Hold the figures against what was promised."""
    main, small = MAIN.name, SMALL_LZ4.name
    limit = min(report.value(main, RAW), report.value(main, DISK))
    report.promise("backup / slower of (a) and (d), %", target=60, measured=100 * report.value(main, FOLDER) / limit)
    bare = 100 * report.value(main, BARE) / limit
    report.promise("backup, bare / slower of (a) and (d), %", target=60, measured=bare)
    loop = report.value(main, f"{FOLDER}: records") / report.value(main, f"{LOOP}: records")
    report.promise("backup / (c) at 1 KiB, times", target=3, measured=loop)
    loop = report.value(small, f"{FOLDER}: records") / report.value(small, f"{LOOP}: records")
    report.promise("backup / (c) at 100 B lz4, times", target=20, measured=loop)
    cpu = report.value(main, f"{FOLDER}: CPU")
    report.promise("backup, CPU-s per GB at 1 KiB", target=2.5, measured=cpu, is_at_most=True)
    report.promise("verify level 3, MB/s", target=400, measured=report.value(main, VERIFY))
    report.promise("restore at 1 KiB, MB/s", target=150, measured=report.value(f"restore: {RESTORED.name}", RESTORE))
    times = report.compare(f"restore: {SMALL_LZ4.name}", RESTORE, PRODUCE)
    report.promise("restore / producer loop at 100 B lz4, times", target=2, measured=times)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the status says whether every target was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshot", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, at most three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    asked = parser.parse_args(argv)
    scale, console = (QUICK if asked.quick else FULL), Console()
    report = Report("Snapshots beside plain loops", is_quick=asked.quick)
    report.facts |= {"kafka": "4.3.1", "megabytes_a_case": scale.megabytes, "batch_bytes": BATCH_BYTES}
    with tempfile.TemporaryDirectory(prefix="replicator-bench-") as folder, Stage(Path(folder)) as stage:
        for case in scale.cases:
            measure_case(stage, case, scale, report, console)
        for case in (RESTORED, SMALL_LZ4):
            measure_restore(stage, case, scale, report, console)
        measure_memory(stage, scale, report)
        measure_idle(stage, scale, report)
    judge(report)
    report.show(console)
    if asked.json is not None:
        report.write(asked.json)
    return 0 if report.is_met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
