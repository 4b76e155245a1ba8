"""Proving a bracket of the map: its records counted on the copy, and on the source where that has holes. Pure.

Between two true points of one stretch, under exactly-once, the visible records of the copy are those of the source,
in order. As many as source offsets: no hole, and rank is the map. Fewer: the source's own records, if just as many,
tell which offset is which.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise

from replicator.model.offsets import Grade, Translation
from replicator.offsets.ground import Ground
from replicator.offsets.reads import Reads
from replicator.offsets.warm.charts import first_chartable
from replicator.offsets.warm.stretches import Run

COUNTED = ("rank", "counted_at_source")
POINTED = ("sync_point", "after_sync_point", "adjacent")


def runs_from(found: Translation, ground: Ground, reads: Reads) -> list[Run]:
    """Return what an answer of the rules proves for others: a counted one its whole bracket, a point itself."""
    first = first_chartable(ground)
    if first is None or found.target_offset is None or found.grade is not Grade.EXACT or found.is_clamped:
        return []
    if found.rule in COUNTED:
        return prove_around(found.source_offset, ground, reads)
    is_inside = found.rule in POINTED and found.source_offset >= ground.points.sources[first]
    return [(found.source_offset, found.target_offset, 1)] if is_inside else []


def prove_around(offset: int, ground: Ground, reads: Reads) -> list[Run]:
    """Return the runs of the closed bracket around a source offset; none where that is open, or nothing is proven."""
    first = first_chartable(ground)
    if first is None:
        return []
    points = ground.points
    index = points.index_at(offset, (first, len(points)))
    if index < first or index + 1 >= len(points):
        return []
    lower = points.sources[index], points.targets[index]
    upper = points.sources[index + 1], points.targets[index + 1]
    copies = reads.target(lower[1] + 1, upper[1] + 1)
    if copies is None or not copies.offsets or copies.offsets[-1] != upper[1]:
        return []
    found = _sources_of(lower[0], upper[0], len(copies), ground, reads)
    return [] if found is None else _to_runs([lower[0], *found], _places_of(lower, found, copies.offsets))


def _sources_of(lower: int, upper: int, count: int, ground: Ground, reads: Reads) -> Sequence[int] | None:
    """Return the source offset of each of so many copies in (lower, upper]; None when that is not proven."""
    if count == upper - lower:
        return range(lower + 1, upper + 1)
    if count > upper - lower or ground.standing.is_source_compacted:
        return None
    found = reads.source(lower + 1, upper + 1)
    return found.offsets if found is not None and len(found) == count and found.offsets[-1] == upper else None


def _places_of(lower: tuple[int, int], sources: Sequence[int], copies: array[int]) -> list[int]:
    """Return the place of each record; the one right behind the lower point needs no counting (`after_sync_point`)."""
    places = [lower[1], *copies]
    if sources[0] == lower[0] + 1 and len(sources) > 1:
        places[1] = lower[1] + 1
    return places


def _to_runs(sources: Sequence[int], places: Sequence[int]) -> list[Run]:
    """Return neighbours on both sides as one run each."""
    runs, first = [], 0
    for index, ((u, v), (d, e)) in enumerate(zip(pairwise(sources), pairwise(places), strict=True), start=1):
        if v != u + 1 or e != d + 1:
            runs.append((sources[first], places[first], index - first))
            first = index
    return [*runs, (sources[first], places[first], len(sources) - first)]
