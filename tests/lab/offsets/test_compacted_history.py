"""A flow is adopted whose offset-syncs topic the broker has really compacted: what is missing costs, and is named."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import encode_offset_sync
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.model.offsets import Grade, OffsetSync, Translation
from replicator.offsets import OffsetHistory, survey_groups
from tests.lab.flows.conftest import wait_until
from tests.lab.offsets.conftest import id_of, read_all

pytestmark = pytest.mark.lab
RECORDS, BATCH, LAG = 1000, 90, 100
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "500",
}
ASKED = range(0, RECORDS + 1, 7)


class Adopted:
    """A copy as MM2 made it, in transactions, and its syncs, written where the broker's cleaner has them."""

    def __init__(self, east: KafkaCluster, west: KafkaCluster, names: Any) -> None:
        self.east, self.west = east, west
        self.flow = Flow(
            name=FlowName(names.flow()),
            source=ClusterName(names.prefix),  # its syncs topic is named after it
            target=ClusterName("west"),
            topics=Selection((f"{names.prefix}.*",)),
        )
        self.orders = TopicPartition(TopicName(names.topic("orders")), 0)
        self.group = GroupName(names.group("billing"))
        self.syncs = TopicPartition(self.flow.syncs_topic, 0)

    def mirror(self) -> list[tuple[int, int]]:
        """Leave both sides with the same records, and return what MM2 would have synced."""
        spec = TopicSpec(name=self.orders.topic, partitions=1, configs={"retention.ms": "-1"})
        for cluster in (self.east, self.west):
            cluster.topics.create([spec], Deadline.after(30))
        records = [Outgoing(self.orders.topic, b"k", str(number).encode(), partition=0) for number in range(RECORDS)]
        writer = self.east.writer("adopted")
        for record in records:
            writer.send(record)
        writer.flush(Deadline.after(60))
        writer.close()
        stored = read_all(self.east, self.orders)
        copies = [Outgoing(r.partition.topic, r.key, r.value, partition=0, timestamp_ms=r.timestamp_ms) for r in stored]
        booking = self.west.transactional_writer(f"adopted-{self.group}", Deadline.after(30))
        for start in range(0, RECORDS, BATCH):
            booking.append(copies[start : start + BATCH], Deadline.after(30))
        booking.close()
        wait_until(lambda: len(read_all(self.west, self.orders)) == RECORDS, what="the copy is not visible")
        placed = {int(id_of(record)): record.offset for record in read_all(self.west, self.orders)}
        return [(number, placed[number]) for number in (*range(0, RECORDS, LAG + 1), RECORDS - 1)]

    def write_syncs(self, points: list[tuple[int, int]]) -> None:
        """Append syncs."""
        writer = self.west.writer("adopted-syncs")
        for point in points:
            key, value = encode_offset_sync(OffsetSync(self.orders, *point))
            writer.send(Outgoing(self.syncs.topic, key, value, partition=0))
        writer.flush(Deadline.after(30))
        writer.close()

    def compact(self) -> None:
        """Return when the cleaner has taken syncs: a topic that is whole would prove nothing."""
        before = len(read_all(self.west, self.syncs))
        other = OffsetSync(TopicPartition(TopicName("somebody.else"), 0), 0, 0)

        def is_cleaned() -> bool:
            writer = self.west.writer("adopted-roll")  # a record behind the segment's time begins another segment
            writer.send(Outgoing(self.syncs.topic, *encode_offset_sync(other), partition=0))
            writer.flush(Deadline.after(30))
            writer.close()
            return sum(record.key is not None for record in read_all(self.west, self.syncs)) < before

        wait_until(is_cleaned, seconds=120, what="the cleaner did not run")

    def translate(self, seen: list[GroupObservation], *, is_source_alive: bool) -> dict[int, Translation]:
        """Return the translation of each position, each a group of its own."""
        answers = survey_groups(
            self.flow,
            seen,
            target=self.west,
            source=self.east if is_source_alive else None,
            read_map=OffsetHistory(self.west, self.flow).refresh,
            read_mirrored=lambda _: {self.orders: RECORDS},
            deadline=Deadline.after(60),
        )
        return {int(found.source_offset): found for answer in answers for found in answer.translations}

    def close(self) -> None:
        """Leave nothing behind."""
        self.west.topics.delete([self.syncs.topic], Deadline.after(30))


def test_a_compacted_history_costs_re_reads_never_a_record(lab: Lab, names: Any) -> None:
    """Every position is placed at or before its true place within its bound; what is missing is in the explanation."""
    with KafkaCluster(lab.access("east")) as east, KafkaCluster(lab.access("west")) as west:
        adopted = Adopted(east, west, names)
        points = adopted.mirror()
        west.topics.create([TopicSpec(name=adopted.syncs.topic, partitions=1, configs=COMPACTED)], Deadline.after(30))
        try:
            adopted.write_syncs(points[:4])
            adopted.compact()
            adopted.write_syncs(points[6:])
            judge(adopted, points)
        finally:
            adopted.close()


def judge(adopted: Adopted, points: list[tuple[int, int]]) -> None:
    """Translate positions all over the topic, with the source and without, and hold them against the records."""
    left = list(OffsetHistory(adopted.west, adopted.flow).refresh(Deadline.after(30)).of(adopted.orders).points())
    assert 0 < len(left) < len(points)
    assert left[0][0] > 0
    adopted.east.groups.commit(adopted.group, {adopted.orders: 0}, Deadline.after(30))
    (seen,) = adopted.east.groups.committed([adopted.group], Deadline.after(30)).values()
    groups = [_at(seen, offset) for offset in ASKED]
    copy = [(record.offset, int(id_of(record))) for record in read_all(adopted.west, adopted.orders)]
    for is_source_alive in (True, False):
        found = adopted.translate(groups, is_source_alive=is_source_alive)
        for offset, answer in found.items():
            place = answer.target_offset
            assert place is not None
            assert answer.reread_records_max is not None
            assert not [d for d, number in copy if number >= offset and d < place], answer
            again = sum(d >= place and number < offset for d, number in copy)
            assert again <= answer.reread_records_max, (again, answer)
            assert answer.grade is not Grade.EXACT or not again, answer
        below = [answer for offset, answer in found.items() if 0 < offset < left[0][0]]
        assert {answer.grade for answer in below} == {Grade.FLOOR}
        assert all("compacted" in str(answer.evidence["missing_history"]) for answer in below)
        above = [answer for offset, answer in found.items() if offset > left[-2][0]]
        assert {answer.grade for answer in above} == {Grade.EXACT}


def _at(seen: GroupObservation, offset: int) -> GroupObservation:
    partition = next(iter(seen.committed))
    return type(seen)(
        cluster=seen.cluster,
        group=GroupName(f"{seen.group}.{offset}"),
        state=seen.state,
        observed_at=seen.observed_at,
        committed={partition: offset},
    )
