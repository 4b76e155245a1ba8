"""Writing records: plain and in transactions; and fencing another process's transactional ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded, Fenced, OutcomeUnknown, ReplicatorError
from replicator.kafka.connection import Connection, interruptible
from replicator.kafka.translate import kafka_error_of, to_error
from replicator.model.names import TopicName, TopicPartition

Header = tuple[str, bytes | None]
Acked = Callable[[TopicPartition, int], None]
FENCERS = 8
"""Transactional ids fenced at once: each needs its own short-lived producer."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write. `partition` None lets the partitioner choose by key."""

    topic: TopicName
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[Header, ...] = ()
    timestamp_ms: int | None = None


class Writer:
    """An idempotent producer. Every failed delivery is raised by `flush`, never dropped."""

    def __init__(self, connection: Connection, *, client_id: str, **extra: Any) -> None:
        self._connection = connection
        defaults = {"enable.idempotence": True, "linger.ms": 5, "delivery.timeout.ms": 30_000}
        self._producer = Producer(connection.properties(**{"client.id": client_id, **defaults, **extra}))
        self._failures: list[KafkaError] = []
        self._written: dict[TopicPartition, int] = {}

    def send(self, record: Outgoing, *, on_acked: Acked | None = None) -> None:
        """Hand one record to the producer; its fate is known after `flush`.

        `on_acked` is called with partition and offset when the cluster has acknowledged the record.
        """

        def note(error: KafkaError | None, message: Message) -> None:
            self._note(error, message, on_acked)

        with self._connection.translated(f"write to {record.topic}"):
            _produce(self._producer, record, on_delivery=note)

    def _note(self, error: KafkaError | None, message: Message, on_acked: Acked | None) -> None:
        if error is not None:
            self._failures.append(error)
            return
        tp = TopicPartition(TopicName(message.topic() or ""), message.partition() or 0)
        offset = message.offset() or 0
        self._written[tp] = max(self._written.get(tp, -1), offset)
        if on_acked is not None:
            on_acked(tp, offset)

    def flush(self, deadline: Deadline) -> dict[TopicPartition, int]:
        """Return the highest acknowledged offset by partition once every record sent is acknowledged.

        Raises:
            DeadlineExceeded: some record is neither acknowledged nor refused yet.
            AccessDenied, Unreachable, OperationFailed: the first refusal.
        """
        left = interruptible(lambda: self._producer.flush(deadline.left))
        if self._failures:
            first, self._failures = self._failures[0], []
            raise to_error(first, access=self._connection.access, doing="write")
        if left:
            raise DeadlineExceeded(f"cluster {self._connection.access.name}: {left} records not acknowledged in time")
        return dict(self._written)

    def close(self) -> None:
        """Drop what was never acknowledged and let go of the producer."""
        self._producer.purge()
        self._producer.flush(1.0)


class TransactionalWriter:
    """Writes each batch in one transaction under one transactional id. Making it fences the id's former holder."""

    def __init__(self, connection: Connection, *, transactional_id: str, deadline: Deadline) -> None:
        self._connection = connection
        self._id = transactional_id
        self._fenced: Fenced | None = None
        self._producer = Producer(
            connection.properties(
                **{
                    "client.id": transactional_id,
                    "transactional.id": transactional_id,
                    "transaction.timeout.ms": 30_000,
                    "linger.ms": 0,
                }
            )
        )
        with connection.translated(f"open transactional id {transactional_id}"):
            interruptible(lambda: self._producer.init_transactions(max(0.1, deadline.left)))

    def append(self, records: Sequence[Outgoing], deadline: Deadline) -> list[int]:
        """Return the offsets of the records, all of them committed in one transaction.

        Raises:
            Fenced: a newer process holds the transactional id; nothing was written.
            OutcomeUnknown: contact was lost while committing; make a new writer and read back.
        """
        offsets: list[int] = []
        failures: list[KafkaError] = []

        def note(error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets.append(message.offset() or 0)
            else:
                failures.append(error)

        self._refuse_if_fenced()
        try:
            self._producer.begin_transaction()
            for record in records:
                _produce(self._producer, record, on_delivery=note)
            self._producer.commit_transaction(max(0.1, deadline.left))
        except KafkaException as exc:
            raise self._give_up(failures[0] if failures else kafka_error_of(exc), deadline) from exc
        return offsets

    def abandon(self, records: Sequence[Outgoing], deadline: Deadline) -> None:
        """Leave the records written and their transaction aborted: no committed reader ever sees them."""
        failures: list[KafkaError] = []

        def note(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            self._producer.begin_transaction()
            for record in records:
                _produce(self._producer, record, on_delivery=note)
            self._producer.flush(max(0.1, deadline.left))
            self._producer.abort_transaction(max(0.1, deadline.left))
        except KafkaException as exc:
            raise self._give_up(failures[0] if failures else kafka_error_of(exc), deadline) from exc

    def _give_up(self, error: KafkaError | None, deadline: Deadline) -> ReplicatorError:
        doing = f"append under {self._id}"
        if error is None:
            return OutcomeUnknown(f"cluster {self._connection.access.name}: {doing}: the client failed")
        if error.txn_requires_abort():
            self._abort(deadline)
        if error.retriable() or error.code() == KafkaError._TIMED_OUT:
            return OutcomeUnknown(f"cluster {self._connection.access.name}: {doing}: {error.str()}")
        told = to_error(error, access=self._connection.access, doing=doing)
        if isinstance(told, Fenced):
            self._fenced = told
        return told

    def _refuse_if_fenced(self) -> None:
        """Raise Fenced for ever once it was: the client itself answers a later call with a conflict instead."""
        if self._fenced is not None:
            raise Fenced(self._fenced.message, hint=self._fenced.hint)

    def _abort(self, deadline: Deadline) -> None:
        with self._connection.translated(f"abort a transaction of {self._id}"):
            self._producer.abort_transaction(max(0.1, deadline.left))

    def close(self) -> None:
        """Let go of the producer."""
        self._producer.purge()


def fence_transactional_ids(connection: Connection, ids: Iterable[str], deadline: Deadline) -> None:
    """Leave every id's former holder fenced and its open transaction aborted.

    Source: InitProducerId bumps the epoch; Connect's own leader does the same before a new task generation.
    """

    def fence(transactional_id: str) -> None:
        TransactionalWriter(connection, transactional_id=transactional_id, deadline=deadline).close()

    with ThreadPoolExecutor(max_workers=FENCERS, thread_name_prefix="fence") as pool:
        list(pool.map(fence, ids))


def _produce(producer: Producer, record: Outgoing, *, on_delivery: Any) -> None:
    extra: dict[str, Any] = {}
    if record.partition is not None:
        extra["partition"] = record.partition
    if record.timestamp_ms is not None:
        extra["timestamp"] = record.timestamp_ms
    while True:
        try:
            producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=on_delivery,
                **extra,
            )
        except BufferError:
            producer.poll(0.1)  # the local queue is full: deliveries make room, or fail within delivery.timeout.ms
        else:
            producer.poll(0)
            return
