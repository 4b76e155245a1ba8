"""What reaches the standby, in which order, and what happens when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.errors import Unreachable
from replicator.model.cluster import ClusterAccess, PartitionDescription, TopicDescription
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    PartitionEnds,
    TopicObservation,
)
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.flows.recorder import Item, Recorder
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import GroupsSample, SourceSample

ORDERS = TopicName("orders")
FLOW = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"))


class Standby:
    """Keeps what is written; refuses while it is away."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = []
        self.is_away = False

    def __call__(self, items: list[Item], deadline: Deadline) -> None:
        if self.is_away:
            raise Unreachable("west is away")
        assert not deadline.is_over
        self.batches.append(items)

    @property
    def last(self) -> list[type]:
        return [type(item) for item in self.batches[-1]]


class Desk:
    """A recorder with its board, clock and standby."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.standby = Standby()
        self.is_leader = True
        self.board = FlowBoard(source_watch=self._watch("east"), target_watch=self._watch("west"))
        self.recorder = Recorder(FLOW, self.board, self.standby, clock=clock, is_allowed=lambda: self.is_leader)

    def _watch(self, name: str) -> ClusterWatch:
        return ClusterWatch(ClusterAccess(name=ClusterName(name), bootstrap=f"{name}:9092"), clock=self.clock)

    def sweep(self, end: int) -> None:
        now = self.clock.now()
        topic = TopicDescription(ORDERS, "id-1", (PartitionDescription(0, 1, (1,), (1,)),))
        ends = PartitionEnds(partition=0, log_start=0, last_stable=end, end=end)
        sample = SourceSample(
            began_at=now, ended_at=now, topics={ORDERS: topic}, ends={TopicPartition(ORDERS, 0): ends}
        )
        self.board.put_source(sample)
        self.board.source_watch.note_read(began_at=now)

    def group(self, position: int) -> None:
        seen = GroupObservation(
            cluster=FLOW.source,
            group=GroupName("billing"),
            state=GroupState.EMPTY,
            observed_at=self.clock.now(),
            committed={TopicPartition(ORDERS, 0): position},
        )
        self.board.put_groups(GroupsSample(began_at=self.clock.now(), groups={seen.group: seen}))

    def record(self) -> None:
        self.recorder.record(Deadline.after(5, clock=self.clock))


@pytest.fixture
def desk(clock: Any) -> Desk:
    return Desk(clock)


def test_the_cluster_comes_last_and_always(desk: Desk) -> None:
    """Who reads when the source was last read may rely on every topic being as it was then."""
    desk.sweep(10)
    desk.group(3)
    desk.record()
    assert desk.standby.last == [TopicObservation, GroupObservation, ClusterObservation]
    for second in (1, 2):  # the second sweep brings a rate, the third nothing new
        desk.clock.seconds = second
        desk.sweep(10)
        desk.record()
    assert desk.standby.last == [ClusterObservation]
    (contact,) = desk.standby.batches[-1]
    assert isinstance(contact, ClusterObservation)
    assert contact.last_reached_at == desk.clock.now()


def test_only_what_changed_is_written(desk: Desk) -> None:
    """A topic that moved is written, a group that did not is not."""
    desk.sweep(10)
    desk.group(3)
    desk.record()
    desk.clock.seconds = 1
    desk.sweep(11)
    desk.group(3)
    desk.record()
    assert desk.standby.last == [TopicObservation, ClusterObservation]


def test_what_failed_is_written_again(desk: Desk) -> None:
    """A write the standby did not take is in the next one, as it is then."""
    desk.sweep(10)
    desk.record()
    desk.standby.is_away = True
    desk.clock.seconds = 1
    desk.sweep(20)
    with pytest.raises(Unreachable):
        desk.record()
    assert desk.recorder.recorded_at != desk.clock.now()
    desk.standby.is_away = False
    desk.record()
    assert desk.standby.last == [TopicObservation, ClusterObservation]


def test_who_lost_the_lease_writes_nothing(desk: Desk) -> None:
    """Another supervisor records now: an old leader's late word must not replace it."""
    desk.sweep(10)
    desk.is_leader = False
    desk.record()
    assert desk.standby.batches == []
    assert desk.recorder.recorded_at is None


def test_a_new_term_writes_everything(desk: Desk) -> None:
    """Another leader may have written in between: nothing counts as known."""
    desk.sweep(10)
    desk.record()
    desk.recorder.forget()
    desk.record()
    assert desk.standby.last == [TopicObservation, ClusterObservation]


def test_before_the_first_sweep_only_the_contact_is_written(desk: Desk) -> None:
    """A supervisor that starts with a dead source must not wipe what the standby knows of its topics."""
    desk.record()
    assert desk.standby.last == [ClusterObservation]
