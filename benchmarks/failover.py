"""From the command to the verified target: `python -m benchmarks.failover [--quick] [--json FILE]`.

Groups of 100 partitions each are moved by fresh processes, as an operator would, with both sides alive. Each group
stands somewhere in the middle of its partitions.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.report import Report
from replicator.clock import Deadline
from replicator.jvm import Guardian
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition

SIZES = (10, 100, 1_000)
QUICK_SIZES = (10, 100)
PARTITIONS = 100
RECORDS = 20_000
WAIT_SECONDS = 300.0
TOLD_SECONDS_MIN = 0.2
"""Steps that take less are left out of the table."""


def flow_of(groups: int) -> str:
    """Return the flow that moves so many groups."""
    return f"move-{groups}"


class Stage:
    """One lab with a flow for each size, everything mirrored, every group committed."""

    def __init__(self, lab: Lab, folder: Path, sizes: Sequence[int]) -> None:
        self._lab = lab
        self._sizes = sizes
        self._config = folder / "replicator.yaml"
        flows = {
            flow_of(groups): {
                "source": "east",
                "target": "west",
                "topics": {"include": [f"{flow_of(groups)}.*"]},
                "groups": {"include": [f"{flow_of(groups)}.*"]},
            }
            for groups in sizes
        }
        text = lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps(flows)}")
        self._config.write_text(f'{text}\nfailover: {{"fence": "attested"}}\n')

    def run(self, *arguments: str) -> dict[str, Any]:
        """Return the item that a fresh process answers."""
        command = [sys.executable, "-m", "replicator", "-c", str(self._config), *arguments, "-o", "json"]
        environment = {"HOME": str(self._config.parent), "PATH": os.environ["PATH"]}
        ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
        if ended.returncode != 0:
            raise SystemExit(f"{' '.join(arguments)} ended with {ended.returncode}:\n{ended.stderr}")
        told: dict[str, Any] = json.loads(ended.stdout)
        return dict(told["item"]) if "item" in told else told

    def fill(self) -> None:
        """Write the records, set every group, and wait until the standby has it all."""
        rng = random.Random(7)
        with KafkaCluster(self._lab.east) as east, KafkaCluster(self._lab.west) as west:
            for groups in self._sizes:
                self._fill_one(east, groups, rng)
            for groups in self._sizes:
                self.run("apply", flow_of(groups))
            for groups in self._sizes:
                _wait_mirrored(west, groups)

    def _fill_one(self, east: KafkaCluster, groups: int, rng: random.Random) -> None:
        topic = TopicName(f"{flow_of(groups)}.data")
        east.topics.create([TopicSpec(name=topic, partitions=PARTITIONS)], Deadline.after(60))
        writer = east.writer("benchmark")
        for number in range(RECORDS):
            writer.send(Outgoing(topic, None, f"{number:0100}".encode(), partition=number % PARTITIONS))
        writer.flush(Deadline.after(120))
        writer.close()
        each = RECORDS // PARTITIONS
        for number in range(groups):
            positions = {TopicPartition(topic, n): rng.randrange(each) for n in range(PARTITIONS)}
            east.groups.commit(GroupName(f"{flow_of(groups)}.{number:04}"), positions, Deadline.after(60))


def _wait_mirrored(west: KafkaCluster, groups: int) -> None:
    partitions = [TopicPartition(TopicName(f"{flow_of(groups)}.data"), n) for n in range(PARTITIONS)]
    deadline = Deadline.after(WAIT_SECONDS)
    while True:
        ends = west.positions.ends(partitions, deadline)
        if all(found.last_stable >= RECORDS // PARTITIONS for found in ends.values()):
            return
        deadline.check(f"{flow_of(groups)} to be mirrored")
        time.sleep(0.5)


def measure(stage: Stage, groups: int, report: Report) -> None:
    """Add how long a switchover of so many groups takes, step by step, and for how long nobody can write."""
    case = f"switchover, {groups:,} groups × {PARTITIONS} partitions"
    flow = flow_of(groups)
    answer = stage.run("switchover", flow, "--confirm", flow)
    report.add(case, "command to verified", [answer["rto_seconds"]], "s")
    report.add(case, "nobody can write", [answer["unwritable_seconds"]], "s")
    for step in answer["steps"]:
        if step["seconds"] >= TOLD_SECONDS_MIN:
            report.add(case, f"step {step['step']}", [step["seconds"]], "s")
    rows = Counter(f"{row['grade']} ({row['rule']})" for group in answer["groups"] for row in group["translations"])
    report.facts[f"positions of {groups:,} groups"] = ", ".join(f"{count:,} {told}" for told, count in rows.items())
    if len(answer["groups"]) != groups or answer["exceptions"]:
        raise SystemExit(f"{case}: {len(answer['groups'])} groups moved, {answer['exceptions'][:3]}")


def judge(report: Report, sizes: Sequence[int]) -> None:
    """Hold the figures against what was promised."""
    for groups, target in ((100, 15.0), (1_000, 30.0)):
        if groups in sizes:
            case = f"switchover, {groups:,} groups × {PARTITIONS} partitions"
            measured = report.value(case, "command to verified")
            report.promise(
                f"{groups:,} groups, command to verified, s", target=target, measured=measured, is_at_most=True
            )


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the status says whether every target was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failover", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 groups at most, within three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    asked = parser.parse_args(argv)
    sizes = QUICK_SIZES if asked.quick else SIZES
    report = Report("Moving groups", is_quick=asked.quick)
    report.facts |= {"kafka": "4.3.1", "brokers": "one in each cluster", "records a partition": RECORDS // PARTITIONS}
    console = Console()
    guardian = Guardian()
    with tempfile.TemporaryDirectory(prefix="replicator-failover-") as folder:
        lab = Lab.make(Path(folder) / "lab", LabSpec(), guardian=guardian, rng=random.Random())
        lab.up(Deadline.after(180))
        try:
            stage = Stage(lab, Path(folder), sizes)
            stage.fill()
            for groups in sizes:
                console.print(f"moving {groups:,} groups", highlight=False)
                measure(stage, groups, report)
        finally:
            lab.down()
            guardian.close()
    judge(report, sizes)
    report.show(console)
    if asked.json is not None:
        report.write(asked.json)
    return 0 if report.is_met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
