"""Kafka's own OffsetSyncStore beside our rules, on generated logs with holes, aborts, rewinds and restarts.

    python -m tests.unit.offsets.sync_store --queries 1000000     asks the real Java class; needs javac
    python -m tests.unit.offsets.sync_store --golden FILE         keeps its answers for the tests that have no javac

The logs come from `world`: when that changes, the answers must be made anew.

For every source offset of every log: ours is never above the true place, and where the store's answer is at or
below it, no record lies between ours and the store's. One kind of answer is counted apart: where the flow went back
on the source (or, under at-least-once, may have) and is not proven to have passed the place it had reached, ours
stays in the older stretch, while the store believes the newer one. Sometimes it is right, sometimes it skips.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import tempfile
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replicator.offsets.ground import Ground, prepare, stored_points
from replicator.offsets.reads import Visible
from replicator.offsets.rules import translate_offset
from tests.unit.offsets.test_worlds import SHAPES
from tests.unit.offsets.world import Stored, World, make_world

ROOT = Path(__file__).parents[3]
JAVA_SOURCE = ROOT / "tests" / "data" / "mm2" / "SyncStoreAnswers.java"
GOLDEN = ROOT / "tests" / "data" / "mm2" / "sync_store.json.xz"
SCALES = (1, 1, 4, 20)
"""Short logs show the odd cases, long ones the store's growing distance between kept syncs."""
JAVA_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Log:
    """One generated log by shape and number."""

    shape: str
    seed: int

    def world(self) -> World:
        """Return the log's world, settled: what was mirrored is visible."""
        rng = random.Random(f"store/{self.shape}/{self.seed}")
        world = make_world(rng, SHAPES[self.shape], scale=SCALES[self.seed % len(SCALES)])
        world.swept = world.ends_now()
        world.unread = set()
        world.is_mirrored_known = True
        return world


def all_logs() -> Iterator[Log]:
    """Yield logs of every shape, without end."""
    seed = 0
    while True:
        yield from (Log(shape, seed) for shape in SHAPES)
        seed += 1


def line_of(world: World) -> str:
    """Return what the Java side reads of a log: the syncs of the copy that is there, as for us."""
    since = world.syncs[world.syncs_since :]
    points = [f"{s.source_offset},{s.target_offset}" for s in since if s is not None]
    return " ".join([str(world.source_end + 2), *points])


class SortedLog:
    """A log's visible records, sorted once."""

    def __init__(self, log: dict[int, Stored]) -> None:
        self.offsets = array("q", sorted(log))
        self.prints = array("q", (log[at].print for at in self.offsets))

    def between(self, start: int, stop: int, records_max: int | None) -> Visible:
        """Return the visible records in [start, stop)."""
        first, last = bisect_left(self.offsets, start), bisect_left(self.offsets, stop)
        last = last if records_max is None else min(last, first + records_max)
        return Visible(self.offsets[first:last], self.prints[first:last])

    def count(self, start: int, stop: int) -> int:
        """Return how many visible records are in [start, stop)."""
        return max(0, bisect_left(self.offsets, stop) - bisect_left(self.offsets, start))


class SortedReads:
    """Reads of a settled world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.copy = SortedLog(world.copy)
        self.log = SortedLog(world.source)

    def target(self, from_offset: int, to_offset: int, *, records_max: int | None = None) -> Visible | None:
        """Return the visible records of the copy."""
        return self.copy.between(max(from_offset, self.world.copy_start), to_offset, records_max)

    def source(self, from_offset: int, to_offset: int | None) -> Visible | None:
        """Return the visible records of the source, while it lives."""
        if not self.world.is_source_alive or from_offset < self.world.source_start:
            return None
        return self.log.between(from_offset, self.world.source_end if to_offset is None else to_offset, None)


def true_places(world: World) -> list[int]:
    """Return, for every source offset, the highest place on the copy from which nothing is missed."""
    last_copy: dict[int, int] = {}
    for at, record in world.copy.items():
        if not world.shape.is_source_compacted or record.source in world.source:
            last_copy[record.source] = max(at, last_copy.get(record.source, -1))
    lowest = world.copy_end
    places = [0] * (world.source_end + 2)
    for offset in range(world.source_end + 1, -1, -1):
        lowest = min(lowest, last_copy.get(offset, lowest))
        places[offset] = lowest
    return places


@dataclass
class Tally:
    """What a comparison found. `faults` must be empty."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def show(self) -> str:
        """Return the counts, largest first."""
        told = [f"{name}: {count:,}" for name, count in self.counts.most_common()]
        return "\n".join([*told, f"faults: {len(self.faults):,}", *self.faults[:10]])


def compare_log(log: Log, store: Sequence[int], tally: Tally) -> None:
    """Hold our answer for every offset of the log against the truth and the store's."""
    world = log.world()
    reads = SortedReads(world)
    standing, points = world.standing(), world.points()
    ground = prepare(standing, points, reads)
    truth = true_places(world)
    is_held_back = ground is not None and _is_held_back(ground, world)
    for offset, (theirs, true_place) in enumerate(zip(store, truth, strict=True)):
        found = translate_offset(offset, standing, ground, reads)
        ours = found.target_offset
        assert ours is not None
        tally.counts["queries"] += 1
        tally.counts[f"ours {found.grade}"] += 1
        ahead = reads.copy.count(true_place, ours)
        if ahead:
            tally.faults.append(f"{log} {offset}: ours {ours} is above the true place {true_place}: {found}")
        if theirs < 0:
            tally.counts["theirs: none"] += 1
        elif theirs > true_place and reads.copy.count(true_place, theirs):
            tally.counts["theirs: above the truth, would skip"] += 1
        elif between := reads.copy.count(ours, theirs):
            if is_held_back:
                tally.counts["ours below theirs, which nothing proves"] += 1
            else:
                tally.faults.append(f"{log} {offset}: ours {ours} is {between} below theirs {theirs}: {found}")
        else:
            tally.counts["records they read twice and we do not"] += reads.copy.count(max(0, theirs), ours)
            tally.counts["records we read twice"] += reads.copy.count(ours, true_place)


def _is_held_back(ground: Ground, world: World) -> bool:
    """Whether points of the log are not used because the flow is not proven to have passed what came before."""
    return len(ground.points) < len(stored_points(ground.standing, world.points()))


def ask_java(lines: Iterable[str], *, java: Path, class_path: str, javac: str) -> list[list[int]]:
    """Return the store's answers for each line, from Kafka's own class."""
    with tempfile.TemporaryDirectory() as folder:
        command = [javac, "-proc:none", "-cp", class_path, "-d", folder, str(JAVA_SOURCE)]
        subprocess.run(command, check=True, timeout=JAVA_SECONDS)
        run = [str(java), "-cp", f"{folder}{os.pathsep}{class_path}"]
        told = subprocess.run(
            [*run, "org.apache.kafka.connect.mirror.SyncStoreAnswers"],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            check=True,
            timeout=JAVA_SECONDS,
        )
    return [[int(word) for word in line.split(" ")] for line in told.stdout.splitlines()]


def choose_logs(queries_min: int) -> list[Log]:
    """Return as many logs as hold so many offsets."""
    chosen, count = [], 0
    for log in all_logs():
        chosen.append(log)
        count += log.world().source_end + 2
        if count >= queries_min:
            return chosen
    raise AssertionError("the logs have no end")


def runs_of(answers: Sequence[int]) -> list[int]:
    """Return answers as differences: most of them are 0 or small, which packs well."""
    return [after - before for before, after in zip([0, *answers], answers, strict=False)]


def answers_of(runs: Sequence[int]) -> list[int]:
    """Return the answers that `runs_of` was given."""
    total, found = 0, []
    for step in runs:
        total += step
        found.append(total)
    return found


def write_golden(path: Path, logs: Sequence[Log], answers: Sequence[Sequence[int]]) -> None:
    """Keep the answers; each log is made anew from its shape and seed."""
    rows = [[log.shape, log.seed, runs_of(found)] for log, found in zip(logs, answers, strict=True)]
    path.write_bytes(lzma.compress(json.dumps(rows, separators=(",", ":")).encode(), preset=9))


def read_golden(path: Path = GOLDEN) -> list[tuple[Log, list[int]]]:
    """Return the kept logs with the store's answers."""
    rows = json.loads(lzma.decompress(path.read_bytes()))
    return [(Log(shape, seed), answers_of(runs)) for shape, seed, runs in rows]


def main(argv: Sequence[str]) -> int:
    """Ask the real class; the status says whether ours held everywhere."""
    from replicator.jvm import java_executable, kafka_classpath

    parser = argparse.ArgumentParser(prog="python -m tests.unit.offsets.sync_store")
    parser.add_argument("--queries", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--golden", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    javac = os.environ.get("REPLICATOR_JAVAC") or shutil.which("javac")
    if javac is None:
        print("needs javac: set REPLICATOR_JAVAC or put it on PATH", file=sys.stderr)
        return 2
    logs = choose_logs(asked.queries)
    lines = (line_of(log.world()) for log in logs)
    answers = ask_java(lines, java=java_executable(), class_path=kafka_classpath(), javac=javac)
    if asked.golden is not None:
        write_golden(asked.golden, logs, answers)
    tally = Tally()
    for log, found in zip(logs, answers, strict=True):
        compare_log(log, found, tally)
    print(tally.show())
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
