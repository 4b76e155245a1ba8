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
        ([(0, 0), (9, 9), (12, 9), (13, 10)], [(12, 9), (13, 10)], [(0, 2)]),
        ([(0, 0), (9, 9), (9, 9), (10, 10)], [(0, 0), (9, 9), (10, 10)], [(0, 3)]),
    ],
    ids=[
        "growing",
        "source steps back",
        "source stands still",
        "target steps back",
        "target stands still",
        "the same sync twice",
    ],
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


def test_what_begins_with_a_point_is_a_map_of_its_own() -> None:
    """Breaks move along, those at or before the first point are none any more; what was there before is forgotten."""
    whole = map_of((0, 0), (9, 9), (4, 20), None, (8, 25), (9, 30))
    later = whole.without_older_than(1)
    assert list(later.points()) == [(9, 9), (4, 20), (8, 25), (9, 30)]
    assert (later.starts_of(BreakKind.REWIND), later.starts_of(BreakKind.GAP)) == ([1], [2])
    assert whole.without_older_than(2).starts_of(BreakKind.REWIND) == []
    assert (len(whole.without_older_than(9)), len(whole.without_older_than(5)), len(whole)) == (0, 0, 5)


@pytest.mark.parametrize(
    ("points", "is_from_origin", "is_anew"),
    [
        ([(0, 0), (9, 9)], True, False),
        ([None, (0, 0), (9, 9)], False, False),
        ([(0, 0), None, (9, 9)], True, False),
        ([(0, 0), (9, 9), (12, 0), (13, 1)], False, True),
    ],
    ids=["whole", "missing before", "missing between", "made anew"],
)
def test_a_map_knows_whether_it_holds_the_first_sync(
    points: list[tuple[int, int] | None], is_from_origin: bool, is_anew: bool
) -> None:
    """Not where syncs are missing before the first point, nor for a copy that was made anew; nor once it is pruned."""
    found = map_of(*points)
    assert (found.is_from_origin, found.is_anew) == (is_from_origin, is_anew)
    assert found.without_older_than(0).is_from_origin == is_from_origin
    assert not found.without_older_than(1).is_from_origin
    assert found.without_older_than(1).is_anew == is_anew


def test_points_are_found_by_either_side() -> None:
    """The last at or below a source offset within a lineage, the first at or beyond a target offset."""
    found = map_of((0, 0), (9, 9), (4, 20), (8, 25))
    older, newer = found.lineages()
    assert [found.index_at(at, older) for at in (-1, 0, 8, 9, 99)] == [-1, 0, 0, 1, 1]
    assert [found.index_at(at, newer) for at in (3, 4, 7, 8)] == [1, 2, 2, 3]
    assert [len(found.until_target(at)) for at in (0, 1, 9, 10, 25, 26)] == [0, 1, 1, 2, 3, 4]
    assert list(found.until_target(20).points()) == [(0, 0), (9, 9)]
    assert found.until_target(26) is found
    assert (found.until_index(3).last_source, found.until_index(3).last_target) == (4, 20)


@pytest.mark.parametrize(
    ("points", "ends", "highest"),
    [
        ([(90, 0), (4, 100)], (), 90),
        ([(4, 0), (90, 100)], (), 90),
        ([(4, 5), (6, 6)], (0,), 6),
        ([(50, 0), (90, 9), (4, 100), (60, 120), (7, 200)], (), 90),
    ],
)
def test_the_highest_of_all_stretches(points: list[tuple[int, int]], ends: tuple[int, ...], highest: int) -> None:
    """Each stretch's last point may be it, be the stretch one point long."""
    assert map_of(*points, ends=ends).source_max == highest


def test_an_end_told_twice_or_between_points_breaks_once() -> None:
    """A journaled end at a point's own offset begins the stretch with it."""
    found = map_of((0, 0), (9, 9), (12, 40), ends=(9, 9, 41))
    assert found.starts_of(BreakKind.REWIND) == [1]
    assert found.is_ended
    assert found.ended() == found
    assert not map_of((0, 0), (9, 9), ends=(9,)).is_ended


@pytest.mark.parametrize(
    ("log_start", "kept"),
    [(0, 3), (5, 3), (6, 2), (9, 2), (10, 1), (99, 1)],
    ids=["nothing", "at the second point", "behind it", "at the third", "behind all", "far behind all"],
)
def test_pruning_by_the_log_start(log_start: int, kept: int) -> None:
    """One point below the log start stays; a map handed out before keeps them all."""
    builder = OffsetMapBuilder()
    for point in [(0, 0), (5, 5), (9, 9)]:
        builder.add(OffsetSync(ORDERS, *point))
    before = builder.build().of(ORDERS)
    builder.prune({ORDERS: log_start, TopicPartition(TopicName("others"), 0): 99})
    assert (len(builder.build().of(ORDERS)), len(before), builder.points_count) == (kept, 3, kept)


@pytest.mark.parametrize(
    ("slowest", "visible_to", "kept"),
    [(4, 99, 3), (5, 99, 2), (8, 99, 2), (9, 99, 1), (99, 99, 1), (99, 9, 2), (99, 6, 2), (99, 5, 3)],
)
def test_pruning_behind_the_slowest_group(slowest: int, visible_to: int, kept: int) -> None:
    """The last visible point at or below the slowest position is the first that stays."""
    builder = OffsetMapBuilder()
    for point in [(0, 0), (5, 5), (9, 9)]:
        builder.add(OffsetSync(ORDERS, *point))
    pruned = builder.prune_behind({ORDERS: slowest}, visible_to={ORDERS: visible_to})
    assert len(builder.build().of(ORDERS)) == kept
    assert pruned == ({ORDERS} if kept < 3 else set())


def test_thinning_keeps_every_other_point_and_all_edges() -> None:
    """Points of even number stay, the last one, and those around a step back or missing history; breaks stay theirs."""
    builder = OffsetMapBuilder()
    for point in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (2, 9), (3, 10), (4, 11), (5, 12), (6, 13)]:
        builder.add(OffsetSync(ORDERS, *point))
    builder.keep_within(10)
    assert builder.points_count == 10
    builder.keep_within(9)
    found = builder.build().of(ORDERS)
    assert list(found.points()) == [(0, 0), (2, 2), (4, 4), (2, 9), (3, 10), (5, 12), (6, 13)]
    assert found.lineages() == [(0, 3), (3, 7)]


def test_a_map_of_a_flow_counts_and_ends_by_partition() -> None:
    """An end of a partition without any points is kept: what comes is another stretch."""
    builder = OffsetMapBuilder()
    builder.add(OffsetSync(ORDERS, 0, 0))
    other = TopicPartition(TopicName("others"), 0)
    found = builder.build()
    assert (found.points_count, len(found.of(other))) == (1, 0)
    ended = found.ended([StretchEnd(other, 5)])
    assert (ended.of(other).is_ended, ended.of(ORDERS).is_ended) == (True, False)


@pytest.mark.parametrize(
    ("points", "misses"),
    [
        ([None, (5, 5), None, (10, 12), (20, 25)], {3: True, 5: True, 9: True, 10: False, 19: False, 30: False}),
        ([(5, 5), None, (10, 12)], {0: False, 4: False, 5: True, 10: False}),
        ([(50, 0), (60, 10), (4, 20), (8, 25)], {3: False, 4: False, 55: False}),
        ([None, (50, 0), (60, 10), (4, 20), (8, 25)], {3: True, 4: False, 55: False}),
        ([(0, 0), (9, 9), None, (12, 0), (13, 1)], {11: True, 12: False}),
        ([(0, 0), (9, 9), (12, 9), (13, 10)], {11: False, 12: False}),
        ([None, (0, 0), (9, 9), (12, 0)], {11: False}),
        ([], {0: False}),
    ],
    ids=[
        "before and between",
        "between",
        "a step back",
        "before a step back",
        "before a copy made anew",
        "a copy made anew",
        "long before a copy made anew",
        "no point",
    ],
)
def test_where_history_is_missing_is_known(points: list[tuple[int, int] | None], misses: dict[int, bool]) -> None:
    """Between the points around a source offset; below the first one where syncs before it are missing."""
    found = map_of(*points)
    assert {at: found.misses_history_at(at) for at in misses} == misses
    assert found.without_older_than(0).is_after_gap == found.is_after_gap
    assert not found.without_older_than(1).is_after_gap
