"""Less of a snapshot: some partitions, or all of them up to an offset. What is left is a snapshot like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from replicator.errors import UsageError
from replicator.model.archive.snapshots import CapturedPartition, CapturedTopic, Chunk, Gap, Manifest
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.reading import visible_records
from replicator.snapshot.verify import examine_chunk

LoadChunk = Callable[[Chunk], memoryview]
Stops = Mapping[TopicName, Mapping[int, int]]
"""By captured topic and partition: the offset before which a restore stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a snapshot is meant. None or empty: all of it.

    `partitions` are numbers, of every topic; `stops` captured offsets; `until_ms` a record time: each partition ends
    before its first record that is later, so that what is restored is a beginning of what was captured.
    """

    partitions: frozenset[int] | None = None
    stops: Mapping[TopicPartition, int] = field(default_factory=dict)
    until_ms: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.partitions is None and not self.stops and self.until_ms is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """The stops of what is restored in part, and what that means, in words."""

    stops: Stops
    warnings: tuple[str, ...] = ()


LEFT_OUT = -1
"""The stop of a partition of which nothing is restored, not even its offsets."""


def find_stops(manifest: Manifest, targets: Mapping[TopicName, TopicName], extent: Extent, load: LoadChunk) -> Narrowed:
    """Return where each partition of the selected topics stops, for those that do not go to their end.

    Raises: UsageError for a stop at a partition that is not restored or at an offset that was not captured, and for
    partitions that no topic has; NotFound, DataCorrupt.
    """
    chosen = [topic for topic in manifest.topics if topic.name in targets]
    _check_extent(chosen, extent)
    stops: dict[TopicName, dict[int, int]] = {}
    warnings: list[str] = []
    for topic in chosen:
        for partition in topic.partitions:
            stop, told = _find_stop(topic, partition, extent, load)
            warnings += told
            if stop is not None:
                stops.setdefault(topic.name, {})[partition.partition] = stop
    if any(stop != LEFT_OUT for own in stops.values() for stop in own.values()):
        warnings.append("it stops within what was captured: a transaction may be restored in part")
    return Narrowed(stops=stops, warnings=tuple(warnings))


def _check_extent(topics: list[CapturedTopic], extent: Extent) -> None:
    known = {TopicPartition(topic.name, p.partition): p for topic in topics for p in topic.partitions}
    for tp, offset in sorted(extent.stops.items()):
        if tp not in known:
            raise UsageError(f"--stop {tp}: that partition is not restored")
        if not known[tp].start <= offset <= known[tp].end:
            raise UsageError(
                f"--stop {tp}={offset}: offsets {known[tp].start} to {known[tp].end} were captured",
                hint="replicator snapshot show tells the topics; snapshot list other snapshots",
            )
    numbers = {tp.partition for tp in known}
    if extent.partitions is not None and not extent.partitions <= numbers:
        raise UsageError(f"--partitions {min(extent.partitions - numbers)}: no restored topic has that partition")


def _find_stop(
    topic: CapturedTopic, partition: CapturedPartition, extent: Extent, load: LoadChunk
) -> tuple[int | None, list[str]]:
    """Return a partition's stop, None for its end, and what is to be told of it."""
    if extent.partitions is not None and partition.partition not in extent.partitions:
        return LEFT_OUT, []
    stop = extent.stops.get(TopicPartition(topic.name, partition.partition), partition.end)
    told = []
    if extent.until_ms is not None:
        timed, early = find_time_stop(partition, extent.until_ms, load)
        if timed < stop:
            stop = timed
        if early:
            told.append(
                f"{topic.name}[{partition.partition}]: {early} records of an earlier time stand behind the first later "
                "one and are left out"
            )
    return (None if stop >= partition.end else stop), told


def find_time_stop(partition: CapturedPartition, until_ms: int, load: LoadChunk) -> tuple[int, int]:
    """Return the offset of the first record later than `until_ms`, the end if none is, and how many records that are
    not later stand behind it. Only chunks that may hold a later record, and those behind it, are read.

    Raises: NotFound, DataCorrupt.
    """
    stop: int | None = None
    early = 0
    for chunk in partition.chunks:
        newest = chunk.facts.max_timestamp_ms
        if newest is None:
            continue
        if newest <= until_ms:
            early += chunk.facts.records if stop is not None else 0
            continue
        for record in visible_records(load(chunk), chunk):
            if record.timestamp_ms > until_ms:
                stop = record.offset if stop is None else stop
            elif stop is not None:
                early += 1
    return (partition.end if stop is None else stop), early


def narrow(manifest: Manifest, stops: Stops, load: LoadChunk) -> Manifest:
    """Return the manifest of what is left, its counts true. Raises: NotFound, DataCorrupt."""
    if not stops:
        return manifest
    topics = [_narrow_topic(topic, stops.get(topic.name, {}), load) for topic in manifest.topics]
    return replace(manifest, topics=tuple(topics))


def _narrow_topic(topic: CapturedTopic, stops: Mapping[int, int], load: LoadChunk) -> CapturedTopic:
    partitions = [
        _narrow_partition(one, stops[one.partition], load) if one.partition in stops else one
        for one in topic.partitions
    ]
    return replace(topic, partitions=tuple(partitions))


def _narrow_partition(partition: CapturedPartition, stop: int, load: LoadChunk) -> CapturedPartition:
    if stop == LEFT_OUT:
        return replace(partition, start=0, end=0, high_watermark=0, chunks=(), gaps=(), left_out=())
    chunks = [_narrow_chunk(chunk, stop, load) for chunk in partition.chunks if chunk.start < stop]
    gaps = [Gap(gap.start, min(gap.stop, stop), gap.reason) for gap in partition.gaps if gap.start < stop]
    return replace(partition, end=stop, high_watermark=stop, chunks=tuple(chunks), gaps=tuple(gaps))


def _narrow_chunk(chunk: Chunk, stop: int, load: LoadChunk) -> Chunk:
    if chunk.stop <= stop:
        return chunk
    short = replace(chunk, stop=stop)
    return replace(short, facts=examine_chunk(load(chunk), short, where=f"chunk {chunk.stored.id}"))
