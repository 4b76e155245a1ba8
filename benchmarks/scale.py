"""What a whole look costs, from 100 to 10,000 partitions: `python -m benchmarks.scale [--quick] [--json FILE]`.

One look is what the supervisor's observers do: topics with their ids; log start, last stable offset and end of every
partition of the source; the target's ends; the mirrored positions; every group with its positions. Its CPU is that of
this process, librdkafka's threads included. Beside it stands a supervisor, as a user runs it, with its faces.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.report import Report
from benchmarks.scale_stage import FLOW, Size, Stage, Supervised
from replicator.clock import Deadline
from replicator.flow import MirroredPositions
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName
from replicator.supervisor.observe.groups import GroupsObserver
from replicator.supervisor.observe.source import SourceObserver
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.wire import RawClient

SIZES = (Size(100, 10), Size(1_000, 100), Size(10_000, 1_000))
QUICK_SIZES = (Size(100, 10), Size(1_000, 100))
RUNS = 5
SETTLE_SECONDS = 20.0
WHOLE = "whole look"


def measure_looks(stage: Stage, size: Size, report: Report) -> None:
    """Add seconds and CPU seconds of each part of a look, and of all of them in turn."""
    flow = Flow(
        name=FlowName(FLOW), source=ClusterName("east"), target=ClusterName("west"), topics=Selection(("scale.*",))
    )
    offsets = TopicName(f"{stage.lab.group_id('west')}.offsets")
    with RawClient(stage.lab.east) as raw, MirroredPositions(stage.west, offsets, flow.source_connector) as mirrored:
        groups = GroupsObserver(flow, stage.east, topic_prefix="__replicator", list_groups=raw.list_groups)
        parts: dict[str, Callable[[], object]] = {
            # A fresh observer lists the topics anew, as one in twenty looks of a supervisor does.
            "source: topics, ids, start, LSO, end": lambda: SourceObserver(
                flow, stage.east, ClusterWatch(stage.lab.east)
            ).observe(Deadline.after(60)),
            "target: ends": lambda: stage.west.positions.stable_ends(stage.partitions, Deadline.after(60)),
            "target: mirrored positions": lambda: mirrored.refresh(Deadline.after(60)),
            "groups with positions": lambda: groups.observe(Deadline.after(60)),
        }
        _measure_parts(parts, size, report)


def _measure_parts(parts: dict[str, Callable[[], object]], size: Size, report: Report) -> None:
    walls: dict[str, list[float]] = {part: [] for part in (*parts, WHOLE)}
    cpus: dict[str, list[float]] = {part: [] for part in (*parts, WHOLE)}
    for look in parts.values():
        look()
    for _ in range(RUNS):
        whole_wall, whole_cpu = time.monotonic(), time.process_time()
        for part, look in parts.items():
            wall, cpu = time.monotonic(), time.process_time()
            look()
            walls[part].append(time.monotonic() - wall)
            cpus[part].append(time.process_time() - cpu)
        walls[WHOLE].append(time.monotonic() - whole_wall)
        cpus[WHOLE].append(time.process_time() - whole_cpu)
    for part in (*parts, WHOLE):
        report.add(size.name, part, walls[part], "s")
        report.add(f"{size.name}: CPU", part, cpus[part], "CPU s")


def measure_supervisor(supervised: Supervised, size: Size, report: Report) -> None:
    """Add memory, CPU and the faces of a supervisor that has seen everything."""
    case = f"{size.name}: supervisor"
    began, cpu = time.monotonic(), supervised.cpu_seconds()
    time.sleep(SETTLE_SECONDS)
    share = 100 * (supervised.cpu_seconds() - cpu) / (time.monotonic() - began)
    report.add(case, "CPU while it watches", [share], "% of a CPU")
    scrapes = [supervised.scrape_seconds() for _ in range(RUNS)]
    report.add(case, "/metrics", [1000 * seconds for seconds, _ in scrapes], "ms")
    report.add(case, "/metrics size", [size_bytes / 1024 for _, size_bytes in scrapes], "KiB")
    for words in (("status",), ("lag", FLOW, "--by", "topic"), ("--help",)):
        runs = [1000 * supervised.command_seconds(*words) for _ in range(RUNS)]
        report.add(case, f"replicator {' '.join(words)}", runs, "ms")
    report.add(case, "dashboard: first paint", [supervised.first_paint_seconds() for _ in range(3)], "s")
    report.add(case, "resident memory", [supervised.resident_mib], "MiB")


def judge(report: Report, size: Size) -> None:
    """Hold the figures of the largest size against what was promised."""
    report.promise("one look, s", target=5.0, measured=report.value(size.name, WHOLE), is_at_most=True)
    report.promise("one look, CPU s", target=4.0, measured=report.value(f"{size.name}: CPU", WHOLE), is_at_most=True)
    case = f"{size.name}: supervisor"
    for subject, target in (
        ("resident memory", 300.0),
        ("/metrics", 500.0),
        ("replicator --help", 150.0),
        ("replicator status", 500.0),
        ("dashboard: first paint", 1.0),
    ):
        report.promise(subject, target=target, measured=report.value(case, subject), is_at_most=True)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the status says whether every target was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1,000 partitions at most, within three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    asked = parser.parse_args(argv)
    sizes = QUICK_SIZES if asked.quick else SIZES
    report = Report("Watching many partitions", is_quick=asked.quick)
    report.facts |= {"kafka": "4.3.1", "brokers": "one in each cluster", "partitions_a_topic": 10}
    console = Console()
    with tempfile.TemporaryDirectory(prefix="replicator-scale-") as folder, Stage(Path(folder)) as stage:
        for size in sizes:
            console.print(f"{size.name}: making them", highlight=False)
            stage.grow(size)
            measure_looks(stage, size, report)
            with stage.supervisor() as supervised:
                measure_supervisor(supervised, size, report)
    judge(report, sizes[-1])
    report.show(console)
    if asked.json is not None:
        report.write(asked.json)
    return 0 if report.is_met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
