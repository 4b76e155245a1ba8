"""What the snapshot tests share: a desk with a repository of its own and both clusters at hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.archive.restores import RestorePlan, RestoreReport
from replicator.model.archive.snapshots import Manifest
from replicator.model.cluster import ClusterAccess, TopicSpec
from replicator.model.flow import Selection
from replicator.model.names import SnapshotId, TopicName, TopicPartition
from replicator.snapshot import Repository, Restorer, RestoreRequest, SnapshotRequest, create_snapshot
from replicator.wire import RawClient

SECONDS = 90.0
Content = tuple[int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


@dataclass
class Desk:
    """Takes and restores snapshots as the command line does, and reads back what clients would see."""

    repository: Repository
    folder: Path
    doors: dict[str, tuple[KafkaCluster, RawClient]]

    def cluster(self, name: str = "east") -> KafkaCluster:
        """One of the lab's clusters."""
        return self.doors[name][0]

    def raw(self, name: str = "east") -> RawClient:
        """The raw client of one of them."""
        return self.doors[name][1]

    def make_topic(
        self, name: TopicName, partitions: int = 2, on: str = "east", replicas: int = -1, **configs: str
    ) -> TopicName:
        """Make a topic whose old records stay; underscores in settings are dots."""
        settings = {"retention.ms": "-1", **{key.replace("_", "."): value for key, value in configs.items()}}
        spec = TopicSpec(name=name, partitions=partitions, replication_factor=replicas, configs=settings)
        assert self.cluster(on).topics.create([spec], Deadline.after(SECONDS)) == {name}
        return name

    def write(self, records: list[Outgoing], on: str = "east", **properties: object) -> None:
        """Write records, all acknowledged when this returns."""
        writer = self.cluster(on).writer("snapshot-test", **{"linger.ms": 50, **properties})
        for record in records:
            writer.send(record)
        writer.flush(Deadline.after(SECONDS))

    def create(self, *topics: str, on: str = "east") -> Manifest:
        """Take a snapshot of just these topics."""
        cluster, raw = self.doors[on]
        request = SnapshotRequest(topics=Selection(include=topics))
        return create_snapshot(
            cluster, raw, self.repository, request, clock=SYSTEM_CLOCK, deadline=Deadline.after(SECONDS)
        )

    def restorer(self, on: str = "west") -> Restorer:
        """Something to plan and apply restores with."""
        cluster, raw = self.doors[on]
        return Restorer(cluster, raw, self.repository, clock=SYSTEM_CLOCK, deadline=Deadline.after(SECONDS))

    def plan(self, snapshot: SnapshotId, renames: dict[TopicName, TopicName], on: str = "west") -> RestorePlan:
        """Plan to restore just the renamed topics."""
        request = RestoreRequest(topics=Selection(include=tuple(renames)), renames=renames)
        return self.restorer(on).plan(snapshot, request)

    def restore(self, snapshot: SnapshotId, renames: dict[TopicName, TopicName], on: str = "west") -> RestoreReport:
        """Restore just the renamed topics."""
        return self.restorer(on).apply(self.plan(snapshot, renames, on))

    def read(self, topic: TopicName, partitions: int = 2, on: str = "east") -> list[list[Content]]:
        """Return what a committed-only client sees of each partition, in order, without offsets."""
        cluster = self.cluster(on)
        parts = [TopicPartition(topic, number) for number in range(partitions)]
        ends = self.raw(on).read_ends(parts, deadline=Deadline.after(SECONDS))
        contents = []
        for tp in parts:
            seen = cluster.read_range(
                tp, ends[tp].log_start, ends[tp].end, deadline=Deadline.after(SECONDS), records_max=1_000_000
            )
            contents.append([(r.timestamp_ms, r.key, r.value, r.headers) for r in seen.records])
        return contents


def open_doors(access: ClusterAccess) -> tuple[KafkaCluster, RawClient]:
    """Both ways into one cluster."""
    return KafkaCluster(access), RawClient(access)


def run_desk(lab, tmp_path: Path) -> Iterator[Desk]:
    """Yield a desk with an empty repository, and close its clients."""
    folder = tmp_path / "repository"
    repository, is_new = Repository.init(str(folder), clock=SYSTEM_CLOCK, tool="test")
    assert is_new
    doors = {"east": open_doors(lab.east), "west": open_doors(lab.west)}
    yield Desk(repository, folder, doors)
    for cluster, raw in doors.values():
        raw.close()
        cluster.close()


@pytest.fixture
def desk(lab, tmp_path: Path) -> Iterator[Desk]:
    """A desk over the shared lab."""
    yield from run_desk(lab, tmp_path)


@pytest.fixture
def secure_desk(secure_lab, tmp_path: Path) -> Iterator[Desk]:
    """A desk over the secured lab, as the principal the supervisor has there."""
    yield from run_desk(secure_lab, tmp_path)


@pytest.fixture(scope="module")
def broker_trio(tmp_path_factory: pytest.TempPathFactory, _guardian, _jars) -> Iterator[Lab]:
    """A lab of three brokers a cluster and no worker, to be killed at will."""
    spec = LabSpec(brokers=3, has_connect=False)
    made = Lab.make(tmp_path_factory.mktemp("broker-trio"), spec, guardian=_guardian, rng=random.Random())
    made.up(Deadline.after(120))
    try:
        yield made
    finally:
        made.down()


@pytest.fixture
def trio_desk(broker_trio: Lab, tmp_path: Path) -> Iterator[Desk]:
    """A desk over three brokers a cluster."""
    yield from run_desk(broker_trio, tmp_path)
