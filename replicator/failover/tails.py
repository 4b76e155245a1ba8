"""What the living source still holds above a position: visible records, counted; and whether its ends stand."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.failover.world import READ_SECONDS, World
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.operations import LossReport, PartitionLoss

COUNTED_MAX = 10_000
"""Records counted one by one per partition; where there are more, this many are told."""


def source_ends(world: World) -> dict[TopicPartition, PartitionEnds]:
    """Return the ends of every partition of the flow on the source, as it was asked last."""
    return {
        TopicPartition(name, ends.partition): ends
        for name, topic in world.observed.topics.items()
        for ends in topic.partitions
    }


def open_transactions(ends: Mapping[TopicPartition, PartitionEnds]) -> list[TopicPartition]:
    """Return the partitions whose last stable offset is below the end: a transaction is open there."""
    return sorted(tp for tp, found in ends.items() if found.last_stable != found.end)


def count_unmirrored(
    world: World, mirrored: Mapping[TopicPartition, int], *, records_max: int = COUNTED_MAX
) -> dict[TopicPartition, int]:
    """Return the visible records of the source above the mirrored positions, by partition; none is left out.

    A marker or a hole above the position is no record: what counts is what a consumer would be handed.
    """
    found = {}
    for tp, ends in source_ends(world).items():
        start = max(ends.log_start, mirrored.get(tp, ends.log_start))
        count = count_records(world, tp, start, ends.end, records_max=records_max)
        if count:
            found[tp] = count
    return found


def count_records(world: World, tp: TopicPartition, start: int, stop: int, *, records_max: int = COUNTED_MAX) -> int:
    """Return how many visible records the source holds in [start, stop), at most `records_max`."""
    if start >= stop:
        return 0
    read = world.source.read_range(tp, start, stop, deadline=world.deadline(READ_SECONDS), records_max=records_max)
    return len(read.records)


def planned_loss(world: World, mirrored: Mapping[TopicPartition, int]) -> LossReport:
    """Return what a planned move would lose if it ended at these positions: counted at the source, to the record."""
    left = count_unmirrored(world, mirrored)
    partitions = tuple(
        PartitionLoss(
            partition=tp,
            mirrored_position=mirrored.get(tp),
            observed_end=None,
            known_lost=count,
            possible_lost_max=count,
        )
        for tp, count in sorted(left.items())
    )
    total = sum(left.values())
    return LossReport(
        known_lost=total,
        unknown_window_seconds=0.0,
        possible_lost_max=total,
        partitions=partitions,
        lost_seconds_max=None if total else 0.0,
    )
