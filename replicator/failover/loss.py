"""What a failover loses, from what was read and nothing else. Values to values.

    source log   ──────────────┬───────────────┬────────────┬┄┄┄┄┄┄┄┄┄┄┄┄┄
                            mirrored        observed end   (written, never seen)
                               └ known_lost: visible records counted here
                               └──── possible_lost_max: all offsets ────┘ + peak rate × window

Offsets that retention deleted before they were mirrored lie below the mirrored position once the flow has jumped over
them. Nobody can count their records any more: the bound holds them all.

known_lost ≤ true loss ≤ possible_lost_max, as long as the source wrote no faster than its observed peak
of the last week.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from replicator.clock import seconds_between
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    PartitionEnds,
    Reachability,
    TailCount,
    TopicObservation,
)
from replicator.model.operations import LossReport, PartitionLoss

UNBROKEN_SECONDS_MAX = 5.0
"""Between two refusals at most this far apart no broker can have come up, taken a record and gone again."""

Mirrored = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceWatch:
    """When the source was read last and how it answered when the operation looked itself."""

    observation: ClusterObservation | None
    answer: Reachability
    answered_at: datetime


def unknown_window_seconds(watch: SourceWatch, *, now: datetime) -> float | None:
    """Return for how many seconds the source may have written unseen; None when it was never read.

    The window opens with the last whole read. It closes at the first refusal of an unbroken run that
    reaches to the operation's own refused probe; time in which nobody looked stays in it. A source that
    does not refuse may write on, and the window reaches to `now`. None too where the clocks contradict each other:
    nothing was read in the future, so that one of them stepped, and how long the window is nobody knows.
    """
    seen = watch.observation
    if seen is None or seen.last_reached_at is None:
        return None
    if watch.answer is not Reachability.REFUSED:
        return seconds_between(seen.last_reached_at, now)
    since = seen.unreachable_since
    if seen.reachability is not Reachability.REFUSED or since is None or since < seen.last_reached_at:
        return seconds_between(seen.last_reached_at, watch.answered_at)
    unwatched = (watch.answered_at - seen.observed_at).total_seconds()
    unseen = (since - seen.last_reached_at).total_seconds()
    if unwatched < -UNBROKEN_SECONDS_MAX:
        whole = seconds_between(seen.last_reached_at, watch.answered_at)
        return None if whole is None else max(unseen, whole)
    return unseen + (unwatched if unwatched > UNBROKEN_SECONDS_MAX else 0.0)


def account_loss(
    observed: Mapping[TopicName, TopicObservation],
    mirrored: Mirrored,
    *,
    window_seconds: float | None,
    is_exactly_once: bool,
    read_at: datetime | None = None,
) -> LossReport:
    """Return what is lost when the flow ends at these mirrored positions (next source offset to mirror).

    `window_seconds` are those that nobody read, after the last whole read at `read_at`; None: not known.

    Without exactly-once the positions may be older than what was mirrored: nothing is known to be lost
    then, and the bound still holds. A topic that was mirrored and never observed leaves the bound unknown.
    """
    topics = [_lose_topic(seen, mirrored, window_seconds, is_exactly_once) for seen in observed.values()]
    unseen = sorted(tp for tp in mirrored if tp.topic not in observed)
    partitions = [*(p for topic in topics for p in topic.partitions), *(_unseen(tp, mirrored[tp]) for tp in unseen)]
    is_bounded = window_seconds is not None and not unseen
    return LossReport(
        known_lost=sum(p.known_lost for p in partitions),
        unknown_window_seconds=window_seconds,
        possible_lost_max=_sum_known(topic.possible_max for topic in topics) if is_bounded else None,
        partitions=tuple(sorted(partitions, key=lambda p: p.partition)),
        lost_seconds_max=_lost_seconds_max(topics, window_seconds, read_at) if is_bounded else None,
    )


@dataclass(frozen=True, slots=True)
class _TopicLoss:
    """One topic's loss; the bound is less than the sum over its partitions, which share one peak rate. What was read
    and is lost was written after `since`; None: not known."""

    partitions: tuple[PartitionLoss, ...]
    possible_max: int | None
    is_behind: bool
    since: datetime | None


def _lost_seconds_max(
    topics: Iterable[_TopicLoss], window_seconds: float | None, read_at: datetime | None
) -> float | None:
    """Return within how many seconds before the window's end all that may be lost was written."""
    behind = [topic.since for topic in topics if topic.is_behind]
    known = [since for since in behind if since is not None]
    if window_seconds is None or read_at is None or len(known) < len(behind):
        return None
    return window_seconds + max([0.0, *((read_at - since).total_seconds() for since in known)])


def _lose_topic(
    seen: TopicObservation, mirrored: Mirrored, window_seconds: float | None, is_exactly_once: bool
) -> _TopicLoss:
    unseen_max = _unseen_records_max(seen.peak_rate, window_seconds)
    partitions = []
    behind, since = 0, seen.unmirrored_since
    for ends in seen.partitions:
        position = mirrored.get(TopicPartition(seen.topic, ends.partition))
        overtaken = _overtaken_offsets(seen, ends.partition, position)
        missing = _missing_offsets(ends, position) + overtaken
        behind += missing
        if overtaken or (missing and _is_set_back(seen, ends.partition, position)):
            since = None  # deleted before it was mirrored, or mirrored long before: of any age
        partitions.append(
            PartitionLoss(
                partition=TopicPartition(seen.topic, ends.partition),
                mirrored_position=position,
                observed_end=ends.end,
                known_lost=_known_lost(seen, ends.partition, position) if is_exactly_once else 0,
                possible_lost_max=None if unseen_max is None else missing + unseen_max,
                overtaken_offsets=overtaken,
            )
        )
    bound = None if unseen_max is None else behind + unseen_max
    return _TopicLoss(tuple(partitions), bound, behind > 0, since)


def _is_set_back(seen: TopicObservation, partition: int, position: int | None) -> bool:
    before = seen.mirrored_positions.get(partition)
    return before is not None and (position is None or position < before)


def _unseen_records_max(peak_rate: float | None, window_seconds: float | None) -> int | None:
    if window_seconds == 0:
        return 0
    if peak_rate is None or window_seconds is None:
        return None
    return math.ceil(peak_rate * window_seconds)


def _missing_offsets(ends: PartitionEnds, position: int | None) -> int:
    """Count the offsets seen and not mirrored; of a partition that was never mirrored, all that it held."""
    return max(0, ends.end - (ends.log_start if position is None else position))


def _overtaken_offsets(seen: TopicObservation, partition: int, position: int | None) -> int:
    """Count the offsets below the position that were deleted before the flow came to them."""
    spans = [span for span in seen.overtaken if span.partition == partition]
    return sum(max(0, min(span.to_offset, position or 0) - span.from_offset) for span in spans)


def _known_lost(seen: TopicObservation, partition: int, position: int | None) -> int:
    """Count the visible records that were read above what is mirrored now.

    Between the count and the end of the flow, at most one record an offset was mirrored of those counted.
    A flow that was set back in between has mirrored more than its position tells: then nothing is known.
    """
    before = seen.mirrored_positions.get(partition)
    if before is not None and (position is None or position < before):
        return 0
    return sum(_still_missing(tail, position) for tail in seen.tails if tail.partition == partition)


def _still_missing(tail: TailCount, position: int | None) -> int:
    mirrored_since = 0 if position is None else max(0, position - tail.from_offset)
    return max(0, tail.visible_records - mirrored_since)


def _unseen(tp: TopicPartition, position: int) -> PartitionLoss:
    return PartitionLoss(
        partition=tp, mirrored_position=position, observed_end=None, known_lost=0, possible_lost_max=None
    )


def _sum_known(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if any(count is None for count in known) else sum(count for count in known if count is not None)
