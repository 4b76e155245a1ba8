"""Answers that come after their deadline, many of them at once: they are dropped, and the process lives on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.names import TopicPartition

GROUPS = 30
ASKING = """
import sys
import threading
from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition

bootstrap, prefix, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
groups = [GroupName(f"{prefix}.{number}") for number in range(count)]
partition = TopicPartition(TopicName(f"{prefix}.orders"), 0)
late = []

def ask():
    end = Deadline.after(6)
    about_groups = lambda deadline: cluster.groups.committed(groups, deadline)
    about_ends = lambda deadline: cluster.positions.ends([partition], deadline)
    while not end.is_over:
        for question in (about_groups, about_ends):
            try:
                question(Deadline.after(0.02))
            except DeadlineExceeded:
                late.append(1)

with KafkaCluster(ClusterAccess(name=ClusterName("west"), bootstrap=bootstrap)) as cluster:
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cluster.groups.committed(groups, Deadline.after(60))) == count
    print("late", len(late))
"""


def test_many_late_answers_end_nothing(lab: Lab, names: Any) -> None:
    """Eight threads stop waiting while answers come in; afterwards the same client answers as ever."""
    with KafkaCluster(lab.west) as west:
        topic = names.topic("orders")
        west.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(60))
        for number in range(GROUPS):
            west.groups.commit(names.group(str(number)), {TopicPartition(topic, 0): 0}, Deadline.after(60))
    argv = [sys.executable, "-c", ASKING, lab.west.bootstrap, names.prefix, str(GROUPS)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("late ")
