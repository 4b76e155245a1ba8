"""What moving groups to the standby costs them, MM2's own checkpoints beside ours: `python -m benchmarks.offsets`.

One exactly-once flow mirrors a plain, a transactional and a compacted topic. Groups stand 0 … 100,000 records
behind. MM2's checkpoint connector and we translate while the source lives; then the source is killed (SIGKILL), all
groups are committed on the target, read back, and a ledger counts what each skips and reads twice. Then, without
brokers, what a map of 10,000 partitions takes in memory, cold and warm, and how fast groups are translated on it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.offsets_map import measure_map
from benchmarks.offsets_stage import PLANES, TOPICS, Stage, group_of
from benchmarks.report import Report
from replicator.clock import Deadline
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import commit_group, with_proofs

LAGS = (0, 1, 10, 100, 1_000, 10_000, 100_000)
MM2, OURS, MAP = "MM2's checkpoint", "ours", "ours, the map alone"
PARTITIONS = 10_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    records: int
    samples: int
    groups: int


FULL = Scale(110_000, 300, 1_000)
QUICK = Scale(11_000, 60, 50)


def measure_groups(stage: Stage, scale: Scale, report: Report, console: Console) -> None:
    """Add what each group reads twice after the move, for MM2's checkpoints, for ours, and for our map alone."""
    lags = [lag for lag in LAGS if lag < scale.records]
    groups = stage.commit_groups(lags)
    samples = stage.sample(scale.samples)
    checkpoints = stage.wait_checkpoints(groups)
    console.print(f"MM2 has {len(checkpoints)} of {len(groups) * len(TOPICS)} checkpoints")
    stage.keep_proofs(stage.translate([*groups, *samples], is_source_alive=True))
    stage.lab.kill("east")
    proofs = stage.read_proofs()
    alone = {t.group: t for t in stage.translate([*groups, *samples], is_source_alive=False)}
    ours = {name: with_proofs(t, proofs.get(name)) for name, t in alone.items()}
    for lag in lags:
        group = group_of(lag)
        add_rows(stage, report, f"{lag:,} behind", MAP, alone[group], commit=False)
        add_rows(stage, report, f"{lag:,} behind", OURS, ours[group], commit=True)
        for seen in groups:
            if seen.group == group:
                add_checkpoint_rows(stage, report, lag, seen, {t: checkpoints.get((group, t)) for t in TOPICS})
    names = [seen.group for seen in samples]
    for subject, found in ((OURS, ours), (MAP, alone)):
        add_shares(stage, report, subject, [found[name] for name in names])
    judge_groups(report, lags)


def add_rows(stage: Stage, report: Report, case: str, subject: str, moved: GroupTranslation, *, commit: bool) -> None:
    """Add one row a topic; with `commit` the place is the one that reads back from the target."""
    if commit:
        commit_group(stage.west, moved, Deadline.after(30))
        stands = stage.west.groups.committed([moved.group], Deadline.after(30))[moved.group].committed
    for answer in moved.translations:
        place = stands[answer.target_partition] if commit else answer.target_offset
        assert place is not None
        add_row(stage, report, case, subject, answer.partition.topic, int(answer.source_offset), int(place))
        check_bound(stage, answer)


def add_checkpoint_rows(
    stage: Stage, report: Report, lag: int, seen: GroupObservation, found: Mapping[TopicName, object]
) -> None:
    """Add MM2's rows. Where it has no checkpoint, the group begins at the copy's log start, if its owner set that."""
    name = GroupName(f"bench.mm2.{lag}")
    places = {t: getattr(one, "target_offset", 0) for t, one in found.items()}
    partitions = {TopicPartition(topic, 0): place for topic, place in places.items()}
    stage.west.groups.commit(name, partitions, Deadline.after(30))
    stands = stage.west.groups.committed([name], Deadline.after(30))[name].committed
    for topic in TOPICS:
        tp = TopicPartition(topic, 0)
        subject = MM2 if found[topic] is not None else f"{MM2} (none)"
        add_row(stage, report, f"{lag:,} behind", subject, topic, seen.committed[tp], stands[tp])


def add_row(
    stage: Stage, report: Report, case: str, subject: str, topic: TopicName, source_offset: int, place: int
) -> None:
    """Add what one group reads twice of one topic; a skipped record ends the benchmark."""
    skipped, rereads = stage.judge(topic, source_offset, place)
    if skipped and not subject.startswith(MM2):
        raise SystemExit(f"{subject}: {case}: {topic}: {skipped} records skipped")
    report.add(f"{topic}, {case}", subject, [rereads], "records read twice")
    if skipped:
        report.add(f"{topic}, {case}", f"{subject}: skipped", [skipped], "records")


def check_bound(stage: Stage, answer: Translation) -> int:
    """Return what a translation costs; ends the benchmark where it skips or costs more than it says."""
    assert answer.target_offset is not None
    assert answer.reread_records_max is not None
    skipped, rereads = stage.judge(answer.partition.topic, int(answer.source_offset), int(answer.target_offset))
    if skipped or rereads > answer.reread_records_max:
        raise SystemExit(f"skips {skipped}, reads {rereads} twice: {answer}")
    return rereads


def add_shares(stage: Stage, report: Report, subject: str, moved: Sequence[GroupTranslation]) -> None:
    """Add the share of EXACT answers of the random positions, by topic, and the largest bound of the rest."""
    for topic in TOPICS:
        answers = [t for one in moved for t in one.translations if t.partition.topic == topic]
        for answer in answers:
            check_bound(stage, answer)
        exact = 100 * sum(t.grade is Grade.EXACT for t in answers) / len(answers)
        bounds = [t.reread_records_max or 0 for t in answers if t.grade is not Grade.EXACT]
        report.add(f"{topic}, random positions", subject, [exact], "% EXACT")
        report.add(f"{topic}, random positions", f"{subject}: largest bound", [max(bounds, default=0)], "records")


def judge_groups(report: Report, lags: Sequence[int]) -> None:
    """Hold the figures against what was promised under exactly-once."""
    kept = [topic for topic in TOPICS if topic != PLANES]
    cases = [f"{topic}, {lag:,} behind" for topic in kept for lag in lags]
    total = sum(report.value(case, OURS) for case in cases)
    exact = min(report.value(f"{topic}, random positions", OURS) for topic in kept)
    report.promise("delete topics: records read twice, all lags", target=0, measured=total, is_at_most=True)
    report.promise("delete topics: EXACT at random positions, %", target=100, measured=exact)
    planes = report.value(f"{PLANES}, random positions", OURS)
    report.promise("compacted topic: EXACT at random positions, %", target=95, measured=planes)


def measure_on_brokers(folder: Path, scale: Scale, report: Report, console: Console) -> None:
    """Run the part that needs brokers."""
    with Stage(folder, records=scale.records) as stage:
        stage.fill()
        measure_groups(stage, scale, report, console)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the status says whether every target was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offsets", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, at most three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--part", choices=("all", "groups", "map"), default="all", help="on brokers, or the map alone")
    asked = parser.parse_args(argv)
    scale = QUICK if asked.quick else FULL
    console = Console()
    report = Report("Moving groups: MM2's checkpoints and ours", is_quick=asked.quick)
    report.facts |= {"kafka": "4.3.1", "records": scale.records, "delivery": "exactly once", "topics": list(TOPICS)}
    if asked.part != "groups":
        measure_map(report, partitions=PARTITIONS, groups=scale.groups)
    if asked.part != "map":
        with tempfile.TemporaryDirectory(prefix="replicator-bench-") as folder:
            measure_on_brokers(Path(folder), scale, report, console)
    report.show(console)
    if asked.json is not None:
        report.write(asked.json)
    return 0 if report.is_met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
