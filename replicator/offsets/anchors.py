"""Anchors: records found on both sides by their content. Pure.

Both sides keep a part of the same sequence, in order. A record whose fingerprint occurs once on each side
of a bracket is the same record: a true point more. Counting needs no anchors; they are what is left where
compaction has taken records on either side, or retries and restarts have stored some twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import pairwise

from replicator.offsets.ranks import Window
from replicator.offsets.reads import Visible


def anchor_window(
    offset: int, source: Visible, target: Visible, *, is_above_sure: bool = True, unseen: int = 0
) -> Window:
    """Return where the anchors nearest to `offset` put its place.

    `source` holds the visible source records of the bracket, `target` those of the copy. Without an anchor on
    a side, or with anchors out of order, the bracket's own bound stands. `is_above_sure`: a record of the copy
    that looks like one above the offset is no other (see `Scene`). `unseen` records of the copy may not be
    visible yet.
    """
    points = _anchors(source, target)
    split = bisect_left(source.offsets, offset)
    low = max((at + 1 for index, at in points.items() if index < split), default=0)
    above = (at for index, at in points.items() if index >= split and is_above_sure)
    high = min(above, default=len(target))
    return Window(low, high, unseen) if low <= high else Window(0, len(target), unseen)


def matched_offsets(source: Visible, target: Visible) -> list[tuple[int, int]]:
    """Return (source offset, target offset) of every record whose fingerprint occurs once on each side; none when
    they contradict each other's order."""
    found = sorted((source.offsets[i], target.offsets[at]) for i, at in _anchors(source, target).items())
    is_in_order = all(a[1] < b[1] for a, b in pairwise(found))
    return found if is_in_order else []


def _anchors(source: Visible, target: Visible) -> dict[int, int]:
    """Return source index → target index of every record whose fingerprint occurs once on each side."""
    targets = _unique(target)
    return {index: targets[found] for found, index in _unique(source).items() if found in targets}


def _unique(visible: Visible) -> dict[int, int]:
    """Return the index of each fingerprint that occurs once."""
    counts = Counter(visible.prints)
    return {found: index for index, found in enumerate(visible.prints) if counts[found] == 1}
