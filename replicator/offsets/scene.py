"""One position within one bracket: which arithmetic applies to it, and what the source adds. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from replicator.offsets.anchors import anchor_window, matched_offsets
from replicator.offsets.ground import Ground
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
from replicator.offsets.reads import Reads, Visible

Evidence = dict[str, int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All there is to judge one position by. `is_ordered`: the copy follows the source's order without
    storing anything twice. `is_trimmed`: retention has deleted the lower part of the copy's bracket."""

    offset: int
    bracket: Bracket
    visible: Visible
    ground: Ground
    is_ordered: bool
    is_trimmed: bool

    @property
    def is_source_whole(self) -> bool:
        """Whether the source still has every record it had when the flow read it."""
        return not self.ground.standing.is_source_compacted

    @property
    def is_twin_excluded(self) -> bool:
        """Whether a record of the copy cannot be an older twin of a source record above the offset.

        A restart stores records of before the bracket again, and a compacted source may have lost the older
        of two equal records while the copy of the newer one is not visible yet.
        """
        is_covered = not self.bracket.is_tail or (self.bracket.source_to is not None and not self.ground.in_flight)
        return self.is_ordered and (self.is_source_whole or is_covered)

    @property
    def is_copy_whole(self) -> bool:
        """Whether the copy still has every record of the bracket."""
        return not self.ground.standing.is_target_compacted and not self.is_trimmed


def base_window(scene: Scene) -> tuple[str, Window]:
    """Return the rule and the window that the copy alone allows."""
    bracket, visible = scene.bracket, scene.visible
    found: Window | None = None
    rule = "rank"
    if not scene.is_ordered:
        return "bracket", untrusted_window(bracket, visible, in_flight=scene.ground.in_flight)
    if scene.is_trimmed:
        if bracket.source_to is not None and not bracket.is_tail:
            found = trimmed_window(scene.offset, bracket, visible)
    elif bracket.is_tail:
        known = bracket if scene.ground.is_ranked else replace(bracket, source_to=None)
        found = tail_window(scene.offset, known, visible, in_flight=scene.ground.in_flight)
    elif scene.ground.is_ranked:
        found = rank_window(scene.offset, bracket, visible)
    else:
        found = compacted_window(scene.offset, bracket, visible)
        found = found and found.within(survivors_window(scene.offset, bracket, visible))
    return (
        ("bracket", untrusted_window(bracket, visible, in_flight=scene.ground.in_flight))
        if found is None
        else (rule, found)
    )


def refined_window(scene: Scene, reads: Reads, *, rule: str, window: Window, evidence: Evidence) -> tuple[str, Window]:
    """Return the rule and the window once the source's own records have been asked, if they can be read.

    What contradicts the copy is left aside and noted in the evidence.
    """
    bracket = scene.bracket
    stop = None if bracket.source_to is None else max(scene.offset, bracket.source_to + 1)
    source = reads.source(bracket.source_from + 1, stop)
    if source is None:
        return rule, window
    evidence |= {"source_visible": len(source), "source_below": bisect_left(source.offsets, scene.offset)}
    for name, found in (
        ("counted_at_source", _counted_window(scene, source)),
        ("anchored", _anchored_window(scene, source, window.unseen)),
        ("anchored", _between_anchors(scene, source, window.unseen)),
    ):
        if found is None or not window.rereads:
            continue
        both = window.within(found)
        if both is None:
            evidence["contradiction"] = name
        elif both != window:
            rule, window = name, both
    return rule, window


def _anchored_window(scene: Scene, source: Visible, unseen: int) -> Window | None:
    if scene.is_trimmed and not scene.is_ordered:
        return None  # the first copy of a record stored twice may be gone
    return anchor_window(scene.offset, source, scene.visible, is_above_sure=scene.is_twin_excluded, unseen=unseen)


def _between_anchors(scene: Scene, source: Visible, unseen: int) -> Window | None:
    """Return what counting between the nearest anchors says: they are true points, so the copy's ranks hold there."""
    if not scene.is_ordered or not scene.is_twin_excluded or scene.is_trimmed:
        return None
    pairs, offsets = matched_offsets(source, scene.visible), scene.visible.offsets
    source_from, target_from = scene.bracket.source_from, scene.bracket.target_from
    source_from, target_from = max(((u, d) for u, d in pairs if u < scene.offset), default=(source_from, target_from))
    source_to, last = scene.bracket.source_to, scene.bracket.target_to
    source_to, last = min(((u, d) for u, d in pairs if u >= scene.offset), default=(source_to, last))
    first, stop = bisect_left(offsets, target_from + 1), bisect_left(offsets, last + 1)
    between = Visible(offsets[first:stop], scene.visible.prints[first:stop])
    found = survivors_window(scene.offset, Bracket(source_from, target_from, source_to, last), between)
    return Window(first + found.low, first + found.high, unseen)


def _counted_window(scene: Scene, source: Visible) -> Window | None:
    """Return what counting the source's records says; None when it says nothing."""
    below = bisect_left(source.offsets, scene.offset)
    above = len(source) - below
    seen = len(scene.visible)
    if not scene.is_ordered:
        is_bijection = scene.is_copy_whole and scene.is_source_whole and seen == len(source)
        return Window(below, below) if is_bijection and not scene.bracket.is_tail else None
    if scene.is_trimmed:
        return _counted_from_above(scene, seen, above)
    if not scene.is_copy_whole:
        return _counted_in_offsets(scene, below, above)
    at = min(below, seen)
    if scene.is_source_whole:
        return Window(at, at, min(below - at, scene.ground.in_flight))
    if scene.bracket.is_tail:
        return Window(at, seen, scene.ground.in_flight)
    return Window(below, seen - above) if below + above <= seen else None


def _counted_from_above(scene: Scene, seen: int, above: int) -> Window | None:
    if scene.bracket.is_tail or scene.ground.standing.is_target_compacted or not scene.is_source_whole:
        return None
    at = max(0, seen - above)
    return Window(at, at)


def _counted_in_offsets(scene: Scene, below: int, above: int) -> Window | None:
    """Return the place by offsets: compaction keeps them, so each record still at the source takes one."""
    bracket, offsets = scene.bracket, scene.visible.offsets
    low = bisect_left(offsets, bracket.target_from + below + 1)
    if bracket.is_tail:
        return Window(low, len(offsets), scene.ground.in_flight)
    high = bisect_left(offsets, bracket.target_to - max(0, above - 1))
    return Window(low, high) if low <= high else None
