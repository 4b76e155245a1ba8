"""Lag from offsets: what the source holds against what was mirrored, over a series of observations. Pure.

`lag_records` counts offsets from the mirrored position to the source's end, so it is an upper bound; a count
of visible records, read elsewhere and passed in, resolves transaction markers and aborted data at the tail.
`lag_seconds` is the age of the first observation whose end exceeds the mirrored position: both rise while a
flow stands still. Whatever was not read is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from replicator.flow.measuring.trail import Memory, Sample, Trail
from replicator.model.lag import FlowLag, PartitionLag, TopicLag
from replicator.model.names import FlowName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds, TailCount


@dataclass(frozen=True, slots=True, kw_only=True)
class LagRules:
    """When a partition counts as stalled, over how long rates are taken, and how old an observation may be.

    `stalled_seconds` adds to the number of observations where positions are stored only now and then
    (at-least-once flushes them every few seconds).
    """

    stalled_observations: int = 3
    stalled_seconds: float = 0.0
    window_seconds: float = 30.0
    age_seconds_max: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LagObservation:
    """What was seen at one moment; None: it could not be read.

    `ends` are the source's, `positions` the next offsets to mirror (a partition without one was never mirrored),
    `tails` counts of the visible records that are not mirrored yet. `unmirrored_since`, as the series tells it, goes
    with what somebody else has observed.
    """

    observed_at: datetime
    ends: Mapping[TopicPartition, PartitionEnds] | None
    positions: Mapping[TopicPartition, int] | None
    tails: Mapping[TopicPartition, TailCount] = field(default_factory=dict)
    unmirrored_since: Mapping[TopicName, datetime | None] = field(default_factory=dict)


@dataclass(slots=True)
class LagSeries:
    """The observations of one flow, kept only as far as lag needs them: bounded for every partition.

    The same observations in the same order always give the same lag.
    """

    flow: FlowName
    rules: LagRules = LagRules()
    _trails: dict[TopicPartition, Trail] = field(default_factory=dict)
    _newest: LagObservation | None = None

    def add(self, observation: LagObservation) -> None:
        """Take in what was seen after everything taken in before."""
        self._newest = observation
        if observation.ends is None:
            return
        for gone in self._trails.keys() - observation.ends.keys():
            del self._trails[gone]
        for partition, ends in observation.ends.items():
            trail = self._trails.setdefault(partition, Trail(self.rules.window_seconds, self.rules.age_seconds_max))
            position = _first_unmirrored(partition, ends, observation.positions)
            trail.add(observation.observed_at, ends, position, observation.tails.get(partition))

    def remember(self, earlier: LagObservation) -> None:
        """Let lag that was there when this series began be as old as was known when `earlier` was observed."""
        for partition, trail in self._trails.items():
            ends = (earlier.ends or {}).get(partition)
            position = None if ends is None else _first_unmirrored(partition, ends, earlier.positions)
            if ends is not None and position is not None:
                since = earlier.unmirrored_since.get(partition.topic)
                trail.remember(
                    Memory(read_at=earlier.observed_at, end=ends.end, position=position, unmirrored_since=since)
                )

    def measure(self, now: datetime) -> FlowLag:
        """Return the flow's lag as it is known at `now`; of a source that holds nothing for it that is 0."""
        newest = self._newest
        if newest is not None and newest.ends is not None and not newest.ends and self._is_fresh(newest, now):
            return nothing_to_mirror(self.flow, observed_at=newest.observed_at)
        measured = [self._partition(partition, trail, now) for partition, trail in sorted(self._trails.items())]
        return flow_lag(self.flow, measured)

    def unmirrored_since(self) -> dict[TopicName, datetime | None]:
        """Return for each topic a moment before which nothing was written that is not mirrored; None: not known.

        It holds for good, as long as nothing mirrored is mirrored again from an earlier position.
        """
        found: dict[TopicName, datetime | None] = {}
        for partition, trail in self._trails.items():
            since = trail.unmirrored_since
            before = found.get(partition.topic, since)
            found[partition.topic] = None if since is None or before is None else min(since, before)
        return found

    def _partition(self, partition: TopicPartition, trail: Trail, now: datetime) -> PartitionLag:
        newest = trail.newest
        if not self._is_current(newest, now):
            return _unknown(partition, newest.observed_at)
        positions = self._newest.positions if self._newest is not None else None
        stored = positions.get(partition) if positions is not None else None
        if newest.records is None:
            return _unknown(partition, newest.observed_at, source_end=newest.ends.end, position=stored)
        rate_in, rate_out = trail.rates()
        return PartitionLag(
            partition=partition,
            source_end=newest.ends.end,
            mirrored_position=stored,
            lag_records=newest.records,
            lag_seconds=trail.seconds_behind(now),
            is_seconds_minimum=trail.is_seconds_minimum,
            rate_in=rate_in,
            rate_out=rate_out,
            eta_seconds=_eta(newest.records, rate_in, rate_out),
            is_stalled=self._is_stalled(trail) if newest.records else False,
            observed_at=newest.observed_at,
        )

    def _is_current(self, newest: Sample, now: datetime) -> bool:
        """Whether the source was read in the newest observation, and not too long ago."""
        if self._newest is None or self._newest.ends is None:
            return False
        return self._is_fresh(newest, now)

    def _is_fresh(self, seen: Sample | LagObservation, now: datetime) -> bool:
        return (now - seen.observed_at).total_seconds() <= self.rules.age_seconds_max

    def _is_stalled(self, trail: Trail) -> bool | None:
        return trail.is_stalled(observations=self.rules.stalled_observations, seconds=self.rules.stalled_seconds)


def _first_unmirrored(
    partition: TopicPartition, ends: PartitionEnds, positions: Mapping[TopicPartition, int] | None
) -> int | None:
    """Return the first offset still to be mirrored: what is below the log start cannot be any more."""
    return None if positions is None else max(positions.get(partition, 0), ends.log_start)


def _eta(records: int, rate_in: float | None, rate_out: float | None) -> float | None:
    if records == 0:
        return 0.0
    if rate_in is None or rate_out is None or rate_out <= rate_in:
        return None
    return records / (rate_out - rate_in)


def _unknown(
    partition: TopicPartition, observed_at: datetime, *, source_end: int | None = None, position: int | None = None
) -> PartitionLag:
    return PartitionLag(
        partition=partition,
        source_end=source_end,
        mirrored_position=position,
        lag_records=None,
        lag_seconds=None,
        rate_in=None,
        rate_out=None,
        eta_seconds=None,
        is_stalled=None,
        observed_at=observed_at,
    )


def unknown_lag(flow: FlowName, partitions: Iterable[TopicPartition], *, observed_at: datetime) -> FlowLag:
    """Return the lag of a flow of which no more is known than that it has these partitions."""
    return flow_lag(flow, [_unknown(partition, observed_at) for partition in sorted(partitions)])


def nothing_to_mirror(flow: FlowName, *, observed_at: datetime) -> FlowLag:
    """Return the lag of a flow whose source was read and has no topic that the flow selects: 0 of 0 partitions."""
    return FlowLag(
        flow=flow,
        lag_records=0,
        lag_seconds=0.0,
        rate_in=0.0,
        rate_out=0.0,
        eta_seconds=0.0,
        stalled_partitions=0,
        observed_at=observed_at,
        topics=(),
    )


def flow_lag(flow: FlowName, partitions: Iterable[PartitionLag]) -> FlowLag:
    """Return the lag of a flow from that of its partitions; one unknown partition makes the sum unknown."""
    grouped: dict[TopicName, list[PartitionLag]] = {}
    for one in partitions:
        grouped.setdefault(one.partition.topic, []).append(one)
    topics = tuple(_topic_lag(topic, tuple(found)) for topic, found in sorted(grouped.items()))
    return FlowLag(
        flow=flow,
        lag_records=_sum([topic.lag_records for topic in topics]),
        lag_seconds=_max([topic.lag_seconds for topic in topics]),
        is_seconds_minimum=any(topic.is_seconds_minimum for topic in topics),
        rate_in=_total([topic.rate_in for topic in topics]),
        rate_out=_total([topic.rate_out for topic in topics]),
        eta_seconds=_max([topic.eta_seconds for topic in topics]),
        stalled_partitions=_sum([topic.stalled_partitions for topic in topics]),
        observed_at=min((topic.observed_at for topic in topics if topic.observed_at is not None), default=None),
        topics=topics,
    )


def _topic_lag(topic: TopicName, partitions: tuple[PartitionLag, ...]) -> TopicLag:
    return TopicLag(
        topic=topic,
        lag_records=_sum([one.lag_records for one in partitions]),
        lag_seconds=_max([one.lag_seconds for one in partitions]),
        is_seconds_minimum=any(one.is_seconds_minimum for one in partitions),
        rate_in=_total([one.rate_in for one in partitions]),
        rate_out=_total([one.rate_out for one in partitions]),
        eta_seconds=_max([one.eta_seconds for one in partitions]),
        stalled_partitions=_sum([None if one.is_stalled is None else int(one.is_stalled) for one in partitions]),
        observed_at=min((one.observed_at for one in partitions if one.observed_at is not None), default=None),
        partitions=partitions,
    )


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) and known else None


def _total(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) and known else None


def _max(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) and known else None
