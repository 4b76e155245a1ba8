"""The arithmetic of one bracket, by table: ranks, tails, trimmed and compacted copies, and records found by content."""

from __future__ import annotations

from array import array

import pytest

from replicator.offsets.anchors import anchor_window, matched_offsets
from replicator.offsets.ranks import (
    Bracket,
    Window,
    compacted_window,
    rank_window,
    survivors_window,
    tail_window,
    trimmed_window,
    untrusted_window,
)
from replicator.offsets.reads import Visible

CLOSED = Bracket(100, 50, 110, 60)
OPEN = Bracket(100, 50, None, 70, is_tail=True)
TAIL = Bracket(100, 50, 112, 70, is_tail=True)


def seen(*offsets: int) -> Visible:
    """Return visible records whose content is their offset."""
    return Visible(array("q", offsets), array("q", offsets))


def records(**prints_at: str) -> Visible:
    """Return visible records: `at5="a"` is content a at offset 5."""
    return Visible(
        array("q", [int(name[2:]) for name in prints_at]), array("q", [ord(one) for one in prints_at.values()])
    )


SEVEN, TEN, ELEVEN = seen(*range(51, 58)), seen(*range(51, 61)), seen(*range(51, 62))
THINNED = seen(51, 52, 53, 54, 56, 57, 58, 59, 60)
DELETED = seen(62, 64, 66, 68, 70)


def test_a_bracket_knows_its_span_and_where_it_stops() -> None:
    """A closed one ends with its upper point; a tail before the first offset that is not part of it."""
    assert (CLOSED.span, CLOSED.target_stop) == (10, 61)
    assert (TAIL.span, TAIL.target_stop) == (12, 70)
    assert OPEN.span is None


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Window(2, 5, 3), Window(4, 9, 1), Window(4, 5, 1)),
        (Window(4, 9, 1), Window(2, 5, 3), Window(4, 5, 1)),
        (Window(2, 5), Window(5, 9), Window(5, 5)),
        (Window(2, 4), Window(5, 9), None),
        (Window(0, 9), Window(3, 4), Window(3, 4)),
    ],
)
def test_two_windows_say_what_both_say(one: Window, other: Window, both: Window | None) -> None:
    """The narrower of each side, the fewer unseen; nothing where they contradict each other."""
    assert one.within(other) == both


def test_a_window_costs_its_width_and_what_is_unseen() -> None:
    """Re-reads are the places between, and what is not visible yet."""
    assert Window(2, 5, 3).rereads == 6


@pytest.mark.parametrize(
    ("offset", "visible", "window"),
    [
        (101, SEVEN, Window(0, 0)),
        (105, SEVEN, Window(1, 4)),
        (108, SEVEN, Window(4, 6)),
        (110, SEVEN, Window(6, 6)),
        (104, TEN, Window(3, 3)),
        (104, ELEVEN, None),
    ],
    ids=["first", "holes below or above", "fewer left", "the upper point", "no hole", "more copies than offsets"],
)
def test_ranks_of_a_closed_bracket(offset: int, visible: Visible, window: Window | None) -> None:
    """So many places as the span may have holes."""
    assert rank_window(offset, CLOSED, visible) == window
    assert rank_window(offset, OPEN, visible) is None


@pytest.mark.parametrize(
    ("offset", "bracket", "visible", "window"),
    [
        (105, OPEN, TEN, Window(0, 4, 0)),
        (115, OPEN, TEN, Window(0, 10, 3)),
        (112, OPEN, TEN, Window(0, 10, 1)),
        (102, TAIL, TEN, Window(0, 1, 0)),
        (108, TAIL, TEN, Window(5, 7, 0)),
        (113, TAIL, TEN, Window(10, 10, 2)),
        (105, TAIL, seen(*range(51, 63)), Window(4, 4, 0)),
        (105, TAIL, seen(*range(51, 64)), None),
    ],
)
def test_ranks_behind_the_last_point(offset: int, bracket: Bracket, visible: Visible, window: Window | None) -> None:
    """At most as many as were read, at most as many as are visible; what is in flight may lie below the place."""
    assert tail_window(offset, bracket, visible, in_flight=3) == window


@pytest.mark.parametrize(
    ("offset", "window"),
    [(102, Window(0, 1)), (106, Window(0, 4)), (107, Window(1, 4)), (108, Window(2, 4)), (110, Window(4, 4))],
)
def test_ranks_counted_from_the_upper_point(offset: int, window: Window) -> None:
    """Where the copy's lower part is gone, the place is so many records before the upper point as may be left."""
    assert trimmed_window(offset, Bracket(100, 50, 110, 70), DELETED) == window


def test_counting_from_above_needs_an_upper_point_and_one_writer() -> None:
    """Without a source offset to count from, or with more copies than offsets, nothing is said."""
    assert trimmed_window(105, OPEN, DELETED) is None
    assert trimmed_window(105, Bracket(100, 50, 105, 70), DELETED) == Window(4, 4)
    assert trimmed_window(104, Bracket(100, 50, 104, 70), DELETED) is None


@pytest.mark.parametrize(
    ("offset", "visible", "window"),
    [
        (101, THINNED, Window(0, 1)),
        (105, THINNED, Window(3, 4)),
        (106, THINNED, Window(4, 5)),
        (110, THINNED, Window(7, 8)),
        (105, seen(53, 57, 60), Window(0, 2)),
        (104, TEN, Window(3, 3)),
        (104, ELEVEN, None),
    ],
)
def test_a_compacted_copy_is_placed_by_its_offsets(offset: int, visible: Visible, window: Window | None) -> None:
    """What is gone has left its offset: so far behind the lower point at least, so far before the upper one."""
    assert compacted_window(offset, CLOSED, visible) == window
    assert compacted_window(offset, OPEN, visible) is None


@pytest.mark.parametrize(
    ("offset", "bracket", "window"),
    [
        (101, CLOSED, Window(0, 0)),
        (102, CLOSED, Window(0, 1)),
        (105, CLOSED, Window(3, 4)),
        (110, CLOSED, Window(8, 9)),
        (105, OPEN, Window(0, 4)),
        (199, OPEN, Window(0, 9)),
    ],
)
def test_what_survives_is_counted_from_both_ends(offset: int, bracket: Bracket, window: Window) -> None:
    """Each survivor has a source offset of its own."""
    assert survivors_window(offset, bracket, THINNED) == window


def test_where_nothing_but_the_order_is_sure_the_whole_bracket_is_allowed() -> None:
    """Up to the upper point, or to the end and what is in flight."""
    assert untrusted_window(CLOSED, THINNED, in_flight=3) == Window(0, 8)
    assert untrusted_window(TAIL, THINNED, in_flight=3) == Window(0, 9, 3)


SOURCE = records(at10="a", at12="b", at13="b", at15="c", at17="d")


@pytest.mark.parametrize(
    ("offset", "target", "is_above_sure", "window"),
    [
        (15, records(at1="a", at2="x", at3="b", at4="c", at5="d"), True, Window(1, 3, 2)),
        (16, records(at1="a", at2="x", at3="b", at4="c", at5="d"), True, Window(4, 4, 2)),
        (15, records(at1="a", at2="x", at3="b", at4="c", at5="d"), False, Window(1, 5, 2)),
        (10, records(at1="a", at2="x", at3="b", at4="c", at5="d"), True, Window(0, 0, 2)),
        (18, records(at1="a", at2="x", at3="b", at4="c", at5="d"), True, Window(5, 5, 2)),
        (15, records(at1="x", at2="y"), True, Window(0, 2, 2)),
        (15, records(at1="c", at2="x", at3="a"), True, Window(0, 3, 2)),
        (15, records(at1="a", at2="c", at3="a", at4="d"), True, Window(0, 1, 2)),
    ],
    ids=["between two", "one ahead", "above unsure", "the first", "behind all", "none", "out of order", "a twin"],
)
def test_the_nearest_anchors_bound_the_place(offset: int, target: Visible, is_above_sure: bool, window: Window) -> None:
    """Behind the last record found below it, no later than the first found at or above it; twins are no anchors."""
    assert anchor_window(offset, SOURCE, target, is_above_sure=is_above_sure, unseen=2) == window


def test_matches_of_which_one_pair_is_out_of_order_prove_nothing() -> None:
    """It takes all of them to be in order."""
    assert matched_offsets(SOURCE, records(at1="a", at4="c", at6="d")) == [(10, 1), (15, 4), (17, 6)]
    assert matched_offsets(SOURCE, records(at1="a", at4="d", at6="c")) == []
    assert matched_offsets(SOURCE, records(at1="b", at4="c")) == [(15, 4)]
