"""Stock MirrorMaker 2 against our template, on the same records, in one run: `python -m benchmarks.flow`.

Four contenders mirror the same topic in turn, round after round (A B C D A B C D …), each into a topic of its
own: stock and ours, at least once and exactly once. Same tasks.max, partitions, heap and JVM flags; both
configurations are printed, and only keys of the template differ. Every copy is counted from raw batches before
its figure is taken. Then the same pair mirrors a light, steady load, and latency is measured end to end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console

from benchmarks.mirror_stage import HEAP_MIB, PARTITIONS, RECORD_BYTES, Stage
from benchmarks.report import Report
from replicator.connect import SOURCE_CLASS, ConnectClient, MirrorSides, source_config
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Delivery, Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, TopicName

TASKS = 2
TOPIC = "bench"
STOCK_ALO, OURS_ALO = "stock, at least once", "ours, at least once"
STOCK_EOS, OURS_EOS = "stock, exactly once", "ours, exactly once"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    records: int
    warm_records: int
    rounds: int
    latency_rounds: int
    latency_seconds: float
    rate: int


FULL = Scale(1_048_576, 262_144, 3, 2, 25.0, 200)
QUICK = Scale(262_144, 65_536, 1, 1, 12.0, 200)


@dataclass(frozen=True, slots=True)
class Contender:
    """A name and a way to configure the connector for one run."""

    name: str
    is_ours: bool
    is_exactly_once: bool

    def config(self, stage: Stage, run: str, topic: str) -> dict[str, str]:
        """Return the connector's configuration for the run; the remote topic is `<run>.<topic>`."""
        return _ours(self, stage, run, topic) if self.is_ours else _stock(self, stage, run, topic)

    def connect(self, stage: Stage) -> ConnectClient:
        """Return the worker to run on."""
        return stage.exactly_once if self.is_exactly_once else stage.at_least_once


CONTENDERS = (
    Contender(STOCK_ALO, is_ours=False, is_exactly_once=False),
    Contender(OURS_ALO, is_ours=True, is_exactly_once=False),
    Contender(STOCK_EOS, is_ours=False, is_exactly_once=True),
    Contender(OURS_EOS, is_ours=True, is_exactly_once=True),
)


def _stock(contender: Contender, stage: Stage, run: str, topic: str) -> dict[str, str]:
    """MM2 as it comes: only what it cannot start without, and the keys that exactly-once asks for."""
    config = {
        "name": f"{run}.source",
        "connector.class": SOURCE_CLASS,
        "source.cluster.alias": run,
        "target.cluster.alias": "west",
        "source.cluster.bootstrap.servers": stage.source.access.bootstrap,
        "target.cluster.bootstrap.servers": stage.target.access.bootstrap,
        "topics": topic,
        "tasks.max": str(TASKS),
        "replication.factor": "1",
        "offset-syncs.topic.replication.factor": "1",
    }
    if contender.is_exactly_once:
        config |= {"exactly.once.support": "required", "source.consumer.isolation.level": "read_committed"}
    return config


def _ours(contender: Contender, stage: Stage, run: str, topic: str) -> dict[str, str]:
    flow = Flow(
        name=FlowName(run),
        source=ClusterName(run),
        target=ClusterName("west"),
        topics=Selection((topic,)),
        naming=Naming.PREFIX,
        delivery=Delivery.EXACTLY_ONCE if contender.is_exactly_once else Delivery.AT_LEAST_ONCE,
        connector={"tasks.max": str(TASKS)},
    )
    source = ClusterAccess(name=ClusterName(run), bootstrap=stage.source.access.bootstrap)
    return source_config(flow, MirrorSides(source=source, target=stage.target.access, replication_factor=1))


def measure_throughput(stage: Stage, scale: Scale, report: Report, console: Console) -> None:
    """Add MB/s of every contender, and what the machine could do at best."""
    fill_seconds = stage.fill(TOPIC, scale.records)
    stage.fill("warm", scale.warm_records)
    total_mb = scale.records * RECORD_BYTES / 1e6
    report.add("throughput", "limit: producing with librdkafka", [total_mb / fill_seconds], "MB/s")
    report.add("throughput", "limit: reading raw batches", [stage.read_speed(TopicName(TOPIC))], "MB/s")
    for contender in CONTENDERS:
        _run_once(stage, contender, f"warm{CONTENDERS.index(contender)}", "warm", scale.warm_records)
    runs: dict[str, list[float]] = {contender.name: [] for contender in CONTENDERS}
    for number in range(scale.rounds):
        for index, contender in enumerate(CONTENDERS):
            speed = _run_once(stage, contender, f"r{number}c{index}", TOPIC, scale.records)
            runs[contender.name].append(speed)
            console.print(f"round {number + 1}: {contender.name}: {speed:.1f} MB/s")
    for contender in CONTENDERS:
        report.add("throughput", contender.name, runs[contender.name], "MB/s")


def _run_once(stage: Stage, contender: Contender, run: str, topic: str, records: int) -> float:
    config = contender.config(stage, run, topic)
    connect = contender.connect(stage)
    return stage.mirror(connect, config, remote=f"{run}.{topic}", records=records).mb_per_second


def measure_latency(stage: Stage, scale: Scale, report: Report, console: Console) -> None:
    """Add p50 and p99 of every contender under a light load: medians over the rounds."""
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(scale.latency_rounds):
        for index, contender in enumerate(CONTENDERS):
            run = f"l{number}c{index}"
            topic = f"drip{number}{index}"
            values = stage.latencies(
                contender.connect(stage),
                contender.config(stage, run, topic),
                topic=topic,
                remote=f"{run}.{topic}",
                rate=scale.rate,
                seconds=scale.latency_seconds,
            )
            p50, p99 = median(values), quantiles(values, n=100)[98]
            found.setdefault((contender.name, "p50"), []).append(p50)
            found.setdefault((contender.name, "p99"), []).append(p99)
            console.print(f"round {number + 1}: {contender.name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    for quantile in ("p50", "p99"):
        for contender in CONTENDERS:
            report.add(f"latency {quantile}", contender.name, found[contender.name, quantile], "ms")


def judge(report: Report) -> None:
    """Compare ours with stock, and hold it against what was promised."""
    report.compare("throughput", OURS_ALO, STOCK_ALO)
    once = report.compare("throughput", OURS_EOS, STOCK_EOS)
    least = report.value("throughput", OURS_EOS) / report.value("throughput", STOCK_ALO)
    report.promise("our exactly-once / stock exactly-once, throughput", target=4.0, measured=once)
    report.promise("our exactly-once / stock at-least-once, throughput", target=2.5, measured=least)
    for quantile in ("p50", "p99"):
        report.compare(f"latency {quantile}", OURS_ALO, STOCK_ALO)
        ratio = report.compare(f"latency {quantile}", OURS_EOS, STOCK_EOS)
        name = f"our exactly-once / stock exactly-once, latency {quantile}"
        # Two runs of the very same configuration differ by this much: less is no difference.
        report.promise(name, target=1.15, measured=ratio, is_at_most=True)


def show_configs(stage: Stage, report: Report, console: Console) -> None:
    """Print what each contender runs with, and keep it with the figures."""
    for contender in CONTENDERS:
        config = contender.config(stage, "RUN", TOPIC)
        report.facts[f"config: {contender.name}"] = config
        console.print(f"\n{contender.name}:")
        for key, value in sorted(config.items()):
            console.print(f"  {key}={value}", markup=False, highlight=False)
    console.print()


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the status says whether every target was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flow", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, at most three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    asked = parser.parse_args(argv)
    scale = QUICK if asked.quick else FULL
    console = Console()
    report = Report("MirrorMaker 2: stock against our template", is_quick=asked.quick)
    report.facts |= {
        "kafka": "4.3.1",
        "records": scale.records,
        "record_bytes": RECORD_BYTES,
        "payload": "random bytes",
        "partitions": PARTITIONS,
        "tasks.max": TASKS,
        "heap_mib": HEAP_MIB,
        "load": f"{scale.rate} records/s for latency",
    }
    with tempfile.TemporaryDirectory(prefix="replicator-bench-") as folder, Stage(Path(folder)) as stage:
        show_configs(stage, report, console)
        measure_throughput(stage, scale, report, console)
        measure_latency(stage, scale, report, console)
    judge(report)
    report.show(console)
    if asked.json is not None:
        report.write(asked.json)
    return 0 if report.is_met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
