"""The lab itself: what it promises to every other test."""

from __future__ import annotations

from replicator.clock import Deadline
from replicator.jvm import ProcessState
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.worker import is_worker_ready


def test_both_clusters_answer_with_the_planned_ids(lab: Lab) -> None:
    """East and west answer, each with the id the configuration names."""
    for access in (lab.east, lab.west):
        with KafkaCluster(access) as cluster:
            assert cluster.verify_identity(Deadline.after(10)).cluster_id == access.cluster_id


def test_worker_beside_west_is_ready(lab: Lab) -> None:
    """The worker answers as healthy, and every member is shown running."""
    assert is_worker_ready(lab.connect_url("west"))
    assert {m.member: m.state for m in lab.status()} == dict.fromkeys(
        ("east/broker-1", "west/broker-1", "west/connect"), ProcessState.RUNNING
    )
