"""`KafkaCluster`: one cluster with everything we ask of it and do to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.kafka.acls import Acls
from replicator.kafka.connection import Connection
from replicator.kafka.consuming import SESSION_SECONDS, GroupConsumer
from replicator.kafka.groups import Groups
from replicator.kafka.lease import Lease
from replicator.kafka.positions import Positions
from replicator.kafka.reading import RangeRead, RangeReader, Tail
from replicator.kafka.topics import Topics
from replicator.kafka.writing import TransactionalWriter, Writer, fence_transactional_ids
from replicator.model.cluster import ClusterAccess, ClusterDescription
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition


class KafkaCluster:
    """One cluster. Nothing is connected before the first question; close() lets go of everything."""

    def __init__(self, access: ClusterAccess, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.access = access
        self._connection = Connection(access)
        self.topics = Topics(self._connection)
        self.positions = Positions(self._connection)
        self.groups = Groups(self._connection, clock=clock)
        self.acls = Acls(self._connection)
        self._ranges = RangeReader(self._connection)

    @property
    def name(self) -> ClusterName:
        """The name the configuration gives this cluster."""
        return self.access.name

    def describe(self, deadline: Deadline) -> ClusterDescription:
        """Return the cluster's id and brokers as it names them."""
        return self._connection.describe(deadline)

    def verify_identity(self, deadline: Deadline) -> ClusterDescription:
        """Return the description, or raise WrongCluster when another cluster answers."""
        return self._connection.verify_identity(deadline)

    def read_range(
        self,
        tp: TopicPartition,
        from_offset: int,
        to_offset: int,
        *,
        deadline: Deadline,
        records_max: int = 10_000,
        is_committed_only: bool = True,
    ) -> RangeRead:
        """Return the visible records in [from_offset, to_offset), at most `records_max` of them."""
        return self._ranges.read(
            tp,
            from_offset=from_offset,
            to_offset=to_offset,
            deadline=deadline,
            records_max=records_max,
            is_committed_only=is_committed_only,
        )

    def read_ranges(
        self, ranges: Mapping[TopicPartition, tuple[int, int]], *, deadline: Deadline, records_max: int = 10_000
    ) -> dict[TopicPartition, RangeRead]:
        """Return the visible records of a range [from, to) of each partition, at most `records_max` of each, fetched
        side by side."""
        return self._ranges.read_many(ranges, deadline=deadline, records_max=records_max)

    def tail(self, topics: Iterable[TopicName], *, is_committed_only: bool = True) -> Tail:
        """Return a reader of the topics from their log start, going on where it stopped."""
        return Tail(self._connection, topics, is_committed_only=is_committed_only)

    def subscribe(
        self,
        group: GroupName,
        topics: Iterable[TopicName],
        *,
        start: str = "earliest",
        protocol: str = "classic",
        session_seconds: float = SESSION_SECONDS,
        instance_id: str | None = None,
    ) -> GroupConsumer:
        """Return a new member of the group, subscribed to the topics; a static one with an `instance_id`."""
        return GroupConsumer(
            self._connection,
            group=group,
            topics=tuple(topics),
            start=start,
            protocol=protocol,
            session_seconds=session_seconds,
            instance_id=instance_id,
        )

    def writer(self, client_id: str, **properties: Any) -> Writer:
        """Return an idempotent producer; `properties` are librdkafka's, dots as underscores."""
        return Writer(self._connection, client_id=client_id, **properties)

    def transactional_writer(self, transactional_id: str, deadline: Deadline) -> TransactionalWriter:
        """Return a writer that owns the transactional id; its former holder is fenced."""
        return TransactionalWriter(self._connection, transactional_id=transactional_id, deadline=deadline)

    def fence_transactional_ids(self, ids: Iterable[str], deadline: Deadline) -> None:
        """Leave every id's former holder fenced and its open transaction aborted."""
        fence_transactional_ids(self._connection, ids, deadline)

    def elect(self, group: str, *, topic: TopicName, session_seconds: float = 10.0) -> Lease:
        """Join the election `group` on an existing topic; ask the lease for the answer."""
        return Lease(self._connection, group=group, topic=topic, session_seconds=session_seconds)

    def close(self) -> None:
        """Let go of every client."""
        self._ranges.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
