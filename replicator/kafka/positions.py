"""Log starts, last stable offsets and ends: what a cluster holds, in offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import IsolationLevel
from confluent_kafka import TopicPartition as VendorPartition
from confluent_kafka.admin import OffsetSpec

from replicator.clock import Deadline
from replicator.kafka.connection import Connection, request_seconds
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds

Offsets = dict[TopicPartition, int]


class Positions:
    """The offsets of one cluster's partitions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ends(self, partitions: Iterable[TopicPartition], deadline: Deadline) -> dict[TopicPartition, PartitionEnds]:
        """Return log start, last stable offset and end of each partition.

        The end is asked first, so that last_stable may be ahead of it by what arrived between the
        calls; it is lowered to the end then, and log_start to last_stable.

        Raises:
            NotFound: a partition does not exist (any more).
        """
        wanted = list(partitions)
        ends = self._ask(wanted, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED, deadline)
        stable = self._ask(wanted, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED, deadline)
        starts = self._ask(wanted, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED, deadline)
        return {
            tp: PartitionEnds(
                partition=tp.partition,
                log_start=min(starts[tp], ends[tp]),
                last_stable=min(stable[tp], ends[tp]),
                end=ends[tp],
            )
            for tp in wanted
        }

    def _ask(
        self, partitions: list[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel, deadline: Deadline
    ) -> Offsets:
        if not partitions:
            return {}
        request = {VendorPartition(tp.topic, tp.partition): spec for tp in partitions}
        with self._connection.translated("list offsets"):
            futures = self._connection.admin.list_offsets(
                request, isolation_level=isolation, request_timeout=request_seconds(deadline)
            )
        answers = {}
        for vendor, future in futures.items():
            doing = f"list offsets of {vendor.topic}[{vendor.partition}]"
            answers[(vendor.topic, vendor.partition)] = self._connection.wait(
                future, doing=doing, deadline=deadline
            ).offset
        return {tp: answers[(tp.topic, tp.partition)] for tp in partitions}

    def delete_records(self, before: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        """Leave each partition's log start at or above the given offset."""
        request = [VendorPartition(tp.topic, tp.partition, offset) for tp, offset in before.items()]
        with self._connection.translated("delete records"):
            futures = self._connection.admin.delete_records(request, request_timeout=request_seconds(deadline))
        for vendor, future in futures.items():
            self._connection.wait(future, doing=f"delete records of {vendor.topic}", deadline=deadline)
