"""Each rule by table: what is known, what is asked, what is answered."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.offsets import Grade, Translation
from replicator.offsets.ground import prepare
from replicator.offsets.points import EMPTY_MAP, PartitionMap
from replicator.offsets.reads import Standing, Visible
from replicator.offsets.rules import translate_offset
from tests.unit.offsets.test_points import ORDERS, map_of

COPY = TopicPartition(TopicName("east.orders"), 0)


@dataclass
class Logs:
    """Both sides as visible offsets; the content of a source record is its offset, of a copy the one it copies."""

    copy: dict[int, int]
    source: Iterable[int] | None = None
    is_copy_readable: bool = True

    def target(self, from_offset: int, to_offset: int, *, records_max: int | None = None) -> Visible | None:
        """Return the visible copies in the range."""
        if not self.is_copy_readable:
            return None
        offsets = [at for at in sorted(self.copy) if from_offset <= at < to_offset][:records_max]
        return Visible(array("q", offsets), array("q", [self.copy[at] for at in offsets]))

    def source_(self, from_offset: int, to_offset: int | None) -> Visible | None:
        """Return the visible source records in the range."""
        if self.source is None:
            return None
        offsets = [at for at in sorted(self.source) if from_offset <= at < (10**9 if to_offset is None else to_offset)]
        return Visible(array("q", offsets), array("q", offsets))


class LogReads:
    """Reads of `Logs` under the names the rules use."""

    def __init__(self, logs: Logs) -> None:
        self.target = logs.target
        self.source = logs.source_


def ends(end: int, *, start: int = 0, stable: int | None = None) -> PartitionEnds:
    """Return the ends of a copy."""
    return PartitionEnds(partition=0, log_start=start, last_stable=end if stable is None else stable, end=end)


def ask(
    offset: int,
    points: PartitionMap,
    logs: Logs,
    *,
    target: PartitionEnds | None,
    now: PartitionEnds | None = None,
    mirrored: int | None = None,
    **flags: bool,
) -> Translation:
    """Return the translation of one position."""
    standing = Standing(
        partition=ORDERS, target_partition=COPY, target=target, target_now=now, mirrored=mirrored, **flags
    )
    reads = LogReads(logs)
    return translate_offset(offset, standing, prepare(standing, points, reads), reads)


def answer(found: Translation) -> tuple[int | None, str, int | None, str]:
    """Return what a table compares."""
    return found.target_offset, found.grade.value, found.reread_records_max, found.rule


PLAIN = Logs({at: at for at in range(100)})
MARKED = Logs({0: 0, 1: 1, 2: 2, 4: 3, 5: 4, 6: 5, 8: 6, 9: 7, 10: 8})  # markers at 3, 7, 11
HOLED = Logs({0: 0, 1: 1, 2: 2, 3: 5, 4: 6, 5: 9, 6: 10})  # the source has no 3, 4, 7, 8


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, (0, "EXACT", 0, "sync_point")),
        (1, (1, "EXACT", 0, "after_sync_point")),
        (3, (4, "EXACT", 0, "rank")),
        (5, (6, "EXACT", 0, "rank")),
        (8, (10, "EXACT", 0, "sync_point")),
        (9, (12, "EXACT", 0, "end_of_mirror")),
        (50, (12, "EXACT", 0, "end_of_mirror")),
    ],
)
def test_markers_between_points_do_not_matter(offset: int, expected: tuple[object, ...]) -> None:
    """Under exactly-once rank is the map: the source needs no reading, although offsets run apart."""
    found = ask(offset, map_of((0, 0), (8, 10)), MARKED, target=ends(12), mirrored=9)
    assert answer(found) == expected
    assert found.is_clamped == (offset > 9)


@pytest.mark.parametrize(
    ("offset", "dead", "alive"),
    [
        (3, (1, "BOUNDED", 2, "rank"), (3, "EXACT", 0, "counted_at_source")),
        (6, (2, "BOUNDED", 4, "rank"), (4, "EXACT", 0, "counted_at_source")),
        (9, (5, "BOUNDED", 1, "rank"), (5, "EXACT", 0, "counted_at_source")),
    ],
)
def test_holes_are_bounded_until_the_source_is_asked(
    offset: int, dead: tuple[object, ...], alive: tuple[object, ...]
) -> None:
    """With h holes in the span at most h records are read twice; counting the source's records settles it."""
    points = map_of((0, 0), (10, 6))
    assert answer(ask(offset, points, HOLED, target=ends(7), mirrored=11)) == dead
    lively = Logs(HOLED.copy, source=[0, 1, 2, 5, 6, 9, 10])
    assert answer(ask(offset, points, lively, target=ends(7), mirrored=11)) == alive


def test_a_place_of_another_writer_is_only_bracketed() -> None:
    """More copies than source offsets: somebody else wrote there; nothing but the order is sure."""
    logs = Logs({at: at for at in range(8)})
    assert answer(ask(3, map_of((0, 0), (5, 7)), logs, target=ends(8), mirrored=6)) == (1, "BOUNDED", 6, "bracket")


def test_the_tail_closes_at_the_mirrored_position() -> None:
    """Behind the last sync the mirrored position stands for a point."""
    found = ask(15, map_of((0, 0), (10, 10)), Logs({at: at for at in range(20)}), target=ends(21), mirrored=20)
    assert answer(found) == (15, "EXACT", 0, "rank")


def test_what_may_still_be_in_flight_is_counted() -> None:
    """A group at the head of a flow that runs is bounded by what was written while we looked."""
    logs = Logs({at: at for at in range(20)})
    found = ask(20, map_of((10, 10)), logs, target=ends(15), now=ends(20), mirrored=20)
    assert answer(found) == (15, "BOUNDED", 5, "end_of_mirror")


def test_over_the_cap_the_bound_is_in_offsets() -> None:
    """A bracket that cannot be read is bounded by its width, and by what the group can have read."""
    logs = Logs({}, is_copy_readable=False)
    points = map_of((0, 0), (900, 1000))
    assert answer(ask(11, points, logs, target=ends(1001), mirrored=901)) == (1, "BOUNDED", 10, "bracket")


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (10, (10, "EXACT", 0, "sync_point")),
        (11, (11, "BOUNDED", 9, "bracket")),
        (15, (11, "BOUNDED", 9, "bracket")),
        (20, (20, "EXACT", 0, "sync_point")),
        (21, (21, "EXACT", 0, "adjacent")),
    ],
)
def test_at_least_once_only_points_are_exact(offset: int, expected: tuple[object, ...]) -> None:
    """A restart may hide between two points: spans are bounded, however equal they look."""
    points = map_of((0, 0), (10, 10), (20, 20), (23, 21), (50, 48))
    assert answer(ask(offset, points, PLAIN, target=ends(100), is_exactly_once=False)) == expected


def test_at_least_once_does_not_trust_its_stale_position() -> None:
    """The stored position is up to a minute old there: it must not send a group to the end."""
    logs = Logs({at: at for at in range(60)})
    found = ask(45, map_of((0, 0), (40, 40)), logs, target=ends(60), mirrored=41, is_exactly_once=False)
    assert found.target_offset is not None
    assert found.target_offset <= 45
    assert found.grade is Grade.BOUNDED


def test_a_hidden_restart_near_the_head_holds_a_group_back() -> None:
    """A bracket wider than what was stored since may hide records the new task has not reached again."""
    logs = Logs({at: at for at in range(160)})
    points = map_of((1000, 0), (1050, 150))
    assert answer(ask(1050, points, logs, target=ends(152), is_exactly_once=False))[:2] == (1, "BOUNDED")
    assert answer(ask(1050, points, logs, target=ends(400), is_exactly_once=False))[:2] == (150, "EXACT")


@pytest.mark.parametrize(
    ("points", "target", "expected"),
    [
        (replace(map_of((100, 5)), is_from_origin=False), ends(20), (0, "FLOOR", 5, "floor")),
        (replace(map_of((100, 5)), is_from_origin=False), ends(20, start=3), (3, "FLOOR", 2, "floor")),
        (EMPTY_MAP, ends(20), (0, "FLOOR", 20, "floor")),
        (map_of((100, 0)), ends(20), (0, "EXACT", 0, "rank")),
        (map_of((100, 5)), ends(20, start=5), (5, "EXACT", 0, "rank")),
        (EMPTY_MAP, ends(0), (0, "EXACT", 0, "floor")),
        (EMPTY_MAP, ends(7, start=7), (7, "EXACT", 0, "floor")),
        (EMPTY_MAP, None, (None, "UNAVAILABLE", None, "not_mirrored")),
    ],
    ids=[
        "below the first point",
        "trimmed",
        "no map",
        "below the first record",
        "trimmed to the first point",
        "empty copy",
        "emptied copy",
        "no copy",
    ],
)
def test_below_all_knowledge_is_the_floor(
    points: PartitionMap, target: PartitionEnds | None, expected: tuple[object, ...]
) -> None:
    """Never a guess: the log start with a count of what is read again, or nothing where there is no copy."""
    logs = Logs({at: at for at in range(20)})
    assert answer(ask(50, points, logs, target=target)) == expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(99, (4, "BOUNDED", 1, "rank")), (96, (1, "BOUNDED", 4, "rank")), (50, (0, "BOUNDED", 5, "rank"))],
)
def test_below_the_first_point_records_are_counted_down_from_it(offset: int, expected: tuple[object, ...]) -> None:
    """The first syncs of a partition may never have been sent: at most so many records are left up to the first known
    point, wherever on the source the copy begins."""
    logs = Logs({at: at for at in range(20)})
    assert answer(ask(offset, map_of((100, 5)), logs, target=ends(20))) == expected


def test_a_whole_copy_is_exact_below_its_first_point_too() -> None:
    """As many records as source offsets: nothing is missing, and the rank is the place."""
    logs = Logs({at: at for at in range(200)})
    assert [answer(ask(u, map_of((100, 100)), logs, target=ends(150)))[:3] for u in (0, 1, 50, 99)] == [
        (u, "EXACT", 0) for u in (0, 1, 50, 99)
    ]


def test_the_newest_stretch_answers_once_it_has_passed_the_older_one() -> None:
    """After a rewind the last copy counts; before the flow is past its former place the older stretch holds."""
    points = map_of((0, 0), (100, 100), (50, 101), (100, 151), (140, 191))
    again = Logs({at: at for at in range(200)})
    found = ask(60, points, again, target=ends(192), mirrored=141)
    assert (found.target_offset, found.grade) == (111, Grade.EXACT)
    behind = map_of((0, 0), (100, 100), (50, 101), (80, 131))
    held = ask(60, behind, again, target=ends(132), mirrored=81)
    assert (held.target_offset, held.grade) == (60, Grade.BOUNDED)
    assert held.reread_records_max is not None
    assert held.reread_records_max >= 21


def test_a_set_back_position_does_not_send_a_group_to_the_end() -> None:
    """A PATCH below the last point: what the target holds above it stays to be read."""
    found = ask(95, map_of((0, 0), (100, 100)), PLAIN, target=ends(101), mirrored=50)
    assert found.target_offset is not None
    assert found.target_offset <= 95
    assert found.rule != "end_of_mirror"


def test_a_shorter_target_makes_the_map_worthless() -> None:
    """Points beyond the end of the copy belong to a topic that is no more."""
    found = ask(50, map_of((0, 0), (100, 100)), Logs({0: 0}), target=ends(5))
    assert (found.target_offset, found.grade) == (0, Grade.FLOOR)
    assert "lost_map" in found.evidence


def test_a_compacted_copy_is_exact_at_points_and_bounded_between() -> None:
    """Compaction keeps offsets: points and their successors hold, between them survivors are counted."""
    logs = Logs({0: 0, 3: 3, 9: 9, 10: 10})
    points = map_of((0, 0), (10, 10))
    flags = {"is_target_compacted": True}
    assert answer(ask(1, points, logs, target=ends(11), mirrored=11, **flags))[1] == "EXACT"
    assert answer(ask(5, points, logs, target=ends(11), mirrored=11, **flags)) == (3, "BOUNDED", 2, "rank")


def test_a_compacted_copy_is_settled_by_its_content() -> None:
    """A record found once on each side is a point more, so that the place is proven."""
    logs = Logs({0: 0, 3: 3, 9: 9, 10: 10}, source=[0, 3, 9, 10])
    flags = {"is_target_compacted": True, "is_source_compacted": True}
    found = ask(5, map_of((0, 0), (10, 10)), logs, target=ends(11), mirrored=11, **flags)
    assert (found.target_offset, found.grade) == (9, Grade.EXACT)


def test_a_position_below_the_log_start_is_clamped_and_says_so() -> None:
    """What retention has deleted on the target cannot be resumed at; a consumer would use its own reset there."""
    found = ask(10, map_of((0, 0), (10, 10), (50, 50)), PLAIN, target=ends(100, start=30), mirrored=51)
    assert (found.target_offset, found.is_clamped) == (30, True)
    assert found.evidence["clamped_from"] == 10


def test_every_answer_carries_its_numbers() -> None:
    """The rule and the numbers it used travel with the translation."""
    found = ask(3, map_of((0, 0), (8, 10)), MARKED, target=ends(12), mirrored=9)
    assert dict(found.evidence) == {
        "source_from": 0,
        "target_from": 0,
        "source_to": 8,
        "target_to": 10,
        "visible": 8,
        "place_low": 2,
        "place_high": 2,
    }


@pytest.mark.parametrize(
    ("offset", "points", "expected"),
    [
        (0, map_of((0, 0), None, (10, 12), None, (20, 25)), (0, "BOUNDED", 23, "sync_point")),
        (5, map_of((0, 0), None, (10, 12), None, (20, 25)), (1, "BOUNDED", 23, "bracket")),
        (10, map_of((0, 0), None, (10, 12), None, (20, 25)), (12, "BOUNDED", 12, "sync_point")),
        (11, map_of((0, 0), None, (10, 12), None, (20, 25)), (13, "BOUNDED", 12, "bracket")),
        (20, map_of((0, 0), None, (10, 12), None, (20, 25)), (25, "EXACT", 0, "sync_point")),
        (2, map_of(None, (5, 5), None, (10, 12)), (0, "FLOOR", 11, "floor")),
    ],
)
def test_where_syncs_are_missing_the_flow_may_have_gone_back(
    offset: int, points: PartitionMap, expected: tuple[object, ...]
) -> None:
    """Each gap at or behind the place may hide as many records stored again as it has room for, counted once."""
    assert answer(ask(offset, points, PLAIN, target=ends(100), mirrored=90)) == expected


def test_a_stretch_that_was_ended_is_open_up_to_the_next() -> None:
    """Behind its last point nothing but the order is sure, up to the point that begins the next stretch."""
    for later in ((), ((60, 71),)):
        found = ask(45, map_of((0, 0), (40, 40), (50, 61), *later, ends=(41,)), PLAIN, target=ends(100), mirrored=90)
        # twenty records before the next stretch, and what that may have stored again until it had passed them
        assert answer(found) == (41, "BOUNDED", 20 + 41, "bracket")
        assert found.evidence["target_to"] == 61
        assert found.evidence["stored_again_max"] == 41


def test_a_step_back_before_the_first_point_counts_what_it_stored_again() -> None:
    """Even where retention has deleted all that was stored before it."""
    points = map_of((5, 5), (9, 9), ends=(0,))
    assert answer(ask(2, points, PLAIN, target=ends(99, start=5), mirrored=90)) == (5, "FLOOR", 1, "floor")


def test_a_copy_that_begins_up_the_source_is_counted_from_above() -> None:
    """Where on the source the copy begins nobody told: a flow may have begun anywhere."""
    begun_at_three = Logs({at: at + 3 for at in range(20)}, source=range(30))
    found = ask(5, map_of((8, 5)), begun_at_three, target=ends(20), mirrored=23)
    assert answer(found) == (2, "EXACT", 0, "counted_at_source")


@pytest.mark.parametrize(
    ("offset", "start", "expected"),
    [
        (10, 15, (15, "BOUNDED", 5, "sync_point")),
        (10, 10, (10, "EXACT", 0, "sync_point")),
        (15, 14, (14, "BOUNDED", 6, "bracket")),
        (45, 60, (60, "BOUNDED", 40, "bracket")),
    ],
)
def test_at_least_once_what_lies_above_the_log_start_may_be_older(
    offset: int, start: int, expected: tuple[object, ...]
) -> None:
    """Up to a point at or above the position, or to the end: a restart may have stored again what was deleted."""
    points = map_of((0, 0), (10, 10), (20, 20), (40, 40))
    found = ask(offset, points, PLAIN, target=ends(100, start=start), is_exactly_once=False)
    assert answer(found) == expected
