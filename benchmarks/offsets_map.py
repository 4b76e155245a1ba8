"""The offset map at size, without brokers: memory by syncs, by proven runs, and groups translated per second.

The translator is the supervisor's own. Its two sides are made up: each partition has a marker behind every 100
records and a sync at every 100th, its groups stand at random places, and a view hands out the records that are asked
for, as the views on brokers do. Seconds are those of the CPU: one thread, on a machine that may have other work.
"""

from __future__ import annotations

import gc
import random
import resource
import time
import tracemalloc
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import cast

from benchmarks.report import Report
from replicator.clock import Deadline
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState, PartitionEnds
from replicator.model.offsets import Grade, GroupTranslation, OffsetSync
from replicator.offsets import OffsetMap, OffsetMapBuilder, TargetView, Translator, WarmMap
from replicator.offsets.reads import Visible
from replicator.offsets.views import TopicState

TOPIC = TopicName("bench")
SPAN = 100
"""Source records between two syncs; the copy has one offset more, its marker's."""
SYNCS = 1_000_000
BATCH = 20
COLD_PARTITIONS, COLD_GROUPS = 100, 200
FLOW = Flow(name=FlowName("bench"), source=ClusterName("east"), target=ClusterName("west"), topics=Selection((TOPIC,)))
AT = datetime(2026, 1, 1, tzinfo=UTC)


class MadeView:
    """The copies of the made-up flow, as a translator asks a view."""

    def __init__(self, partitions: int, records: int) -> None:
        end = _place(records)
        self.states = {TOPIC: TopicState(topic_id="bench", is_compacted=False)}
        self.ends = {
            TopicPartition(TOPIC, number): PartitionEnds(partition=number, log_start=0, last_stable=end, end=end)
            for number in range(partitions)
        }
        self.ends_now = self.ends
        self.reads_count = 0

    def read(self, _tp: object, start: int, stop: int, **_: object) -> Visible:
        """Return the visible records of [start, stop)."""
        self.reads_count += 1
        found = array("q", (at for at in range(start, stop) if at % (SPAN + 1) != SPAN))
        return Visible(found, found)


def _place(offset: int) -> int:
    return offset + offset // SPAN


def build_map(syncs: int, partitions: int) -> OffsetMap:
    """Return a map of so many partitions with so many syncs."""
    builder = OffsetMapBuilder()
    tps = [TopicPartition(TOPIC, number) for number in range(partitions)]
    for number in range(syncs // partitions):
        for tp in tps:
            builder.add(OffsetSync(tp, SPAN * number, _place(SPAN * number)))
    return builder.build()


def make_groups(names: range, partitions: Sequence[TopicPartition], records: int) -> list[GroupObservation]:
    """Return groups that stand somewhere in every partition, a tenth of the positions at the end of the mirror."""
    rng = random.Random(names.start)
    return [
        GroupObservation(
            cluster=ClusterName("east"),
            group=GroupName(f"group.{name}"),
            state=GroupState.ACTIVE,
            observed_at=AT,
            committed={tp: records if rng.random() < 0.1 else rng.randrange(records - SPAN) for tp in partitions},
        )
        for name in names
    ]


def measure_map(report: Report, *, partitions: int, groups: int) -> None:
    """Add what the map takes in memory, and how fast all groups are translated on all partitions, cold and warm."""
    case, records = f"{partitions:,} partitions", SYNCS // partitions * SPAN
    tracemalloc.start()
    points = build_map(SYNCS, partitions)
    syncs_mib = _traced_mib()
    tps, warm = sorted(points.partitions), WarmMap()
    for tp in tps:
        warm.of(tp, copy_id="bench")
        warm.add(tp, [(at, _place(at), SPAN) for at in range(0, records, SPAN)])
    warm_mib = _traced_mib() - syncs_mib
    tracemalloc.stop()
    measure_cold(report, points, tps, records)
    report.add("map memory", f"{SYNCS:,} syncs of {case}", [syncs_mib], "MiB")
    report.add("map memory", f"{warm.runs_count:,} proven runs", [warm_mib], "MiB")
    report.promise("map memory per million syncs, MiB", target=64, measured=syncs_mib, is_at_most=True)
    measure_warm(report, points, tps, records, warm=warm, groups=groups)


def _traced_mib() -> float:
    return tracemalloc.get_traced_memory()[0] / 2**20


def open_translator(points: OffsetMap, view: MadeView, records: int, warm: WarmMap) -> Translator:
    """Return the supervisor's translator on the made-up flow, its source out of reach."""
    return Translator(
        Flow(
            name=FlowName("bench"), source=ClusterName("east"), target=ClusterName("west"), topics=Selection((TOPIC,))
        ),
        offset_map=points,
        mirrored=dict.fromkeys(points.partitions, records),
        target=cast("TargetView", view),
        source=None,
        deadline=Deadline.after(3600),
        warm=warm,
    )


def measure_cold(report: Report, points: OffsetMap, tps: Sequence[TopicPartition], records: int) -> None:
    """Add translations per second where nothing is proven yet: by the rules, which read and prove."""
    some = tps[:COLD_PARTITIONS]
    view = MadeView(len(some), records)
    translator = open_translator(points, view, records, WarmMap())
    observed = make_groups(range(COLD_GROUPS), some, records)
    began = time.process_time()
    for seen in observed:
        translator.translate(seen)
    took = time.process_time() - began
    report.add(
        "translations", "cold: by the rules, proving as they go", [len(some) * COLD_GROUPS / took], "per CPU second"
    )


def measure_warm(
    report: Report, points: OffsetMap, tps: Sequence[TopicPartition], records: int, *, warm: WarmMap, groups: int
) -> None:
    """Add what translating every group on every partition takes, everything kept as the supervisor keeps it."""
    view = MadeView(len(tps), records)
    translator = open_translator(points, view, records, warm)
    began = time.process_time()
    translator.translate(make_groups(range(1), tps, records)[0])
    report.add("one look", f"standing on {len(tps):,} partitions", [time.process_time() - began], "CPU s")
    before_mib, kept, rates, total = _resident_mib(), list[GroupTranslation](), [], 0.0
    for start in range(0, groups, BATCH):
        observed = make_groups(range(start, min(groups, start + BATCH)), tps, records)
        for seen in observed:
            began = time.process_time()
            kept.append(translator.translate(seen))
            took = time.process_time() - began
            total += took
            rates.append(len(tps) / took)
    if view.reads_count or any(one.grade is not Grade.EXACT for one in kept):
        raise SystemExit(f"a warm map read {view.reads_count} times, or was not exact")
    case = f"{len(tps):,} partitions x {groups:,} groups"
    report.add("translations", "warm: places with grades", rates, "per CPU second")
    report.add(case, "translated in", [total], "CPU s")
    report.add(case, "memory of all translations", [max(0.0, _resident_mib() - before_mib)], "MiB")
    report.promise("translations per CPU second", target=1_000_000, measured=median(rates))


def _resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
