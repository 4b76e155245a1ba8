"""A partition's places worked out beforehand, as the rules answer when nothing may be read. Pure.

For questions about very many groups at once, where each answer is a place and a bound: how a whole cluster stands,
which groups would cost most. A group that moves is translated by the rules, with evidence.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from replicator.offsets.ground import Ground
from replicator.offsets.rules import translate_offset

BELOW_ALL, ABOVE_ALL = -1, 2**62
"""Source offsets below and above every other."""


class _NothingRead:
    """Reads that are not made."""

    def target(self, from_offset: int, to_offset: int, *, records_max: int | None = None) -> None:
        del from_offset, to_offset, records_max

    def source(self, from_offset: int, to_offset: int | None) -> None:
        del from_offset, to_offset


class WarmPlaces:
    """Answers (target offset, re-reads at most) for source offsets of one partition, in runs of equal answers.

    The place is the rules' own; the bound is that of the run's last offset, so never below the rules'.
    """

    __slots__ = ("_costs", "_places", "_starts")

    def __init__(self, ground: Ground) -> None:
        self._starts, self._places, self._costs = array("q"), array("q"), array("q")
        starts = sorted(_run_starts(ground))
        for start, stop in zip(starts, [*starts[1:], ABOVE_ALL], strict=True):
            self._add(start, stop - 1, ground)

    def _add(self, first: int, last: int, ground: Ground) -> None:
        found = translate_offset(last, ground.standing, ground, _NothingRead())
        place, cost = found.target_offset or 0, found.reread_records_max or 0
        if not self._places or (place, cost) != (self._places[-1], self._costs[-1]):
            self._starts.append(first)
            self._places.append(place)
            self._costs.append(cost)

    def __len__(self) -> int:
        return len(self._starts)

    def places_of(self, offsets: Iterable[int]) -> list[tuple[int, int]]:
        """Return place and bound of each source offset."""
        starts, places, costs = self._starts, self._places, self._costs
        return [(places[i], costs[i]) for i in [bisect_right(starts, offset) - 1 for offset in offsets]]


def _run_starts(ground: Ground) -> set[int]:
    """Return the source offsets at which an answer may begin to differ from the one below it."""
    starts = {BELOW_ALL, *_around_points(ground)}
    if ground.mirrored is not None:
        starts |= {ground.mirrored, ground.mirrored + 1}
        starts = {start for start in starts if start <= ground.mirrored + 1}
    return starts


def _around_points(ground: Ground) -> Iterator[int]:
    """Yield every point and the offset behind it; of older lineages as far as no newer one answers."""
    below: int | None = None
    for first, stop in reversed(ground.lineages):
        for index in range(first, stop):
            source = ground.points.sources[index]
            if below is None or source < below:
                yield from (source, source + 1) if below is None or source + 1 < below else (source,)
        below = ground.points.sources[first] if below is None else min(below, ground.points.sources[first])
