"""A position within a bracket: records counted on the copy, then on the source too. Pure arithmetic."""

from __future__ import annotations

from bisect import bisect_left

from replicator.offsets.anchors import matched_offsets
from replicator.offsets.inverse.spot import Answer, Home, Scene, Spot
from replicator.offsets.reads import Reads, Visible
from replicator.offsets.scene import Evidence


def count_place(scene: Scene, reads: Reads, evidence: Evidence) -> Answer:
    """Return the answer for a position strictly between two points, by the copy, then by the source if need be."""
    rule, home = _base_home(scene)
    rereads = _rereads(scene, home, None)
    if rereads:
        stop = None if scene.spot.source_to is None else scene.spot.source_to + 1
        source = reads.source(scene.spot.source_from + 1, stop)
        if source is not None:
            rule, home = _refined_home(scene, source, rule=rule, home=home, evidence=evidence)
            rereads = _rereads(scene, home, source)
    evidence |= {"visible": len(scene.visible), "visible_below": scene.below, "place_low": home.low}
    if home.high is not None:
        evidence |= {"place_high": home.high}
    return Answer(source_offset=home.low, rereads=rereads, rule=rule, evidence=evidence)


def _rereads(scene: Scene, home: Home, source: Visible | None) -> int:
    """Return how many records at most lie between the lowest and the highest place."""
    if home.high is None:
        return scene.read_max
    if source is None:
        return min(scene.read_max, home.high - home.low)
    between = bisect_left(source.offsets, home.high) - bisect_left(source.offsets, home.low)
    return min(scene.read_max, between)


def _base_home(scene: Scene) -> tuple[str, Home]:
    """Return the rule and the place that the copy alone allows."""
    spot = scene.spot
    lowest = spot.source_from + 1
    if not spot.is_ordered or (spot.source_to is not None and len(scene.visible) > spot.source_to - spot.source_from):
        return "bracket", Home(lowest)
    if spot.source_to is not None and scene.is_ahead_whole and scene.ahead == (0 if spot.is_tail else 1):
        place = spot.source_to + 1 if spot.is_tail else spot.source_to
        return "rank", Home(place, place)
    high = None if spot.source_to is None else spot.source_to - scene.ahead + 1
    return "rank", Home(lowest + scene.below, None if high is None else max(high, lowest + scene.below))


def _refined_home(scene: Scene, source: Visible, *, rule: str, home: Home, evidence: Evidence) -> tuple[str, Home]:
    """Return the rule and the place once the source's own records have been asked.

    What contradicts the copy is left aside and noted in the evidence.
    """
    evidence |= {"source_visible": len(source)}
    for name, found in (
        ("counted_at_source", _counted_home(scene, source)),
        ("anchored", _anchored_home(scene, source)),
    ):
        if found is None:
            continue
        both = home.within(found)
        if both is None:
            evidence["contradiction"] = name
        elif both != home:
            rule, home = name, both
    return rule, home


def _counted_home(scene: Scene, source: Visible) -> Home | None:
    """Return what counting the source's records says; None when it says nothing."""
    if not scene.is_source_whole:
        return None
    spot = scene.spot
    if not spot.is_ordered:
        is_bijection = not spot.is_tail and scene.is_copy_whole and len(source) == len(scene.visible)
        return _behind(scene.below, spot, source) if is_bijection else None
    if scene.is_copy_whole:
        is_sure = scene.below <= len(source) if spot.source_to is None else len(source) == len(scene.visible)
        return _behind(scene.below, spot, source) if is_sure else None
    if spot.source_to is None or len(source) < len(scene.visible):
        return None
    if not spot.standing.is_target_compacted:
        is_sure = scene.is_ahead_whole and not spot.is_tail
        return _behind(len(source) - scene.ahead, spot, source) if is_sure else None
    return _counted_in_offsets(scene, source)


def _behind(count: int, spot: Spot, source: Visible) -> Home:
    """Return the place behind the first `count` records of the source's bracket."""
    at = spot.source_from + 1 if count == 0 else source.offsets[count - 1] + 1
    return Home(at, at)


def _counted_in_offsets(scene: Scene, source: Visible) -> Home:
    """Return the place by offsets: what is gone from the copy once took one each, as markers still do."""
    spot = scene.spot
    between = spot.at - spot.target_from - 1
    last = spot.target_stop - 1
    others_max = max(0, last - spot.target_from - len(source))
    read_min = max(scene.below, between - others_max)
    read_max = min(between, len(source) - scene.ahead)
    high = _behind(max(read_min, read_max), spot, source).high
    return Home(_behind(read_min, spot, source).low, high)


def _anchored_home(scene: Scene, source: Visible) -> Home | None:
    """Return what records say that are found once on each side.

    An older twin of a source record may be taken for it where that record's own copy is not at hand.
    """
    spot = scene.spot
    is_closed = spot.source_to is not None and not spot.is_trimmed
    if spot.is_ordered:
        is_sure = is_closed or scene.is_source_whole
    else:
        is_sure = is_closed and not spot.is_tail and scene.is_copy_whole and scene.is_source_whole
    if not is_sure:
        return None
    pairs = matched_offsets(source, scene.visible)
    low = max((u + 1 for u, d in pairs if d < spot.at), default=spot.source_from + 1)
    high = min((u for u, d in pairs if d >= spot.at), default=None)
    return Home(low, high) if high is None or low <= high else None
