"""Reading records: bounded ranges, and tails that remember where they stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as VendorPartition

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded
from replicator.kafka.connection import Connection
from replicator.kafka.positions import Positions
from replicator.kafka.topics import Topics
from replicator.model.names import TopicName, TopicPartition
from replicator.model.rights import READERS

CONSUME_BATCH = 2000
POLL_SECONDS = 0.05
"""How long one call waits for the first message."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it is stored. Null and empty are told apart in key, value and header values."""

    partition: TopicPartition
    offset: int
    timestamp_ms: int
    is_log_append_time: bool
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class RangeRead:
    """Visible records of one partition in [from, next_offset); `is_complete` when the range was read whole."""

    records: tuple[Record, ...]
    next_offset: int
    is_complete: bool


def make_consumer(connection: Connection, *, is_committed_only: bool, **extra: Any) -> Consumer:
    """Return a consumer that commits nothing and reports the end of each partition."""
    return Consumer(
        connection.properties(
            **{
                "group.id": READERS,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed" if is_committed_only else "read_uncommitted",
                "check.crcs": True,
                "fetch.wait.max.ms": 50,
                "fetch.error.backoff.ms": 50,
                "queued.max.messages.kbytes": 16384,
                "allow.auto.create.topics": False,
                **extra,
            }
        )
    )


class RangeReader:
    """Reads bounded ranges with one long-lived consumer per isolation level. Safe between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._consumers: dict[bool, Consumer] = {}
        self._lock = threading.Lock()

    def read(
        self,
        tp: TopicPartition,
        *,
        from_offset: int,
        to_offset: int,
        deadline: Deadline,
        records_max: int = 10_000,
        is_committed_only: bool = True,
    ) -> RangeRead:
        """Return the visible records in [from_offset, to_offset), at most `records_max` of them.

        Raises:
            DeadlineExceeded: the range was not read whole in time.
            OperationFailed: `from_offset` is below the log start or above the end.
        """
        if from_offset >= to_offset:
            return RangeRead((), from_offset, is_complete=True)
        with self._lock:
            consumer = self._consumer(is_committed_only)
            with self._connection.translated(f"read {tp} from {from_offset}"):
                consumer.assign([VendorPartition(tp.topic, tp.partition, from_offset)])
                try:
                    return self._collect(consumer, tp, from_offset, to_offset, deadline, records_max)
                finally:
                    consumer.unassign()

    def read_many(
        self, ranges: Mapping[TopicPartition, tuple[int, int]], *, deadline: Deadline, records_max: int = 10_000
    ) -> dict[TopicPartition, RangeRead]:
        """Return the visible records of a range [from, to) of each partition, at most `records_max` of each; all of
        them are fetched side by side. An empty range is not asked for.

        Raises: as `read`, for whichever partition it happens to.
        """
        wanted = {tp: _Filling(*span) for tp, span in ranges.items() if span[0] < span[1]}
        if not wanted:
            return {}
        with self._lock:
            consumer = self._consumer(True)
            with self._connection.translated(f"read {len(wanted)} partitions"):
                consumer.assign([VendorPartition(tp.topic, tp.partition, at.position) for tp, at in wanted.items()])
                try:
                    _fill_all(consumer, wanted, deadline, records_max)
                finally:
                    consumer.unassign()
        return {tp: filling.read for tp, filling in wanted.items() if filling.read is not None}

    def _consumer(self, is_committed_only: bool) -> Consumer:
        if is_committed_only not in self._consumers:
            self._consumers[is_committed_only] = make_consumer(self._connection, is_committed_only=is_committed_only)
        return self._consumers[is_committed_only]

    def _collect(
        self, consumer: Consumer, tp: TopicPartition, start: int, stop: int, deadline: Deadline, records_max: int
    ) -> RangeRead:
        records: list[Record] = []
        position = start
        while position < stop:
            for message in take_messages(consumer, deadline):
                if is_end_of_partition(message):
                    return RangeRead(tuple(records), max(position, message.offset() or 0), is_complete=True)
                record = to_record(message)
                if record.offset >= stop:
                    return RangeRead(tuple(records), stop, is_complete=True)
                if len(records) == records_max:
                    return RangeRead(tuple(records), position, is_complete=False)
                records.append(record)
                position = record.offset + 1
            if position < stop and deadline.is_over:
                raise DeadlineExceeded(f"{tp}: read {position - start} of {stop - start} offsets in time")
        return RangeRead(tuple(records), position, is_complete=True)

    def close(self) -> None:
        """Let go of the consumers."""
        with self._lock:
            for consumer in self._consumers.values():
                consumer.close()
            self._consumers.clear()


class _Filling:
    """One range on its way: what has arrived of it, and the answer once it is whole."""

    __slots__ = ("position", "read", "records", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.position, self.stop = start, stop
        self.records: list[Record] = []
        self.read: RangeRead | None = None

    def end_at(self, next_offset: int, *, is_complete: bool) -> None:
        """Note that no more of the range is wanted."""
        self.read = RangeRead(tuple(self.records), next_offset, is_complete=is_complete)

    def take(self, message: Message, records_max: int) -> None:
        """Note one message of the range's partition, in order."""
        if is_end_of_partition(message):
            self.end_at(max(self.position, message.offset() or 0), is_complete=True)
            return
        offset = message.offset() or 0
        if offset >= self.stop:
            self.end_at(self.stop, is_complete=True)
        elif len(self.records) == records_max:
            self.end_at(self.position, is_complete=False)
        else:
            self.records.append(to_record(message))
            self.position = offset + 1
            if self.position >= self.stop:
                self.end_at(self.position, is_complete=True)


def _fill_all(
    consumer: Consumer, wanted: Mapping[TopicPartition, _Filling], deadline: Deadline, records_max: int
) -> None:
    """Return once every range is answered; a partition that is done is fetched no further.

    It is let go of, not paused: librdkafka keeps a pause beyond the assignment, and the next read would wait for ever.
    """
    left = set(wanted)
    while left:
        for message in take_messages(consumer, deadline):
            tp = TopicPartition(TopicName(message.topic() or ""), message.partition() or 0)
            if wanted[tp].read is None:
                wanted[tp].take(message, records_max)
        ended = [tp for tp in left if wanted[tp].read is not None]
        left.difference_update(ended)
        if ended and left:
            consumer.incremental_unassign([VendorPartition(tp.topic, tp.partition) for tp in ended])
        if left and deadline.is_over:
            raise DeadlineExceeded(f"{min(left)}: {len(left)} of {len(wanted)} partitions were not read in time")


class Tail:
    """Reads topics from their log start and goes on where it stopped; one thread at a time."""

    def __init__(self, connection: Connection, topics: Iterable[TopicName], *, is_committed_only: bool = True) -> None:
        self._connection = connection
        self._topics = Topics(connection)
        self._positions = Positions(connection)
        self._wanted = tuple(topics)
        self._consumer = make_consumer(connection, is_committed_only=is_committed_only)
        self._is_committed_only = is_committed_only
        self._next: dict[TopicPartition, int] = {}

    def poll_to_end(self, deadline: Deadline) -> list[Record]:
        """Return the records between the last call's end and the ends as they are now.

        A topic that does not exist (yet) gives none. Order holds within a partition.

        Raises:
            DeadlineExceeded: the ends were not reached in time; nothing is lost, call again.
        """
        targets = self._targets(deadline)
        records: list[Record] = []
        while behind := [tp for tp, end in targets.items() if self._next[tp] < end]:
            with self._connection.translated(f"tail {', '.join(self._wanted)}"):
                messages = take_messages(self._consumer, deadline)
            records += self._take(messages)
            if not messages and deadline.is_over:
                self._rewind(records)
                raise DeadlineExceeded(
                    f"{behind[0]}: stands at {self._next[behind[0]]}, the end is {targets[behind[0]]}"
                )
        return records

    def _targets(self, deadline: Deadline) -> dict[TopicPartition, int]:
        described = self._topics.describe(self._wanted, deadline)
        partitions = [TopicPartition(name, p.partition) for name, t in described.items() for p in t.partitions]
        ends = self._positions.ends(partitions, deadline)
        fresh = {tp: ends[tp].log_start for tp in partitions if tp not in self._next}
        if fresh:
            self._next |= fresh
            self._assign()
        return {tp: e.last_stable if self._is_committed_only else e.end for tp, e in ends.items()}

    def _assign(self) -> None:
        with self._connection.translated("assign partitions"):
            self._consumer.assign([VendorPartition(tp.topic, tp.partition, at) for tp, at in self._next.items()])

    def _take(self, messages: Sequence[Message]) -> list[Record]:
        records = []
        for message in messages:
            with self._connection.translated(f"tail {message.topic()}"):
                is_end = is_end_of_partition(message)
            tp = TopicPartition(TopicName(message.topic() or ""), message.partition() or 0)
            offset = message.offset() or 0
            if is_end:
                self._next[tp] = max(self._next[tp], offset)
            elif offset >= self._next[tp]:
                self._next[tp] = offset + 1
                records.append(to_record(message))
        return records

    def _rewind(self, records: Sequence[Record]) -> None:
        """Go back before the records that the failed call will not hand out."""
        for record in reversed(records):
            self._next[record.partition] = record.offset
        if records:
            self._assign()

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()


def take_messages(consumer: Consumer, deadline: Deadline) -> list[Message]:
    """Return what has arrived, at most a batch, waiting only for the first: a call for a whole batch returns when the
    batch is full or its time has passed, and most reads are far smaller than that."""
    first = consumer.consume(1, timeout=deadline.capped(POLL_SECONDS))
    return [*first, *consumer.consume(CONSUME_BATCH - 1, timeout=0)] if first else first


def is_end_of_partition(message: Message) -> bool:
    """Whether this is the end-of-partition event; any other error is raised."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)


def to_record(message: Message) -> Record:
    """Return the record a vendor message carries."""
    kind, timestamp_ms = message.timestamp()
    return Record(
        partition=TopicPartition(TopicName(message.topic() or ""), message.partition() or 0),
        offset=message.offset() or 0,
        timestamp_ms=timestamp_ms,
        is_log_append_time=kind == TIMESTAMP_LOG_APPEND_TIME,
        key=message.key(),
        value=message.value(),
        headers=tuple(cast("list[tuple[str, bytes | None]]", message.headers() or [])),
    )
