"""Ranks: counting records instead of offsets. Pure arithmetic over one bracket.

Between two true points (u0, d0) and (u1, d1) of one stretch, under exactly-once with a sole writer, the
visible records of the target in (d0, d1] are the visible records of the source in (u0, u1], in order. A
group at g has read those below g. If h of the span's source offsets hold no record, at most h of them lie
below g: so the group's next record is between the (g − u0 − h)-th and the (g − u0)-th after d0.

A place is an index into the visible target records: the first that the group has not read; the number of
records itself means "behind all of them".
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from replicator.offsets.reads import Visible


@dataclass(frozen=True, slots=True)
class Bracket:
    """The true points around a position: `source_from` < position ≤ `source_to`.

    `source_to` is None when the copy is not known to reach any source offset, and `target_to` is then
    (and for the tail of the map) the first target offset that is not part of the bracket.
    """

    source_from: int
    target_from: int
    source_to: int | None
    target_to: int
    is_tail: bool = False

    @property
    def span(self) -> int | None:
        """How many source offsets the bracket covers."""
        return None if self.source_to is None else self.source_to - self.source_from

    @property
    def target_stop(self) -> int:
        """The first target offset that is not part of the bracket."""
        return self.target_to if self.is_tail else self.target_to + 1


@dataclass(frozen=True, slots=True)
class Window:
    """The true place is one of the indexes low..high; `unseen` records below it may not be visible yet."""

    low: int
    high: int
    unseen: int = 0

    @property
    def rereads(self) -> int:
        """How many records lie between the lowest and the highest place."""
        return self.high - self.low + self.unseen

    def within(self, other: Window) -> Window | None:
        """Return what both say, or None when they contradict each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return None if low > high else Window(low, high, min(self.unseen, other.unseen))


def rank_window(offset: int, bracket: Bracket, visible: Visible) -> Window | None:
    """Return where the rank rule puts the place in a closed bracket; None when there are more copies than
    source offsets: duplicates, or another writer.

    >>> rank_window(7, Bracket(0, 0, 10, 12), visible_of(1, 2, 3, 4, 5, 6, 7, 8, 10, 12)).rereads
    0
    """
    if bracket.span is None or len(visible) > bracket.span:
        return None
    asked = offset - bracket.source_from
    holes_max = bracket.span - len(visible)
    return Window(max(1, asked - holes_max) - 1, min(asked, len(visible)) - 1)


def tail_window(offset: int, bracket: Bracket, visible: Visible, *, in_flight: int) -> Window | None:
    """Return where the rank rule puts the place behind the last point; None as for `rank_window`.

    Up to `in_flight` records below the mirrored position may not be visible yet: the place may be behind
    them. That the mirrored position itself is a record is not relied upon: somebody may have set it.
    """
    read_max = offset - bracket.source_from - 1
    high = min(read_max, len(visible))
    unseen = min(read_max - high, in_flight)
    if bracket.span is None:
        return Window(0, high, unseen)
    if len(visible) > bracket.span:
        return None
    return Window(max(0, read_max - (bracket.span - len(visible))), high, unseen)


def trimmed_window(offset: int, bracket: Bracket, visible: Visible) -> Window | None:
    """Return where counting from the bracket's upper point puts the place, when the copy's lower part is not there:
    deleted by retention, or never mirrored. At most u1 − g + 1 records are left to read up to that point, and at
    most g − u0 − 1 lie below the place. None as for `rank_window`."""
    if bracket.span is None or len(visible) > bracket.span:
        return None
    left_max = bracket.span - (offset - bracket.source_from) + 1
    read_max = offset - bracket.source_from - 1
    high = min(bisect_left(visible.offsets, bracket.target_to), read_max)
    return Window(min(high, max(0, len(visible) - left_max)), high)


def compacted_window(offset: int, bracket: Bracket, visible: Visible) -> Window | None:
    """Return where the place is when the target may have lost records of the bracket to compaction.

    Compaction keeps offsets. Of the copies once written at most `span − survivors` source offsets held no
    record; the place is then at least so many offsets behind d0, and so many before d1, as there were
    records between.
    """
    if bracket.span is None or bracket.source_to is None or len(visible) > bracket.span:
        return None
    holes_max = bracket.span - len(visible)
    low = bracket.target_from + max(1, offset - bracket.source_from - holes_max)
    high = bracket.target_to - max(0, bracket.source_to - offset - holes_max)
    return Window(bisect_left(visible.offsets, low), bisect_left(visible.offsets, high))


def survivors_window(offset: int, bracket: Bracket, visible: Visible) -> Window:
    """Return where the place is by counting what is left of a copy that follows in order, compacted or not.

    What is left has distinct source offsets above `source_from`: so many lie below the position at most, and so
    many from it to `source_to`.
    """
    high = min(offset - bracket.source_from - 1, len(visible))
    if bracket.source_to is None:
        return Window(0, high)
    return Window(min(high, max(0, len(visible) - (bracket.source_to - offset) - 1)), high)


def untrusted_window(bracket: Bracket, visible: Visible, *, in_flight: int) -> Window:
    """Return the whole bracket: between its points nothing but the order is sure."""
    if bracket.is_tail:
        return Window(0, len(visible), in_flight)
    return Window(0, bisect_left(visible.offsets, bracket.target_to))
