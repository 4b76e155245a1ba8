"""The demo's applications: producers and consumers that know nothing of replication."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from replicator.cli.demo.data import Booking, Row
from replicator.cli.demo.ledger import ID_HEADER, GroupTrace, Ledger
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.kafka import KafkaCluster, Outgoing, Record, TransactionalWriter, Writer
from replicator.model.names import GroupName, TopicName, TopicPartition

READ_CHUNK = 20_000
POLL_RECORDS = 2_000
MEMBER_SECONDS = 45.0
"""After so long a member that vanished is missed; librdkafka's own default."""
STOP_SECONDS = 2.0
"""A thread in a call to a dead cluster is left behind; it ends with its own time-out and changes nothing."""


def number_of(record: Record) -> int:
    """Return the ledger number a record carries."""
    return next(int(value) for name, value in record.headers if name == ID_HEADER and value is not None)


class Application:
    """Writes rows to one cluster and keeps the ledger."""

    def __init__(self, cluster: KafkaCluster, ledger: Ledger) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._writer: Writer = cluster.writer("demo-app", queue_buffering_max_messages=500_000, linger_ms=10)
        self._transactions: TransactionalWriter | None = None

    def _outgoing(self, row: Row) -> tuple[Outgoing, int]:
        number = self._ledger.topics[row.topic].send(row.key)
        headers = ((ID_HEADER, str(number).encode()),)
        return Outgoing(row.topic, row.key, row.value, headers=headers, timestamp_ms=row.timestamp_ms), number

    def send(self, row: Row) -> None:
        """Hand one row to the producer; the ledger learns its fate when the cluster answers."""
        outgoing, number = self._outgoing(row)
        self._writer.send(outgoing, on_acked=partial(self._acknowledge, row.topic, number))

    def _acknowledge(self, topic: TopicName, number: int, _tp: TopicPartition, _offset: int) -> None:
        self._ledger.topics[topic].acknowledge(number)

    def load(self, rows: Iterable[Row], deadline: Deadline) -> int:
        """Return how many rows were written and acknowledged."""
        count = 0
        for row in rows:
            self.send(row)
            count += 1
        self._writer.flush(deadline)
        return count

    def book(self, booking: Booking, deadline: Deadline) -> None:
        """Write one transaction; commit it, or abort it where the flight was cancelled."""
        if self._transactions is None:
            self._transactions = self._cluster.transactional_writer("demo-bookings", deadline)
        pairs = [self._outgoing(row) for row in booking.rows]
        records = [outgoing for outgoing, _ in pairs]
        topic = booking.rows[0].topic
        if booking.is_cancelled:
            for _, number in pairs:
                self._ledger.topics[topic].abort(number)
            self._transactions.abandon(records, deadline)
            return
        self._transactions.append(records, deadline)
        for _, number in pairs:
            self._ledger.topics[topic].acknowledge(number)

    def flush(self, deadline: Deadline) -> None:
        """Return once everything sent is acknowledged."""
        self._writer.flush(deadline)

    def close(self) -> None:
        """Drop what was never acknowledged."""
        self._writer.close()
        if self._transactions is not None:
            self._transactions.close()


class LiveTraffic:
    """Goes on producing in a thread until told to stop or until the cluster is gone."""

    def __init__(
        self,
        application: Application,
        *,
        rows: Iterator[Row],
        bookings: Iterator[Booking],
        rows_per_second: int,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._application = application
        self._rows = rows
        self._bookings = bookings
        self._rows_per_tick = max(1, rows_per_second // 20)
        self._clock = clock
        self._is_over = threading.Event()
        self.failure: ReplicatorError | None = None
        self.sent = 0
        self._thread = threading.Thread(target=self._go_on, name="demo-traffic", daemon=True)

    def start(self) -> None:
        """Begin to produce."""
        self._thread.start()

    def _go_on(self) -> None:
        tick = 0
        try:
            while not self._is_over.is_set():
                for _, row in zip(range(self._rows_per_tick), self._rows, strict=False):
                    self._application.send(row)
                    self.sent += 1
                if tick % 5 == 0 and (booking := next(self._bookings, None)) is not None:
                    self._application.book(booking, Deadline.after(10, clock=self._clock))
                tick += 1
                self._clock.sleep(0.05)
        except ReplicatorError as exc:
            self.failure = exc  # the outage, as the application sees it

    def stop(self) -> None:
        """Stop producing; what was not acknowledged stays unknown."""
        self._is_over.set()
        self._thread.join(timeout=STOP_SECONDS)


class Reader:
    """A group that reads on the active cluster in a thread and commits as it goes."""

    def __init__(
        self,
        cluster: KafkaCluster,
        trace: GroupTrace,
        *,
        commit_every: int = 200,
        session_seconds: float = MEMBER_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._session_seconds = session_seconds
        self._trace = trace
        self._commit_every = commit_every
        self._is_over = threading.Event()
        self.failure: ReplicatorError | None = None
        self._thread = threading.Thread(target=self._go_on, name=f"demo-{trace.group}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def _go_on(self) -> None:
        uncommitted = 0
        consumer = self._cluster.subscribe(self._trace.group, self._trace.topics, session_seconds=self._session_seconds)
        try:
            while not self._is_over.is_set():
                records = consumer.poll(timeout_seconds=0.2)
                note_handed_before(self._trace, records)
                uncommitted += len(records)
                if uncommitted >= self._commit_every:
                    self._trace.committed |= consumer.commit()
                    uncommitted = 0
        except ReplicatorError as exc:
            self.failure = exc
        finally:
            with suppress(ReplicatorError):
                consumer.close()

    def stop(self) -> None:
        """Leave without a last commit, as a process that was killed."""
        self._is_over.set()
        self._thread.join(timeout=STOP_SECONDS)


def note_handed_before(trace: GroupTrace, records: Iterable[Record]) -> None:
    """Enter records a group was handed on the old active."""
    for record in records:
        trace.before[(record.partition.topic, number_of(record))] = (record.partition, record.offset)


def read_until(
    cluster: KafkaCluster, trace: GroupTrace, *, has_enough: Callable[[GroupTrace], bool], deadline: Deadline
) -> None:
    """Leave the group committed where `has_enough` was first true, and without members."""
    with cluster.subscribe(trace.group, trace.topics) as consumer:
        while not has_enough(trace):
            deadline.check(f"group {trace.group}: reading")
            note_handed_before(trace, consumer.poll(timeout_seconds=0.5, records_max=POLL_RECORDS))
        trace.committed |= consumer.commit()


def read_on(
    cluster: KafkaCluster, trace: GroupTrace, *, until: set[tuple[TopicName, int]], deadline: Deadline
) -> set[tuple[TopicName, int]]:
    """Return what is still missing after the group read on, on the new active, until it saw `until`."""
    missing = set(until)
    with cluster.subscribe(trace.group, trace.topics) as consumer:
        while missing and not deadline.is_over:
            handed = {
                (r.partition.topic, number_of(r)) for r in consumer.poll(timeout_seconds=0.5, records_max=POLL_RECORDS)
            }
            trace.after |= handed
            missing -= handed
        consumer.commit()
    return missing


def read_numbers(cluster: KafkaCluster, topic: TopicName, deadline: Deadline) -> dict[TopicPartition, dict[int, int]]:
    """Return, by partition, the offset of every visible record's number."""
    described = cluster.topics.describe([topic], deadline)
    found: dict[TopicPartition, dict[int, int]] = {}
    for part in described[topic].partitions if topic in described else ():
        tp = TopicPartition(topic, part.partition)
        found[tp] = {number_of(record): record.offset for record in read_all(cluster, tp, deadline)}
    return found


def read_all(cluster: KafkaCluster, tp: TopicPartition, deadline: Deadline) -> Iterator[Record]:
    """Give every visible record of a partition, in order, chunk by chunk."""
    ends = cluster.positions.ends([tp], deadline)[tp]
    position, is_complete = ends.log_start, False
    while position < ends.last_stable and not is_complete:
        chunk = cluster.read_range(tp, position, ends.last_stable, deadline=deadline, records_max=READ_CHUNK)
        yield from chunk.records
        position, is_complete = chunk.next_offset, chunk.is_complete


GroupTopics = dict[GroupName, tuple[TopicName, ...]]
