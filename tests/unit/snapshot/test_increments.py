"""What an incremental snapshot keeps and what it reads, by table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.model.archive.snapshots import (
    CapturedPartition,
    CapturedTopic,
    Chunk,
    ChunkEncoding,
    ChunkFacts,
    Gap,
    GapReason,
    StoredChunk,
)
from replicator.model.names import SnapshotId, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot.capture.increments import (
    SMALL_TAIL_BYTES,
    Base,
    delete_retention_of,
    go_on_from,
    must_read_fully,
    plan_partition,
)
from replicator.snapshot.repository.notes import NotedChunk

TP = TopicPartition(TopicName("orders"), 0)
BIG, SMALL = SMALL_TAIL_BYTES * 4, SMALL_TAIL_BYTES // 4


def chunk(start: int, stop: int, size: int = BIG) -> Chunk:
    """A chunk covering offsets; its bytes do not matter here."""
    digest = f"{start:032x}{stop:032x}"
    stored = StoredChunk(
        id=digest, encoding=ChunkEncoding.NONE, plain_bytes=size, stored_bytes=size, stored_sha256=digest
    )
    return Chunk(start=start, stop=stop, stored=stored, pack="p" * 64, offset=0, facts=ChunkFacts(records=stop - start))


def captured(*chunks: Chunk, gaps: tuple[Gap, ...] = ()) -> CapturedPartition:
    """A partition captured before, from its first to its last chunk or gap."""
    edges = [(c.start, c.stop) for c in chunks] + [(g.start, g.stop) for g in gaps]
    return CapturedPartition(
        partition=0,
        start=min(low for low, _ in edges),
        end=max(high for _, high in edges),
        high_watermark=max(high for _, high in edges),
        leader_epoch=3,
        chunks=chunks,
        gaps=gaps,
    )


def ends(start: int, stable: int, end: int | None = None) -> PartitionEnds:
    """Where the log starts, is stable and ends."""
    return PartitionEnds(partition=0, log_start=start, last_stable=stable, end=stable if end is None else end)


LOST = Gap(100, 150, GapReason.RETENTION)

CASES = [
    ("first time", None, ends(5, 90), [], [(5, 90)]),
    ("empty", None, ends(7, 7), [], []),
    ("nothing new", captured(chunk(0, 100)), ends(0, 100), [(0, 100)], []),
    (
        "nothing new, small tail",
        captured(chunk(0, 100), chunk(100, 110, SMALL)),
        ends(0, 110),
        [(0, 100), (100, 110)],
        [],
    ),
    ("a tail", captured(chunk(0, 100)), ends(0, 130), [(0, 100)], [(100, 130)]),
    (
        "a tail after a small chunk",
        captured(chunk(0, 100), chunk(100, 110, SMALL)),
        ends(0, 130),
        [(0, 100)],
        [(100, 130)],
    ),
    ("log start moved between chunks", captured(chunk(0, 100), chunk(100, 200)), ends(100, 200), [(100, 200)], []),
    (
        "log start moved into a chunk",
        captured(chunk(0, 100), chunk(100, 200)),
        ends(40, 210),
        [(100, 200)],
        [(40, 100), (200, 210)],
    ),
    ("log start moved beyond", captured(chunk(0, 100)), ends(500, 600), [], [(500, 600)]),
    ("everything deleted", captured(chunk(0, 100)), ends(100, 100), [], []),
    ("log became shorter", captured(chunk(0, 100), chunk(100, 200)), ends(0, 150), [], [(0, 150)]),
    ("a gap is kept", captured(chunk(0, 100), chunk(150, 200), gaps=(LOST,)), ends(0, 200), [(0, 100), (150, 200)], []),
    (
        "a gap is trimmed",
        captured(chunk(0, 100), chunk(150, 200), gaps=(LOST,)),
        ends(120, 220),
        [(150, 200)],
        [(200, 220)],
    ),
    ("open transactions wait", captured(chunk(0, 100)), ends(0, 100, 140), [(0, 100)], []),
]


@pytest.mark.parametrize(("base", "now", "kept", "read"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_kept_and_read(
    base: CapturedPartition | None, now: PartitionEnds, kept: list[tuple[int, int]], read: list[tuple[int, int]]
) -> None:
    """Chunks above the log start are kept, the rest is read, a shorter log is not trusted."""
    plan = plan_partition(TP, now, base=base, is_full=False)
    assert [(c.start, c.stop) for c in plan.kept_chunks] == kept
    assert [(span.start, span.stop) for span in plan.spans] == read
    assert (plan.start, plan.end, plan.high_watermark) == (now.log_start, now.last_stable, now.end)


def test_trimmed_gap_begins_at_the_log_start() -> None:
    """What lies below the log start is no gap any more: it is not part of the snapshot."""
    plan = plan_partition(
        TP, ends(120, 200), base=captured(chunk(0, 100), chunk(150, 200), gaps=(LOST,)), is_full=False
    )
    assert plan.kept_gaps == (Gap(120, 150, GapReason.RETENTION),)


def test_full_reading_keeps_nothing_and_cuts_where_the_base_did() -> None:
    """Read anew, unchanged data must get the same names: chunks end where they ended before."""
    plan = plan_partition(TP, ends(0, 250), base=captured(chunk(0, 100), chunk(100, 200)), is_full=True)
    assert plan.kept_chunks == ()
    assert [(span.start, span.stop) for span in plan.spans] == [(0, 250)]
    assert plan.cuts == (100, 200)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=8),
    st.integers(0, 300),
    st.integers(0, 100),
    st.booleans(),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
def test_kept_and_read_tile_the_log(sizes: list[int], moved: int, grown: int, is_full: bool, kinds: list[int]) -> None:
    """Whatever was captured and however the log moved: kept chunks, kept gaps and spans tile it without overlap."""
    position, chunks, gaps = 0, [], []
    for size, kind in zip(sizes, kinds, strict=False):
        if kind == 2:
            gaps.append(Gap(position, position + size, GapReason.NO_BATCH))
        else:
            chunks.append(chunk(position, position + size, SMALL if kind else BIG))
        position += size
    end = position + grown
    start = min(moved, end)
    plan = plan_partition(TP, ends(start, end), base=captured(*chunks, gaps=tuple(gaps)), is_full=is_full)
    pieces = sorted(
        [(c.start, c.stop) for c in plan.kept_chunks]
        + [(g.start, g.stop) for g in plan.kept_gaps]
        + [(s.start, s.stop) for s in plan.spans]
    )
    assert [low for low, _high in pieces] == [start, *[high for _low, high in pieces[:-1]]][: len(pieces)]
    assert (pieces[-1][1] if pieces else start) == end


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def base(*, hours_ago: float, is_compacted: bool) -> Base:
    """A topic captured some hours ago."""
    topic = CapturedTopic(
        name=TopicName("t"), topic_id="x", replication_factor=1, is_compacted=is_compacted, partitions=()
    )
    return Base(SnapshotId("20261122T000000Z-000000"), NOW - timedelta(hours=hours_ago), topic)


@pytest.mark.parametrize(
    ("hours_ago", "was_compacted", "is_compacted", "must"),
    [
        (1, False, False, False),
        (1000, False, False, False),
        (1, True, True, False),
        (11, True, True, False),
        (13, True, True, True),
        (13, True, False, True),
        (13, False, True, True),
    ],
)
def test_tombstones_may_have_come_and_gone(
    hours_ago: float, was_compacted: bool, is_compacted: bool, must: bool
) -> None:
    """A compacted topic is read anew before a tombstone can have been written and removed unseen."""
    found = must_read_fully(
        base=base(hours_ago=hours_ago, is_compacted=was_compacted), now=NOW, is_compacted=is_compacted
    )
    assert found is must


def test_short_lived_tombstones_shorten_the_window() -> None:
    """The topic's own delete.retention.ms counts; without one, a day."""
    assert delete_retention_of({"delete.retention.ms": "60000"}) == timedelta(minutes=1)
    assert delete_retention_of({}) == timedelta(hours=24)
    assert must_read_fully(
        base=base(hours_ago=0.1, is_compacted=True),
        now=NOW,
        is_compacted=True,
        delete_retention=delete_retention_of({"delete.retention.ms": "60000"}),
    )


def test_leader_epoch_of_what_was_kept_stays() -> None:
    """When nothing is read, the partition's epoch is that of its last batch as captured before."""
    plan = plan_partition(TP, ends(0, 100), base=replace(captured(chunk(0, 100)), leader_epoch=9), is_full=False)
    assert plan.leader_epoch == 9


def noted(start: int, stop: int, size: int = BIG, epoch: int = 7) -> NotedChunk:
    """A chunk that a capture had stored when it was killed."""
    return NotedChunk(
        partition=TP, topic_id="T", is_compacted=False, leader_epoch=epoch, chunk=chunk(start, stop, size)
    )


GOING_ON = [
    ("nothing was noted", None, ends(0, 100), [], [], [(0, 100)]),
    ("the begin was stored", None, ends(0, 100), [noted(0, 40)], [(0, 40)], [(40, 100)]),
    ("everything was stored", None, ends(0, 100), [noted(40, 100), noted(0, 40)], [(0, 40), (40, 100)], []),
    ("a hole is read", None, ends(0, 90), [noted(0, 30), noted(60, 90)], [(0, 30), (60, 90)], [(30, 60)]),
    ("behind what is kept", captured(chunk(0, 50)), ends(0, 90), [noted(50, 70)], [(0, 50), (50, 70)], [(70, 90)]),
    ("kept already", captured(chunk(0, 50)), ends(0, 90), [noted(0, 50), noted(20, 60)], [(0, 50)], [(50, 90)]),
    ("below the log start", None, ends(20, 90), [noted(0, 30)], [], [(20, 90)]),
    ("overlapping", None, ends(0, 90), [noted(0, 30), noted(20, 60), noted(30, 50)], [(0, 30), (30, 50)], [(50, 90)]),
    ("the longer of two", None, ends(0, 90), [noted(0, 30), noted(0, 60)], [(0, 60)], [(60, 90)]),
    ("a small tail grows", None, ends(0, 90), [noted(0, 30), noted(30, 40, SMALL)], [(0, 30)], [(30, 90)]),
    ("a small one between", None, ends(0, 90), [noted(0, 9, SMALL), noted(9, 30)], [(0, 9), (9, 30)], [(30, 90)]),
    ("a small end", None, ends(0, 90), [noted(0, 80), noted(80, 90, SMALL)], [(0, 80), (80, 90)], []),
    ("the log became shorter", None, ends(0, 90), [noted(0, 30), noted(30, 91)], [], [(0, 90)]),
]


@pytest.mark.parametrize(
    ("base", "now", "stored", "kept", "read"), [case[1:] for case in GOING_ON], ids=[case[0] for case in GOING_ON]
)
def test_gone_on_from(
    base: CapturedPartition | None,
    now: PartitionEnds,
    stored: list[NotedChunk],
    kept: list[tuple[int, int]],
    read: list[tuple[int, int]],
) -> None:
    """What a killed capture had stored is kept where it fits between the rest, and is not read again."""
    plan = go_on_from(plan_partition(TP, now, base=base, is_full=False), stored)
    assert [(c.start, c.stop) for c in plan.kept_chunks] == kept
    assert [(span.start, span.stop) for span in plan.spans] == read


def test_gone_on_from_keeps_the_newest_leader_epoch() -> None:
    """The epoch of a partition is that of its last batch, whoever stored it."""
    plan = plan_partition(TP, ends(0, 90), base=None, is_full=False)
    assert go_on_from(plan, [noted(0, 30, epoch=4), noted(30, 90, epoch=5)]).leader_epoch == 5
    grown = plan_partition(TP, ends(0, 90), base=captured(chunk(50, 90)), is_full=False)
    assert go_on_from(grown, [noted(0, 50, epoch=9)]).leader_epoch == grown.leader_epoch == 3


def test_what_is_left_out_is_not_gone_on_from() -> None:
    """A noted chunk that reaches into a transaction this snapshot leaves out is read anew."""
    plan = replace(plan_partition(TP, ends(0, 90), base=None, is_full=False), left_out=((1, 40, 41),))
    plan = go_on_from(plan, [noted(0, 30), noted(30, 60)])
    assert [(c.start, c.stop) for c in plan.kept_chunks] == [(0, 30)]
    assert [(span.start, span.stop) for span in plan.spans] == [(30, 90)]


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40), st.booleans())),
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40))),
)
def test_going_on_always_tiles(pieces: list[tuple[int, int, bool]], old: list[tuple[int, int]]) -> None:
    """Whatever was noted, what is kept and what is read cover each offset once."""
    stored = [noted(low, min(100, low + size), SMALL if small else BIG) for low, size, small in pieces]
    position, chunks = 0, []
    for low, size in sorted(old):
        if low >= position and low + size <= 100:
            chunks.append(chunk(low, low + size))
            position = low + size
    base = captured(*chunks) if chunks else None
    plan = go_on_from(plan_partition(TP, ends(0, 100), base=base, is_full=False), stored)
    covered = sorted([(c.start, c.stop) for c in plan.kept_chunks] + [(s.start, s.stop) for s in plan.spans])
    assert [n for low, high in covered for n in range(low, high)] == list(range(100))
