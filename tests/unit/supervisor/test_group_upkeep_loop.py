"""How long a cluster keeps positions is asked again, so that a broker that was restarted with less is found out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from replicator.clock import Clock, Deadline
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.flows.upkeep import RETENTION_READ_SECONDS, GroupUpkeep
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import GroupsSample

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TP = TopicPartition(TopicName("orders"), 0)
GROUP = GroupName("billing")
FLOW = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"))


class Standby:
    """A standby's groups: what was committed when, and how long it is kept."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.retention = 7 * 24 * 3600.0
        self.commits: list[float] = []

    def retention_seconds(self, _: Deadline) -> float:
        """Return how long positions are kept."""
        return self.retention

    def committed(self, groups: list[GroupName], _: Deadline) -> dict[GroupName, GroupObservation]:
        """Return each group as an empty one with a position."""
        return {group: seen(group) for group in groups}

    def commit(self, _group: GroupName, _positions: object, _: Deadline) -> None:
        """Note when it was committed."""
        self.commits.append(self.seconds)

    def monotonic(self) -> float:
        """Return the time that the test sets."""
        return self.seconds

    def now(self) -> datetime:
        """Return a moment."""
        return NOW

    def sleep(self, _: float) -> None:
        """Return at once."""


class Door:
    """The standby as a cluster's door."""

    def __init__(self, groups: Standby) -> None:
        self.groups = groups


def seen(group: GroupName) -> GroupObservation:
    """Return an empty group with a position."""
    return GroupObservation(
        cluster=ClusterName("west"), group=group, state=GroupState.EMPTY, observed_at=NOW, committed={TP: 5}
    )


def test_a_shorter_retention_is_found_out() -> None:
    """Positions are committed again by the retention as it is, not as it was when the process began."""
    standby = Standby()
    access = ClusterAccess(name=ClusterName("west"), bootstrap="127.0.0.1:1")
    board = FlowBoard(source_watch=ClusterWatch(access), target_watch=ClusterWatch(access))
    board.groups = GroupsSample(began_at=NOW, groups={GROUP: seen(GROUP)})
    upkeep = GroupUpkeep(FLOW, cast("KafkaCluster", Door(standby)), board, clock=cast("Clock", standby))
    deadline = Deadline.after(60)
    upkeep.keep(deadline)
    standby.retention = 900.0
    for seconds in range(60, 1200, 60):
        standby.seconds = float(seconds)
        upkeep.keep(deadline)
    assert standby.commits[0] == 0.0
    gaps = [later - earlier for earlier, later in zip(standby.commits, standby.commits[1:], strict=False)]
    assert gaps
    assert max(gaps) <= RETENTION_READ_SECONDS + standby.retention / 3
    assert max(gaps) < standby.retention
