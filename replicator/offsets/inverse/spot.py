"""One position on the copy, what is known around it, and where on the source its true place may be. Values."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from replicator.model.observations import PartitionEnds
from replicator.offsets.points import PartitionMap
from replicator.offsets.reads import Reads, Standing, Visible
from replicator.offsets.scene import Evidence


@dataclass(frozen=True, slots=True)
class Home:
    """The true place is one of the source offsets low..high; `high` None: not known."""

    low: int
    high: int | None = None

    def within(self, other: Home) -> Home | None:
        """Return what both say, or None when they contradict each other."""
        highs = [high for high in (self.high, other.high) if high is not None]
        low, high = max(self.low, other.low), min(highs, default=None)
        return None if high is not None and low > high else Home(low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Resume at `source_offset`; at most `rereads` records of the source at or above it were read before."""

    source_offset: int
    rereads: int
    rule: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One position on the copy. `index` is that of the last point below it (-1: none)."""

    at: int
    index: int
    points: PartitionMap
    standing: Standing
    ends: PartitionEnds
    is_ended: bool

    @property
    def is_tail(self) -> bool:
        """Whether no point is known at or above the position."""
        return self.index + 1 == len(self.points)

    @property
    def source_from(self) -> int:
        """The source offset of the point below."""
        return self.points.sources[self.index]

    @property
    def target_from(self) -> int:
        """The target offset of the point below."""
        return self.points.targets[self.index]

    @property
    def in_flight(self) -> int:
        """How many records at most the flow has stored behind what is visible."""
        now = self.standing.target_now or self.ends
        return max(0, now.end - self.ends.last_stable)

    @property
    def is_settled(self) -> bool:
        """Whether all that the flow has mirrored is visible."""
        return not self.in_flight

    @property
    def is_ordered(self) -> bool:
        """Whether the copy follows the source's order between the points, nothing stored twice."""
        has_break = any(b.index == self.index + 1 for b in self.points.breaks)
        return self.standing.is_exactly_once and not has_break and not (self.is_tail and self.is_ended)

    @property
    def source_to(self) -> int | None:
        """The source offset that the bracket is known to reach; None when it is not."""
        if not self.is_tail:
            return self.points.sources[self.index + 1]
        mirrored = self.standing.mirrored
        is_sure = self.is_ordered and self.is_settled and mirrored is not None and mirrored > self.source_from
        return mirrored - 1 if mirrored is not None and is_sure else None

    @property
    def target_stop(self) -> int:
        """The first target offset behind the bracket."""
        return self.ends.last_stable if self.is_tail else self.points.targets[self.index + 1] + 1

    @property
    def is_trimmed(self) -> bool:
        """Whether retention has deleted a part of the copy's bracket."""
        return self.target_from + 1 < self.ends.log_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A position within a bracket whose copy was read."""

    spot: Spot
    visible: Visible

    @property
    def below(self) -> int:
        """How many visible records of the bracket lie below the position."""
        return bisect_left(self.visible.offsets, self.spot.at)

    @property
    def ahead(self) -> int:
        """How many visible records of the bracket lie at or above the position."""
        return len(self.visible) - self.below

    @property
    def is_copy_whole(self) -> bool:
        """Whether the copy still has every record of the bracket."""
        return not self.spot.standing.is_target_compacted and not self.spot.is_trimmed

    @property
    def is_ahead_whole(self) -> bool:
        """Whether the copy still has every record of the bracket at or above the position."""
        return not self.spot.standing.is_target_compacted and self.spot.at >= self.spot.ends.log_start

    @property
    def is_source_whole(self) -> bool:
        """Whether the source still has every record it had when the flow read it."""
        return not self.spot.standing.is_source_compacted

    @property
    def read_max(self) -> int:
        """How many copies at most the bracket ever held below the position."""
        return self.below if self.is_copy_whole else self.spot.at - self.spot.target_from - 1


def copies_in(from_offset: int, to_offset: int, spot: Spot, reads: Reads) -> int:
    """Return how many records at most were ever stored in [from, to) of the copy."""
    between = max(0, to_offset - from_offset)
    if not between or from_offset < spot.ends.log_start or spot.standing.is_target_compacted:
        return between
    seen = reads.target(from_offset, to_offset)
    return between if seen is None else len(seen)
