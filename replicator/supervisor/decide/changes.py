"""What is worth recording: topic observations from samples, peak rates, and what changed since it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

from replicator.flow import PeakTrail
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition
from replicator.model.observations import (
    AccessObservation,
    ClusterObservation,
    CopyHistory,
    GroupObservation,
    OvertakenSpan,
    TailCount,
    TopicObservation,
)
from replicator.model.offsets import GroupTranslation
from replicator.offsets import SOURCE_ID
from replicator.supervisor.decide.tails import whole_tail
from replicator.supervisor.samples import MirroredSample, SourceSample, Tails

Peaks = Mapping[TopicName, PeakTrail]
Name = TypeVar("Name", bound=str)
Item = TypeVar("Item", TopicObservation, GroupObservation, AccessObservation)

TOLD_COUNTS_MAX = 2000
"""Counts in one topic's observation: some 200 kB, well below a record's limit."""
_NO_TIME = datetime.min.replace(tzinfo=UTC)

INTERVAL_SECONDS_MIN = 0.2
"""Two sweeps closer than this say little about a rate."""


def note_peaks(peaks: Peaks, previous: SourceSample | None, current: SourceSample) -> dict[TopicName, PeakTrail]:
    """Return the highest rates (records/s over the topic) seen of each topic over any two successive sweeps.

    A topic that was re-created, or is new, starts without a rate: nothing is known of it yet.
    """
    kept = {topic: peaks[topic] for topic in current.topics if topic in peaks and _is_same(topic, previous, current)}
    if previous is None:
        return kept
    seconds = (current.began_at - previous.began_at).total_seconds()
    if seconds < INTERVAL_SECONDS_MIN:
        return kept
    for topic, arrived in _arrivals(previous, current).items():
        if _is_same(topic, previous, current):
            kept[topic] = kept.get(topic, PeakTrail()).noted(arrived / seconds, current.began_at)
    return kept


def _is_same(topic: TopicName, previous: SourceSample | None, current: SourceSample) -> bool:
    """Whether the topic is the one it was; before the first sweep there is nothing it could differ from."""
    if previous is None:
        return True
    was = previous.topics.get(topic)
    return was is not None and was.topic_id == current.topics[topic].topic_id


def _arrivals(previous: SourceSample, current: SourceSample) -> dict[TopicName, int]:
    arrived: dict[TopicName, int] = {}
    for tp, ends in current.ends.items():
        before = previous.ends.get(tp)
        start = before.end if before is not None else ends.log_start
        arrived[tp.topic] = arrived.get(tp.topic, 0) + max(0, ends.end - start)
    return arrived


def remembered_peaks(topics: Mapping[TopicName, TopicObservation]) -> dict[TopicName, PeakTrail]:
    """Return the trails that an earlier supervisor's records give: one rate a topic, as if seen when it was written."""
    return {
        name: PeakTrail().noted(seen.peak_rate, seen.observed_at)
        for name, seen in topics.items()
        if seen.peak_rate is not None
    }


def join_peaks(earlier: Peaks, later: Peaks) -> dict[TopicName, PeakTrail]:
    """Return what either saw of each topic."""
    return {name: earlier.get(name, PeakTrail()).joined(later.get(name, PeakTrail())) for name in {**earlier, **later}}


def topic_observations(
    cluster: ClusterName,
    *,
    sample: SourceSample,
    mirrored: MirroredSample | None,
    tails: Tails,
    peaks: Peaks,
    known_ids: Mapping[TopicName, str] = MappingProxyType({}),
    overtaken: Mapping[TopicName, tuple[OvertakenSpan, ...]] = MappingProxyType({}),
    unmirrored_since: Mapping[TopicName, datetime | None] = MappingProxyType({}),
    copies: Mapping[TopicName, CopyHistory] = MappingProxyType({}),
) -> dict[TopicName, TopicObservation]:
    """Return one observation a topic: its ends, what of it is mirrored, what of the rest was counted.

    Counts are told part by part, so that what is mirrored later takes away no more than was counted there.
    """
    positions = mirrored.positions if mirrored else {}
    found: dict[TopicName, TopicObservation] = {}
    for name, topic in sample.topics.items():
        partitions = [TopicPartition(name, part.partition) for part in topic.partitions]
        found[name] = TopicObservation(
            cluster=cluster,
            topic=name,
            topic_id=topic.topic_id,
            observed_at=sample.began_at,
            partitions=tuple(sample.ends[tp] for tp in partitions if tp in sample.ends),
            mirrored_positions={tp.partition: positions[tp] for tp in partitions if tp in positions},
            tails=_told_tails([tails[tp] for tp in partitions if tp in tails]),
            peak_rate=peaks[name].highest(sample.began_at) if name in peaks else None,
            mirrored_topic_id=known_ids.get(name),
            overtaken=overtaken.get(name, ()),
            unmirrored_since=unmirrored_since.get(name),
            copy=copies.get(name),
        )
    return found


def _told_tails(tails: Sequence[tuple[TailCount, ...]]) -> tuple[TailCount, ...]:
    """Return the counts part by part; where that is too much for one record, one a partition."""
    if sum(map(len, tails)) > TOLD_COUNTS_MAX:
        return tuple(whole for parts in tails if (whole := whole_tail(parts)) is not None)
    return tuple(part for parts in tails for part in parts)


def changed_items(
    written: Mapping[Name, Item], current: Mapping[Name, Item], *, refresh_seconds: float
) -> dict[Name, Item]:
    """Return what differs from what was written, and what was written more than `refresh_seconds` before."""
    return {
        name: item
        for name, item in current.items()
        if _is_worth_writing(written.get(name), item, refresh=timedelta(seconds=refresh_seconds))
    }


def _is_worth_writing(before: Item | None, item: Item, *, refresh: timedelta) -> bool:
    if before is None or not timedelta() <= item.observed_at - before.observed_at < refresh:
        return True  # new, old, or written by a clock that has stepped back since: its time would stand for an hour
    return _without_times(before) != _without_times(item)


def _without_times(item: Item) -> Item:
    """Return what is to be told again when it differs: that time went on is not, that a time became known is."""
    timeless = replace(item, observed_at=_NO_TIME)
    if isinstance(timeless, TopicObservation):
        return replace(timeless, unmirrored_since=None if timeless.unmirrored_since is None else _NO_TIME)
    return timeless


def changed_translations(
    written: Mapping[GroupName, GroupTranslation], current: Mapping[GroupName, GroupTranslation]
) -> dict[GroupName, GroupTranslation]:
    """Return the translations that say something else than what was written; when they were made is not enough."""
    return {name: one for name, one in current.items() if not _says_the_same(written.get(name), one)}


def _says_the_same(before: GroupTranslation | None, one: GroupTranslation) -> bool:
    return before is one or (before is not None and _gist(before) == _gist(one))


def _gist(translation: GroupTranslation) -> list[object]:
    return [
        (t.partition, t.source_offset, t.target_offset, t.grade, t.reread_records_max, t.evidence.get(SOURCE_ID))
        for t in translation.translations
    ]


def honest_contact(observation: ClusterObservation, sample: SourceSample | None) -> ClusterObservation:
    """Return the observation with no later read of the cluster claimed than the sweep it is written with."""
    reached = observation.last_reached_at
    if sample is None or reached is None:
        return observation
    return replace(observation, last_reached_at=min(reached, sample.began_at))
