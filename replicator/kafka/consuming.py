"""Consuming as a member of a group: what an application does, for probes, drills and the demo."""

from __future__ import annotations

from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as VendorPartition

from replicator.clock import Deadline
from replicator.kafka.connection import Connection
from replicator.kafka.reading import Record, to_record
from replicator.model.names import GroupName, TopicName, TopicPartition

SESSION_SECONDS = 45.0
"""librdkafka's own default."""


def _session(protocol: str, seconds: float) -> dict[str, int]:
    """Return the session of a classic member; in the newer protocol the broker sets it."""
    return {"session.timeout.ms": int(seconds * 1000)} if protocol == "classic" else {}


class GroupConsumer:
    """One member of one group; positions are committed only when `commit` is called.

    `start` says where a group without a committed position begins: `earliest`, `latest` or `error`. A member that
    vanishes is missed after `session_seconds`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        group: GroupName,
        topics: tuple[TopicName, ...],
        start: str,
        protocol: str,
        session_seconds: float = SESSION_SECONDS,
        instance_id: str | None = None,
    ) -> None:
        self._connection = connection
        self._group = group
        self._next: dict[TopicPartition, int] = {}
        self._consumer = Consumer(
            connection.properties(
                **{
                    "group.id": group,
                    "client.id": f"{group}.member",
                    "group.protocol": protocol,
                    **_session(protocol, session_seconds),
                    **({} if instance_id is None else {"group.instance.id": instance_id}),
                    "auto.offset.reset": start,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "isolation.level": "read_committed",
                    "fetch.wait.max.ms": 50,
                    "fetch.error.backoff.ms": 50,
                    "allow.auto.create.topics": False,
                }
            )
        )
        with connection.translated(f"subscribe group {group}"):
            self._consumer.subscribe(list(topics))

    def poll(self, *, timeout_seconds: float, records_max: int = 500) -> list[Record]:
        """Return the next records handed to this member; none when nothing came in time.

        Raises:
            Unreachable, AccessDenied, OperationFailed: the cluster refused; a passing loss of
                contact is waited out by the client instead.
        """
        with self._connection.translated(f"consume as group {self._group}"):
            messages = self._consumer.consume(records_max, timeout=timeout_seconds)
            records = []
            for message in messages:
                error = message.error()
                if error is not None and not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
                    raise KafkaException(error)
                if error is None:
                    records.append(to_record(message))
        for record in records:
            self._next[record.partition] = record.offset + 1
        return records

    def has_assignment(self) -> bool:
        """Whether the group gave this member partitions."""
        return bool(self._consumer.assignment())

    def commit(self, positions: dict[TopicPartition, int] | None = None) -> dict[TopicPartition, int]:
        """Return the positions (next record to read) now committed: the given ones, or all handed out."""
        wanted = dict(self._next if positions is None else positions)
        if wanted:
            vendor = [VendorPartition(tp.topic, tp.partition, offset) for tp, offset in wanted.items()]
            with self._connection.translated(f"commit as group {self._group}"):
                self._consumer.commit(offsets=vendor, asynchronous=False)
        return wanted

    def wait_for_assignment(self, deadline: Deadline) -> list[Record]:
        """Return the records that came while waiting to be given partitions."""
        records: list[Record] = []
        while not self.has_assignment():
            deadline.check(f"group {self._group}: no partitions were assigned")
            records += self.poll(timeout_seconds=0.2)
        return records

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
