"""A supervisor's own map is pruned by retention and by the slowest group, and whole again when one is set back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import encode_offset_sync
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, OffsetSync, Translation
from replicator.supervisor.observe import translations
from replicator.supervisor.observe.translations import TranslationObserver
from replicator.supervisor.samples import GroupsSample

pytestmark = pytest.mark.lab
RECORDS, LAG = 300, 10


class Watched:
    """Two copies of a made-up source, one with a group, and a supervisor's observer of them."""

    def __init__(self, west: KafkaCluster, names: Any) -> None:
        self.west = west
        self.flow = Flow(
            name=FlowName(names.flow()),
            source=ClusterName(names.prefix),
            target=ClusterName("west"),
            topics=Selection((f"{names.prefix}.*",)),
            groups=Selection((f"{names.prefix}.*",)),
        )
        self.group = GroupName(names.group("billing"))
        self.orders, self.quiet = (TopicPartition(TopicName(names.topic(t)), 0) for t in ("orders", "quiet"))
        self.offsets = TopicName(names.topic("offsets"))
        self.observer = TranslationObserver(self.flow, west, offsets_topic=self.offsets, list_groups=lambda _: {})

    def fill(self) -> None:
        """Write the copies, and a sync of every tenth record."""
        names = (
            self.orders.topic,
            self.quiet.topic,
            self.flow.syncs_topic,
            self.observer._offsets_topic,
        )  # private: its own name
        self.west.topics.create([TopicSpec(name=name, partitions=1) for name in names], Deadline.after(30))
        writer = self.west.writer("pruning")
        for number in range(RECORDS):
            for tp in (self.orders, self.quiet):
                writer.send(Outgoing(tp.topic, b"k", str(number).encode(), partition=0))
                if number % LAG == 0:
                    sync = encode_offset_sync(OffsetSync(tp, number, number))
                    writer.send(Outgoing(self.flow.syncs_topic, *sync, partition=0))
        writer.flush(Deadline.after(60))
        writer.close()

    def observe(self, offset: int) -> Translation:
        """Return the translation of one round, the group standing at an offset."""
        now = datetime.now(UTC)
        seen = GroupObservation(
            cluster=self.flow.source,
            group=self.group,
            state=GroupState.EMPTY,
            observed_at=now,
            committed={self.orders: offset},
        )
        found = self.observer.observe(GroupsSample(began_at=now, groups={self.group: seen}), Deadline.after(60))
        return found.translations[self.group].translations[0]

    def points(self, tp: TopicPartition) -> list[int]:
        """Return the source offsets of the points that are held after the last round."""
        held = self.observer._history._builder.build()  # what the process holds on to, beside what it handed out
        return [source for source, _ in held.of(tp).points()]

    def close(self) -> None:
        """Leave nothing behind."""
        self.observer.close()
        self.west.topics.delete([self.flow.syncs_topic], Deadline.after(30))


@pytest.fixture
def monkeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map is large with so few points, and every copy is looked at in every round."""
    monkeypatch.setattr(translations, "POINTS_MANY", 5)
    monkeypatch.setattr(translations, "ALL_PRUNED_SECONDS", 0.0)


@pytest.mark.usefixtures("monkeyed")
def test_the_map_of_a_supervisor_is_pruned_and_whole_again_when_it_must(lab: Lab, names: Any) -> None:
    """Behind the slowest group nothing is held; a group that was set back is exact again a round later; what retention
    has deleted is forgotten, of a copy without groups too."""
    with KafkaCluster(lab.access("west")) as west:
        watched = Watched(west, names)
        watched.fill()
        try:
            assert watched.observe(255).grade is Grade.EXACT
            assert min(watched.points(watched.orders)) == 250
            assert len(watched.points(watched.quiet)) == RECORDS // LAG
            assert watched.observe(255).grade is Grade.EXACT
            assert watched.observe(33).grade is Grade.FLOOR
            again = watched.observe(33)
            assert (again.grade, again.target_offset) == (Grade.EXACT, 33)
            assert min(watched.points(watched.orders)) == 30
            west.positions.delete_records({watched.quiet: 205}, Deadline.after(30))
            watched.observe(255)
            assert min(watched.points(watched.quiet)) == 200
        finally:
            watched.close()
