"""What exact offsets take and where they may be given, by table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.model.archive.restores import ExactEffort, OffsetRule, RestoreAction
from replicator.model.archive.snapshots import CapturedPartition, CapturedTopic, Chunk, ChunkFacts
from replicator.model.names import ClusterName, TopicName
from replicator.snapshot.restore.batches import split_runs
from replicator.snapshot.restore.exact.effort import Holes, count_holes, weigh
from replicator.snapshot.restore.planning import MARK_KEY, TargetTopic, TargetView, make_mark, plan_restore
from replicator.snapshot.restore.positions import hold_within
from replicator.wire.format.batches import walk_batches
from replicator.wire.format.records import RawRecord, encode_batch
from tests.unit.snapshot.test_restore_planning import NOW, STORED, manifest, target

ORDERS = TopicName("orders")
NO_EFFORT = ExactEffort(holes=0, hole_offsets=0, burned_offsets=0, seconds=0.0)


def captured(start: int, end: int, *chunks: Chunk) -> CapturedTopic:
    """A topic of one partition."""
    partition = CapturedPartition(
        partition=0, start=start, end=end, high_watermark=end, leader_epoch=0, chunks=tuple(chunks)
    )
    return CapturedTopic(name=ORDERS, topic_id="id", replication_factor=1, is_compacted=False, partitions=(partition,))


def dense(start: int, stop: int) -> Chunk:
    """A chunk without a hole."""
    facts = ChunkFacts(batches=1, records=stop - start)
    return Chunk(start=start, stop=stop, stored=STORED, pack="b" * 64, offset=0, facts=facts)


TOPIC = captured(50, 90, dense(50, 90))
MARK = make_mark(manifest(TOPIC), ORDERS, is_exact=True)
OTHER_WAY = make_mark(manifest(TOPIC), ORDERS)

ACTIONS: list[tuple[str, TargetTopic | None, RestoreAction, str | None]] = [
    ("absent", None, RestoreAction.CREATE, None),
    ("never written", target(0), RestoreAction.FILL, None),
    ("drained below the start", target(0, start=50), RestoreAction.FILL, None),
    ("drained above the start", target(0, start=51), RestoreAction.REFUSE, "has passed"),
    ("not empty", target(40), RestoreAction.REFUSE, "not empty"),
    ("at its offsets", target(40, start=50), RestoreAction.COMPARE, None),
    ("ours, half done", target(70, delete_retention_ms=MARK), RestoreAction.RESUME, None),
    ("half done in the other way", target(20, delete_retention_ms=OTHER_WAY), RestoreAction.REFUSE, "half restored"),
]


def plan(there: TargetTopic | None, topic: CapturedTopic = TOPIC, **changes: Any) -> Any:
    """The plan of one topic at exact offsets."""
    view = TargetView(ClusterName("west"), 3, {} if there is None else {ORDERS: there})
    options = {"efforts": {ORDERS: NO_EFFORT}, "exact_seconds_max": 60.0, **changes}
    return plan_restore(manifest(topic), {ORDERS: ORDERS}, configs={}, view=view, now=NOW, **options)


@pytest.mark.parametrize(("there", "action", "refusal"), [a[1:] for a in ACTIONS], ids=[a[0] for a in ACTIONS])
def test_offsets_only_ever_rise(there: TargetTopic | None, action: RestoreAction, refusal: str | None) -> None:
    """A target is taken only where the captured offsets are still to come, or stand already."""
    found = plan(there)
    assert found.offsets is OffsetRule.EXACT
    assert found.topics[0].action is action
    assert (refusal or "") in str(found.topics[0].refusal)
    assert bool(found.refusals) == (refusal is not None)


def test_an_empty_topic_that_starts_at_nought_is_filled() -> None:
    """Nothing captured and nothing there is no reason to compare."""
    assert plan(target(0), captured(0, 0)).topics[0].action is RestoreAction.FILL


def test_above_the_limit_the_remap_is_proposed() -> None:
    """The plan says what it would take and what to do instead; a topic that stands already takes nothing."""
    long = replace(NO_EFFORT, holes=12_000, burned_offsets=10**9, seconds=370.0)
    (refusal,) = plan(None, efforts={ORDERS: long}).refusals
    assert "370 s" in refusal
    assert "12,000 holes" in refusal
    assert "--offsets remap" in refusal
    assert plan(None, efforts={ORDERS: long}, exact_seconds_max=371.0).refusals == ()
    assert plan(target(40, start=50), efforts={ORDERS: long}).refusals == ()


def test_holding_settings_carry_the_mark_of_this_way() -> None:
    """Each way of restoring has a mark of its own."""
    assert plan(None).topics[0].settings[MARK_KEY] == MARK != OTHER_WAY


def sparse_chunk(start: int, stop: int, runs: list[tuple[int, int]]) -> tuple[Chunk, bytes]:
    """A chunk whose batches, one a run of (offset, records), leave holes; and its bytes."""
    data = bytearray()
    for offset, count in runs:
        batch = bytearray(encode_batch([RawRecord(n, 5, b"k", b"v") for n in range(count)]))
        batch[:8] = offset.to_bytes(8, "big")
        data += batch
    facts = ChunkFacts(batches=len(runs), records=sum(count for _at, count in runs))
    return Chunk(start=start, stop=stop, stored=STORED, pack="b" * 64, offset=0, facts=facts), bytes(data)


HOLES = [
    ("none", (50, 90), [(50, 40)], Holes(0, 0)),
    ("at the beginning", (50, 90), [(60, 30)], Holes(1, 10)),
    ("at the end", (50, 90), [(50, 30)], Holes(1, 10)),
    ("in between, batches that touch are one run", (50, 90), [(50, 10), (60, 10), (75, 5), (85, 5)], Holes(2, 10)),
    ("everything", (50, 90), [], Holes(1, 40)),
]


@pytest.mark.parametrize(("span", "runs", "expected"), [h[1:] for h in HOLES], ids=[h[0] for h in HOLES])
def test_holes_are_counted(span: tuple[int, int], runs: list[tuple[int, int]], expected: Holes) -> None:
    """Runs of offsets without a record, wherever they lie; a chunk without holes is not read."""
    chunk, data = sparse_chunk(*span, runs)
    read: list[Chunk] = []

    def load(one: Chunk) -> memoryview:
        read.append(one)
        return memoryview(data)

    partition = captured(*span, chunk).partitions[0]
    assert count_holes(partition, load) == expected
    assert bool(read) == (0 < chunk.facts.records < chunk.stop - chunk.start)
    assert [batch.header.base_offset for batch in walk_batches(memoryview(data))] == [at for at, _count in runs]


def test_a_hole_across_chunks_is_one() -> None:
    """The end of one chunk and the beginning of the next make one hole."""
    first, data = sparse_chunk(0, 20, [(0, 10)])
    second, more = sparse_chunk(20, 40, [(30, 10)])
    content = {first.start: data, second.start: more}
    partition = captured(0, 40, first, second).partitions[0]
    assert count_holes(partition, lambda chunk: memoryview(content[chunk.start])) == Holes(1, 20)


def test_effort_grows_with_the_longest_partition() -> None:
    """Holes of several partitions are filled together; of one, one after another."""
    side_by_side, in_a_row = weigh([Holes(100, 100)] * 8, burned=0), weigh([Holes(800, 800)], burned=0)
    assert side_by_side.holes == in_a_row.holes == 800
    assert in_a_row.seconds == pytest.approx(8 * side_by_side.seconds, rel=0.1)
    assert weigh([], burned=0).seconds == 0
    assert weigh([], burned=10**9).seconds > 60


def test_runs_are_split_at_holes() -> None:
    """Each run is in a row, none is lost, an empty list has none."""
    records = [RawRecord(n, 0, None, b"v") for n in (3, 4, 5, 9, 11, 12)]
    assert [[r.offset for r in run] for run in split_runs(records)] == [[3, 4, 5], [9], [11, 12]]
    assert list(split_runs([])) == []


@pytest.mark.parametrize(("offset", "place"), [(0, 50), (50, 50), (77, 77), (90, 90), (100, 90)])
def test_positions_stay_within_what_is_held(offset: int, place: int) -> None:
    """A position is kept; one outside goes to the nearest end, with nothing skipped."""
    assert hold_within(TOPIC.partitions[0], offset) == place
