"""SIGKILL at many points of a capture and of a restore: nothing torn, nothing twice, and the second run is whole.

A handful of points runs with every test run; the rest, marked long, in `make long`.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from typing import Any

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import Outgoing
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import Progress, SnapshotRequest, Stage, create_snapshot, verify_snapshot
from replicator.snapshot.repository.notes import read_note

pytestmark = pytest.mark.lab

RECORDS = 3000
PUTS = {"claims": 2, "packs": 7, "unfinished": 7, "states": 4, "manifests": 1}
"""How often at least a capture of these records puts into each folder: 47 points with those between the slices."""
DYING = """
import os, signal, sys
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Selection
from replicator.snapshot import Repository, Restorer, RestoreRequest, SnapshotRequest, create_snapshot
from replicator.snapshot.capture import chunks, packing
from replicator.storage.folder import FolderStore
from replicator.wire import RawClient
import replicator.wire.appending as appending

act, bootstrap, url, topic, snapshot, target, door, nth = sys.argv[1:]
chunks.CHUNK_BYTES = chunks.ChunkBuilder.__init__.__kwdefaults__["chunk_bytes"] = 32 * 1024
packing.PACK_BYTES = 64 * 1024  # many small packs: many points to die at
appending.QUEUE_BYTES = 0  # each batch is sent before the next one is queued
left = int(nth)

def count_down(at):
    global left
    if at == door:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

real_put = FolderStore.put
def put(self, *args, **kwargs):
    folder = args[0].split("/")[0]
    count_down("before " + folder)
    done = real_put(self, *args, **kwargs)
    count_down("after " + folder)
    return done
FolderStore.put = put

real_take = appending.Appender._take_answer
def take(self, *args):
    count_down("before answer")  # sent, and maybe appended, but nobody here knows
    return real_take(self, *args)
appending.Appender._take_answer = take

access = ClusterAccess(name="lab", bootstrap=bootstrap)
report = lambda progress: count_down("progress")
with KafkaCluster(access) as cluster, RawClient(access) as raw:
    repository, end = Repository.open(url), Deadline.after(300)
    if act == "capture":
        request = SnapshotRequest(topics=Selection(include=(topic,)))
        create_snapshot(cluster, raw, repository, request, clock=SYSTEM_CLOCK, deadline=end, report=report)
    else:
        restorer = Restorer(cluster, raw, repository, clock=SYSTEM_CLOCK, deadline=end, report=report)
        request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target})
        restorer.apply(restorer.plan(snapshot, request))
"""


def points(doors: dict[str, range], often: set[tuple[str, int]]) -> list[Any]:
    """The kill points: the n-th time a door is passed. `often` run always, the others when asked for."""
    every = [(door, nth) for door, times in doors.items() for nth in times]
    return [point if point in often else pytest.param(*point, marks=pytest.mark.long) for point in every]


LEFT_NOTED = {("before packs", 4): 6, ("after packs", 5): 8, ("before manifests", 0): 18}
"""At least so many chunks are noted, and durable, at these points: that much is not read again."""
CAPTURE_POINTS = points(
    {
        "progress": range(5),
        **{f"{when} {folder}": range(times) for when in ("before", "after") for folder, times in PUTS.items()},
    },
    {("before packs", 4), ("after packs", 5), ("before manifests", 0), ("after manifests", 0)},
)
RESTORE_POINTS = points(
    {"progress": range(0, 150, 8), "before answer": range(0, 150, 12), "after claims": range(1)},
    {("before answer", 48)},
)


def run_dying(desk, act: str, on: str, *arguments: str) -> int:
    """Run an act that kills itself at a point; return its status."""
    bootstrap = desk.raw(on).access.bootstrap
    command = [sys.executable, "-c", DYING, act, bootstrap, str(desk.folder), *arguments]
    return subprocess.run(command, timeout=400, check=False).returncode


def read_noted(desk) -> set[str]:
    """The ids of all chunks that captures noted as stored; each is in a pack that is there and whole."""
    repository, found = desk.repository, set()
    for entry in repository.store.list("unfinished"):
        payload = repository.unseal(
            "unfinished", repository.store.get(entry.key), subject=entry.key.split("/")[1], where=entry.key
        )
        for one in read_note(payload, where=entry.key).chunks:
            repository.prove_chunk(one.chunk)
            found.add(one.chunk.stored.id)
    return found


def create_counting(desk, topic: str) -> tuple[Manifest, int]:
    """Take a snapshot; return it with how many bytes of batches came from the cluster for it."""
    cluster, raw = desk.doors["east"]
    seen = [0]

    def report(progress: Progress) -> None:
        if progress.stage is Stage.COPY:
            seen.append(progress.done_bytes)

    manifest = create_snapshot(
        cluster,
        raw,
        desk.repository,
        SnapshotRequest(topics=Selection(include=(topic,))),
        clock=SYSTEM_CLOCK,
        deadline=Deadline.after(90),
        report=report,
    )
    return manifest, max(seen)


def fill(desk, names) -> TopicName:
    """A topic with records that do not compress, in many batches."""
    topic, rng = desk.make_topic(names.topic("t")), random.Random(5)
    records = [Outgoing(topic, b"%d" % n, rng.randbytes(200), partition=n % 2) for n in range(RECORDS)]
    desk.write(records, **{"batch.size": 4000})
    return topic


@pytest.mark.parametrize(("door", "nth"), CAPTURE_POINTS)
def test_killed_capture_is_never_torn(desk, names, door: str, nth: int) -> None:
    """Dead at this point, a capture is there in whole or not at all; the next one is whole, proven and restored."""
    topic = fill(desk, names)
    assert run_dying(desk, "capture", "east", topic, "-", "-", door, str(nth)) == -signal.SIGKILL
    is_published = bool(desk.repository.list_ids())
    for listed in desk.repository.list_snapshots():
        assert listed.problem is None
        assert verify_snapshot(desk.repository, listed.id, clock=SYSTEM_CLOCK).is_ok
        assert listed.manifest is not None
        assert listed.manifest.totals.records == RECORDS
    noted = read_noted(desk)
    manifest, received_bytes = create_counting(desk, topic)
    stored_before = {chunk.stored.id for _, chunk in manifest.chunks() if chunk.stored.id in noted}
    kept_bytes = sum(c.stored.plain_bytes for _, c in manifest.chunks() if c.stored.id in stored_before)
    assert len(stored_before) >= len(noted) - 2, "of each partition the last, small chunk may be read anew"
    if not is_published:
        assert len(noted) >= LEFT_NOTED.get((door, nth), 0)
        assert received_bytes == manifest.totals.new_bytes == manifest.totals.bytes - kept_bytes
    assert not list(desk.repository.store.list("unfinished")), "its notes go with the capture"
    assert manifest.totals.records == RECORDS
    assert verify_snapshot(desk.repository, manifest.id, clock=SYSTEM_CLOCK).is_ok
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    assert desk.read(target, on="west") == desk.read(topic)


@pytest.mark.parametrize(("door", "nth"), RESTORE_POINTS)
def test_killed_restore_writes_nothing_twice(desk, names, door: str, nth: int) -> None:
    """Dead at this point and run again, a restore ends with every record once, in order."""
    topic = fill(desk, names)
    manifest = desk.create(topic)
    target = names.topic("back")
    assert run_dying(desk, "restore", "west", topic, manifest.id, target, door, str(nth)) == -signal.SIGKILL
    report = desk.restore(manifest.id, {topic: target})
    assert report.records == RECORDS
    assert desk.read(target, on="west") == desk.read(topic)
    parts = [TopicPartition(target, number) for number in range(2)]
    ends = desk.cluster("west").positions.ends(parts, Deadline.after(60))
    assert sum(end.end for end in ends.values()) == RECORDS


def test_two_captures_at_once_are_both_whole(desk, names) -> None:
    """Side by side in one repository they bear each other: two whole snapshots, no note and no claim left behind."""
    topic = fill(desk, names)
    command = [sys.executable, "-c", DYING, "capture", desk.raw().access.bootstrap, str(desk.folder), topic]
    both = [subprocess.Popen([*command, "-", "-", "nowhere", "0"]) for _ in range(2)]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    listed = desk.repository.list_snapshots()
    assert [one.manifest and one.manifest.totals.records for one in listed] == [RECORDS, RECORDS]
    for one in listed:
        assert verify_snapshot(desk.repository, one.id, clock=SYSTEM_CLOCK).is_ok
    left = [entry.key for folder in ("unfinished", "claims") for entry in desk.repository.store.list(folder)]
    assert left == []
