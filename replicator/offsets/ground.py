"""The ground a translation stands on: which points of one partition may be used, and what they imply.

Where the flow went back on the source (a PATCH, a restart under at-least-once), the target holds some
records twice, and until the flow has passed the place it had reached before, some only in the older
stretch. A group must not be sent behind those. So points behind such a step are used only once it is proven
that the flow has passed: as many records were stored after a point at or above the older ones as could have
been stored between the older ones and the step. Until then the map ends before the step.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from replicator.model.observations import PartitionEnds
from replicator.offsets.points import EMPTY_MAP, BreakKind, PartitionMap
from replicator.offsets.reads import Reads, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What one partition's translations stand on, worked out once for all groups.

    `points` are the usable ones; `mirrored` (the next source offset to mirror) is None when it may not be
    relied upon. `stored_again[i]` bounds the records that lineage i of `points` stored a second time,
    `stored_again_after` those behind the last usable point. `has_lost_map`: points were known, but they
    belong to another incarnation of the target topic.
    """

    standing: Standing
    ends: PartitionEnds
    points: PartitionMap
    mirrored: int | None
    lineages: tuple[tuple[int, int], ...] = ()
    stored_again: tuple[int, ...] = ()
    stored_again_after: int = 0
    has_lost_map: bool = False

    @property
    def in_flight(self) -> int:
        """How many records at most were mirrored but not visible in the first sweep; 0 when all had settled."""
        now = self.standing.target_now or self.ends
        return max(0, now.end - self.ends.last_stable)

    @property
    def is_from_origin(self) -> bool:
        """Whether all that was stored before the first point was read in order, from the beginning of the source on.

        A flow that starts on many partitions at once has no room for all their first syncs.
        """
        points = self.points
        is_whole = points.is_from_origin and len(points) > 0 and not any(b.index == 0 for b in points.breaks)
        return is_whole and self.standing.is_exactly_once and not self.has_lost_map

    @property
    def is_ranked(self) -> bool:
        """Whether visible records of the copy may be counted: none is stored twice, none compacted away."""
        return self.standing.is_exactly_once and not self.standing.is_target_compacted


def prepare(standing: Standing, points: PartitionMap, reads: Reads) -> Ground | None:
    """Return the ground for one partition; None when the target has no such partition."""
    ends = standing.target
    if ends is None:
        return None
    known = stored_points(standing, points)
    again: dict[int, int] = {}
    if standing.is_exactly_once:
        known, again = _passed_points(_stepped_back(known, standing.mirrored), ends, reads)
    else:
        known = _certain_points(known, ends)
    lineages = tuple(known.lineages())
    return Ground(
        standing=standing,
        ends=ends,
        points=known,
        mirrored=standing.mirrored if standing.is_exactly_once and not known.is_ended else None,
        lineages=lineages,
        stored_again=tuple(again.get(start, 0) for start, _ in lineages),
        stored_again_after=_visible_after(known, ends, reads) if known.is_ended else 0,
        has_lost_map=len(points) > 0 and points.last_target >= (standing.target_now or ends).end,
    )


def stored_points(standing: Standing, points: PartitionMap) -> PartitionMap:
    """Return the points that tell of the copy as it stands, as far as it is visible; none without a copy."""
    if standing.target is None:
        return EMPTY_MAP
    now = standing.target_now or standing.target
    return _of_this_incarnation(points, now).until_target(standing.target.last_stable)


def _visible_after(points: PartitionMap, ends: PartitionEnds, reads: Reads) -> int:
    start = points.last_target + 1 if len(points) else ends.log_start
    return count_visible(reads, start, ends.last_stable)


def _of_this_incarnation(points: PartitionMap, now: PartitionEnds) -> PartitionMap:
    """Return no points when the target is shorter than they say: it was truncated or made anew."""
    return EMPTY_MAP if len(points) and points.last_target >= now.end else points


def _stepped_back(points: PartitionMap, mirrored: int | None) -> PartitionMap:
    """Return the points, ended when the mirrored position is not behind the last one: it was set back."""
    return points.ended() if len(points) and mirrored is not None and mirrored <= points.last_source else points


def _passed_points(points: PartitionMap, ends: PartitionEnds, reads: Reads) -> tuple[PartitionMap, dict[int, int]]:
    """Return the points up to the first step back that is not proven to be passed; and for each one that
    is, by the index behind it, at most how many records were stored again."""
    again: dict[int, int] = {}
    for start in points.starts_of(BreakKind.REWIND):
        passed_at = _passed_at(points, start, ends, reads)
        if passed_at is None:
            return points.until_index(start), again
        again[start] = passed_at - _last_before(points, start, ends)
    return points, again


def _last_before(points: PartitionMap, start: int, ends: PartitionEnds) -> int:
    """Return the target offset behind which nothing is known up to the point at `start`."""
    return points.targets[start - 1] if start else min(ends.log_start - 1, points.targets[0] - 1)


def _passed_at(points: PartitionMap, start: int, ends: PartitionEnds, reads: Reads | None) -> int | None:
    """Return a target offset by which the flow had passed all it held before the point at `start`.

    Only records within one lineage count: a later step back stores records again that are no progress.
    Without `reads` every offset counts as a record. Of records before the first point nobody knows how far
    up the source they lie: it is never proven that the flow has passed them.
    """
    room = points.targets[start] - _last_before(points, start, ends) - 1
    if not start and room:
        return None
    older_max = points.until_index(start).source_max if start else -1
    for first, stop in points.lineages():
        caught_up = bisect_left(points.sources, older_max, first, stop)
        if first < start or caught_up == stop:
            continue
        lineage_end = ends.last_stable if stop == len(points) else points.targets[stop - 1] + 1
        passed_at = _nth_behind(points.targets[caught_up], room, lineage_end, reads)
        if passed_at is not None:
            return passed_at
    return None


def _nth_behind(target: int, count: int, end: int, reads: Reads | None) -> int | None:
    """Return the target offset of the `count`-th record behind `target` and below `end`, if there is one."""
    if reads is None or count == 0:
        return target + count if target + count < end else None
    seen = reads.target(target + 1, end, records_max=count)
    return None if seen is None or len(seen) < count else seen.offsets[count - 1]


def _certain_points(points: PartitionMap, ends: PartitionEnds) -> PartitionMap:
    """Return the points that no restart can have left behind, under at-least-once.

    Any bracket may hide a restart whose first sync was dropped: the older task may have stored up to the
    bracket's room behind its last point, and the newer one has passed that once it stored as many. Without
    transactions every target offset is a stored record, so offsets count here. Restarts so close to each
    other that none of them stores a bracket's room are beyond this proof. In a copy made anew under way the records
    before the first point may lie anywhere up the source: it is never proven that a restart has passed them.
    """
    if points.is_anew and len(points) and points.targets[0] > ends.log_start:
        return points.until_index(0)
    certain = len(points)
    for index in range(len(points) - 1, 0, -1):
        stored_since = ends.last_stable - points.targets[index]
        if points.targets[index] - points.targets[0] <= stored_since:
            break  # no bracket further down is wider than what was stored since
        if stored_since <= points.targets[index] - points.targets[index - 1] - 1:
            certain = index
    for start in points.starts_of(BreakKind.REWIND):
        if start < certain and _passed_at(points, start, ends, None) is None:
            certain = start
    return points.until_index(certain)


def count_visible(reads: Reads, from_offset: int, to_offset: int) -> int:
    """Return how many records are visible in [from, to), or the number of offsets where they cannot be read."""
    seen = reads.target(from_offset, to_offset)
    return max(0, to_offset - from_offset) if seen is None else len(seen)
