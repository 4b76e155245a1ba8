"""Counts the records of the source that the target does not have yet: what a loss would be, read and not guessed."""

from __future__ import annotations

import contextlib
from typing import Protocol

from replicator.clock import Deadline
from replicator.errors import DataCorrupt, NotFound, OperationFailed
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import TailCount
from replicator.supervisor.decide import tails as decide
from replicator.supervisor.samples import MirroredSample, SourceSample, Tails

MIB = 1024 * 1024
PARTITION_BYTES_MAX = 8 * MIB
TICK_BYTES_MAX = 32 * MIB
BYTES_PER_OFFSET_GUESS = 1024
"""How much of the tick's budget an offset is taken to cost; the reader itself stops at PARTITION_BYTES_MAX."""


class CountVisible(Protocol):
    """Counts visible records in [from_offset, to_offset) by reading at most about `max_bytes` of them."""

    def __call__(
        self, partition: TopicPartition, *, from_offset: int, to_offset: int, deadline: Deadline, max_bytes: int
    ) -> TailCount: ...


class TailCounter:
    """Keeps the counted part of every partition's unmirrored tail. One thread at a time."""

    def __init__(self, count: CountVisible) -> None:
        self._count = count
        self._segments: dict[TopicPartition, decide.Segments] = {}
        self._topic_ids: dict[TopicName, str] = {}

    @property
    def tails(self) -> Tails:
        """What is counted so far, by partition; a partition without a counted tail is absent."""
        return {tp: segments for tp, segments in self._segments.items() if segments}

    def observe(self, source: SourceSample, mirrored: MirroredSample, deadline: Deadline) -> None:
        """Leave the tails counted as far as bytes and time allow; the rest is counted at the next call.

        Partitions are taken in the order of their uncounted offsets, fewest first, so that one that is far
        behind does not keep the others from being known to the record.

        Raises: Unreachable, AccessDenied at once; OperationFailed and DataCorrupt of one partition after the
        others were counted.
        """
        self._forget_gone(source)
        spans = self._open_spans(source, mirrored)
        bytes_left = TICK_BYTES_MAX
        failure: OperationFailed | DataCorrupt | None = None
        for tp, (start, stop) in sorted(spans.items(), key=lambda entry: entry[1][1] - entry[1][0]):
            if bytes_left <= 0 or deadline.is_over:
                break
            limit = min(PARTITION_BYTES_MAX, bytes_left)
            try:
                self._count_span(tp, start, stop, deadline=deadline, max_bytes=limit)
            except (OperationFailed, DataCorrupt) as error:
                failure = failure or error
            bytes_left -= min(limit, (stop - start) * BYTES_PER_OFFSET_GUESS)
        if failure is not None:
            raise failure

    def _forget_gone(self, source: SourceSample) -> None:
        """Drop what was counted of topics that are gone or were made again under the same name."""
        current = {name: topic.topic_id for name, topic in source.topics.items()}
        stale = {name for name, topic_id in self._topic_ids.items() if current.get(name) != topic_id}
        self._segments = {tp: s for tp, s in self._segments.items() if tp.topic not in stale and tp in source.ends}
        self._topic_ids = current

    def _open_spans(self, source: SourceSample, mirrored: MirroredSample) -> dict[TopicPartition, tuple[int, int]]:
        spans = {}
        for tp, ends in source.ends.items():
            start = decide.tail_start(mirrored=mirrored.positions.get(tp), log_start=ends.log_start)
            segments = decide.drop_mirrored(self._segments.get(tp, ()), start=start)
            self._segments[tp] = segments
            span = decide.next_span(segments, start=start, last_stable=ends.last_stable)
            if span is not None:
                spans[tp] = span
        return spans

    def _count_span(self, tp: TopicPartition, start: int, stop: int, *, deadline: Deadline, max_bytes: int) -> None:
        """Count one span; a partition that has just gone is left to the next sweep."""
        with contextlib.suppress(NotFound):
            count = self._count(tp, from_offset=start, to_offset=stop, deadline=deadline, max_bytes=max_bytes)
            self._segments[tp] = decide.add_count(self._segments[tp], count)
