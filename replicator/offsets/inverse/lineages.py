"""What a flow that went back on the source means for the way home: how far, and what is read again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from replicator.model.observations import PartitionEnds
from replicator.offsets.inverse.spot import Spot, copies_in
from replicator.offsets.points import BreakKind
from replicator.offsets.reads import Reads

COUNT_BACK_FACTOR = 8
"""How many offsets of the source are read at first for each record to be counted back; then twice as many."""


def went_back_to(spot: Spot, reads: Reads, source: PartitionEnds) -> Iterator[int]:
    """Yield how far back the flow may have gone on the source, for each time it did at or behind the position.

    The first syncs of the new lineage may be missing: as many records before its first point as were stored
    in between may be ahead of the group.
    """
    points = spot.points
    for start in points.starts_of(BreakKind.REWIND):
        if start > spot.index:
            yield points.sources[start]
            behind = points.targets[start - 1] + 1 if start else 0
            hidden = copies_in(max(behind, spot.at), points.targets[start], spot, reads)
            if hidden:
                yield _count_back(hidden, points.sources[start], reads, source)
    if spot.is_ended:
        behind = points.last_target + 1 if len(points) else 0
        hidden = copies_in(max(behind, spot.at), spot.ends.last_stable, spot, reads) + spot.in_flight
        mirrored = spot.standing.mirrored
        if hidden:
            yield source.log_start if mirrored is None else _count_back(hidden, mirrored, reads, source)


def _count_back(count: int, offset: int, reads: Reads, source: PartitionEnds) -> int:
    """Return a source offset with at least `count` records in [it, offset), or the log start.

    Fewer records never lie further back: the widths tried for them are among those tried for more.
    """
    width = 1 << (COUNT_BACK_FACTOR * count - 1).bit_length()
    while True:
        start = max(source.log_start, offset - width)
        seen = reads.source(start, offset)
        if seen is None or (len(seen) < count and start == source.log_start):
            return source.log_start
        if len(seen) >= count:
            return seen.offsets[-count]
        width *= 2


def read_from(home: int, spot: Spot, reads: Reads) -> int:
    """Return how many copies below the position, in the lineage it lies in, may be of records from `home` on."""
    points = spot.points
    start = max((s for s in points.starts_of(BreakKind.REWIND) if s <= spot.index), default=0)
    last_below = bisect_left(points.sources, home, start, max(start, spot.index + 1)) - 1
    behind = points.targets[last_below] + 1 if last_below >= 0 else 0
    return copies_in(behind, spot.at, spot, reads)


def read_in_older_lineages(home: int, spot: Spot, reads: Reads) -> int:
    """Return how many copies of records from `home` on may lie before the flow last went back below the position."""
    points = spot.points
    rewinds = [s for s in points.starts_of(BreakKind.REWIND) if s <= spot.index]
    count = copies_in(0, points.targets[0], spot, reads) if 0 in rewinds else 0
    for start, stop in points.lineages():
        if stop <= spot.index and stop in rewinds:
            last_below = bisect_left(points.sources, home, start, stop) - 1
            behind = points.targets[last_below] + 1 if last_below >= start else points.targets[start] if start else 0
            count += copies_in(behind, points.targets[stop], spot, reads)
    return count


def read_and_not_stored_again(home: int, spot: Spot, reads: Reads) -> int:
    """Return the same under at-least-once: where the flow is not known to have passed all it had read before.

    A restart whose first sync was dropped may hide in any bracket; the older task was then at most the
    bracket's room ahead of its last point.
    """
    points = spot.points
    if not len(points):
        return 0
    last = min(spot.index + 1, len(points) - 1)
    stored_since = _stored_since_passed(spot)
    if stored_since > points.targets[last]:
        return 0
    room = max((points.targets[k] - points.targets[k - 1] - 1 for k in range(1, last + 1)), default=0)
    if stored_since > max(room, points.targets[0]):
        return 0
    here = read_from(home, spot, reads) if spot.index + 1 in points.starts_of(BreakKind.REWIND) else 0
    return max(room, points.targets[0]) + here + read_in_older_lineages(home, spot, reads)


def _stored_since_passed(spot: Spot) -> int:
    """Return how many offsets were written since both the position and the place where the flow had caught up with
    all it had read below it; 0 when it is not known to have."""
    points, rewinds = spot.points, spot.points.starts_of(BreakKind.REWIND)
    until = points.until_index(spot.index + 1)
    reached = until.source_max if len(until) else -1
    if len(until) and points.sources[spot.index] == reached and spot.index + 1 not in rewinds:
        return spot.ends.last_stable - spot.at
    for first, stop in points.lineages():
        caught_up = bisect_left(points.sources, reached, max(first, spot.index + 1), max(stop, spot.index + 1))
        if caught_up < stop:
            return spot.ends.last_stable - max(spot.at, points.targets[caught_up])
    return 0
