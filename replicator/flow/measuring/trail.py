"""One partition's trail of observations, bounded: since when it is behind, how fast it moves, whether it stands."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from replicator.model.observations import PartitionEnds, TailCount

BEHIND_MAX = 512
RECENT_MAX = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: the ends, the first offset that counts as behind, and how many records are behind.

    `start` and `records` are None when the mirrored position could not be read, or lies beyond the end.
    """

    observed_at: datetime
    ends: PartitionEnds
    start: int | None
    records: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was known of a partition at `read_at`, before this watching began: its end, and what was mirrored of it.

    `unmirrored_since`: nothing that was not mirrored then had been written before that moment; None: not known.
    """

    read_at: datetime
    end: int
    position: int
    unmirrored_since: datetime | None


@dataclass(frozen=True, slots=True)
class SeenEnd:
    """When an end was first seen. What it added was written after `written_after`; None: nobody watched before."""

    at: datetime
    end: int
    written_after: datetime | None


@dataclass(slots=True)
class Trail:
    """`_behind` holds the first observation of each end that is not mirrored yet, oldest first.
    `_recent` holds the samples of the last `window_seconds`. `_cleared` remembers that from a mirrored position
    up to an offset there was nothing but markers and aborted data. Between two looks `gap_seconds` apart or less
    it matters little when a record was written; between others nobody knows how old what came is."""

    window_seconds: float
    gap_seconds: float
    _behind: deque[SeenEnd] = field(default_factory=deque)
    _recent: deque[Sample] = field(default_factory=deque)
    _cleared: tuple[int, int] = (-1, -1)
    _spacing_seconds: float = 0.0

    @property
    def newest(self) -> Sample:
        """The last sample."""
        return self._recent[-1]

    def add(self, observed_at: datetime, ends: PartitionEnds, position: int | None, tail: TailCount | None) -> None:
        """Take in what was seen after everything before.

        `position` is the first offset not mirrored yet, None when it could not be read; `tail` a count of the
        visible records from about there on.
        """
        if self._recent and ends.end < self._recent[-1].ends.end:
            self._start_over()
        sample = self._sample(observed_at, ends, position, tail)
        if self._recent and _was_rewound(self._recent[-1], sample):
            # Ends between the old and the new position were forgotten as mirrored: the oldest sample kept is
            # the earliest moment of which we know that this much was there.
            self._behind.appendleft(SeenEnd(self._recent[0].observed_at, self._recent[0].ends.end, None))
        self._recent.append(sample)
        self._forget_old(sample)
        if not self._behind or sample.ends.end > self._behind[-1].end:
            self._note_end(sample)
        if sample.start is not None:
            self._drop_mirrored(sample.start)

    def remember(self, memory: Memory) -> None:
        """Let what was there when watching began be as old as was known before; otherwise it stays at least that old.

        Nothing changes where the memory cannot be of this log, or is younger than what was seen.
        """
        head = self._behind[0] if self._behind else None
        if head is None or head.written_after is not None or memory.end > head.end or memory.read_at > head.at:
            return
        since = memory.unmirrored_since
        if self.newest.start is None or self.newest.start < memory.position:
            since = None
        self._behind[0] = replace(head, written_after=memory.read_at)
        self._behind.appendleft(SeenEnd(since or memory.read_at, memory.end, since))
        if self.newest.start is not None:
            self._drop_mirrored(self.newest.start)

    def _note_end(self, sample: Sample) -> None:
        """Remember when this end was first seen; after hours behind, only every so often.

        An end that comes too soon after the last is told as old as that one: too long rather than too short.
        """
        at, end = sample.observed_at, sample.ends.end
        if self._behind and (at - self._behind[-1].at).total_seconds() < self._spacing_seconds:
            self._behind[-1] = replace(self._behind[-1], end=end)
            return
        before = self._recent[-2].observed_at if len(self._recent) > 1 else None
        self._behind.append(SeenEnd(at, end, before))
        if len(self._behind) > BEHIND_MAX:
            span = (at - self._behind[0].at).total_seconds()
            self._spacing_seconds = 2 * span / BEHIND_MAX
            self._behind = _thinned(self._behind)

    def _start_over(self) -> None:
        """Forget all: the topic was truncated or made again, earlier offsets mean nothing now."""
        self._behind.clear()
        self._spacing_seconds = 0.0
        self._recent.clear()
        self._cleared = (-1, -1)

    def _sample(
        self, observed_at: datetime, ends: PartitionEnds, position: int | None, tail: TailCount | None
    ) -> Sample:
        if position is None or position > ends.end:
            return Sample(observed_at, ends, None, None)
        start = max(position, self._cleared[1]) if self._cleared[0] == position else position
        start, records = resolve(start, ends.end, tail)
        self._cleared = (position, start)
        return Sample(observed_at, ends, start, records)

    def _forget_old(self, sample: Sample) -> None:
        while len(self._recent) > 2 and (
            len(self._recent) > RECENT_MAX or _seconds(self._recent[1], sample) >= self.window_seconds
        ):
            self._recent.popleft()

    def _drop_mirrored(self, start: int) -> None:
        while len(self._behind) > 1 and self._behind[0].end <= start:
            self._behind.popleft()
        if self._behind and self._behind[0].end <= start:
            self._behind.clear()
            self._spacing_seconds = 0.0

    def seconds_behind(self, now: datetime) -> float | None:
        """Return how long ago an end beyond what is mirrored was first seen; 0 when nothing is behind.

        None after a single observation: since when it is behind, nobody saw.
        """
        if not self.newest.records:
            return 0.0
        if len(self._recent) < 2:
            return None
        first = self._behind[0].at if self._behind else self.newest.observed_at
        return max(0.0, (now - first).total_seconds())

    @property
    def is_seconds_minimum(self) -> bool:
        """Whether what is behind was there when watching began, or when it went on after a gap: it may be older."""
        if not self.newest.records or not self._behind:
            return False
        first = self._behind[0]
        return first.written_after is None or (first.at - first.written_after).total_seconds() > self.gap_seconds

    @property
    def unmirrored_since(self) -> datetime | None:
        """Return a moment before which nothing was written that is not mirrored; None: not known."""
        if self.newest.records is None:
            return None
        if not self.newest.records:
            return self.newest.observed_at
        return self._behind[0].written_after if self._behind else None

    def rates(self) -> tuple[float | None, float | None]:
        """Return records/s in and out over the window; None without two samples to compare."""
        first, last = self._recent[0], self._recent[-1]
        seconds = _seconds(first, last)
        if seconds <= 0:
            return None, None
        rate_in = max(0, last.ends.end - first.ends.end) / seconds
        if first.start is None or last.start is None:
            return rate_in, None
        return rate_in, max(0, last.start - first.start) / seconds

    def is_stalled(self, *, observations: int, seconds: float) -> bool | None:
        """Whether the position stood still, with more to mirror, over that many observations and that long.

        None: there are not so many observations yet.
        """
        last = list(self._recent)[-observations:]
        if len(last) < observations or any(sample.records is None for sample in last):
            return None
        newest = last[-1]
        if not all(_stands_at(newest, sample) for sample in last):
            return False
        first = next(sample for sample in self._recent if _stands_at(newest, sample))
        return _seconds(first, newest) >= seconds


def resolve(start: int, end: int, tail: TailCount | None) -> tuple[int, int]:
    """Return the first offset that counts as behind, and how many records are behind, given a count of a tail.

    A tail counted as empty moves the start: markers and aborted data are no lag. Without a count that
    covers the start, every offset counts.
    """
    if tail is None or not tail.from_offset <= start <= tail.to_offset:
        return start, end - start
    to_offset = min(tail.to_offset, end)
    if tail.visible_records == 0:
        reached = max(start, to_offset)
        return reached, end - reached
    return start, min(tail.visible_records, to_offset - start) + (end - to_offset)


def _stands_at(newest: Sample, sample: Sample) -> bool:
    """Whether the sample had the newest one's start, and something behind it."""
    return sample.start == newest.start and bool(sample.records)


def _was_rewound(before: Sample, after: Sample) -> bool:
    return before.start is not None and after.start is not None and after.start < before.start


def _seconds(first: Sample, last: Sample) -> float:
    return (last.observed_at - first.observed_at).total_seconds()


def _thinned(behind: deque[SeenEnd]) -> deque[SeenEnd]:
    """Merge neighbours into (earlier time, later end): lag is then told too long rather than too short."""
    seen = list(behind)
    return deque(replace(seen[i], end=seen[min(i + 1, len(seen) - 1)].end) for i in range(0, len(seen), 2))
