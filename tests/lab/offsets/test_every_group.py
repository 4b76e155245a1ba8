"""Groups in every state are moved from the standby alone and read on there; a ledger of acknowledged records judges.

A supervisor watches while the source lives. Then every east process and the supervisor are killed, `replicator
failover` moves the groups, and a member of each reads to the end. The tests run in order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.flow import read_positions
from replicator.journal import Observations, Observed
from replicator.kafka import KafkaCluster, Outgoing, probe_listeners
from replicator.lab import Lab, free_address
from replicator.model.cluster import TopicSpec
from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupState, Reachability
from tests.lab.flows.conftest import wait_until
from tests.lab.offsets.conftest import COMPACT, KEEP, id_of, read_all
from tests.lab.offsets.test_kinds import join_share, join_streams

pytestmark = pytest.mark.lab
FLOW = FlowName("every")
OLD, PLAIN, BOOKED, PLANES = (
    TopicPartition(TopicName(f"every.{name}"), 0) for name in ("old", "plain", "booked", "planes")
)
STREAM = (PLAIN, BOOKED, PLANES)
RECORDS, BATCH, KEYS = 1500, 5, 1009
BEHIND = {"head": 0, "one": 1, "ten": 10, "hundred": 100, "thousand": 1000, "all": 10**9}
READ = 400
"""How many records the members on east have read."""
MEMBERS: dict[str, dict[str, Any]] = {
    "classic": {"protocol": "classic"},
    "consumer": {"protocol": "consumer"},
    "static": {"protocol": "classic", "instance_id": "till-1"},
}
BEYOND = 40
"""Records that the flow never got to."""


@dataclass
class Scene:
    """Both clusters, and the truth: where each acknowledged record stands on east, and each group."""

    lab: Lab
    config: Path
    east: KafkaCluster
    west: KafkaCluster
    acked: dict[TopicPartition, dict[str, int]] = field(default_factory=dict)
    stands: dict[GroupName, dict[TopicPartition, int]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def run(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Return the JSON that a fresh process answers with."""
        command = [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments, "-o", "json"]
        environment = {"HOME": str(self.config.parent), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
        assert done.returncode == status, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def produce(self, tp: TopicPartition, numbers: range, *, keys: int = 1) -> None:
        """Write numbered records; the ledger learns where each was acknowledged."""
        known = self.acked.setdefault(tp, {})
        writer = self.east.writer("every-test")
        for number in numbers:
            value = f"{tp.topic}-{number}"
            record = Outgoing(tp.topic, key_of(number, keys), value.encode(), partition=0)
            writer.send(record, on_acked=lambda _tp, offset, value=value: known.update({value: offset}))
        writer.flush(Deadline.after(60))
        writer.close()

    def book(self) -> None:
        """Write transactions of which every third is aborted."""
        known = self.acked.setdefault(BOOKED, {})
        writer = self.east.transactional_writer("every-test-bookings", Deadline.after(30))
        for number, start in enumerate(range(0, RECORDS, BATCH)):
            values = [f"{BOOKED.topic}-{one}" for one in range(start, start + BATCH)]
            batch = [Outgoing(BOOKED.topic, b"b", value.encode(), partition=0) for value in values]
            if number % 3 == 1:
                writer.abandon(batch, Deadline.after(30))
            else:
                known |= dict(zip(values, writer.append(batch, Deadline.after(30)), strict=True))
        writer.close()

    def churn(self) -> None:
        """Write on until the cleaner has taken records on both sides."""
        written = RECORDS

        def is_compacted() -> bool:
            nonlocal written
            self.produce(PLANES, range(written, written + 5), keys=KEYS)
            written += 5
            return all(len(read_all(cluster, PLANES)) < RECORDS for cluster in (self.east, self.west))

        wait_until(is_compacted, seconds=120, what="the cleaner did not run on both sides")

    def mirrored(self) -> dict[TopicPartition, int]:
        """Return where the flow stands on east."""
        offsets_topic = TopicName(f"{self.lab.group_id('west')}.offsets")
        return read_positions(self.west, offsets_topic, f"{FLOW}.source", Deadline.after(30))

    def wait_mirrored(self, *tps: TopicPartition) -> None:
        """Return once west shows the newest record of each partition."""
        for tp in tps:
            last = read_all(self.east, tp)[-1]
            wait_until(
                lambda tp=tp, last=last: (
                    self.mirrored().get(tp, 0) > last.offset and id_of(read_all(self.west, tp)[-1]) == id_of(last)
                ),
                seconds=120,
                what=f"{tp} was not mirrored",
            )

    def commit(self, name: str, positions: dict[TopicPartition, int]) -> GroupName:
        """Leave a group at these positions on east."""
        group = GroupName(name if name.startswith("connect-") else f"every.{name}")
        self.east.groups.commit(group, positions, Deadline.after(60))
        self.stands[group] = positions
        return group

    def observed(self) -> Observed:
        """Return what the standby knows of the source."""
        return Observations(self.west).read(FLOW, Deadline.after(30))

    def wait_observed(self, *gone: GroupName) -> None:
        """Return once the standby knows every group where it stands, translated, and that the others are gone."""

        def is_known() -> bool:
            seen = self.observed()
            return all(
                group in seen.groups and dict(seen.groups[group].committed) == positions and group in seen.translations
                for group, positions in self.stands.items()
            ) and all(seen.groups[group].state is GroupState.DEAD for group in gone)

        wait_until(is_known, seconds=120, what="the standby does not know the groups")


def key_of(number: int, keys: int) -> bytes:
    """Return a record's key; squares come back at odd distances, so that compaction leaves odd holes."""
    return f"k{number * number % keys}".encode()


def write_config(lab: Lab, path: Path) -> None:
    """Write the configuration of one flow; sinks' groups are asked for by name, all others by `*`."""
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": ["every.*"]},
        "groups": {"include": ["*", "connect-every-*"]},
        "connector": {"tasks.max": 1},
    }
    supervisor = {"session_seconds": 5, "listen": free_address()}
    text = lab.config_path.read_text(encoding="utf-8").replace("flows: {}", f"flows: {json.dumps({FLOW: flow})}")
    path.write_text(f"{text}\nsupervisor: {json.dumps(supervisor)}\n", encoding="utf-8")


def fill(scene: Scene) -> None:
    """Leave the topics written and mirrored: the first half of one is older than all that is known of the map."""
    topics = {tp.topic: COMPACT if tp == PLANES else KEEP for tp in (OLD, *STREAM)}
    specs = [TopicSpec(name=name, partitions=1, configs=configs) for name, configs in topics.items()]
    scene.east.topics.create(specs, Deadline.after(30))
    applied = [sys.executable, "-m", "replicator", "-c", str(scene.config), "apply", FLOW]
    subprocess.run(applied, capture_output=True, timeout=300, check=True)
    scene.produce(OLD, range(READ))
    scene.wait_mirrored(OLD)
    forget_syncs(scene.west)
    scene.produce(OLD, range(READ, 2 * READ))
    scene.produce(PLAIN, range(RECORDS))
    scene.produce(PLANES, range(RECORDS), keys=KEYS)
    scene.book()
    scene.churn()
    scene.wait_mirrored(OLD, *STREAM)


def forget_syncs(west: KafkaCluster) -> None:
    """Take the syncs that there are, as a topic would that somebody had left to retention."""
    syncs = TopicPartition(TopicName("mm2-offset-syncs.east.internal"), 0)
    deadline = Deadline.after(60)
    wait_until(lambda: west.positions.ends([syncs], deadline)[syncs].end > 0, what="no sync was sent")
    west.topics.alter_configs(syncs.topic, {"cleanup.policy": "delete"}, deadline)
    west.positions.delete_records({syncs: west.positions.ends([syncs], deadline)[syncs].end}, deadline)
    west.topics.alter_configs(syncs.topic, {"cleanup.policy": "compact"}, deadline)


def read_on_east(scene: Scene, name: str, how: dict[str, Any]) -> None:
    """Let a member of a group read some records and commit; the ledger keeps where it stands."""
    group = GroupName(f"every.{name}")
    deadline = Deadline.after(90)
    with scene.east.subscribe(group, [PLAIN.topic], **how) as member:
        handed = 0
        while handed < READ:
            deadline.check(f"{group} was handed {handed} of {READ}")
            handed += len(member.poll(timeout_seconds=0.5, records_max=READ - handed))
        scene.stands[group] = member.commit()


def commit_groups(scene: Scene) -> None:
    """Leave groups of every kind on east: far behind and near, on markers, in what was aborted, below all syncs."""
    for name, behind in BEHIND.items():
        positions = {}
        for tp in STREAM:
            seen = read_all(scene.east, tp)
            end = scene.east.positions.ends([tp], Deadline.after(30))[tp].end
            positions[tp] = end if behind == 0 else seen[max(0, len(seen) - behind)].offset
        scene.commit(name, positions)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: read_on_east(scene, *one), MEMBERS.items()))
    booked = sorted(scene.acked[BOOKED].values())
    last = next(at for at, after in pairwise(booked) if after - at > BATCH)
    scene.commit("marker", {BOOKED: last + 1})
    scene.commit("aborted", {BOOKED: last + 4})
    scene.commit("below", {OLD: READ // 2})
    scene.commit("connect-every-sink", {PLAIN: READ})
    scene.east.groups.commit(GroupName("connect-unasked"), {PLAIN: READ}, Deadline.after(30))
    for name in ("rewound", "deleted", "active"):
        scene.commit(name, {PLAIN: 900})
    member = str(uuid.uuid4())
    join_streams(scene.east, "every.streams", PLAIN.topic, member=member, epoch=0)
    join_streams(scene.east, "every.streams", PLAIN.topic, member=member, epoch=-1)
    scene.commit("streams", {PLAIN: READ})
    join_share(scene.east, "every.share", PLAIN.topic)


def change_groups(scene: Scene) -> None:
    """Rewind one group and delete another that both stand on west already; lead one past what the flow will mirror."""
    for name in ("rewound", "deleted"):
        scene.run("group", "sync", f"every.{name}", "--yes")
    deleted = GroupName("every.deleted")
    scene.report["deleted"] = scene.west.groups.committed([deleted], Deadline.after(30))[deleted].committed
    assert scene.report["deleted"]
    scene.commit("rewound", {PLAIN: 200})
    scene.east.groups.delete([deleted], Deadline.after(30))
    del scene.stands[deleted]
    with ConnectClient(scene.lab.connect_url("west")) as connect:
        connect.stop(f"{FLOW}.source", Deadline.after(60))
    scene.produce(PLAIN, range(RECORDS, RECORDS + BEYOND))
    scene.commit("beyond", {PLAIN: RECORDS + BEYOND})
    scene.wait_observed(deleted)


@pytest.fixture(scope="module")
def scene(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene after the outage."""
    folder = tmp_path_factory.mktemp("every")
    config = folder / "replicator.yaml"
    write_config(private_lab, config)
    with KafkaCluster(private_lab.east) as east, KafkaCluster(private_lab.west) as west:
        made = Scene(private_lab, config, east, west)
        fill(made)
        commit_groups(made)
        command = [sys.executable, "-m", "replicator", "-c", str(config), "run"]
        with (folder / "run.log").open("wb") as log:
            supervisor = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            made.wait_observed()
            change_groups(made)
            told = made.run("group", "list")["items"]
            private_lab.kill("east")
        finally:
            supervisor.kill()
            assert supervisor.wait(timeout=30) == -signal.SIGKILL
        assert probe_listeners(private_lab.east.bootstrap.split(",")) is Reachability.REFUSED
        made.report["listed"] = {row["group"]: row for row in told}
        yield made


def test_the_scene_has_what_makes_offsets_run_apart(scene: Scene) -> None:
    """Aborted data, holes and markers are really there, and syncs are missing."""
    ends = {tp: scene.west.positions.ends([tp], Deadline.after(30))[tp] for tp in STREAM}
    assert all(end.end > len(read_all(scene.west, tp)) for tp, end in ends.items())
    assert len(scene.acked[BOOKED]) == RECORDS * 2 // 3
    assert max(scene.acked[PLANES].values()) + 1 > len(read_all(scene.west, PLANES))
    assert max(scene.acked[PLAIN].values()) + 1 == RECORDS + BEYOND
    assert len(read_all(scene.west, PLAIN)) == RECORDS


def test_what_is_no_group_of_positions_is_told(scene: Scene) -> None:
    """A share group is listed as what it is, a Streams group as its own kind, a sink's group only where asked for."""
    listed = scene.report["listed"]
    assert (listed["every.share"]["type"], listed["every.share"]["partitions"]) == ("share", 0)
    assert listed["every.share"]["note"]
    assert listed["every.streams"]["type"] == "streams"
    assert "connect-unasked" not in listed
    assert "every.deleted" not in listed
    assert set(listed) == set(scene.stands) | {"every.share"}


def test_every_group_is_moved_from_the_standby_alone(scene: Scene) -> None:
    """EXACT where nothing hides its place; one with members on west is refused, a deleted one is left alone."""
    busy = GroupName("every.active")
    scene.west.groups.commit(busy, {PLAIN: 5}, Deadline.after(30))
    with scene.west.subscribe(busy, [PLAIN.topic]) as member:
        member.wait_for_assignment(Deadline.after(60))
        report = scene.run("failover", FLOW, "--confirm", FLOW, status=3)["item"]
        assert scene.west.groups.committed([busy], Deadline.after(30))[busy].committed == {PLAIN: 5}
    deleted = GroupName("every.deleted")
    assert scene.west.groups.committed([deleted], Deadline.after(30))[deleted].committed == scene.report["deleted"]
    scene.report["groups"] = groups = {row["group"]: row for row in report["groups"]}
    assert set(groups) == set(scene.stands)
    outcomes = {name: row["outcome"] for name, row in groups.items()}
    assert outcomes.pop(busy) == "active_on_target"
    assert set(outcomes.values()) == {"committed"}
    rows = {(name, row["partition"]["topic"]): row for name, one in groups.items() for row in one["translations"]}
    kept = {row["grade"] for (_, topic), row in rows.items() if topic in (PLAIN.topic, BOOKED.topic)}
    assert kept == {"EXACT"}
    assert rows["every.below", OLD.topic]["grade"] == "FLOOR"
    assert rows["every.beyond", PLAIN.topic]["is_clamped"]
    assert rows["every.rewound", PLAIN.topic]["target_offset"] < rows["every.streams", PLAIN.topic]["target_offset"]


def read_on(scene: Scene, group: GroupName) -> dict[TopicPartition, list[str]]:
    """Return the ids a member of the group is handed on west, up to the end, by partition."""
    wanted = scene.stands[group]
    standing = scene.west.groups.committed([group], Deadline.after(30))[group].committed
    last = {tp: read_all(scene.west, tp)[-1].offset for tp in wanted}
    unread = {tp for tp in wanted if standing[tp] <= last[tp]}
    handed: dict[TopicPartition, list[str]] = {tp: [] for tp in wanted}
    deadline = Deadline.after(120)
    how = MEMBERS.get(group.removeprefix("every."), {})
    with scene.west.subscribe(group, sorted({tp.topic for tp in wanted}), start="error", **how) as member:
        records = member.wait_for_assignment(deadline)
        while True:
            for record in records:
                handed[record.partition].append(id_of(record))
                if record.offset >= last[record.partition]:
                    unread.discard(record.partition)
            if not unread:
                return handed
            deadline.check(f"{group} was not handed everything of {unread}")
            records = member.poll(timeout_seconds=0.2)


def test_every_group_reads_on_without_a_skip(scene: Scene) -> None:
    """Nothing that west holds is skipped, nothing is read twice beyond what was said, and EXACT costs nothing."""
    moved = [group for group in scene.stands if scene.report["groups"][group]["outcome"] == "committed"]
    with ThreadPoolExecutor(4) as pool:
        handed = dict(zip(moved, pool.map(lambda group: read_on(scene, group), moved), strict=True))
    for group in moved:
        rows = {row["partition"]["topic"]: row for row in scene.report["groups"][group]["translations"]}
        for tp, ids in handed[group].items():
            stood, known = scene.stands[group][tp], scene.acked[tp]
            due = {id_of(record) for record in read_all(scene.west, tp) if known[id_of(record)] >= stood}
            again = sum(known[one] < stood for one in ids) + len(ids) - len(set(ids))
            row = rows[tp.topic]
            assert due - set(ids) == set(), (group, tp, row)
            assert again <= row["reread_records_max"], (group, tp, row)
            assert row["grade"] != "EXACT" or again == 0, (group, tp, row)
