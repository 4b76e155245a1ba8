"""A lease by group membership: the member that holds partition 0 of an election topic may act.

The broker is the judge. A holder that dies loses the lease after its session; one that closes gives
it back at once; one that is frozen loses it too, and learns so at its next poll. The lease alone
stops nobody's late writes: whoever wins opens the journal's transactional id, and that fences them.

    holder    poll ── poll ── poll ──╳ killed
    newcomer        join ············ (session runs out) ── assigned partition 0
"""

from __future__ import annotations

import threading
import time
from typing import Self

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as VendorPartition

from replicator.clock import Deadline
from replicator.kafka.connection import Connection
from replicator.model.names import TopicName

POLL_SECONDS = 0.1


class Lease:
    """Membership of one election, kept alive by a thread of its own until released.

    The election topic has one partition: with more of them the assignor could hand partition 0 on
    while its holder lives.
    """

    def __init__(self, connection: Connection, *, group: str, topic: TopicName, session_seconds: float) -> None:
        self._connection = connection
        self._consumer = Consumer(
            connection.properties(
                **{
                    "group.id": group,
                    "client.id": f"{group}.candidate",
                    "session.timeout.ms": int(session_seconds * 1000),
                    "heartbeat.interval.ms": max(200, int(session_seconds * 1000 / 6)),
                    "max.poll.interval.ms": max(10_000, int(session_seconds * 1000)),
                    "partition.assignment.strategy": "cooperative-sticky",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "latest",
                    "allow.auto.create.topics": False,
                }
            )
        )
        self._is_held = threading.Event()
        self._was_answered = threading.Event()
        self._is_over = threading.Event()
        self._failure: KafkaException | None = None
        self._session_seconds = session_seconds
        self._polled_at = time.monotonic()
        self._is_doubtful = threading.Event()
        self.tenure = 0
        """How often the lease was won: who lost it and won it again has another one; others may have acted between."""
        self._topic = topic
        with connection.translated(f"join the election {group}"):
            self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._thread = threading.Thread(target=self._keep, name=f"lease-{group}", daemon=True)
        self._thread.start()

    def _assigned(self, consumer: Consumer, partitions: list[VendorPartition]) -> None:
        consumer.incremental_assign(partitions)
        if partitions:
            consumer.pause(partitions)
        if _has_the_one(partitions):
            self.tenure += 1
            self._is_held.set()
        self._was_answered.set()

    def _revoked(self, _consumer: Consumer, partitions: list[VendorPartition]) -> None:
        if _has_the_one(partitions):
            self._is_held.clear()

    def _lost(self, consumer: Consumer, partitions: list[VendorPartition]) -> None:
        """The session ran out without a word from the cluster: who holds the lease now is not known."""
        self._revoked(consumer, partitions)
        self._was_answered.clear()

    def _keep(self) -> None:
        while not self._is_over.is_set():
            try:
                self._consumer.poll(POLL_SECONDS)
                if time.monotonic() - self._polled_at >= self._session_seconds:
                    self._is_doubtful.set()
                if self._is_doubtful.is_set():
                    self._ask_broker()
                self._polled_at = time.monotonic()
            except KafkaException as exc:
                self._failure = exc
                self._is_held.clear()
                self._was_answered.set()
                return

    def _ask_broker(self) -> None:
        """End the doubt of a process that slept for longer than its session: a commit in the group's name is taken from
        a member of today alone. Until it is answered nothing is held; who was put out hears so at a later poll."""
        place = VendorPartition(self._topic, 0, 0)
        try:
            self._consumer.commit(offsets=[place], asynchronous=False)
            self._consumer.poll(0)  # an end of the membership that was noted meanwhile is told here
        except KafkaException:
            return
        self._is_doubtful.clear()

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lease, as far as it has been told.

        A process that was frozen longer than its session has not been told yet: it holds nothing until the broker
        says that it still does.
        """
        is_awake = time.monotonic() - self._polled_at < self._session_seconds
        return self._is_held.is_set() and is_awake and not self._is_doubtful.is_set()

    @property
    def was_answered(self) -> bool:
        """Whether the election has answered us, with the lease or without, and our session lasts."""
        return self._was_answered.is_set()

    def wait_for_answer(self, deadline: Deadline) -> bool:
        """Return whether the election gave us the lease; False when somebody alive holds it."""
        self._was_answered.wait(deadline.left)
        if self._failure is not None:
            with self._connection.translated("take part in the election"):
                raise self._failure
        return self.is_held

    def wait_until_held(self, deadline: Deadline) -> bool:
        """Return True as soon as the lease is ours, False when the deadline passes first."""
        return self._is_held.wait(deadline.left)

    def release(self) -> None:
        """Leave the election; the next candidate is chosen at once."""
        self._is_over.set()
        self._thread.join(timeout=10.0)
        self._is_held.clear()
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _has_the_one(partitions: list[VendorPartition]) -> bool:
    return any(partition.partition == 0 for partition in partitions)
