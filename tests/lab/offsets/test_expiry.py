"""A broker that really forgets: what a supervisor looks after on the standby stays, what nobody looks after goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from replicator.clock import Deadline
from replicator.jvm import Guardian
from replicator.kafka import KafkaCluster
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.flows.upkeep import GroupUpkeep
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import GroupsSample
from tests.conftest import run_lab

pytestmark = [pytest.mark.lab, pytest.mark.long]
TOPIC = TopicName("orders")
TP = TopicPartition(TOPIC, 0)
WATCHED, UNWATCHED = GroupName("watched"), GroupName("unwatched")
FORGETFUL = LabSpec(
    has_connect=False,
    broker_settings={"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000"},
)
CYCLES = 2


def positions(cluster: KafkaCluster, group: GroupName) -> dict[TopicPartition, int]:
    """Return where a group stands."""
    return dict(cluster.groups.committed([group], Deadline.after(30))[group].committed)


@pytest.fixture
def forgetful_lab(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """Clusters that keep the positions of an empty group for a minute."""
    yield from run_lab(tmp_path_factory.mktemp("forgetful"), FORGETFUL, _guardian)


def test_what_waits_on_the_standby_outlives_the_brokers_memory(forgetful_lab: Lab) -> None:
    """Of two groups committed at once the unwatched one expires, again and again; the watched one never does."""
    with KafkaCluster(forgetful_lab.access("west")) as west:
        west.topics.create([TopicSpec(name=TOPIC, partitions=1, configs={})], Deadline.after(30))
        assert west.groups.retention_seconds(Deadline.after(30)) == 60.0
        watch_until_forgotten(west, board_of(forgetful_lab))


def board_of(lab: Lab) -> FlowBoard:
    """Return a board on which the watched group was seen on the source."""
    board = FlowBoard(source_watch=ClusterWatch(lab.access("east")), target_watch=ClusterWatch(lab.access("west")))
    now = datetime.now(UTC)
    seen = GroupObservation(cluster=ClusterName("east"), group=WATCHED, state=GroupState.EMPTY, observed_at=now)
    board.groups = GroupsSample(began_at=now, groups={WATCHED: seen})
    return board


def watch_until_forgotten(west: KafkaCluster, board: FlowBoard) -> None:
    """Look after one group as a supervisor does, while the broker forgets the other one, `CYCLES` times."""
    flow = Flow(
        name=FlowName("shop"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((str(TOPIC),)),
        groups=Selection((str(WATCHED),)),
    )
    upkeep = GroupUpkeep(flow, west, board)
    west.groups.commit(WATCHED, {TP: 0}, Deadline.after(30))
    for _ in range(CYCLES):
        west.groups.commit(UNWATCHED, {TP: 0}, Deadline.after(30))
        deadline = Deadline.after(300)
        while positions(west, UNWATCHED):
            deadline.check("the broker forgets nothing")
            upkeep.keep(Deadline.after(30))
            deadline.clock.sleep(1.0)
            assert positions(west, WATCHED) == {TP: 0}
