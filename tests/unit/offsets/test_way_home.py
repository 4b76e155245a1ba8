"""The parts of the way home, by table: counting back, what was read again, and places within a bracket."""

from __future__ import annotations

import pytest

from replicator.model.observations import PartitionEnds
from replicator.offsets.inverse.lineages import (
    _count_back,
    read_and_not_stored_again,
    read_from,
    read_in_older_lineages,
    went_back_to,
)
from replicator.offsets.inverse.spot import Home, Spot, copies_in
from replicator.offsets.points import PartitionMap
from replicator.offsets.reads import Standing, Visible
from tests.unit.offsets.test_ground import BACK
from tests.unit.offsets.test_inverse import ask_back
from tests.unit.offsets.test_points import ORDERS, map_of
from tests.unit.offsets.test_rules import COPY, LogReads, Logs, answer, ends

WHOLE = Logs({at: at for at in range(200)}, source=range(200))
STEADY = ((0, 0), (10, 10), (20, 20), (30, 30))


def spot_at(
    at: int,
    points: PartitionMap,
    *,
    target: PartitionEnds | None = None,
    now: PartitionEnds | None = None,
    mirrored: int | None = None,
    is_ended: bool = False,
    **flags: bool,
) -> Spot:
    """Return a position on the copy."""
    target = target or ends(100)
    standing = Standing(
        partition=ORDERS, target_partition=COPY, target=target, target_now=now, mirrored=mirrored, **flags
    )
    index = len(points.until_target(at)) - 1
    return Spot(at=at, index=index, points=points, standing=standing, ends=target, is_ended=is_ended)


class Asked(LogReads):
    """Reads that remember which ranges of the source were asked for."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logs)
        self.ranges: list[tuple[int, int | None]] = []
        self._read = logs.source_
        self.source = self._noted

    def _noted(self, from_offset: int, to_offset: int | None) -> Visible | None:
        self.ranges.append((from_offset, to_offset))
        return self._read(from_offset, to_offset)


@pytest.mark.parametrize(
    ("count", "records", "start", "found", "ranges"),
    [
        (1, range(200), 0, 99, [(92, 100)]),
        (2, range(200), 0, 98, [(84, 100)]),
        (3, range(200), 0, 97, [(68, 100)]),
        (8, range(92, 100), 0, 92, [(36, 100)]),
        (1, [91], 0, 91, [(92, 100), (84, 100)]),
        (2, [84, 99], 0, 84, [(84, 100)]),
        (2, [70, 99], 0, 70, [(84, 100), (68, 100)]),
        (2, [70, 99], 75, 75, [(84, 100), (75, 100)]),
        (2, [80, 99], 80, 80, [(84, 100), (80, 100)]),
        (1, [], 0, 0, [(92, 100), (84, 100), (68, 100), (36, 100), (0, 100)]),
    ],
)
def test_records_are_counted_back_in_widths_twice_as_wide_each_time(
    count: int, records: list[int], start: int, found: int, ranges: list[tuple[int, int]]
) -> None:
    """The offset of so many records before; the log start where there are fewer. Widths are powers of two."""
    reads = Asked(Logs({}, source=records))
    assert _count_back(count, 100, reads, ends(200, start=start)) == found
    assert reads.ranges == ranges


def test_a_source_that_cannot_be_read_counts_back_to_its_start() -> None:
    """Nothing is known of where the records lie."""
    assert _count_back(1, 100, LogReads(Logs({})), ends(200, start=7)) == 7


@pytest.mark.parametrize(
    ("home", "at", "count"),
    [(6, 25, 10), (5, 25, 14), (12, 25, 3), (11, 25, 10), (0, 8, 8), (3, 8, 7), (10, 12, 11), (11, 12, 1), (5, 14, 13)],
)
def test_what_was_read_from_home_on_in_the_lineage_of_the_position(home: int, at: int, count: int) -> None:
    """Behind the lineage's last point below home; behind the point before it where it has none."""
    assert read_from(home, spot_at(at, map_of(*BACK)), LogReads(WHOLE)) == count
    assert read_from(12, spot_at(45, map_of(*BACK, (15, 40))), LogReads(WHOLE)) == 14


@pytest.mark.parametrize(
    ("home", "at", "count"),
    [(6, 25, 13), (0, 25, 14), (11, 25, 3), (6, 12, 0), (3, 45, 39), (12, 45, 21), (3, 40, 13), (3, 41, 39)],
)
def test_what_was_read_before_the_flow_went_back(home: int, at: int, count: int) -> None:
    """Of each older lineage below the position, what lies behind its last point below home."""
    assert read_in_older_lineages(home, spot_at(at, map_of(*BACK, (15, 40))), LogReads(WHOLE)) == count


def test_what_lies_before_a_step_back_at_the_first_point_counts_whole() -> None:
    """Nobody knows what it is."""
    assert read_in_older_lineages(6, spot_at(12, map_of((5, 5), (9, 9), ends=(0,))), LogReads(WHOLE)) == 5
    assert read_in_older_lineages(6, spot_at(12, map_of((5, 5), (9, 9))), LogReads(WHOLE)) == 0


@pytest.mark.parametrize(
    ("points", "at", "end", "count"),
    [
        (STEADY, 15, 24, 9),
        (STEADY, 15, 25, 0),
        (((0, 12), (10, 22), (20, 32)), 25, 37, 12),
        (((0, 12), (10, 22), (20, 32)), 25, 38, 0),
        (((0, 0), (10, 2), (20, 60)), 1, 2, 1),
        (((0, 0), (10, 2), (20, 30)), 35, 60, 27),
        (((0, 12),), 15, 27, 12),
        (((0, 12),), 15, 28, 0),
        (BACK, 12, 30, 20),
        (BACK, 12, 31, 0),
        (BACK, 25, 34, 22),
        (BACK, 25, 35, 0),
        ((), 25, 26, 0),
    ],
    ids=[
        "a bracket's room",
        "more was stored since",
        "records before the first point",
        "more than those",
        "only brackets up to the next point",
        "behind the last point",
        "behind the only point",
        "behind the only point, and more",
        "before a step back",
        "before a step back that was passed",
        "behind a step back",
        "behind a step back that was passed",
        "no map",
    ],
)
def test_what_a_restart_may_have_left_behind(
    points: tuple[tuple[int, int], ...], at: int, end: int, count: int
) -> None:
    """Under at-least-once: the widest bracket's room, until more than that was stored since all was caught up with."""
    spot = spot_at(at, map_of(*points), target=ends(end), is_exactly_once=False)
    assert read_and_not_stored_again(5, spot, LogReads(WHOLE)) == count


@pytest.mark.parametrize(
    ("spot", "homes"),
    [
        (spot_at(12, map_of(*BACK)), [5, 3]),
        (spot_at(14, map_of(*BACK)), [5]),
        (spot_at(8, map_of(*BACK)), [5, 2]),
        (spot_at(15, map_of(*BACK)), []),
        (spot_at(3, map_of((5, 5), ends=(0,))), [5, 3]),
        (spot_at(0, map_of((5, 5), ends=(0,))), [5, 0]),
        (spot_at(12, map_of((0, 0), (10, 10)), target=ends(20), now=ends(23), mirrored=40, is_ended=True), [29]),
        (spot_at(12, map_of((0, 0), (10, 10)), target=ends(20), mirrored=40, is_ended=True), [32]),
        (spot_at(5, map_of((0, 0), (10, 10)), target=ends(20), mirrored=40, is_ended=True), [31]),
        (spot_at(12, map_of((0, 0), (10, 10)), target=ends(20), mirrored=4, is_ended=True), [0]),
        (spot_at(12, map_of((0, 0), (10, 10)), target=ends(20), is_ended=True), [0]),
        (spot_at(20, map_of((0, 0), (10, 10)), target=ends(20), mirrored=40, is_ended=True), []),
        (spot_at(0, map_of(), target=ends(3), mirrored=40, is_ended=True), [37]),
    ],
)
def test_how_far_back_the_flow_may_have_gone(spot: Spot, homes: list[int]) -> None:
    """To each step's first point, and as many records further as may be hidden before it."""
    assert list(went_back_to(spot, LogReads(WHOLE), ends(200))) == homes


@pytest.mark.parametrize(
    ("at", "points", "mirrored", "expected"),
    [
        (12, ((0, 0), (10, 10)), 10, (2, "BOUNDED", 10, "bracket")),
        (12, ((0, 0), (10, 10)), 11, (11, "BOUNDED", 1, "bracket")),
        (3, ((0, 0),), 0, (0, "BOUNDED", 3, "bracket")),
    ],
)
def test_a_flow_set_back_to_its_last_point_or_before_it_goes_back(
    at: int, points: tuple[tuple[int, int], ...], mirrored: int, expected: tuple[object, ...]
) -> None:
    """As many records as it stored since, before the place where it stands now."""
    found = ask_back(at, map_of(*points), WHOLE, target=ends(20), mirrored=mirrored, source=ends(200))
    assert answer(found) == expected


def test_a_spot_knows_its_bracket() -> None:
    """Where it begins and ends, whether it is in order, settled, trimmed, and how far up the source it reaches."""
    points = map_of((0, 0), (10, 10), (5, 14), None, (11, 21))
    assert [spot_at(at, points).is_ordered for at in (5, 10, 12, 16, 25)] == [True, True, False, False, True]
    assert not spot_at(25, points, is_ended=True).is_ordered
    assert spot_at(5, points, is_ended=True).is_ordered
    assert not spot_at(5, points, is_exactly_once=False).is_ordered
    assert [spot_at(at, points).source_to for at in (5, 16)] == [10, 11]
    assert [spot_at(25, points, mirrored=at).source_to for at in (None, 11, 12, 40)] == [None, None, 11, 39]
    assert spot_at(25, points, mirrored=40, now=ends(101)).source_to is None
    assert spot_at(25, points, mirrored=40, now=ends(101)).in_flight == 1
    assert [spot_at(at, points).target_stop for at in (5, 25)] == [11, 100]
    assert [spot_at(15, map_of((0, 10)), target=ends(50, start=s)).is_trimmed for s in (11, 12)] == [False, True]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Home(2, 9), Home(4, 12), Home(4, 9)),
        (Home(2, None), Home(4, 12), Home(4, 12)),
        (Home(2, 9), Home(4), Home(4, 9)),
        (Home(2), Home(4), Home(4)),
        (Home(2, 4), Home(4, 9), Home(4, 4)),
        (Home(2, 3), Home(4, 9), None),
    ],
)
def test_two_homes_say_what_both_say(one: Home, other: Home, both: Home | None) -> None:
    """The higher of the lows, the lower of the highs that are known."""
    assert one.within(other) == both
    assert other.within(one) == both


def test_copies_that_cannot_be_counted_are_offsets() -> None:
    """Below the log start, on a compacted copy, or unread, every offset may have been a record."""
    logs = LogReads(Logs({1: 1, 5: 5}))
    assert copies_in(0, 6, spot_at(9, map_of()), logs) == 2
    assert copies_in(0, 6, spot_at(9, map_of(), target=ends(100, start=1)), logs) == 6
    assert copies_in(1, 6, spot_at(9, map_of(), target=ends(100, start=1)), logs) == 2
    assert copies_in(0, 6, spot_at(9, map_of(), is_target_compacted=True), logs) == 6
    assert copies_in(0, 6, spot_at(9, map_of()), LogReads(Logs({}, is_copy_readable=False))) == 6
    assert copies_in(6, 2, spot_at(9, map_of(), is_target_compacted=True), logs) == 0


TWICE = {at: at if at < 4 else at - 1 for at in range(12)}
"""A copy in which 3 was stored twice."""
THINNED = {0: 0, 3: 903, 6: 906, 12: 912}
"""What compaction left, of contents that nothing on the source has."""


@pytest.mark.parametrize(
    ("at", "points", "logs", "flags", "expected"),
    [
        (3, ((10, 0), (15, 7)), Logs({at: at for at in range(8)}), {}, (11, "BOUNDED", 2, "bracket")),
        (6, ((0, 0),), Logs({at: at for at in range(6)}, range(6)), {}, (6, "EXACT", 0, "counted_at_source")),
        (6, ((0, 0),), Logs({at: at for at in range(6)}, range(5)), {}, (6, "BOUNDED", 5, "rank")),
        (6, ((0, 0), (10, 11)), Logs(TWICE, range(11)), {"is_exactly_once": False}, (5, "EXACT", 0, "anchored")),
        (
            5,
            ((0, 0), (10, 12)),
            Logs(THINNED, range(11)),
            {"is_target_compacted": True},
            (3, "BOUNDED", 2, "counted_at_source"),
        ),
        (
            9,
            ((0, 0), (10, 12)),
            Logs(THINNED, range(11)),
            {"is_target_compacted": True},
            (7, "BOUNDED", 2, "counted_at_source"),
        ),
        (
            12,
            ((0, 0), (10, 12)),
            Logs(THINNED, range(11)),
            {"is_target_compacted": True},
            (10, "EXACT", 0, "sync_point"),
        ),
    ],
    ids=[
        "another writer",
        "all that the source has",
        "more than the source has",
        "stored twice",
        "thinned",
        "thinned, further up",
        "the point above",
    ],
)
def test_places_within_a_bracket(
    at: int,
    points: tuple[tuple[int, int], ...],
    logs: Logs,
    flags: dict[str, bool],
    expected: tuple[object, ...],
) -> None:
    """Counted on the copy, then on the source; what contradicts it is left aside."""
    target = ends(6) if len(points) == 1 else ends(60)
    assert answer(ask_back(at, map_of(*points), logs, target=target, **flags)) == expected
