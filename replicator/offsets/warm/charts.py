"""A chart: one partition's proven runs beside the end of its mirror, ready to place groups. Pure.

A chart answers only what costs nothing and is settled: everything else is for the rules. It can be laid only where
the newest stretch goes on, under exactly-once, over a copy that nothing is compacted away from.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from replicator.offsets.ground import Ground
from replicator.offsets.points import BreakKind
from replicator.offsets.warm.stretches import ProvenRuns, WarmMap

NEVER = 2**62
"""A source offset that no group reaches."""


class Chart(NamedTuple):
    """Groups at or beyond `mirrored` resume at `end`; below it where a run holds them: columns as of `ProvenRuns`."""

    mirrored: int
    end: int
    starts: array[int]
    stops: array[int]
    shifts: array[int]

    def evidence_of(self, offset: int, place: int) -> tuple[str, dict[str, int | str]]:
        """Return the rule that a place stands for, and its numbers."""
        if offset < self.mirrored:
            return "proven_run", {"target_minus_source": place - offset}
        never = offset - self.mirrored
        return "end_of_mirror", {"mirrored": self.mirrored, "target_end": place, "never_mirrored": never}


ChartColumns = tuple[int, int, "array[int]", "array[int]", "array[int]"]
"""A chart as a plain tuple, which is taken apart faster."""


class TopicCharts(dict[int, ChartColumns]):
    """The charts of one topic by partition, each made when it is first asked for."""

    def __init__(self, make: Callable[[int], Chart]) -> None:
        self._make = make

    def __missing__(self, number: int) -> ChartColumns:
        chart = self._make(number)
        self[number] = made = chart.mirrored, chart.end, chart.starts, chart.stops, chart.shifts
        return made


_NOTHING = ProvenRuns()
EMPTY_CHART = Chart(NEVER, 0, _NOTHING.starts, _NOTHING.stops, _NOTHING.shifts)
"""For what only the rules may answer."""


def chart_of(ground: Ground | None, warm: WarmMap, *, copy_id: str) -> Chart:
    """Return the chart of a partition; what was proven before the newest stretch, or below the log start, is forgotten.

    A flow that went back stores records again: a group must not be sent behind the older copies unless the rules
    prove it, so that nothing proven in an older stretch is used, and nothing at all while the flow is set back.
    """
    if ground is None:
        return EMPTY_CHART
    partition, first = ground.standing.partition, first_chartable(ground)
    proven = warm.of(partition, copy_id=copy_id)
    if first is None:
        warm.forget_below(partition, NEVER)
        return EMPTY_CHART
    warm.forget_below(partition, max(ground.points.targets[first], ground.ends.log_start))
    is_settled = ground.mirrored is not None and not ground.in_flight
    mirrored = ground.mirrored if is_settled and ground.mirrored is not None else NEVER
    return Chart(mirrored, ground.ends.last_stable, proven.starts, proven.stops, proven.shifts)


def first_chartable(ground: Ground) -> int | None:
    """Return the index of the first point from which on the stretch is whole, above the log start; None for none."""
    points = ground.points
    if not ground.is_ranked or points.is_ended or not ground.lineages or ground.has_lost_map:
        return None
    first = max([ground.lineages[-1][0], *points.starts_of(BreakKind.GAP)])
    first = max(first, bisect_left(points.targets, ground.ends.log_start, 0, len(points)))
    return first if first < len(points) else None
