"""How many holes a captured partition has, and what filling them takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from replicator.model.archive.restores import ExactEffort
from replicator.model.archive.snapshots import CapturedPartition, CapturedTopic, Chunk
from replicator.snapshot.restore.batches import ready_chunk
from replicator.snapshot.restore.feeding import PARTITIONS_SIDE_BY_SIDE

EXACT_SECONDS_MAX = 3600.0
"""Above this a restore with remapped positions is proposed instead."""
HOLES_PER_SECOND = 100.0
"""One transaction fills a hole of each of several partitions. Measured: docs/snapshots/same-offsets.md."""
BURNED_PER_SECOND = 4_000_000.0

LoadChunk = Callable[[Chunk], memoryview]


@dataclass(frozen=True, slots=True)
class Holes:
    """Runs of offsets without a visible record in one partition, and the offsets in them."""

    count: int
    offsets: int


def count_holes(partition: CapturedPartition, load: LoadChunk) -> Holes:
    """Return the holes of a partition from its log start to its end; only chunks that have some are read.

    Raises: NotFound, DataCorrupt.
    """
    position, found, offsets = partition.start, 0, 0
    for start, records in _runs(partition, load):
        found += start > position
        offsets += start - position
        position = start + records
    tail = partition.end - position
    return Holes(found + (tail > 0), offsets + tail)


def _runs(partition: CapturedPartition, load: LoadChunk) -> Iterator[tuple[int, int]]:
    """Yield (first offset, records) of visible records in a row; neighbours may touch."""
    for chunk in partition.chunks:
        if chunk.facts.records == chunk.stop - chunk.start:
            yield chunk.start, chunk.facts.records
        elif chunk.facts.records:
            for ready in ready_chunk(load(chunk), chunk, where=f"chunk {chunk.stored.id}", is_exact=True):
                yield ready.first_offset, ready.record_count


def measure_effort(topic: CapturedTopic, load: LoadChunk) -> ExactEffort:
    """Return what exact offsets of a topic take. Raises: NotFound, DataCorrupt."""
    holes = [count_holes(partition, load) for partition in topic.partitions]
    return weigh(holes, burned=sum(partition.start for partition in topic.partitions))


def weigh(holes: list[Holes], *, burned: int) -> ExactEffort:
    """Return the effort of filling the holes of a topic's partitions side by side, and of burning so many offsets."""
    total = sum(one.count for one in holes)
    rounds = max([total / PARTITIONS_SIDE_BY_SIDE, *(one.count for one in holes)])
    offsets = sum(one.offsets for one in holes)
    seconds = rounds / HOLES_PER_SECOND + (burned + offsets) / BURNED_PER_SECOND
    return ExactEffort(holes=total, hole_offsets=offsets, burned_offsets=burned, seconds=round(seconds, 1))
