"""The lab itself: what it promises to every other test."""

from __future__ import annotations

from replicator.clock import Deadline
from replicator.jvm import ProcessState
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.lab.traffic import Traffic, leave_group
from replicator.model.names import TopicPartition
from replicator.settings import load_settings
from replicator.worker import ExternalWorker, is_worker_ready
from tests.conftest import Names

MEMORY_BYTES_MAX = 2560 << 20


def test_both_clusters_answer_with_the_planned_ids(lab: Lab) -> None:
    """East and west answer, each with the id the configuration names."""
    for access in (lab.east, lab.west):
        with KafkaCluster(access) as cluster:
            assert cluster.verify_identity(Deadline.after(10)).cluster_id == access.cluster_id
    assert lab.east.cluster_id != lab.west.cluster_id


def test_the_worker_beside_west_is_ready(lab: Lab) -> None:
    """The worker answers as healthy, for us and for who only knows its address; east has none."""
    assert is_worker_ready(lab.connect_url("west"))
    worker = ExternalWorker(lab.connect_url("west"))
    worker.wait_ready(Deadline.after(5))
    assert worker.state() is ProcessState.RUNNING
    assert not is_worker_ready(lab.connect_url("east"))


def test_a_lab_fits_on_a_laptop(lab: Lab) -> None:
    """Two brokers and a worker are resident in less than 2.5 GiB."""
    members = {m.member: m.resident_bytes for m in lab.status() if m.state is ProcessState.RUNNING}
    assert set(members) == {"east/broker-1", "west/broker-1", "west/connect"}
    assert sum(size or 0 for size in members.values()) < MEMORY_BYTES_MAX


def test_topics_are_made_on_purpose_only(lab: Lab) -> None:
    """The broker's settings that tests rely on are in force."""
    with KafkaCluster(lab.west) as cluster:
        names = cluster.topics.names(Deadline.after(10))
    assert {f"{lab.group_id('west')}.{purpose}" for purpose in ("configs", "offsets", "status")} <= names
    assert "__consumer_offsets" in names


def test_the_configuration_reaches_the_lab(lab: Lab) -> None:
    """What other commands read from the written file is how the lab is reached."""
    settings = load_settings(lab.config_path, {})
    assert settings.cluster_access(lab.east.name) == lab.east
    assert settings.cluster_access(lab.west.name) == lab.west
    assert settings.connect_url(lab.west.name) == lab.connect_url("west")


def test_traffic_is_numbered_and_its_group_stands_behind(lab: Lab, names: Names) -> None:
    """A new topic holds every record once; the group waits as far behind as asked, or at a short partition's start."""
    topic, group, told = names.topic("orders"), names.group("billing"), list[int]()
    with KafkaCluster(lab.east) as cluster:
        Traffic(topic, records=1200, partitions=2).send(cluster, told=told.append)
        tps = [TopicPartition(topic, number) for number in range(2)]
        ends = cluster.positions.ends(tps, Deadline.after(10))
        leave_group(cluster, group, topic, behind=600, deadline=Deadline.after(10))
        places = cluster.groups.committed([group], Deadline.after(10))[group].committed
    assert sum(at.end for at in ends.values()) == 1200
    assert told == [500, 1000, 1200]
    assert {tp: ends[tp].end - places[tp] for tp in tps} == {tp: min(600, ends[tp].end) for tp in tps}
