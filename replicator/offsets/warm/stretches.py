"""Proven runs: source offsets whose place on the copy differs by a constant, one entry a run. Pure.

A run (u, d, n) says: a group at u + k of the source, 0 <= k < n, resumes at d + k of the copy, and reads nothing
twice. Where the copy has no marker and the source no hole, thousands of records are one run.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from replicator.model.names import TopicPartition

RUNS_MAX = 2_000_000
"""How many runs a warm map holds: 24 bytes each. Beyond it, partitions asked about longest ago are forgotten."""

BELOW_ALL = -(2**62)
Run = tuple[int, int, int]


class ProvenRuns:
    """The proven runs of one partition, in the order of the source: columns of where each begins and stops there, and
    how far the copy is ahead of it. The first row is none: it lies below all."""

    __slots__ = ("shifts", "starts", "stops")

    def __init__(self) -> None:
        self.starts = array("q", [BELOW_ALL])
        self.stops = array("q", [BELOW_ALL])
        self.shifts = array("q", [0])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def runs(self) -> Iterator[Run]:
        """Return every run."""
        rows = zip(self.starts[1:], self.stops[1:], self.shifts[1:], strict=True)
        return ((start, start + shift, stop - start) for start, stop, shift in rows)

    def place_of(self, offset: int) -> int | None:
        """Return the place of a source offset; None where nothing is proven."""
        index = bisect_right(self.starts, offset) - 1
        return offset + self.shifts[index] if offset < self.stops[index] else None

    def add(self, runs: Iterable[Run]) -> None:
        """Take new runs; what is known already stays as it is, neighbours with the same difference become one."""
        for start, base, length in runs:
            self._add(start, start + length, base - start)

    def _add(self, start: int, stop: int, shift: int) -> None:
        while start < stop:
            index = bisect_right(self.starts, start)
            start = max(start, self.stops[index - 1])
            end = min(stop, self.starts[index]) if index < len(self.starts) else stop
            if start < end:
                self._insert(index, start, end, shift)
            start = max(start, end)

    def _insert(self, index: int, start: int, stop: int, shift: int) -> None:
        if self._continues(index - 1, start, shift):
            self.stops[index - 1] = stop
            self._join(index)
            return
        self.starts.insert(index, start)
        self.stops.insert(index, stop)
        self.shifts.insert(index, shift)
        self._join(index + 1)

    def _continues(self, index: int, start: int, shift: int) -> bool:
        """Whether a run beginning there goes on where the run at `index` stops, on both sides."""
        return self.stops[index] == start and self.shifts[index] == shift

    def _join(self, index: int) -> None:
        """Make the run at `index` part of the one before it, if it continues that."""
        if index < len(self.starts) and self._continues(index - 1, self.starts[index], self.shifts[index]):
            self.stops[index - 1] = self.stops[index]
            del self.starts[index], self.stops[index], self.shifts[index]

    def forget_below(self, place: int) -> None:
        """Forget runs that end below a place of the copy, and of the others what lies below it."""
        keep = 1
        while keep < len(self.starts) and self.stops[keep] + self.shifts[keep] <= place:
            keep += 1
        del self.starts[1:keep], self.stops[1:keep], self.shifts[1:keep]
        if len(self):
            self.starts[1] = max(self.starts[1], place - self.shifts[1])


class WarmMap:
    """What was proven of every partition of a flow, bounded: at most `runs_max` runs. One thread at a time.

    It outlives the views and the map it was proven on: a closed stretch of a copy does not change. What begins a new
    stretch forgets what was proven before it (see `Chart`).
    """

    def __init__(self, *, runs_max: int = RUNS_MAX) -> None:
        self._runs_max = runs_max
        self._partitions: OrderedDict[TopicPartition, tuple[str, ProvenRuns]] = OrderedDict()
        self._count = 0

    @property
    def runs_count(self) -> int:
        """How many runs are held."""
        return self._count

    def of(self, partition: TopicPartition, *, copy_id: str) -> ProvenRuns:
        """Return what is proven of a source partition's copy in the topic of this id; of another copy, nothing."""
        known = self._partitions.get(partition)
        if known is None or known[0] != copy_id:
            self._forget(partition)
            known = self._partitions[partition] = copy_id, ProvenRuns()
        self._partitions.move_to_end(partition)
        return known[1]

    def add(self, partition: TopicPartition, runs: Iterable[Run]) -> None:
        """Take runs of a partition asked about before; too many, and what was asked about longest ago goes."""
        if partition not in self._partitions:
            return
        proven = self._partitions[partition][1]
        before = len(proven)
        proven.add(runs)
        self._count += len(proven) - before
        while self._count > self._runs_max and len(self._partitions) > 1:
            self._forget(next(iter(self._partitions)))

    def forget_below(self, partition: TopicPartition, place: int) -> None:
        """Forget what is proven of a partition asked about before, below a place of its copy."""
        proven = self._partitions[partition][1]
        before = len(proven)
        proven.forget_below(place)
        self._count -= before - len(proven)

    def _forget(self, partition: TopicPartition) -> None:
        gone = self._partitions.pop(partition, None)
        self._count -= 0 if gone is None else len(gone[1])
