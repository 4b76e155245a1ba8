"""Which offsets of a tail are counted next, and what the counts add up to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded, NotFound, OperationFailed
from replicator.model.cluster import PartitionDescription, TopicDescription
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds, TailCount
from replicator.supervisor.decide.tails import (
    SEGMENTS_MAX,
    add_count,
    drop_mirrored,
    next_span,
    tail_start,
    whole_tail,
)
from replicator.supervisor.observe.tails import PARTITION_BYTES_MAX, TailCounter
from replicator.supervisor.samples import MirroredSample, SourceSample

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = TopicName("orders")


def count(start: int, stop: int, visible: int | None = None) -> TailCount:
    return TailCount(
        partition=0, from_offset=start, to_offset=stop, visible_records=stop - start if visible is None else visible
    )


@pytest.mark.parametrize(
    ("segments", "start", "last_stable", "span"),
    [
        ((), 10, 30, (10, 30)),
        ((), 30, 30, None),
        ((count(10, 20),), 10, 30, (20, 30)),
        ((count(10, 20),), 15, 30, (20, 30)),
        ((count(10, 30),), 10, 30, None),
        # The last stable offset stands below what was counted when a topic was truncated: nothing to count.
        ((count(10, 30),), 10, 25, None),
    ],
)
def test_next_span(segments: tuple[TailCount, ...], start: int, last_stable: int, span: tuple[int, int] | None) -> None:
    """Counting goes on where it stopped and ends at the last stable offset."""
    assert next_span(segments, start=start, last_stable=last_stable) == span


@pytest.mark.parametrize(
    ("start", "kept"),
    [
        (10, (count(10, 20), count(20, 30))),
        (19, (count(10, 20), count(20, 30))),
        (20, (count(20, 30),)),
        (30, ()),
        # Rewound below what was counted: the counts do not begin at the tail any more.
        (5, ()),
    ],
)
def test_mirrored_segments_are_dropped(start: int, kept: tuple[TailCount, ...]) -> None:
    """A segment goes when all of it is mirrored."""
    assert drop_mirrored((count(10, 20), count(20, 30)), start=start) == kept


@pytest.mark.parametrize(("mirrored", "log_start", "start"), [(None, 7, 7), (50, 7, 50), (3, 7, 7)])
def test_tail_start(mirrored: int | None, log_start: int, start: int) -> None:
    """The tail starts at the mirrored position, or at what retention has left."""
    assert tail_start(mirrored=mirrored, log_start=log_start) == start


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=200))
def test_segments_stay_bounded_and_lose_nothing(steps: list[tuple[int, int]]) -> None:
    """However many counts are added, there are at most SEGMENTS_MAX, and their sum is the truth."""
    segments: tuple[TailCount, ...] = ()
    position = total = 0
    for width, visible in steps:
        segments = add_count(segments, count(position, position + width, visible))
        position, total = position + width, total + visible
    assert len(segments) <= SEGMENTS_MAX
    assert whole_tail(segments) == count(0, position, total)


def sample(topic_id: str = "id-1", **ends: tuple[int, int]) -> SourceSample:
    partitions = {int(name[1:]): offsets for name, offsets in ends.items()}
    topic = TopicDescription(ORDERS, topic_id, tuple(PartitionDescription(p, 1, (1,), (1,)) for p in partitions))
    return SourceSample(
        began_at=NOW,
        ended_at=NOW,
        topics={ORDERS: topic},
        ends={
            TopicPartition(ORDERS, p): PartitionEnds(partition=p, log_start=start, last_stable=end, end=end)
            for p, (start, end) in partitions.items()
        },
    )


def mirrored(**positions: int) -> MirroredSample:
    return MirroredSample(
        began_at=NOW,
        ended_at=NOW,
        positions={TopicPartition(ORDERS, int(name[1:])): at for name, at in positions.items()},
    )


class Source:
    """Counts every offset as one visible record, and remembers what it was asked to read."""

    def __init__(self, failing: Mapping[int, Exception] | None = None) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self.failing = dict(failing or {})

    def __call__(
        self, partition: TopicPartition, *, from_offset: int, to_offset: int, deadline: Deadline, max_bytes: int
    ) -> TailCount:
        assert max_bytes <= PARTITION_BYTES_MAX
        assert not deadline.is_over
        if partition.partition in self.failing:
            raise self.failing[partition.partition]
        self.asked.append((partition.partition, from_offset, to_offset))
        return TailCount(
            partition=partition.partition,
            from_offset=from_offset,
            to_offset=to_offset,
            visible_records=to_offset - from_offset,
        )


def test_no_offset_is_read_twice(clock: Any) -> None:
    """The second call reads only what has come since, less what was mirrored meanwhile."""
    source = Source()
    counter = TailCounter(source)
    deadline = Deadline.after(10, clock=clock)
    counter.observe(sample(p0=(0, 100)), mirrored(p0=40), deadline)
    counter.observe(sample(p0=(0, 150)), mirrored(p0=120), deadline)
    assert source.asked == [(0, 40, 100), (0, 120, 150)]
    assert counter.tails[TopicPartition(ORDERS, 0)] == (count(120, 150),)


def test_the_smallest_tails_come_first(clock: Any) -> None:
    """A partition far behind does not keep the others from being counted."""
    source = Source()
    TailCounter(source).observe(
        sample(p0=(0, 9000), p1=(0, 10), p2=(0, 500)), mirrored(), Deadline.after(10, clock=clock)
    )
    assert [partition for partition, _, _ in source.asked] == [1, 2, 0]


def test_a_topic_made_again_is_counted_anew(clock: Any) -> None:
    """Counts of a deleted topic say nothing about its successor of the same name."""
    source = Source()
    counter = TailCounter(source)
    deadline = Deadline.after(10, clock=clock)
    counter.observe(sample("id-1", p0=(0, 100)), mirrored(p0=0), deadline)
    counter.observe(sample("id-2", p0=(0, 60)), mirrored(p0=0), deadline)
    assert source.asked == [(0, 0, 100), (0, 0, 60)]


def test_one_bad_partition_is_told_after_the_others_were_counted(clock: Any) -> None:
    """A partition that cannot be read is reported, and costs the others nothing."""
    source = Source({0: OperationFailed("offset out of range")})
    counter = TailCounter(source)
    with pytest.raises(OperationFailed):
        counter.observe(sample(p0=(0, 10), p1=(0, 20)), mirrored(), Deadline.after(10, clock=clock))
    assert list(counter.tails) == [TopicPartition(ORDERS, 1)]


def test_a_dead_source_ends_the_tick_and_keeps_the_counts(clock: Any) -> None:
    """What was counted before the source fell silent is all that a failover will know: it must stay."""
    source = Source()
    counter = TailCounter(source)
    deadline = Deadline.after(10, clock=clock)
    counter.observe(sample(p0=(0, 100)), mirrored(p0=40), deadline)
    source.failing = {0: DeadlineExceeded("no answer")}
    with pytest.raises(DeadlineExceeded):
        counter.observe(sample(p0=(0, 150)), mirrored(p0=40), deadline)
    assert counter.tails[TopicPartition(ORDERS, 0)] == (count(40, 100),)


def test_a_partition_that_has_just_gone_is_no_failure(clock: Any) -> None:
    """A topic deleted between sweep and count is the next sweep's business."""
    counter = TailCounter(Source({0: NotFound("orders[0]")}))
    counter.observe(sample(p0=(0, 100)), mirrored(), Deadline.after(10, clock=clock))
    assert counter.tails == {}
