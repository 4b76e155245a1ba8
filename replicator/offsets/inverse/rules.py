"""The inverse map: where on the source a group resumes that stands on the copy. Pure, given bounded reads.

For the way home. A group at an offset of the copy has read what lies below it: from the log start, or from
where a translation sent it. On the source it resumes one behind the last record it is sure to have read.
A later position on the copy never resumes earlier; where the flow went back on the source after a position,
that position resumes no later than the flow went back to. A group that retention set forward on the copy is
taken to have read what was deleted there: that loss was told when it moved.

Re-reads are records of the source at or above the answer that have a copy below the position. Under
at-least-once what the flow itself stored twice is not counted. A position in a hole of the source comes back
as the record behind the hole: nothing lies between.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from replicator.model.names import Offset
from replicator.model.observations import PartitionEnds
from replicator.model.offsets import Grade, Translation
from replicator.offsets.ground import stored_points
from replicator.offsets.inverse.counting import count_place
from replicator.offsets.inverse.lineages import (
    read_and_not_stored_again,
    read_from,
    read_in_older_lineages,
    went_back_to,
)
from replicator.offsets.inverse.spot import Answer, Scene, Spot, copies_in
from replicator.offsets.points import BreakKind, PartitionMap
from replicator.offsets.reads import Reads, Standing
from replicator.offsets.scene import Evidence

INVERSE_RULES: Mapping[str, str] = MappingProxyType(
    {
        "not_mirrored": "one of the clusters has no such partition",
        "end_of_mirror": "the group has read the whole copy: it resumes where the flow would have read on",
        "floor": "the position is below all that is known: the source's log start",
        "sync_point": "the next record of the copy is a true point of the map",
        "after_sync_point": "the last record that was read is a true point of the map",
        "rank": "records were counted between true points",
        "counted_at_source": "records were counted between true points, on the source too",
        "anchored": "records were found on both sides by their content",
        "bracket": "only the points around the position are sure: just behind the lower one",
    }
)
"""What each rule of the inverse map means, in the order in which they are tried."""


def invert_offset(
    offset: int, standing: Standing, points: PartitionMap, reads: Reads, *, source: PartitionEnds | None
) -> Translation:
    """Return where on the source a group resumes whose next record is at `offset` of the copy.

    `standing` is the flow's, as for the forward map; its `target` ends where the flow stopped writing: what
    lies beyond was written by others, a position there is clamped to that end and says so. `source` holds the
    ends of the source's partition; None: there is none. `points` must be whole: pruned ones have forgotten how far
    up the source older lineages reached. The answer reads from the copy to the source:
    its `partition` is the copy's, its `target_partition` the source's.
    """
    ends = standing.target
    if ends is None or source is None:
        return _translation(offset, standing, None, Grade.UNAVAILABLE)
    known = stored_points(standing, points)
    mirrored = standing.mirrored
    at = min(offset, ends.last_stable)
    spot = Spot(
        at=at,
        index=bisect_left(known.targets, at, 0, len(known)) - 1,
        points=known,
        standing=standing,
        ends=ends,
        is_ended=known.is_ended or (len(known) > 0 and mirrored is not None and mirrored <= known.last_source),
    )
    answer = _answer(spot, reads, source)
    grade = Grade.EXACT if answer.rereads == 0 else Grade.FLOOR if answer.rule == "floor" else Grade.BOUNDED
    answer = _inside(answer, source)
    is_clamped = at != offset or "clamped_from" in answer.evidence
    return _translation(offset, standing, answer, grade, is_clamped=is_clamped)


def _translation(
    offset: int, standing: Standing, answer: Answer | None, grade: Grade, *, is_clamped: bool = False
) -> Translation:
    return Translation(
        partition=standing.target_partition,
        target_partition=standing.partition,
        source_offset=Offset(offset),
        target_offset=None if answer is None else Offset(answer.source_offset),
        grade=grade,
        reread_records_max=None if answer is None else answer.rereads,
        rule="not_mirrored" if answer is None else answer.rule,
        evidence={} if answer is None else answer.evidence,
        is_clamped=is_clamped,
    )


def _inside(answer: Answer, source: PartitionEnds) -> Answer:
    """Return the answer within [log start, end] of the source: elsewhere a consumer would use its own reset."""
    inside = min(max(answer.source_offset, source.log_start), source.end)
    if inside == answer.source_offset:
        return answer
    return replace(answer, source_offset=inside, evidence=answer.evidence | {"clamped_from": answer.source_offset})


def _answer(spot: Spot, reads: Reads, source: PartitionEnds) -> Answer:
    """Return the answer of the position's own bracket, no later than the flow went back to afterwards.

    A restart under at-least-once may go back beyond the first record of a copy that was made anew under way: what is
    ahead of a group there may be older than all it has read.
    """
    if spot.points.is_anew and not spot.standing.is_exactly_once:
        again = copies_in(0, spot.at, spot, reads)
        return Answer(source_offset=source.log_start, rereads=again, rule="floor", evidence={"made_anew": 1})
    if spot.index < 0:
        found = _below_all_points(spot, reads, source)
    else:
        found = _end_of_mirror(spot) or _in_bracket(spot, reads)
    home = min([found.source_offset, *went_back_to(spot, reads, source)])
    is_lowered = home < found.source_offset
    older = 0 if spot.standing.is_exactly_once else read_and_not_stored_again(home, spot, reads)
    if spot.standing.is_exactly_once or is_lowered:
        older += read_in_older_lineages(home, spot, reads)
    if not is_lowered:
        return replace(found, rereads=found.rereads + older)
    again = min(found.source_offset - home + found.rereads, read_from(home, spot, reads))
    evidence = found.evidence | {"went_back_to": home}
    return replace(found, source_offset=home, rereads=again + older, evidence=evidence)


def _below_all_points(spot: Spot, reads: Reads, source: PartitionEnds) -> Answer:
    points = spot.points
    evidence: Evidence = {"source_log_start": source.log_start}
    if len(points):
        evidence |= {"first_source": points.sources[0], "first_target": points.targets[0]}
        if spot.at == points.targets[0]:
            again = copies_in(0, spot.at, spot, reads) if 0 in points.starts_of(BreakKind.REWIND) else 0
            return Answer(source_offset=points.sources[0], rereads=again, rule="sync_point", evidence=evidence)
    rereads = copies_in(0, spot.at, spot, reads)
    if len(points) and spot.standing.is_exactly_once and 0 not in points.starts_of(BreakKind.REWIND):
        rereads = min(rereads, max(0, points.sources[0] - source.log_start))
    return Answer(source_offset=source.log_start, rereads=rereads, rule="floor", evidence=evidence)


def _end_of_mirror(spot: Spot) -> Answer | None:
    if not spot.is_tail or spot.at < spot.ends.last_stable or spot.source_to is None:
        return None
    evidence: Evidence = {"mirrored": spot.source_to + 1, "target_end": spot.ends.last_stable}
    return Answer(source_offset=spot.source_to + 1, rereads=0, rule="end_of_mirror", evidence=evidence)


def _in_bracket(spot: Spot, reads: Reads) -> Answer:
    evidence: Evidence = {"source_from": spot.source_from, "target_from": spot.target_from}
    if spot.source_to is not None:
        evidence |= {"source_to": spot.source_to}
    if not spot.is_tail and spot.points.targets[spot.index + 1] == spot.at:
        place = spot.points.sources[spot.index + 1]
        is_new_lineage = spot.standing.is_exactly_once and spot.index + 1 in spot.points.starts_of(BreakKind.REWIND)
        again = read_from(place, spot, reads) if is_new_lineage else 0
        return Answer(source_offset=place, rereads=again, rule="sync_point", evidence=evidence)
    if spot.at == spot.target_from + 1:
        return Answer(source_offset=spot.source_from + 1, rereads=0, rule="after_sync_point", evidence=evidence)
    start = max(spot.target_from + 1, spot.ends.log_start)
    visible = reads.target(start, spot.target_stop)
    if visible is None:
        read_max = spot.at - spot.target_from - 1
        return Answer(source_offset=spot.source_from + 1, rereads=read_max, rule="bracket", evidence=evidence)
    return count_place(Scene(spot=spot, visible=visible), reads, evidence)
