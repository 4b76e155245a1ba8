"""The ground by table: which points may be used after a step back, a truncation or a restart, and what they imply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.model.observations import PartitionEnds
from replicator.offsets.ground import Ground, count_visible, prepare
from replicator.offsets.points import PartitionMap
from replicator.offsets.reads import Standing
from tests.unit.offsets.test_points import ORDERS, map_of
from tests.unit.offsets.test_rules import COPY, LogReads, Logs, ends

WHOLE = Logs({at: at for at in range(400)})
BACK = ((0, 0), (10, 10), (5, 14), (11, 21), (20, 30))
"""The flow went back from behind 10 to 5; up to three records may have been stored behind 10 before that."""


def ground_of(
    points: PartitionMap,
    target: PartitionEnds,
    *,
    logs: Logs = WHOLE,
    now: PartitionEnds | None = None,
    mirrored: int | None = None,
    is_exactly_once: bool = True,
) -> Ground:
    """Return the ground of a partition that has a copy."""
    standing = Standing(
        partition=ORDERS,
        target_partition=COPY,
        target=target,
        target_now=now,
        mirrored=mirrored,
        is_exactly_once=is_exactly_once,
    )
    found = prepare(standing, points, LogReads(logs))
    assert found is not None
    return found


def made_anew(*points: tuple[int, int]) -> PartitionMap:
    """Return the map of a copy that was made anew while the flow was under way."""
    return map_of((0, 10**6), *points) if points else replace(map_of(), is_anew=True)


@pytest.mark.parametrize(
    ("end", "count", "again"),
    [(25, 4, (0, 14)), (24, 2, (0,))],
    ids=["three more records", "one too few"],
)
def test_a_step_back_is_passed_once_as_much_was_stored_as_may_be_hidden(
    end: int, count: int, again: tuple[int, ...]
) -> None:
    """Behind the point that has caught up, as many records as fit between the older points and the step."""
    found = ground_of(map_of(*BACK[:4]), ends(end), now=ends(end), mirrored=12)
    assert (len(found.points), found.stored_again) == (count, again)
    assert found.mirrored == (12 if count == 4 else None)
    assert found.stored_again_after == (0 if count == 4 else end - 11)


def test_hidden_records_are_counted_not_offsets() -> None:
    """Markers behind the point that has caught up are no progress."""
    marked = Logs({at: at for at in range(400) if at not in (22, 24)})
    assert ground_of(map_of(*BACK[:4]), ends(26), logs=marked).stored_again == (0,)
    assert ground_of(map_of(*BACK[:4]), ends(27), logs=marked).stored_again == (0, 16)
    unread = Logs({}, is_copy_readable=False)
    assert ground_of(map_of(*BACK[:4]), ends(399), logs=unread).stored_again == (0,)


def test_progress_counts_within_one_lineage_only() -> None:
    """What a later step back stores is no progress; the lineage behind it may pass both."""
    twice = map_of(*BACK[:4], (6, 24))
    assert ground_of(twice, ends(40)).lineages == ((0, 2),)
    assert ground_of(map_of(*BACK[:4], (12, 23), (6, 26)), ends(40)).lineages == ((0, 2),)
    assert ground_of(map_of(*BACK[:4], (12, 24), (6, 26)), ends(40)).lineages == ((0, 2), (2, 5))
    later = map_of(*BACK[:4], (6, 24), (12, 31))
    assert ground_of(later, ends(35)).lineages == ((0, 2), (2, 4), (4, 6))
    # from behind (10, 10) up to the third record behind (12, 31), and from behind (11, 21) to the second
    assert ground_of(later, ends(35)).stored_again == (0, 24, 12)


def test_a_step_back_without_room_is_passed_where_it_caught_up() -> None:
    """Nothing can hide between neighbours."""
    found = ground_of(map_of((0, 0), (10, 10), (5, 11), (10, 16)), ends(17))
    assert found.stored_again == (0, 6)
    assert ground_of(map_of((0, 0), (10, 10), (5, 11), (9, 15)), ends(399)).stored_again == (0,)


def test_what_came_before_the_first_point_is_never_passed() -> None:
    """A step back told before any point: nobody knows how far up the source the older records lie."""
    assert len(ground_of(map_of((5, 5), (9, 9), ends=(0,)), ends(99)).points) == 0
    assert len(ground_of(map_of((5, 0), (9, 9), ends=(0,)), ends(99)).points) == 2
    assert len(ground_of(map_of((5, 5), (9, 9), ends=(0,)), ends(99, start=5)).points) == 2
    assert len(ground_of(map_of((5, 5), (9, 9), ends=(0,)), ends(99, start=4)).points) == 0
    assert ground_of(map_of((5, 0), (9, 9), ends=(0,)), ends(99)).is_from_origin is False
    assert ground_of(map_of((5, 0), (9, 9), (3, 10), (9, 16)), ends(99)).is_from_origin is True


@pytest.mark.parametrize(
    ("mirrored", "is_ended"),
    [(101, False), (100, True), (50, True), (None, False)],
    ids=["one behind", "at the last point", "far back", "unknown"],
)
def test_a_position_not_behind_the_last_point_was_set_back(mirrored: int | None, is_ended: bool) -> None:
    """The record of the last point was mirrored: a position at it or before it stands there by a later will."""
    found = ground_of(map_of((0, 0), (100, 100)), ends(110), mirrored=mirrored)
    assert found.points.is_ended == is_ended
    assert found.mirrored == (None if is_ended else mirrored)
    assert found.stored_again_after == (9 if is_ended else 0)
    assert not ground_of(map_of(), ends(110), mirrored=0).points.is_ended


@pytest.mark.parametrize(
    ("end", "count", "has_lost_map"),
    [(101, 2, False), (100, 0, True), (5, 0, True)],
    ids=["just long enough", "one short", "made anew"],
)
def test_points_that_the_copy_has_no_room_for_are_of_another(end: int, count: int, has_lost_map: bool) -> None:
    """The copy's end now is what counts; what is not visible yet is left out without being lost."""
    found = ground_of(map_of((0, 0), (100, 100)), ends(end))
    assert (len(found.points), found.has_lost_map) == (count, has_lost_map)
    grown = ground_of(map_of((0, 0), (100, 100)), ends(90), now=ends(110))
    assert (len(grown.points), grown.has_lost_map, grown.in_flight) == (1, False, 20)
    assert ground_of(map_of(), ends(0)).has_lost_map is False
    assert ground_of(map_of((0, 0)), ends(0)).has_lost_map is True


@pytest.mark.parametrize(
    ("end", "count"),
    [(185, 2), (190, 2), (191, 8)],
    ids=["far from it", "one short", "passed"],
)
def test_at_least_once_a_step_back_is_passed_in_offsets(end: int, count: int) -> None:
    """As many offsets behind the point that caught up as lie between the older points and the step."""
    climbing = [(50 + 10 * k, 120 + 10 * k) for k in range(5)]
    points = map_of(*((k, k) for k in (0, 100)), *climbing, (101, 171))
    dense = map_of(*((10 * k, 10 * k) for k in range(11)), *climbing, (101, 171))
    found = ground_of(dense, ends(end), is_exactly_once=False)
    assert len(found.points) == (11 if count == 2 else 17)
    assert len(ground_of(points, ends(end), is_exactly_once=False).points) <= len(found.points)


@pytest.mark.parametrize(
    ("end", "count"),
    [(152, 1), (299, 1), (300, 2), (400, 2)],
)
def test_at_least_once_a_wide_bracket_may_hide_a_restart(end: int, count: int) -> None:
    """The point above it counts once more was stored behind it than the bracket has room for."""
    assert len(ground_of(map_of((1000, 0), (1050, 150)), ends(end), is_exactly_once=False).points) == count


@pytest.mark.parametrize(
    ("points", "start", "count"),
    [
        (made_anew((50, 5), (60, 15)), 0, 0),
        (made_anew((50, 5), (60, 15)), 5, 2),
        (made_anew((50, 0), (60, 10)), 0, 2),
        (map_of((50, 5), (60, 15)), 0, 2),
        (made_anew(), 0, 0),
    ],
    ids=["records before the first point", "deleted since", "none before", "not made anew", "no point"],
)
def test_at_least_once_a_copy_made_anew_counts_from_its_first_record(
    points: PartitionMap, start: int, count: int
) -> None:
    """Records before the first point may lie anywhere up the source."""
    assert len(ground_of(points, ends(399, start=start), is_exactly_once=False).points) == count


def test_ground_says_what_may_be_counted() -> None:
    """Records in flight are those between what was visible and the end now; ranks need exactly-once on a whole copy."""
    assert ground_of(map_of(), ends(20), now=ends(25)).in_flight == 5
    assert ground_of(map_of(), ends(20, stable=18)).in_flight == 2
    assert ground_of(map_of(), ends(20), now=ends(15)).in_flight == 0
    assert ground_of(map_of(), ends(20)).is_ranked
    assert not ground_of(map_of(), ends(20), is_exactly_once=False).is_ranked
    assert ground_of(map_of((5, 5)), ends(20)).is_from_origin
    assert not ground_of(map_of((5, 5)), ends(20), is_exactly_once=False).is_from_origin
    assert not ground_of(map_of(), ends(20)).is_from_origin
    assert not ground_of(map_of((30, 30)), ends(20)).is_from_origin


def test_records_that_cannot_be_read_are_counted_as_offsets() -> None:
    """A count is an upper bound, and never below nothing."""
    assert count_visible(LogReads(Logs({1: 1, 5: 5})), 0, 6) == 2
    assert count_visible(LogReads(Logs({}, is_copy_readable=False)), 2, 6) == 4
    assert count_visible(LogReads(Logs({}, is_copy_readable=False)), 6, 2) == 0
