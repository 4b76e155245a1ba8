"""Two flows in opposite directions under one supervisor id: failing one over leaves the other as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.journal import HEAD_STEP, Journal, active_cluster, list_operations
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.names import FlowName, TopicName, TopicPartition

pytestmark = pytest.mark.lab

THERE, BACK = TopicName("there.data"), TopicName("back.data")
COPY_OF_BACK = TopicName("west.back.data")


@dataclass
class Pair:
    """`there` from east to west by identity, `back` from west to east by prefix; both clusters live."""

    config: Path
    lab: Lab
    east: KafkaCluster
    west: KafkaCluster

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return how a fresh process ended."""
        command = [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments]
        environment = {"HOME": str(self.config.parent), "PATH": os.environ["PATH"]}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.fixture(scope="module")
def pair(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both flows applied, each with a worker beside its target."""
    flows = {
        "there": {"source": "east", "target": "west", "topics": {"include": [THERE]}, "connector": {"tasks.max": 1}},
        "back": {
            "source": "west",
            "target": "east",
            "topics": {"include": [BACK]},
            "naming": "prefix",
            "connector": {"tasks.max": 1},
        },
    }
    supervisor = {"session_seconds": 2}
    config = tmp_path_factory.mktemp("two-ways") / "replicator.yaml"
    text = private_lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps(flows)}")
    config.write_text(f"{text}\nsupervisor: {json.dumps(supervisor)}\n")
    private_lab.start("east/connect", wait=Deadline.after(90))
    with KafkaCluster(private_lab.east) as east, KafkaCluster(private_lab.west) as west:
        made = Pair(config, private_lab, east, west)
        for cluster, topic in ((east, THERE), (west, BACK)):
            cluster.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(20))
            write(cluster, topic, 50)
        applied = made.run("apply")
        assert applied.returncode == 0, applied.stderr
        wait_for_copies(east, COPY_OF_BACK, 50)
        wait_for_copies(west, THERE, 50)
        yield made


def write(cluster: KafkaCluster, topic: TopicName, count: int) -> None:
    """Write so many records."""
    writer = cluster.writer("test")
    for number in range(count):
        writer.send(Outgoing(topic, None, str(number).encode(), partition=0))
    writer.flush(Deadline.after(20))
    writer.close()


def wait_for_copies(cluster: KafkaCluster, topic: TopicName, count: int) -> None:
    """Return once so many records of the topic are visible."""
    deadline = Deadline.after(60)
    tp = TopicPartition(topic, 0)
    while True:
        ends = cluster.positions.ends([tp], deadline)[tp]
        if len(cluster.read_range(tp, ends.log_start, ends.last_stable, deadline=deadline).records) >= count:
            return
        deadline.check(f"{count} records in {topic}")
        time.sleep(0.2)


def test_a_living_source_is_not_failed_over_unasked(pair: Pair) -> None:
    """Exit 4, the planned way is named, and the flow runs on as before."""
    refused = pair.run("failover", "there", "--confirm", "there")
    assert refused.returncode == 4, refused.stderr
    assert "switchover there" in refused.stderr
    assert "--accept split-brain" in refused.stderr
    write(pair.east, THERE, 10)
    wait_for_copies(pair.west, THERE, 60)


def test_failing_one_over_leaves_the_other_running(pair: Pair) -> None:
    """`there` ends and west is active for it; `back` mirrors on, and no journal speaks of it."""
    ended = pair.run("failover", "there", "--confirm", "there", "--accept", "split-brain,stale-groups", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)["item"]
    assert report["accepted"] == ["split-brain", "stale-groups"]
    told = "none: split-brain was accepted: the source east has no authorizer: no rule can fence it"
    assert report["fence"]["source"] == told, "tried, and said why it could not be"

    records = Journal(pair.west).read(Deadline.after(20))
    assert active_cluster(records, FlowName("there")) == "west"
    assert active_cluster(records, FlowName("back")) is None
    assert {operation.flow for operation in list_operations(records).values()} == {"there"}
    kept = Journal(pair.east).read(Deadline.after(20))
    assert {(r.flow, r.step) for r in kept} == {("there", HEAD_STEP)}, (
        "east, which answers, keeps the journal's end alone"
    )
    assert kept[-1].body["digest"] == records[-1].digest

    write(pair.west, BACK, 25)
    wait_for_copies(pair.east, COPY_OF_BACK, 75)
    with ConnectClient(pair.lab.connect_url("east")) as connect:
        assert connect.status("back.source", Deadline.after(20)).state.value == "RUNNING"
    with ConnectClient(pair.lab.connect_url("west")) as connect:
        assert connect.status("there.source", Deadline.after(20)).is_stopped
