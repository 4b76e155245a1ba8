"""The offset map: what begins a stretch, what makes older points worthless, and that handed-out maps stand still."""

from __future__ import annotations

import pytest

from replicator.model.names import TopicName, TopicPartition
from replicator.model.offsets import OffsetSync
from replicator.offsets import BreakKind, OffsetMapBuilder, PartitionMap, StretchEnd

ORDERS = TopicPartition(TopicName("orders"), 0)


def map_of(*points: tuple[int, int] | None, ends: tuple[int, ...] = ()) -> PartitionMap:
    """Return the map of points; None is missing history, `ends` are target offsets of journaled PATCHes."""
    builder = OffsetMapBuilder()
    for point in points:
        builder.note_gap() if point is None else builder.add(OffsetSync(ORDERS, *point))
    return builder.build().ended([StretchEnd(ORDERS, at) for at in ends]).of(ORDERS)


@pytest.mark.parametrize(
    ("points", "kept", "lineages"),
    [
        ([(0, 0), (5, 6), (9, 11)], [(0, 0), (5, 6), (9, 11)], [(0, 3)]),
        ([(0, 0), (9, 9), (4, 20), (8, 25)], [(0, 0), (9, 9), (4, 20), (8, 25)], [(0, 2), (2, 4)]),
        ([(0, 0), (9, 9), (9, 20)], [(0, 0), (9, 9), (9, 20)], [(0, 2), (2, 3)]),
        ([(0, 0), (9, 9), (12, 0), (13, 1)], [(12, 0), (13, 1)], [(0, 2)]),
        ([(0, 0), (9, 9), (9, 9), (10, 10)], [(0, 0), (9, 9), (10, 10)], [(0, 3)]),
    ],
    ids=["growing", "source steps back", "source stands still", "target steps back", "the same sync twice"],
)
def test_points_fall_into_stretches(
    points: list[tuple[int, int]], kept: list[tuple[int, int]], lineages: list[tuple[int, int]]
) -> None:
    """A step back on the source begins a stretch; a step back on the target drops all that was known before."""
    found = map_of(*points)
    assert list(found.points()) == kept
    assert found.lineages() == lineages


def test_a_journaled_end_begins_a_stretch_where_points_do_not_show_it() -> None:
    """A PATCH whose first syncs were dropped still splits the map, and one behind the last point ends it."""
    assert map_of((0, 0), (9, 9), (12, 40), ends=(20,)).lineages() == [(0, 2), (2, 3)]
    assert map_of((0, 0), (9, 9), ends=(20,)).is_ended
    assert map_of(ends=(20,)).is_ended
    assert not map_of((0, 0), (9, 9)).is_ended


def test_missing_history_is_marked_between_the_points_around_it() -> None:
    """Syncs that compaction took are noted once, before the next point of each partition."""
    found = map_of((0, 0), None, (9, 9), (12, 12))
    assert [found.has_gap_before(i) for i in range(3)] == [False, True, False]
    assert found.starts_of(BreakKind.GAP) == [1]
    assert found.lineages() == [(0, 3)]


def test_a_map_handed_out_does_not_change() -> None:
    """Later syncs, also of a new incarnation, leave earlier maps as they were."""
    builder = OffsetMapBuilder()
    builder.add(OffsetSync(ORDERS, 0, 0))
    builder.add(OffsetSync(ORDERS, 5, 5))
    first = builder.build().of(ORDERS)
    builder.add(OffsetSync(ORDERS, 9, 9))
    second = builder.build().of(ORDERS)
    builder.add(OffsetSync(ORDERS, 12, 0))
    assert list(first.points()) == [(0, 0), (5, 5)]
    assert list(second.points()) == [(0, 0), (5, 5), (9, 9)]
    assert list(builder.build().of(ORDERS).points()) == [(12, 0)]


def test_pruning_keeps_the_last_point_below_the_log_start() -> None:
    """What retention deleted on the target needs no points, but the bracket around the log start does."""
    builder = OffsetMapBuilder()
    for point in [(0, 0), (5, 5), (9, 9), (3, 20), (8, 30)]:
        builder.add(OffsetSync(ORDERS, *point))
    builder.prune({ORDERS: 10})
    found = builder.build().of(ORDERS)
    assert list(found.points()) == [(9, 9), (3, 20), (8, 30)]
    assert found.lineages() == [(0, 1), (1, 3)]


def test_the_highest_source_offset_is_that_of_any_stretch() -> None:
    """After a step back the newest point is not the highest."""
    assert map_of((0, 0), (90, 90), (4, 100), (30, 130)).source_max == 90


def test_points_hold_sixteen_bytes_each() -> None:
    """A million syncs cost sixteen megabytes, not a gigabyte of objects."""
    found = map_of(*((i, i) for i in range(1000)))
    assert found.sources.itemsize + found.targets.itemsize == 16


def test_points_behind_the_slowest_group_are_dropped_where_nothing_else_needs_them() -> None:
    """What every group has passed goes, but for the point below the slowest; after a step back all points stay."""
    builder = OffsetMapBuilder()
    for point in [(0, 0), (5, 5), (9, 9), (14, 20), (18, 30)]:
        builder.add(OffsetSync(ORDERS, *point))
    assert builder.prune_behind({ORDERS: 13}, visible_to={}) == set()
    assert builder.prune_behind({ORDERS: 17}, visible_to={ORDERS: 15}) == {ORDERS}
    assert list(builder.build().of(ORDERS).points()) == [(9, 9), (14, 20), (18, 30)]
    assert builder.prune_behind({ORDERS: 9}, visible_to={ORDERS: 99}) == set()
    builder.add(OffsetSync(ORDERS, 12, 40))
    assert builder.prune_behind({ORDERS: 18}, visible_to={ORDERS: 99}) == set()
    assert builder.points_count == 4


def test_a_map_too_large_is_thinned_but_keeps_the_ends_of_stretches() -> None:
    """Every other point goes until the bound holds; a step back and missing history stand where they stood."""
    builder = OffsetMapBuilder()
    for number in range(100):
        builder.add(OffsetSync(ORDERS, 10 * number, 10 * number))
    whole = builder.build().of(ORDERS)
    builder.add(OffsetSync(ORDERS, 500, 1001))
    builder.note_gap()
    builder.add(OffsetSync(ORDERS, 600, 1200))
    builder.add(OffsetSync(ORDERS, 700, 1300))
    before = builder.build().of(ORDERS)
    builder.keep_within(40)
    found = builder.build().of(ORDERS)
    assert len(found) <= 40
    assert set(found.points()) <= set(before.points())
    assert found.source_max == before.source_max == 990
    rewind, gap = found.starts_of(BreakKind.REWIND)[0], found.starts_of(BreakKind.GAP)[0]
    assert [*found.points()][rewind - 1 : gap + 1] == [(990, 990), (500, 1001), (600, 1200)]
    assert len(whole) == 100
    builder.keep_within(1)
    assert {(0, 0), (990, 990), (500, 1001), (600, 1200), (700, 1300)} == set(builder.build().of(ORDERS).points())
