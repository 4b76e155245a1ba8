"""Log starts, last stable offsets and ends: what a cluster holds, in offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from confluent_kafka import IsolationLevel
from confluent_kafka import TopicPartition as VendorPartition
from confluent_kafka.admin import OffsetSpec

from replicator.clock import Deadline
from replicator.errors import ReplicatorError, Unreachable
from replicator.kafka.connection import Connection, interruptible, patient_seconds, request_seconds
from replicator.kafka.translate import is_between_leaders
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds

Offsets = dict[TopicPartition, int]
ELECTION_POLL_SECONDS = 0.25


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
            Unreachable: a partition's leader did not answer.
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

    def stable_ends(self, partitions: Iterable[TopicPartition], deadline: Deadline) -> Offsets:
        """Return the last stable offset of each partition alone, for a third of what `ends` costs.

        Raises: as `ends`.
        """
        return self._ask(list(partitions), OffsetSpec.latest(), IsolationLevel.READ_COMMITTED, deadline)

    def _ask(
        self, partitions: list[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel, deadline: Deadline
    ) -> Offsets:
        """Return what every partition answers; one between two leaders, or with a silent one, is asked again."""
        found: Offsets = {}
        while missing := [tp for tp in partitions if tp not in found]:
            ask = partial(self._ask_once, missing, spec, isolation)
            answered = self._connection.ask_in_tries(ask, deadline)
            if not answered:
                deadline.check(f"list offsets of {missing[0]}: it has no leader")
                deadline.clock.sleep(ELECTION_POLL_SECONDS)
                self._learn_leaders(deadline)
            found |= answered
        return found

    def _learn_leaders(self, deadline: Deadline) -> None:
        """Leave librdkafka knowing who leads what.

        Told by a former leader that it leads no more, its admin client asks that one again for as long as it remembers
        it. All topics are asked for: asking for one could make it anew where it was just deleted.
        """
        with self._connection.translated("ask for leaders"):
            interruptible(lambda: self._connection.admin.list_topics(timeout=request_seconds(deadline)))

    def _ask_once(
        self, partitions: list[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel, deadline: Deadline
    ) -> Offsets:
        request = {VendorPartition(tp.topic, tp.partition): spec for tp in partitions}
        with self._connection.translated("list offsets"):
            futures = self._connection.admin.list_offsets(
                request, isolation_level=isolation, request_timeout=patient_seconds(deadline)
            )
        answers = {}
        for vendor, future in futures.items():
            tp = TopicPartition(TopicName(vendor.topic), vendor.partition)
            try:
                offset = self._connection.wait(future, doing=f"list offsets of {tp}", deadline=deadline).offset
            except ReplicatorError as exc:
                if not is_between_leaders(exc):
                    raise
                continue
            if offset < 0:
                # Of a broker that froze or died with the request librdkafka tells a success without an offset.
                raise Unreachable(f"cluster {self._connection.access.name}: list offsets of {tp}: no offset came back")
            answers[tp] = offset
        return answers

    def delete_records(self, before: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        """Leave each partition's log start at or above the given offset."""
        request = [VendorPartition(tp.topic, tp.partition, offset) for tp, offset in before.items()]
        with self._connection.translated("delete records"):
            futures = self._connection.admin.delete_records(request, request_timeout=patient_seconds(deadline))
        for vendor, future in futures.items():
            self._connection.wait(future, doing=f"delete records of {vendor.topic}", deadline=deadline)
