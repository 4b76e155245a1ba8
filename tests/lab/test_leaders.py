"""Leaders and coordinators that are no more, alive or frozen: whoever had asked one must ask the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replicator.clock import Deadline
from replicator.jvm import Guardian, ProcessState
from replicator.kafka import KafkaCluster
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import PartitionDescription, TopicSpec
from replicator.model.names import GroupName, TopicPartition
from replicator.model.observations import GroupState
from replicator.wire import RawClient
from tests.conftest import Names, run_lab
from tests.lab.stage import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

PATIENCE_SECONDS = 180.0


@pytest.fixture(scope="module")
def three_brokers(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """Three brokers a cluster, and no worker."""
    yield from run_lab(tmp_path_factory.mktemp("three"), LabSpec(brokers=3, has_connect=False), _guardian)


def test_ends_are_asked_of_the_leader_of_today(three_brokers: Lab, names: Names) -> None:
    """The former leader was frozen until another led, and lives again as a follower: it says so, and is believed."""
    topic = names.topic("orders")
    tp = TopicPartition(topic, 0)
    with KafkaCluster(three_brokers.east) as cluster, KafkaCluster(three_brokers.east) as onlooker:
        onlooker.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(60))

        def seen() -> PartitionDescription:
            return onlooker.topics.describe([topic], Deadline.after(60))[topic].partitions[0]

        wait_until(lambda: seen().leader is not None, seconds=PATIENCE_SECONDS, what="a leader")
        cluster.positions.ends([tp], Deadline.after(60))
        first = seen().leader
        three_brokers.freeze(f"east/broker-{first}")
        try:
            wait_until(lambda: seen().leader not in (None, first), seconds=PATIENCE_SECONDS, what="another leader")
        finally:
            three_brokers.thaw(f"east/broker-{first}")
        wait_until(lambda: first in seen().in_sync, seconds=PATIENCE_SECONDS, what="the former leader follows")
        assert seen().leader != first
        assert cluster.positions.ends([tp], Deadline.after(40))[tp].end == 0


GROUPS = 8
COMMIT_SECONDS = 60.0
"""Deadline of a move's own commit on a slow machine; librdkafka by itself waits for the former coordinator for ever."""


@pytest.mark.parametrize("harm", ["freeze", "kill"])
def test_groups_are_set_by_the_next_coordinator(three_brokers: Lab, names: Names, harm: str) -> None:
    """The coordinators of half the groups go away between two questions: the next ones are asked within one deadline,
    every group is set and reads back, and none is left out."""
    topic = names.topic("orders")
    tp = TopicPartition(topic, 0)
    groups = [names.group(str(number)) for number in range(GROUPS)]
    with KafkaCluster(three_brokers.east) as cluster, KafkaCluster(three_brokers.east) as onlooker:
        onlooker.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(60))
        for group in groups:
            cluster.groups.commit(group, {tp: 0}, Deadline.after(60))
        assert len(cluster.groups.committed(groups, Deadline.after(60))) == GROUPS
        member = f"east/broker-{coordinator_of(three_brokers, groups[0])}"
        getattr(three_brokers, harm)(member)
        try:
            assert state_of(three_brokers, member) is (ProcessState.FROZEN if harm == "freeze" else ProcessState.GONE)
            refused = cluster.groups.commit_all({group: {tp: 7} for group in groups}, Deadline.after(COMMIT_SECONDS))
            seen = cluster.groups.committed(groups, Deadline.after(COMMIT_SECONDS))
            assert f"east/broker-{coordinator_of(three_brokers, groups[0])}" != member
        finally:
            if harm == "freeze":
                three_brokers.thaw(member)
            else:
                three_brokers.start(member, wait=Deadline.after(PATIENCE_SECONDS))
        assert refused == {}
        assert {group: one.committed for group, one in seen.items()} == {group: {tp: 7} for group in groups}
        assert all(one.state is GroupState.EMPTY for one in seen.values())


def coordinator_of(lab: Lab, group: GroupName) -> int:
    """Return the broker of east that the cluster names as a group's coordinator now."""
    with RawClient(lab.east) as raw:
        code, broker = raw.find_coordinators([group], deadline=Deadline.after(60))[group]
    assert code == 0
    return broker


def state_of(lab: Lab, member: str) -> ProcessState:
    """Return whether a member of the lab runs, is frozen or is gone."""
    return next((one.state for one in lab.status() if one.member == member), ProcessState.GONE)
