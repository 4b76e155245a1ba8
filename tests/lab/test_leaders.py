"""A partition's leadership moves while its former leader lives: whoever had asked that one must ask the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replicator.clock import Deadline
from replicator.jvm import Guardian
from replicator.kafka import KafkaCluster
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import PartitionDescription, TopicSpec
from replicator.model.names import TopicPartition
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
