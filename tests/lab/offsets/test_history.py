"""The sync history on a real topic: read on where it stopped, rebuilt from nothing, honest about what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import encode_offset_sync
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicPartition
from replicator.model.offsets import OffsetSync
from replicator.offsets import OffsetHistory

pytestmark = pytest.mark.lab


class Syncs:
    """An offset-syncs topic of a made-up source, written by hand on west."""

    def __init__(self, west: KafkaCluster, names: Any) -> None:
        self.west = west
        self.flow = Flow(
            name=FlowName(names.flow()),
            source=ClusterName(names.prefix),
            target=ClusterName("west"),
            topics=Selection((f"{names.prefix}.*",)),
        )
        self.orders = TopicPartition(names.topic("orders"), 0)

    def create(self) -> None:
        """Make the topic; it is gone from an earlier test or never was."""
        self.west.topics.create([TopicSpec(name=self.flow.syncs_topic, partitions=1)], Deadline.after(30))

    def write(self, *points: tuple[int, int] | bytes, partition: TopicPartition | None = None) -> None:
        """Append syncs; bytes are written as they are, in place of a value."""
        writer = self.west.writer("syncs")
        for point in points:
            at = (0, 0) if isinstance(point, bytes) else point
            key, value = encode_offset_sync(OffsetSync(partition or self.orders, *at))
            writer.send(Outgoing(self.flow.syncs_topic, key, point if isinstance(point, bytes) else value, partition=0))
        writer.flush(Deadline.after(30))
        writer.close()

    def read(self, history: OffsetHistory) -> list[tuple[int, int]]:
        """Return the points of the map as of now."""
        return list(history.refresh(Deadline.after(30)).of(self.orders).points())


@pytest.fixture
def syncs(lab: Lab, names: Any) -> Iterator[Syncs]:
    """A syncs topic of this test alone."""
    with KafkaCluster(lab.west) as west:
        made = Syncs(west, names)
        yield made
        west.topics.delete([made.flow.syncs_topic], Deadline.after(30))


def test_a_history_reads_on_and_is_rebuilt_from_the_target_alone(syncs: Syncs) -> None:
    """No topic gives an empty map; later syncs are added; a new process reads the same from the start."""
    history = OffsetHistory(syncs.west, syncs.flow)
    assert syncs.read(history) == []
    syncs.create()
    syncs.write((0, 0), (100, 101))
    assert syncs.read(history) == [(0, 0), (100, 101)]
    syncs.write((200, 203))
    assert syncs.read(history) == [(0, 0), (100, 101), (200, 203)]
    assert syncs.read(OffsetHistory(syncs.west, syncs.flow)) == [(0, 0), (100, 101), (200, 203)]


def test_what_is_missing_is_noted(syncs: Syncs) -> None:
    """Trimmed syncs and an unreadable one leave a gap before the next point, and never stop the reading."""
    syncs.create()
    syncs.write((0, 0))
    history = OffsetHistory(syncs.west, syncs.flow)
    assert syncs.read(history) == [(0, 0)]
    syncs.write((50, 50), (100, 100))
    syncs.west.positions.delete_records({TopicPartition(syncs.flow.syncs_topic, 0): 2}, Deadline.after(30))
    syncs.write(b"bad", (200, 200))
    points = history.refresh(Deadline.after(30)).of(syncs.orders)
    assert list(points.points()) == [(0, 0), (100, 100), (200, 200)]
    assert [points.has_gap_before(i) for i in range(3)] == [False, True, True]
    assert history.unreadable_count == 1


def test_another_incarnation_is_never_mixed_in(syncs: Syncs) -> None:
    """A syncs topic made anew is read from its start."""
    syncs.create()
    syncs.write((0, 0), (100, 100), (300, 300))
    history = OffsetHistory(syncs.west, syncs.flow)
    assert syncs.read(history) == [(0, 0), (100, 100), (300, 300)]
    syncs.west.topics.delete([syncs.flow.syncs_topic], Deadline.after(30))
    deadline = Deadline.after(30)
    while syncs.west.topics.describe([syncs.flow.syncs_topic], deadline):
        deadline.check("the syncs topic was not deleted")
        deadline.clock.sleep(0.1)
    syncs.create()
    syncs.write((7, 9))
    assert syncs.read(history) == [(7, 9)]


def test_a_topic_the_flow_does_not_carry_is_left_out(syncs: Syncs) -> None:
    """Flows of the same source share one syncs topic; each keeps to its own topics."""
    syncs.create()
    other = TopicPartition(type(syncs.orders.topic)("somebody.else"), 0)
    syncs.write((5, 5), partition=other)
    syncs.write((1, 1))
    found = OffsetHistory(syncs.west, syncs.flow).refresh(Deadline.after(30))
    assert set(found.partitions) == {syncs.orders}
