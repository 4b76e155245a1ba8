"""The offset map: true points of source → target positions, by partition, in stretches. Pure.

A point (u, d) says: the source record at offset u is stored on the target at offset d. Between points
the map is not known here; `rules` says what may be concluded. Within one partition target offsets only
grow; a point that steps back on the target belongs to another incarnation of the target topic, and all
that was known before it is dropped. Source offsets grow within a stretch; where they do not, or where
we are told that positions were moved, a new stretch begins and the older ones stand as they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from replicator.model.names import TopicPartition
from replicator.model.offsets import OffsetSync


class BreakKind(StrEnum):
    """Why a stretch begins: the flow went back on the source; or part of the history is missing before it."""

    REWIND = "rewind"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class StretchEnd:
    """Told from outside, by a journaled PATCH: what is stored at or beyond `target_offset` of the partition's
    copy was read from another place of the source. `partition` is the source's."""

    partition: TopicPartition
    target_offset: int


@dataclass(frozen=True, slots=True)
class StretchBreak:
    """The point at `index` is the first of a new stretch."""

    index: int
    kind: BreakKind


@dataclass(frozen=True, slots=True)
class PartitionMap:
    """The points of one partition: columns `sources` and `targets`, of which the first `count` are ours.

    The columns are append-only and may be shared with a longer map of the same partition. `is_anew`: the copy was made
    anew while the flow was under way, so that what it holds first need not be where the flow began. `is_from_origin`:
    no sync of the partition before the first point is missing or forgotten, but those that the flow never sent.
    `is_after_gap`: syncs before the first point are missing from the history.
    """

    sources: array[int]
    targets: array[int]
    count: int
    breaks: tuple[StretchBreak, ...] = ()
    is_anew: bool = False
    is_from_origin: bool = False
    is_after_gap: bool = False

    def __len__(self) -> int:
        return self.count

    def points(self) -> Iterator[tuple[int, int]]:
        """Return every point in the order of the target."""
        return zip(self.sources[: self.count], self.targets[: self.count], strict=True)

    @property
    def last_source(self) -> int:
        """The source offset of the last point; the map must not be empty."""
        return self.sources[self.count - 1]

    @property
    def last_target(self) -> int:
        """The target offset of the last point; the map must not be empty."""
        return self.targets[self.count - 1]

    @property
    def source_max(self) -> int:
        """The highest source offset of any point; the map must not be empty."""
        lasts = [start - 1 for start in self.starts_of(BreakKind.REWIND) if start > 0]
        return max(self.sources[index] for index in (*lasts, self.count - 1))

    def starts_of(self, kind: BreakKind) -> list[int]:
        """Return the indexes at which a stretch begins for this reason."""
        return [b.index for b in self.breaks if b.kind is kind and b.index < self.count]

    def has_gap_before(self, index: int) -> bool:
        """Whether history is missing between the point at `index` and the one before it."""
        return any(b.index == index and b.kind is BreakKind.GAP for b in self.breaks)

    def misses_history_at(self, source_offset: int) -> bool:
        """Whether syncs are missing from the history between the points around a source offset, or below the first."""
        index = max((self.index_at(source_offset, one) for one in self.lineages()), default=-1)
        is_below = index < 0 or self.sources[index] > source_offset
        return self.is_after_gap if is_below else self.has_gap_before(index + 1)

    @property
    def is_ended(self) -> bool:
        """Whether the flow is known to have gone back after the last point."""
        return any(b.index == self.count and b.kind is BreakKind.REWIND for b in self.breaks)

    def lineages(self) -> list[tuple[int, int]]:
        """Return [start, stop) of each run of points within which the flow never went back, oldest first."""
        starts = [0, *(s for s in self.starts_of(BreakKind.REWIND) if s > 0)]
        return [(a, b) for a, b in zip(starts, [*starts[1:], self.count], strict=True) if a < b]

    def until_target(self, offset: int) -> PartitionMap:
        """Return the map of the points stored below `offset` of the target."""
        return self.until_index(self.index_of_target(offset))

    def index_of_target(self, offset: int) -> int:
        """Return the index of the first point stored at or beyond `offset` of the target."""
        return bisect_left(self.targets, offset, 0, self.count)

    def until_index(self, index: int) -> PartitionMap:
        """Return the map of the first `index` points."""
        return self if index >= self.count else replace(self, count=index)

    def without_older_than(self, index: int) -> PartitionMap:
        """Return a map of its own that begins with the point at `index`."""
        return PartitionMap(
            sources=self.sources[index : self.count],
            targets=self.targets[index : self.count],
            count=max(0, self.count - index),
            breaks=tuple(StretchBreak(b.index - index, b.kind) for b in self.breaks if b.index > index),
            is_anew=self.is_anew,
            is_from_origin=self.is_from_origin and index == 0,
            is_after_gap=self.is_after_gap and index == 0,
        )

    def ended_at(self, end: StretchEnd) -> PartitionMap:
        """Return the map with a new stretch from the first point at or beyond the end's target offset."""
        index = bisect_left(self.targets, end.target_offset, 0, self.count)
        return self._broken_at(StretchBreak(index, BreakKind.REWIND))

    def ended(self) -> PartitionMap:
        """Return the map with its last stretch ended: the flow has gone back since."""
        return self._broken_at(StretchBreak(self.count, BreakKind.REWIND))

    def _broken_at(self, new: StretchBreak) -> PartitionMap:
        return replace(self, breaks=tuple(sorted({*self.breaks, new}, key=lambda b: (b.index, b.kind))))

    def index_at(self, source_offset: int, lineage: tuple[int, int]) -> int:
        """Return the index of the lineage's last point at or below the source offset (start - 1: none)."""
        return bisect_right(self.sources, source_offset, *lineage) - 1


EMPTY_MAP = PartitionMap(array("q"), array("q"), 0)


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """Every point known of one flow, by source partition."""

    partitions: Mapping[TopicPartition, PartitionMap] = field(default_factory=dict)

    def of(self, partition: TopicPartition) -> PartitionMap:
        """Return the partition's points; an empty map when none is known."""
        return self.partitions.get(partition, EMPTY_MAP)

    def ended(self, ends: Iterable[StretchEnd]) -> OffsetMap:
        """Return the map with the stretches ended where we were told so."""
        partitions = dict(self.partitions)
        for end in ends:
            partitions[end.partition] = partitions.get(end.partition, EMPTY_MAP).ended_at(end)
        return OffsetMap(partitions)

    @property
    def points_count(self) -> int:
        """How many points are held."""
        return sum(len(points) for points in self.partitions.values())


class _Columns:
    """One partition's growing columns."""

    __slots__ = ("breaks", "gaps_seen", "is_after_gap", "is_anew", "is_from_origin", "sources", "targets")

    def __init__(self, *, gaps_seen: int) -> None:
        self.is_from_origin = gaps_seen == 0
        self.is_after_gap = gaps_seen > 0
        self.sources = array("q")
        self.targets = array("q")
        self.breaks: list[StretchBreak] = []
        self.gaps_seen = gaps_seen
        self.is_anew = False

    def add(self, source: int, target: int, *, gaps_seen: int) -> None:
        if not self.targets:
            self._append(source, target)
        elif (source, target) != (self.sources[-1], self.targets[-1]):
            if target <= self.targets[-1]:
                self._forget()
                self.is_after_gap = gaps_seen != self.gaps_seen
            elif source <= self.sources[-1]:
                self.breaks.append(StretchBreak(len(self.sources), BreakKind.REWIND))
            elif gaps_seen != self.gaps_seen:
                self.breaks.append(StretchBreak(len(self.sources), BreakKind.GAP))
            self._append(source, target)
        self.gaps_seen = gaps_seen

    def keep_from(self, index: int) -> None:
        """Forget the points before one, in new columns: maps that were handed out keep the old ones."""
        pruned = self.freeze().without_older_than(index)
        self.sources, self.targets, self.breaks = pruned.sources, pruned.targets, list(pruned.breaks)
        self.is_from_origin, self.is_after_gap = pruned.is_from_origin, pruned.is_after_gap

    def thin(self) -> None:
        """Forget every other point, in new columns, but those at either end of a stretch and of missing history."""
        last = len(self.sources) - 1
        edges = {0, last, *(i for b in self.breaks for i in (b.index - 1, b.index))}
        kept = [index for index in range(last + 1) if index % 2 == 0 or index in edges]
        self.sources = array("q", [self.sources[index] for index in kept])
        self.targets = array("q", [self.targets[index] for index in kept])
        self.breaks = [StretchBreak(bisect_left(kept, b.index), b.kind) for b in self.breaks]

    def _append(self, source: int, target: int) -> None:
        self.sources.append(source)
        self.targets.append(target)

    def _forget(self) -> None:
        """Begin anew in new columns: maps that were handed out keep the old ones."""
        self.sources, self.targets, self.breaks = array("q"), array("q"), []
        self.is_anew = True
        self.is_from_origin = False

    def freeze(self) -> PartitionMap:
        return PartitionMap(
            sources=self.sources,
            targets=self.targets,
            count=len(self.sources),
            breaks=tuple(self.breaks),
            is_anew=self.is_anew,
            is_from_origin=self.is_from_origin,
            is_after_gap=self.is_after_gap,
        )


class OffsetMapBuilder:
    """Takes offset syncs in the order of their topic and hands out maps of all it was given."""

    def __init__(self) -> None:
        self._columns: dict[TopicPartition, _Columns] = {}
        self._frozen: dict[TopicPartition, PartitionMap] = {}
        self._gaps_seen = 0

    def add(self, sync: OffsetSync) -> None:
        """Take the next sync."""
        columns = self._columns.get(sync.partition)
        if columns is None:
            columns = self._columns[sync.partition] = _Columns(gaps_seen=self._gaps_seen)
        columns.add(sync.source_offset, sync.target_offset, gaps_seen=self._gaps_seen)
        self._frozen.pop(sync.partition, None)

    def note_gap(self) -> None:
        """Note that syncs of unknown partitions are missing between the last one and the next."""
        self._gaps_seen += 1

    def prune(self, log_starts: Mapping[TopicPartition, int]) -> None:
        """Drop points that no translation needs: those before the last one below the target's log start.

        `log_starts` is by source partition.
        """
        for partition, log_start in log_starts.items():
            columns = self._columns.get(partition)
            if columns is not None and (index := bisect_left(columns.targets, log_start) - 1) > 0:
                columns.keep_from(index)
                self._frozen.pop(partition, None)

    def prune_behind(
        self, slowest: Mapping[TopicPartition, int], *, visible_to: Mapping[TopicPartition, int]
    ) -> set[TopicPartition]:
        """Drop points before the last visible one at or below the slowest group's position; return where.

        Both are by source partition; `visible_to` is the copy's last stable offset. Only where the flow never went
        back and nothing is missing, under exactly-once: there a translation needs the points around it and no others.
        A group that is set back further needs the history read again.
        """
        pruned = set()
        for partition, position in slowest.items():
            columns = self._columns.get(partition)
            if columns is None or columns.breaks or partition not in visible_to:
                continue
            visible = bisect_left(columns.targets, visible_to[partition])
            if (index := min(bisect_right(columns.sources, position), visible) - 1) > 0:
                columns.keep_from(index)
                self._frozen.pop(partition, None)
                pruned.add(partition)
        return pruned

    def keep_within(self, points_max: int) -> None:
        """Hold at most so many points: while there are more, every other one is dropped.

        Neighbours drawn apart cost reads, and exactness where the source has holes; never a record: what a stretch
        begins and ends with stays.
        """
        while self.points_count > points_max:
            before = self.points_count
            for columns in self._columns.values():
                columns.thin()
            self._frozen.clear()
            if self.points_count == before:
                return

    @property
    def points_count(self) -> int:
        """How many points are held."""
        return sum(len(columns.sources) for columns in self._columns.values())

    def build(self) -> OffsetMap:
        """Return the map of all that was given so far; later syncs do not change it."""
        for partition, columns in self._columns.items():
            if partition not in self._frozen:
                self._frozen[partition] = columns.freeze()
        return OffsetMap(dict(self._frozen))
