"""The doors' side of a translation: bounded, shared reads of the copy and of the source."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded, NotFound, OperationFailed, ReplicatorError, Unreachable
from replicator.kafka import KafkaCluster, Record
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.offsets.reads import Reads, Visible

READ_RECORDS_MAX = 200_000
"""Records one bracket may hold before it is bounded by offsets instead of being read."""
READ_SECONDS_MAX = 10.0
CHUNK_RECORDS = 10_000
AHEAD_OFFSETS_MAX = 10_000
"""A range wider than this is not read ahead: it is read when it is asked for, alone."""
AHEAD_BATCH_OFFSETS_MAX = 50_000
"""Ranges that are fetched side by side hold so many offsets together: bounds the memory of records in full."""
CACHED_RECORDS_MAX = 2_000_000
"""16 bytes each: what a view keeps of its reads for other groups at the same place."""

Range = tuple[TopicPartition, int, int]


def fingerprint(record: Record) -> int:
    """Return 63 bits of the record's content: timestamp (unless the broker set it), key, value and headers,
    each framed by its length so that null, empty and shifted bytes differ."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(struct.pack(">q", -1 if record.is_log_append_time else record.timestamp_ms))
    for part in (record.key, record.value):
        _add_framed(digest, part)
    for name, value in record.headers:
        _add_framed(digest, name.encode("utf-8", "surrogatepass"))
        _add_framed(digest, value)
    return int.from_bytes(digest.digest()) >> 1


def _add_framed(digest: hashlib.blake2b, part: bytes | None) -> None:
    digest.update(struct.pack(">i", -1 if part is None else len(part)))
    digest.update(part or b"")


class RangeCache:
    """Keeps what was read, the least recently used forgotten first."""

    def __init__(self, records_max: int = CACHED_RECORDS_MAX) -> None:
        self._records_max = records_max
        self._held = 0
        self._ranges: OrderedDict[Range, Visible | None] = OrderedDict()

    def has(self, key: Range) -> bool:
        """Whether the range was read, with or without an answer."""
        return key in self._ranges

    def get(self, key: Range) -> Visible | None:
        """Return the answer of a range that was read."""
        self._ranges.move_to_end(key)
        return self._ranges[key]

    def put(self, key: Range, found: Visible | None) -> Visible | None:
        """Keep and return an answer."""
        self._ranges[key] = found
        self._held += _weight(found)
        while self._held > self._records_max and len(self._ranges) > 1:
            _, dropped = self._ranges.popitem(last=False)
            self._held -= _weight(dropped)
        return found


def _weight(visible: Visible | None) -> int:
    return 1 if visible is None else 1 + len(visible)


def read_visible(
    cluster: KafkaCluster, tp: TopicPartition, from_offset: int, to_offset: int, *, records_max: int, deadline: Deadline
) -> tuple[Visible, bool]:
    """Return the first `records_max` visible records of [from, to), and whether these are all of them."""
    found = Visible(array("q"), array("q"))
    position = from_offset
    while position < to_offset and len(found) < records_max:
        wanted = min(CHUNK_RECORDS, records_max - len(found))
        read = cluster.read_range(tp, position, to_offset, deadline=deadline, records_max=wanted)
        for record in read.records:
            found.offsets.append(record.offset)
            found.prints.append(fingerprint(record))
        if read.is_complete:
            return found, True
        position = read.next_offset
    return found, position >= to_offset


@dataclass(frozen=True, slots=True)
class TopicState:
    """What a translation needs to know of a topic besides its records."""

    topic_id: str
    is_compacted: bool
    has_append_times: bool = False


def read_topic_states(
    cluster: KafkaCluster, topics: Iterable[TopicName], deadline: Deadline
) -> tuple[dict[TopicName, TopicState], list[TopicPartition]]:
    """Return the state of each topic that exists, and all their partitions."""
    described = cluster.topics.describe(sorted(set(topics)), deadline)
    configs = cluster.topics.configs(sorted(described), deadline)
    states = {}
    for name, topic in described.items():
        policy = configs[name]["cleanup.policy"].value or ""
        states[name] = TopicState(
            topic_id=topic.topic_id,
            is_compacted="compact" in policy,
            has_append_times=configs[name]["message.timestamp.type"].value == "LogAppendTime",
        )
    partitions = [TopicPartition(name, p.partition) for name, t in described.items() for p in t.partitions]
    return states, partitions


class ClusterView:
    """One side of a flow as it stood when the view was opened, and bounded reads of it, each made once."""

    def __init__(
        self,
        cluster: KafkaCluster,
        states: Mapping[TopicName, TopicState],
        ends: Mapping[TopicPartition, PartitionEnds],
        *,
        records_max: int = READ_RECORDS_MAX,
    ) -> None:
        self.states = states
        self.ends = ends
        self.ends_now = ends
        self.is_timely = True
        self._cluster = cluster
        self._records_max = records_max
        self._cache = RangeCache()
        self._noted: dict[Range, None] | None = None

    @contextmanager
    def noting(self) -> Iterator[dict[Range, None]]:
        """Read nothing meanwhile: note in the result what would have been read, which is answered with None."""
        noted: dict[Range, None] = {}
        self._noted = noted
        try:
            yield noted
        finally:
            self._noted = None

    def read_ahead(self, ranges: Iterable[Range], deadline: Deadline) -> None:
        """Have the ranges read, side by side, for whoever asks for them next. What cannot be read is left to whoever
        asks: it is told then why."""
        left = [found for found in ranges if 0 < found[2] - found[1] <= AHEAD_OFFSETS_MAX]
        budget = Deadline.after(deadline.capped(READ_SECONDS_MAX), clock=deadline.clock)
        while left:
            batch, left = next_batch(left)
            try:
                answers = self._cluster.read_ranges(batch, deadline=budget, records_max=AHEAD_OFFSETS_MAX)
            except ReplicatorError:
                return
            for tp, read in answers.items():
                if read.is_complete:
                    prints = array("q", map(fingerprint, read.records))
                    offsets = array("q", (record.offset for record in read.records))
                    self._cache.put((tp, *batch[tp]), Visible(offsets, prints))

    def read(
        self,
        tp: TopicPartition,
        from_offset: int,
        to_offset: int,
        *,
        deadline: Deadline,
        records_max: int | None = None,
    ) -> Visible | None:
        """Return the visible records of [from, to), at most the first `records_max`; None when the range is
        over the cap or was not read in time."""
        log_start = self.ends[tp].log_start
        key = (tp, max(from_offset, log_start), to_offset)
        if self._cache.has(key):
            found = self._cache.get(key)
            return found if found is None or records_max is None else _first(found, records_max)
        if self._noted is not None:
            if records_max is None:
                self._noted[key] = None
            return None
        found, is_whole = self._read_now(key, min(records_max or self._records_max, self._records_max), deadline)
        if is_whole:
            return self._cache.put(key, found)
        if found is not None and records_max is not None and len(found) == records_max:
            return found
        return self._cache.put(key, None) if records_max is None else None

    def _read_now(self, key: Range, records_max: int, deadline: Deadline) -> tuple[Visible | None, bool]:
        tp, from_offset, to_offset = key
        budget = Deadline.after(deadline.capped(READ_SECONDS_MAX), clock=deadline.clock)
        try:
            return read_visible(self._cluster, tp, from_offset, to_offset, records_max=records_max, deadline=budget)
        except DeadlineExceeded:
            self.is_timely = False
            return None, False


def next_batch(ranges: Sequence[Range]) -> tuple[dict[TopicPartition, tuple[int, int]], list[Range]]:
    """Return what is fetched side by side, one range of a partition at most, and what is left for later."""
    batch: dict[TopicPartition, tuple[int, int]] = {}
    left, held = [], 0
    for tp, start, stop in ranges:
        if tp in batch or (batch and held + stop - start > AHEAD_BATCH_OFFSETS_MAX):
            left.append((tp, start, stop))
        else:
            batch[tp] = start, stop
            held += stop - start
    return batch, left


def _first(visible: Visible, count: int) -> Visible:
    return visible if len(visible) <= count else Visible(visible.offsets[:count], visible.prints[:count])


class TargetView(ClusterView):
    """The copies as they stand. Open it *before* reading the mirrored positions: only what was visible then is
    sure to lie below them. `sweep_again` afterwards tells whether anything was still in flight."""

    @classmethod
    def open(
        cls,
        cluster: KafkaCluster,
        topics: Iterable[TopicName],
        deadline: Deadline,
        *,
        records_max: int = READ_RECORDS_MAX,
    ) -> TargetView:
        """Return a view of those of the topics that exist, swept now.

        Raises:
            Unreachable, DeadlineExceeded, AccessDenied: the target cannot be read.
        """
        states, partitions = read_topic_states(cluster, topics, deadline)
        return cls(cluster, states, cluster.positions.ends(partitions, deadline), records_max=records_max)

    def sweep_again(self, deadline: Deadline) -> None:
        """Note the ends as they are after the mirrored positions were read."""
        self.ends_now = self._cluster.positions.ends(self.ends, deadline)


class SourceView(ClusterView):
    """The source while it lives. Once it does not answer in time, it is not asked again."""

    @classmethod
    def open(
        cls,
        cluster: KafkaCluster,
        topics: Iterable[TopicName],
        deadline: Deadline,
        *,
        records_max: int = READ_RECORDS_MAX,
    ) -> SourceView:
        """Return a view of those of the topics that exist, swept now.

        Raises:
            Unreachable, DeadlineExceeded, AccessDenied: the source cannot be read.
        """
        states, partitions = read_topic_states(cluster, topics, deadline)
        return cls(cluster, states, cluster.positions.ends(partitions, deadline), records_max=records_max)

    def read_source(
        self, tp: TopicPartition, from_offset: int, to_offset: int | None, *, deadline: Deadline
    ) -> Visible | None:
        """Return the visible records of [from, to), or to the last stable offset; None when they cannot be had
        whole: the source is away, its retention has passed `from`, or they are over the cap."""
        ends = self.ends.get(tp)
        if not self.is_timely or ends is None or from_offset < ends.log_start:
            return None
        stop = ends.last_stable if to_offset is None else min(to_offset, ends.last_stable)
        if stop - from_offset > 2 * self._records_max:
            return None
        try:
            return self.read(tp, from_offset, stop, deadline=deadline)
        except Unreachable:
            self.is_timely = False
        except (NotFound, OperationFailed):
            return None  # deleted, or trimmed since the view was opened
        return None


class PartitionReads(Reads):
    """The reads of one partition on both sides, within one deadline."""

    def __init__(
        self,
        source_partition: TopicPartition,
        target_partition: TopicPartition,
        *,
        target: TargetView,
        source: SourceView | None,
        deadline: Deadline,
    ) -> None:
        self._source_partition = source_partition
        self._target_partition = target_partition
        self._target = target
        self._source = source
        self._deadline = deadline

    def target(self, from_offset: int, to_offset: int, *, records_max: int | None = None) -> Visible | None:
        """Return the visible records of the copy in [from, to)."""
        return self._target.read(
            self._target_partition, from_offset, to_offset, deadline=self._deadline, records_max=records_max
        )

    def source(self, from_offset: int, to_offset: int | None) -> Visible | None:
        """Return the visible records of the source in [from, to), or to its end."""
        if self._source is None:
            return None
        return self._source.read_source(self._source_partition, from_offset, to_offset, deadline=self._deadline)


def open_source(
    cluster: KafkaCluster, topics: Iterable[TopicName], deadline: Deadline, *, records_max: int = READ_RECORDS_MAX
) -> SourceView | None:
    """Return a view of the source, or None when it does not answer or refuses us: translations then do without."""
    try:
        return SourceView.open(cluster, topics, deadline, records_max=records_max)
    except ReplicatorError:
        return None
