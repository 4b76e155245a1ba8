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
    must_read_fully,
    plan_partition,
)

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
