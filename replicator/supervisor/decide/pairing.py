"""Which readings of the two sides belong together. Values to a value.

A mirrored position read after the source's ends may lie beyond them: that looks like a truncated source. Read
before them it never does, so every sweep is held against the newest positions read before it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from replicator.flow import LagObservation, LagRules
from replicator.journal import Observed
from replicator.model.flow import Delivery, Flow
from replicator.model.names import ClusterName, TopicPartition
from replicator.supervisor.decide.tails import whole_tail
from replicator.supervisor.samples import MirroredSample, SourceSample, Tails

MIRRORED_SECONDS_MAX = 6.0
"""Positions older than this say nothing about now."""

MIRRORED_SECONDS_KEPT = 12.0
"""As old as the positions may be that a sweep is held against, and as long as a slow sweep may take besides."""

STALLED_SECONDS = {Delivery.EXACTLY_ONCE: 6.0, Delivery.AT_LEAST_ONCE: 15.0}
"""How long a position must stand still: under exactly-once it is a second old, else as old as the last flush."""


def lag_rules(flow: Flow) -> LagRules:
    """Return when a partition of the flow counts as stalled."""
    return LagRules(stalled_seconds=STALLED_SECONDS[flow.delivery])


def keep_mirrored(samples: Sequence[MirroredSample], newest: MirroredSample) -> tuple[MirroredSample, ...]:
    """Return what is kept when a new reading has come: the newest two, and of every earlier second the last one.

    A sweep is paired when it has ended, with positions read before it began: a slow one needs old ones.
    """
    oldest = newest.ended_at - timedelta(seconds=MIRRORED_SECONDS_KEPT)
    recent = [sample for sample in samples if sample.ended_at >= oldest]
    by_second = {int(sample.ended_at.timestamp()): sample for sample in recent[:-1]}
    return (*by_second.values(), *recent[-1:], newest)


def positions_before(samples: Sequence[MirroredSample], *, moment: datetime) -> MirroredSample | None:
    """Return the newest positions whose reading had ended by `moment`, unless they are too old."""
    found = max((s for s in samples if s.ended_at <= moment), key=lambda s: s.ended_at, default=None)
    if found is None or moment - found.began_at > timedelta(seconds=MIRRORED_SECONDS_MAX):
        return None
    return found


def lag_observation(
    sample: SourceSample | None, mirrored: Sequence[MirroredSample], *, tails: Tails, now: datetime
) -> LagObservation:
    """Return what lag is computed from; without a sweep, or positions to hold it against, it is unknown, never 0."""
    if sample is None:
        return LagObservation(observed_at=now, ends=None, positions=None)
    paired = positions_before(mirrored, moment=sample.began_at)
    return LagObservation(
        observed_at=sample.began_at,
        ends=sample.ends,
        positions=None if paired is None else paired.positions,
        tails={tp: whole for tp, parts in tails.items() if (whole := whole_tail(parts)) is not None},
    )


def remembered_observation(observed: Observed, source: ClusterName, sample: SourceSample) -> LagObservation | None:
    """Return what the standby remembers of the topics that `sample` saw too, as of the last whole read.

    None: nothing is remembered that is older than the sample. A topic made again since is left out. Positions
    were read a little after the ends they are remembered with, and may lie beyond them: that much is known.
    """
    contact = observed.clusters.get(source)
    if contact is None or contact.last_reached_at is None or contact.last_reached_at >= sample.began_at:
        return None
    topics = [
        seen
        for name, seen in observed.topics.items()
        if name in sample.topics and sample.topics[name].topic_id == seen.topic_id
    ]
    ends = {TopicPartition(seen.topic, part.partition): part for seen in topics for part in seen.partitions}
    return LagObservation(
        observed_at=contact.last_reached_at,
        ends=ends,
        positions={
            tp: min(position, ends[tp].end)
            for seen in topics
            for partition, position in seen.mirrored_positions.items()
            if (tp := TopicPartition(seen.topic, partition)) in ends
        },
        unmirrored_since={seen.topic: seen.unmirrored_since for seen in topics},
    )
