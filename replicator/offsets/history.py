"""The sync history: reads the flow's offset-syncs topic on the target and keeps the offset map up to date."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.clock import Deadline
from replicator.connect import decode_offset_sync
from replicator.errors import DataCorrupt
from replicator.kafka import KafkaCluster, Record
from replicator.model.flow import Delivery, Flow
from replicator.model.names import TopicPartition
from replicator.offsets.points import OffsetMap, OffsetMapBuilder

POINTS_MAX = 4_000_000
"""Points a flow's map holds: 16 bytes each."""
CHUNK_RECORDS = 10_000
"""Syncs read at once: bounds the memory of reading a history of millions."""


class OffsetHistory:
    """The offset map of one flow, from the whole of its offset-syncs topic. One thread at a time.

    The first `refresh` reads the topic from its start, every later one only what is new. Where the topic is
    not whole (compacted, trimmed, an unreadable record), the map says so. Which of its points tell of the topics that
    exist now is for `incarnations` to say.
    """

    def __init__(self, cluster: KafkaCluster, flow: Flow) -> None:
        self._cluster = cluster
        self._flow = flow
        self._partition = TopicPartition(flow.syncs_topic, 0)
        self._topic_id: str | None = None
        self._builder = OffsetMapBuilder()
        self._next = 0
        self._pruned: set[TopicPartition] = set()
        self.unreadable_count = 0

    def refresh(self, deadline: Deadline) -> OffsetMap:
        """Return the map as of now; an empty one when the topic does not exist.

        Raises:
            Unreachable, DeadlineExceeded, AccessDenied: the target cannot be read; nothing is lost, call again.
        """
        described = self._cluster.topics.describe([self._partition.topic], deadline)
        topic = described.get(self._partition.topic)
        if topic is None or topic.topic_id != self._topic_id:
            self._begin_anew(None if topic is None else topic.topic_id)
        if topic is not None:
            self._read_on(deadline)
        return self._builder.build()

    def prune(self, log_starts: Mapping[TopicPartition, int]) -> None:
        """Forget points below the target's log starts, given by source partition."""
        self._builder.prune(log_starts)

    def prune_behind(self, slowest: Mapping[TopicPartition, int], *, visible_to: Mapping[TopicPartition, int]) -> None:
        """Forget points behind the slowest group of each source partition, where no other translation needs them.

        `visible_to` is the last stable offset of each copy, by source partition."""
        if self._flow.delivery is Delivery.EXACTLY_ONCE:
            self._pruned |= self._builder.prune_behind(slowest, visible_to=visible_to)

    def read_anew(self, partition: TopicPartition) -> bool:
        """Have the next `refresh` read the whole topic, if points of the partition were forgotten behind its groups:
        one of them was set back since. Return whether that is so."""
        is_wanted = partition in self._pruned
        if is_wanted:
            self._topic_id = None
        return is_wanted

    def _begin_anew(self, topic_id: str | None) -> None:
        self._topic_id = topic_id
        self._builder = OffsetMapBuilder()
        self._next = 0
        self._pruned = set()
        self.unreadable_count = 0

    def _read_on(self, deadline: Deadline) -> None:
        ends = self._cluster.positions.ends([self._partition], deadline)[self._partition]
        position = max(self._next, ends.log_start)
        while position < ends.end:
            read = self._cluster.read_range(
                self._partition,
                position,
                ends.end,
                deadline=deadline,
                records_max=CHUNK_RECORDS,
                is_committed_only=False,
            )
            for record in read.records:
                self._take(record)
            self._builder.keep_within(POINTS_MAX)
            position = ends.end if read.is_complete else read.next_offset

    def _take(self, record: Record) -> None:
        if record.offset != self._next:
            self._builder.note_gap()
        self._next = record.offset + 1
        try:
            sync = None if record.key is None else decode_offset_sync(record.key, record.value)
        except DataCorrupt:
            self.unreadable_count += 1
            self._builder.note_gap()
            return
        if sync is not None and self._flow.carries_topic(sync.partition.topic):
            self._builder.add(sync)
