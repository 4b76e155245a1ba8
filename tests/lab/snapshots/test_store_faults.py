"""A store that fails while a capture or a restore is at work: nothing torn, and the next try goes on."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import OperationFailed, ReplicatorError, Unreachable
from replicator.kafka import Outgoing
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Selection
from replicator.model.names import TopicName
from replicator.snapshot import (
    Repository,
    Restorer,
    RestoreRequest,
    SnapshotRequest,
    create_snapshot,
    verify_snapshot,
)
from replicator.snapshot.capture import chunks, packing
from replicator.storage import folder
from tests.s3 import Faults, S3Server, fault_proxy

pytestmark = pytest.mark.lab

RECORDS = 1500
TRIES_MAX = 8


@pytest.fixture(autouse=True)
def _small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small packs, so that many puts can fail."""
    monkeypatch.setitem(chunks.ChunkBuilder.__init__.__kwdefaults__, "chunk_bytes", 32 * 1024)
    monkeypatch.setattr(packing, "PACK_BYTES", 64 * 1024)
    monkeypatch.setattr("replicator.snapshot.capture.increments.SMALL_TAIL_BYTES", 1)


def fill(desk, names) -> TopicName:
    """A topic with records that do not compress, in many batches."""
    topic, rng = desk.make_topic(names.topic("t")), random.Random(9)
    records = [Outgoing(topic, b"%d" % n, rng.randbytes(200), partition=n % 2) for n in range(RECORDS)]
    desk.write(records, **{"batch.size": 4000})
    return topic


def take(desk, repository: Repository, topic: TopicName) -> Manifest:
    """One try at a snapshot of the topic."""
    cluster, raw = desk.doors["east"]
    request = SnapshotRequest(topics=Selection(include=(topic,)))
    return create_snapshot(cluster, raw, repository, request, clock=SYSTEM_CLOCK, deadline=Deadline.after(300))


def test_a_full_disk_is_told_and_gone_on_from(desk, names, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space after a few packs: no snapshot, nothing half there; with space again the capture goes on from them."""
    topic = fill(desk, names)
    real, left = folder.write_synced, [4]

    def write(path: Path, parts: list[bytes]) -> None:
        if f"{os.sep}packs{os.sep}" in str(path):
            left[0] -= 1
            if left[0] < 0:
                path.write_bytes(b"half of it")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, parts)

    monkeypatch.setattr(folder, "write_synced", write)
    with pytest.raises(OperationFailed, match="No space left") as told:
        take(desk, desk.repository, topic)
    assert told.value.hint == "free space in the store, then run again"
    assert left[0] < 0
    assert desk.repository.list_ids() == []
    before = desk.repository.list_packs()
    assert len(before) == 4
    assert not list(desk.folder.rglob(".part-*"))
    monkeypatch.setattr(folder, "write_synced", real)
    manifest = take(desk, desk.repository, topic)
    assert set(before) <= set(manifest.pack_sizes)
    assert manifest.totals.new_packs == len(manifest.pack_sizes) - len(before)
    assert verify_snapshot(desk.repository, manifest.id, clock=SYSTEM_CLOCK).is_ok


@pytest.mark.long
def test_every_other_request_is_refused(
    desk, names, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of all requests are answered 503: a try that fails leaves nothing visible, the next one goes on, and what
    is captured and restored in the end is equal record by record."""
    topic, target = fill(desk, names), names.topic("back")
    Repository.init(bucket, clock=SYSTEM_CLOCK, tool="test")
    faults = Faults(unavailable=0.5)
    with fault_proxy(s3, faults) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        manifest = try_until_done(lambda: take(desk, Repository.open(bucket), topic))
        assert manifest.totals.records == RECORDS
        report = try_until_done(lambda: restore(desk, bucket, manifest, topic, target))
        assert report.records == RECORDS
    assert faults.met["unavailable"] >= 20
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    repository = Repository.open(bucket)
    for snapshot_id in repository.list_ids():
        assert verify_snapshot(repository, snapshot_id, clock=SYSTEM_CLOCK).is_ok
    assert desk.read(target, on="west") == desk.read(topic)


def restore(desk, bucket: str, manifest: Manifest, topic: TopicName, target: TopicName):
    """One try at a restore."""
    cluster, raw = desk.doors["west"]
    restorer = Restorer(cluster, raw, Repository.open(bucket), clock=SYSTEM_CLOCK, deadline=Deadline.after(300))
    request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target})
    return restorer.apply(restorer.plan(manifest.id, request))


def try_until_done(act):
    """What people and schedules do: run it again. Anything but a store that does not answer is a failure."""
    problem: ReplicatorError | None = None
    for _ in range(TRIES_MAX):
        try:
            return act()
        except Unreachable as exc:
            problem = exc
    raise AssertionError(f"not done after {TRIES_MAX} tries: {problem}")
