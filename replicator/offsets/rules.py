"""The rules: where on the target a group resumes, and how sure that is. Pure, given bounded reads.

`RULES` lists them in the order in which they are tried; the first that applies answers. A translation is EXACT
when no record of the copy lies between the lowest and the highest place that the rule allows, else BOUNDED by
their number. Under at-least-once the flow itself may store a record twice; what it stored twice is not counted
as read twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from replicator.model.names import Offset
from replicator.model.offsets import Grade, Translation
from replicator.offsets.ground import Ground, count_visible
from replicator.offsets.points import BreakKind, PartitionMap
from replicator.offsets.ranks import Bracket
from replicator.offsets.reads import Reads, Standing
from replicator.offsets.scene import Evidence, Scene, base_window, refined_window

RULES: Mapping[str, str] = MappingProxyType(
    {
        "not_mirrored": "the target has no such partition",
        "end_of_mirror": "the group has read all that was mirrored: it resumes at the copy's end",
        "floor": "the position is below all that is known: the copy's log start",
        "sync_point": "the position is a true point of the map",
        "after_sync_point": "the position is one behind a true point, and the copy follows in order",
        "adjacent": "the position lies between two true points that are neighbours on the target",
        "rank": "records were counted between true points",
        "counted_at_source": "records were counted between true points, on the source too",
        "anchored": "records were found on both sides by their content",
        "proven_run": "the place was counted between true points before; a stretch that goes on keeps its places",
        "bracket": "only the points around the position are sure: just behind the lower one",
    }
)
"""What each rule means, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rule's answer: resume at `target_offset`; at most `rereads` records lie between it and the true place."""

    target_offset: int
    rereads: int
    rule: str
    evidence: Evidence = field(default_factory=dict)
    is_clamped: bool = False


def translate_offset(offset: int, standing: Standing, ground: Ground | None, reads: Reads) -> Translation:
    """Return where a group that has `offset` of the source as its next record resumes on the target."""
    if ground is None:
        return _translation(offset, standing, None, Grade.UNAVAILABLE)
    place = _end_of_mirror(offset, ground)
    if place is not None:
        return _graded(offset, ground, place)
    lineage = _lineage_of(offset, ground)
    if lineage is None:
        return _below_first_point(offset, ground, reads)
    index = ground.points.index_at(offset, ground.lineages[lineage])
    place = _at_point(offset, ground, lineage, index, reads)
    return _graded(
        offset, ground, _counting_again(_above_log_start(offset, place, ground, reads), ground, lineage, index)
    )


def _below_first_point(offset: int, ground: Ground, reads: Reads) -> Translation:
    """Return the place of a position below every known point: counted down from the first, or the floor.

    Where on the source the copy begins nobody told; it is judged as one whose lower part retention has deleted.
    """
    if not ground.is_from_origin:
        return _floored(offset, ground, _floor(offset, ground, reads))
    points = ground.points
    bracket = Bracket(-1, -1, points.sources[0], points.targets[0])
    place = _in_bracket(offset, bracket, ground, reads, is_ordered=True, is_ended=False, is_trimmed=True)
    return _graded(offset, ground, _counting_again(_above_log_start(offset, place, ground, reads), ground, 0, -1))


def _floored(offset: int, ground: Ground, place: Place) -> Translation:
    """Return the floor, EXACT where nothing that the group may have read lies above it."""
    is_free = place.rereads == 0 and not ground.has_lost_map
    return _translation(offset, ground.standing, _clamped(place, ground), Grade.EXACT if is_free else Grade.FLOOR)


def _graded(offset: int, ground: Ground, place: Place) -> Translation:
    grade = Grade.EXACT if place.rereads == 0 else Grade.BOUNDED
    return _translation(offset, ground.standing, _clamped(place, ground), grade)


def _translation(offset: int, standing: Standing, place: Place | None, grade: Grade) -> Translation:
    return Translation(
        partition=standing.partition,
        target_partition=standing.target_partition,
        source_offset=Offset(offset),
        target_offset=None if place is None else Offset(place.target_offset),
        grade=grade,
        reread_records_max=None if place is None else place.rereads,
        rule="not_mirrored" if place is None else place.rule,
        evidence={} if place is None else place.evidence,
        is_clamped=place is not None and place.is_clamped,
    )


def _clamped(place: Place, ground: Ground) -> Place:
    """Return the place within [log start, end] of the target: elsewhere a consumer would use its own reset."""
    inside = min(max(place.target_offset, ground.ends.log_start), ground.ends.end)
    if inside == place.target_offset:
        return place
    evidence = place.evidence | {"clamped_from": place.target_offset}
    return replace(place, target_offset=inside, is_clamped=True, evidence=evidence)


def _end_of_mirror(offset: int, ground: Ground) -> Place | None:
    if ground.mirrored is None or offset < ground.mirrored:
        return None
    end = ground.ends.last_stable
    evidence: Evidence = {"mirrored": ground.mirrored, "target_end": end, "never_mirrored": offset - ground.mirrored}
    return Place(end, ground.in_flight, "end_of_mirror", evidence, is_clamped=offset > ground.mirrored)


def _lineage_of(offset: int, ground: Ground) -> int | None:
    """Return the newest lineage that begins at or below the offset."""
    for index in range(len(ground.lineages) - 1, -1, -1):
        if ground.points.sources[ground.lineages[index][0]] <= offset:
            return index
    return None


def _floor(offset: int, ground: Ground, reads: Reads) -> Place:
    """Return the log start; at most what lies below a point known to be at or above the offset is read again."""
    ends, points = ground.ends, ground.points
    evidence: Evidence = {"log_start": ends.log_start, "target_end": ends.end}
    if len(points):
        evidence |= {"first_source": points.sources[0], "first_target": points.targets[0]}
    if ground.has_lost_map:
        evidence["lost_map"] = "the target is shorter than the known points: it was truncated or made anew"
    if ground.standing.is_exactly_once and len(points):
        below = count_visible(reads, ends.log_start, points.targets[0])
    else:
        below = _visible_until_reached(offset, ground, reads)
    again = _stored_again(ground, 0) + _hidden_in_gaps(points, 0)
    return Place(ends.log_start, below + again, "floor", evidence)


def _counting_again(place: Place, ground: Ground, lineage: int, index: int) -> Place:
    """Return the place, its re-reads raised by what may have been stored a second time behind it."""
    first_gap = index + 2 if place.rule == "bracket" else index + 1  # that rule counts its own gap
    again = _stored_again(ground, lineage + 1) + _hidden_in_gaps(ground.points, first_gap)
    if not again:
        return place
    return replace(place, rereads=place.rereads + again, evidence=place.evidence | {"stored_again_max": again})


def _stored_again(ground: Ground, from_lineage: int) -> int:
    """Return at most how many records this lineage and those behind it stored a second time."""
    after = ground.stored_again_after + ground.in_flight if ground.points.is_ended else 0
    return sum(ground.stored_again[from_lineage:]) + after


def _hidden_in_gaps(points: PartitionMap, from_index: int) -> int:
    """Return at most how many records were stored a second time where history is missing."""
    starts = [start for start in points.starts_of(BreakKind.GAP) if start >= from_index]
    return sum(points.targets[start] - points.targets[start - 1] - 1 for start in starts)


def _above_log_start(offset: int, place: Place, ground: Ground, reads: Reads) -> Place:
    """Return the place; where retention has moved the log start above it under at-least-once, with what a
    restart may have stored again between the log start and a point at or above the offset."""
    if ground.standing.is_exactly_once or place.target_offset >= ground.ends.log_start:
        return place
    return replace(place, rereads=max(place.rereads, _visible_until_reached(offset, ground, reads)))


def _visible_until_reached(offset: int, ground: Ground, reads: Reads) -> int:
    """Return at most how many records lie between the log start and a point at or above the offset."""
    log_start, points = ground.ends.log_start, ground.points
    for index in range(bisect_left(points.targets, log_start, 0, len(points)), len(points)):
        if points.sources[index] >= offset:
            return count_visible(reads, log_start, points.targets[index])
    return count_visible(reads, log_start, ground.ends.last_stable) + ground.in_flight


def _at_point(offset: int, ground: Ground, lineage: int, index: int, reads: Reads) -> Place:
    points = ground.points
    source, target = points.sources[index], points.targets[index]
    if source == offset:
        return Place(target, 0, "sync_point", {"source": source, "target": target})
    bracket = _bracket_at(index, ground, lineage)
    if source + 1 == offset and _is_followed_in_order(index, ground):
        return Place(target + 1, 0, "after_sync_point", {"source": source, "target": target})
    if not bracket.is_tail and bracket.target_to == target + 1:
        return Place(target + 1, 0, "adjacent", _bracket_evidence(bracket))
    is_ended = bracket.is_tail and (index + 1 < len(points) or points.is_ended)
    is_ordered = _is_followed_in_order(index, ground) and not is_ended
    return _in_bracket(offset, bracket, ground, reads, is_ordered=is_ordered, is_ended=is_ended)


def _is_followed_in_order(index: int, ground: Ground) -> bool:
    """Whether the record stored behind this point is the next one of the source."""
    return ground.standing.is_exactly_once and not ground.points.has_gap_before(index + 1)


def _bracket_at(index: int, ground: Ground, lineage: int) -> Bracket:
    points = ground.points
    source, target = points.sources[index], points.targets[index]
    if index + 1 < ground.lineages[lineage][1]:
        return Bracket(source, target, points.sources[index + 1], points.targets[index + 1])
    if index + 1 < len(points):
        return Bracket(source, target, None, points.targets[index + 1], is_tail=True)
    reached = None if ground.mirrored is None else ground.mirrored - 1
    return Bracket(source, target, reached, ground.ends.last_stable, is_tail=True)


def _bracket_evidence(bracket: Bracket) -> Evidence:
    found: Evidence = {"source_from": bracket.source_from, "target_from": bracket.target_from}
    if bracket.source_to is not None:
        found |= {"source_to": bracket.source_to}
    return found | {"target_to": bracket.target_to}


def _in_bracket(
    offset: int,
    bracket: Bracket,
    ground: Ground,
    reads: Reads,
    *,
    is_ordered: bool,
    is_ended: bool,
    is_trimmed: bool = False,
) -> Place:
    start = max(bracket.target_from + 1, ground.ends.log_start)
    visible = reads.target(start, bracket.target_stop)
    evidence = _bracket_evidence(bracket)
    if visible is None:
        return _unread(offset, bracket, start, ground, is_ordered=is_ordered)
    scene = Scene(
        offset=offset,
        bracket=bracket,
        visible=visible,
        ground=ground,
        is_ordered=is_ordered,
        is_trimmed=is_trimmed or bracket.target_from + 1 < ground.ends.log_start,
    )
    rule, window = base_window(scene)
    evidence["visible"] = len(visible)
    if window.rereads and not is_ended:
        rule, window = refined_window(scene, reads, rule=rule, window=window, evidence=evidence)
    evidence |= {"place_low": window.low, "place_high": window.high}
    at = visible.offsets[window.low] if window.low < len(visible) else bracket.target_to
    return Place(at, window.rereads, rule, evidence)


def _unread(offset: int, bracket: Bracket, start: int, ground: Ground, *, is_ordered: bool) -> Place:
    """Return just behind the lower point, bounded by offsets: the bracket could not be read."""
    between = max(0, bracket.target_to - start) + (ground.in_flight if bracket.is_tail else 0)
    rereads = min(between, offset - bracket.source_from - 1) if is_ordered else between
    return Place(bracket.target_from + 1, rereads, "bracket", _bracket_evidence(bracket) | {"unread": between})
