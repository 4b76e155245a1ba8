"""Planned moves on secured clusters under live applications: there without losing a record, and home again.

What is true is known from the outside: which record was acknowledged where, and which ones each group was handed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from replicator.clock import Deadline
from replicator.connect import ConnectClient, secret_text, secrets_path
from replicator.errors import AccessDenied, ReplicatorError
from replicator.failover.fences import standing_fences
from replicator.journal import Journal, active_cluster, merge_records
from replicator.jvm import write_private
from replicator.kafka import KafkaCluster, Outgoing
from replicator.kafka.connection import security_properties
from replicator.lab import Lab
from replicator.model.acls import AclBinding, Permission, ResourceType, Right
from replicator.model.cluster import TopicSpec
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupState
from replicator.settings import parse_yaml
from replicator.wire import RawClient, WriteProbe, probe_write
from tests.pages import said

pytestmark = [pytest.mark.lab, pytest.mark.security]

PARTITIONS = 2
LOADED = 400


@dataclass
class Ledger:
    """Numbers that were acknowledged, by cluster, and numbers that each group was handed before it committed."""

    acked: dict[str, dict[int, tuple[TopicPartition, int]]] = field(default_factory=dict)
    handed: dict[str, set[int]] = field(default_factory=dict)
    sent: int = 0


@dataclass
class Scene:
    """One flow between two secured clusters, its applications logging in as themselves."""

    lab: Lab
    config: Path
    flow: str
    topic: TopicName
    clusters: dict[str, KafkaCluster]
    apps: dict[str, KafkaCluster]
    ledger: Ledger = field(default_factory=Ledger)

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Return how a fresh process ended."""
        command = [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments]
        environment = {"HOME": str(self.config.parent), "PATH": os.environ["PATH"], **extra}
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)

    def answer(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Return the item of a JSON answer, the exit status being the expected one."""
        ended = self.run(*arguments, "-o", "json")
        assert ended.returncode == status, ended.stderr
        item: dict[str, Any] = json.loads(ended.stdout)["item"]
        return item

    def group(self, name: str) -> GroupName:
        """A group of this flow."""
        return GroupName(f"{self.topic}.{name}")

    @property
    def partitions(self) -> list[TopicPartition]:
        """The topic's partitions."""
        return [TopicPartition(self.topic, n) for n in range(PARTITIONS)]

    def produce(self, cluster: str, count: int, *, door: KafkaCluster | None = None) -> None:
        """Write numbered records as the application, or through another's door; the ledger learns where each was
        acknowledged."""
        writer = (door or self.apps[cluster]).writer("test")
        for _ in range(count):
            self.send(writer, cluster)
        writer.flush(Deadline.after(60))
        writer.close()

    def send(self, writer: Any, cluster: str) -> None:
        """Hand one numbered record to the producer."""
        number = self.ledger.sent
        self.ledger.sent += 1
        acked = self.ledger.acked.setdefault(cluster, {})
        record = Outgoing(self.topic, f"k{number % 7}".encode(), str(number).encode(), partition=number % PARTITIONS)
        writer.send(record, on_acked=lambda tp, offset, n=number: acked.update({n: (tp, offset)}))

    def consume(self, cluster: str, name: str, *, count: int) -> None:
        """Let a group read so many records and commit what it was handed."""
        deadline = Deadline.after(60)
        with self.apps[cluster].subscribe(self.group(name), [self.topic]) as member:
            handed: list[int] = []
            while len(handed) < count:
                deadline.check(f"{name} was handed {len(handed)} of {count}")
                got = member.poll(timeout_seconds=0.5, records_max=count - len(handed))
                handed += [int(record.value or b"") for record in got]
            member.commit()
        self.ledger.handed.setdefault(name, set()).update(handed)

    def numbers(self, cluster: str) -> list[int]:
        """Return the number of every visible record of the topic on a cluster, each as often as it stands there."""
        return [number for rows in self.rows(cluster).values() for _, number in rows]

    def rows(self, cluster: str) -> dict[TopicPartition, list[tuple[int, int]]]:
        """Return offset and number of every visible record, by partition."""
        door = self.clusters[cluster]
        found = {}
        for tp, end in door.positions.ends(self.partitions, Deadline.after(30)).items():
            read = door.read_range(tp, end.log_start, end.last_stable, deadline=Deadline.after(60), records_max=10**6)
            found[tp] = [(record.offset, int(record.value or b"")) for record in read.records]
        return found

    def ahead(self, cluster: str, name: str) -> set[int]:
        """Return the numbers that a group would be handed next on a cluster."""
        group = self.group(name)
        stands = self.clusters[cluster].groups.committed([group], Deadline.after(30))[group].committed
        return {n for tp, rows in self.rows(cluster).items() for at, n in rows if at >= stands.get(tp, 0)}

    def is_empty(self, cluster: str, name: str) -> bool:
        """Whether a group has no member on a cluster."""
        group = self.group(name)
        found = self.clusters[cluster].groups.committed([group], Deadline.after(30))[group]
        return found.state is not GroupState.ACTIVE

    def denials(self, cluster: str) -> set[AclBinding]:
        """Return the rules that deny something of this test."""
        rules = self.clusters[cluster].acls.list(Deadline.after(30))
        return {r for r in rules if r.permission is Permission.DENY and r.name.startswith(self.topic)}

    def probe(self, cluster: str) -> tuple[WriteProbe, str]:
        """Return what a write of the application would be answered."""
        with RawClient(self.lab.access(cluster, "app")) as client:
            try:
                return probe_write(client, self.partitions[0], deadline=Deadline.after(20))
            except AccessDenied as error:  # it may not even see the topic
                return WriteProbe.FENCED, error.message

    def active(self) -> str | None:
        """Return the active cluster as both journals together tell it."""
        records = [Journal(door).read(Deadline.after(30)) for door in self.clusters.values()]
        return active_cluster(merge_records(records), FlowName(self.flow))

    def states(self) -> dict[str, str]:
        """Return the states of the flow's connectors."""
        with ConnectClient(self.lab.connect_url("west")) as connect:
            names = (f"{self.flow}.source", f"{self.flow}.checkpoint")
            return {name: connect.status(name, Deadline.after(30)).state.value for name in names}


class Traffic:
    """An application that goes on writing and reading one cluster until it is refused or told to stop."""

    def __init__(self, scene: Scene, cluster: str) -> None:
        self.refused: list[str] = []
        self._scene, self._cluster = scene, cluster
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        writer = self._scene.apps[self._cluster].writer("test-live", delivery_timeout_ms=5_000)
        while not self._is_over.is_set():
            time.sleep(0.05)
            try:
                for _ in range(10):
                    self._scene.send(writer, self._cluster)
                writer.flush(Deadline.after(10))
            except ReplicatorError as error:
                self.refused.append(error.code)
        writer.close()

    def _read(self) -> None:
        scene = self._scene
        handed = scene.ledger.handed.setdefault("live", set())
        app, group = scene.apps[self._cluster], scene.group("live")
        with suppress(ReplicatorError), app.subscribe(group, [scene.topic], session_seconds=6) as member:
            while not self._is_over.is_set():
                got = member.poll(timeout_seconds=0.2)
                if got:
                    member.commit()
                    handed.update(int(record.value or b"") for record in got)

    def stop(self) -> None:
        """Stop both."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=30)


def wait_until(is_reached: Callable[[], Any], *, what: str, seconds: float = 120) -> None:
    """Return once it is so."""
    deadline = Deadline.after(seconds)
    while not is_reached():
        deadline.check(what)
        time.sleep(0.2)


def write_config(lab: Lab, path: Path, flow: str, topic: TopicName) -> None:
    """Write a configuration in which MirrorMaker and the applications log in as themselves."""
    parsed = parse_yaml(lab.config_path.read_text(), name="lab")
    tree: Any = parsed.plain() if parsed is not None else {}
    for name in ("east", "west"):
        for section, principal in (("mirror", "mm2"), ("application", "app")):
            password = lab.folders.secrets / principal / "password"
            own = {**tree["clusters"][name]["security"], "username": principal, "password": f"file:{password}"}
            tree["clusters"][name][section] = own
        folder = lab.folders.secrets / "mm2"
        access = lab.access(name, "mm2")
        write_private(Path(secrets_path(access, str(folder))), secret_text(access))
        tree["connect"][name]["secrets_folder"] = str(folder)
    patterns = [f"{topic}*"]
    tree["flows"] = {
        flow: {
            "source": "east",
            "target": "west",
            "topics": {"include": patterns},
            "groups": {"include": patterns},
            "connector": {"tasks.max": 1},
        }
    }
    tree["supervisor"] = {"session_seconds": 2, "id": flow[:40]}
    path.write_text(json.dumps(tree))


@pytest.fixture(scope="module")
def closed_west(secure_lab: Lab) -> Iterator[None]:
    """West as a standby should be: applications may do nothing there."""
    with KafkaCluster(secure_lab.access("west", "admin")) as admin:
        before = rights_of_app(admin)
        assert before
        admin.acls.delete(before, Deadline.after(30))
        try:
            yield
        finally:
            admin.acls.delete(rights_of_app(admin), Deadline.after(30))
            admin.acls.create(before, Deadline.after(30))


def rights_of_app(cluster: KafkaCluster) -> set[AclBinding]:
    """Return what the applications' principal is allowed on a cluster."""
    rules = cluster.acls.list(Deadline.after(30), principal="User:app")
    return {rule for rule in rules if rule.permission is Permission.ALLOW}


@pytest.fixture(scope="module")
def scene(
    secure_lab: Lab,
    closed_west: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """The flow applied and everything loaded so far mirrored; `behind` has read a part of it."""
    suffix = f"{time.time_ns() % 10**9:x}"
    flow, topic = f"there-{suffix}", TopicName(f"there-{suffix}")
    config = tmp_path_factory.mktemp("there") / "replicator.yaml"
    write_config(secure_lab, config, flow, topic)
    names = ("east", "west")
    clusters = {name: KafkaCluster(secure_lab.access(name)) for name in names}
    apps = {name: KafkaCluster(secure_lab.access(name, "app")) for name in names}
    made = Scene(secure_lab, config, flow, topic, clusters, apps)
    spec = TopicSpec(name=topic, partitions=PARTITIONS, configs={"retention.ms": "-1"})
    apps["east"].topics.create([spec], Deadline.after(30))
    made.produce("east", LOADED)
    made.consume("east", "behind", count=LOADED // 3)
    secure_lab.start("east/connect", wait=Deadline.after(120))
    applied = made.run("apply", flow)
    assert applied.returncode == 0, applied.stderr
    wait_until(lambda: len(made.numbers("west")) == LOADED, what="the load is mirrored")
    yield made
    for door in (*clusters.values(), *apps.values()):
        door.close()


def test_an_abort_before_promote_restores_the_start(scene: Scene) -> None:
    """Held before promote: fenced, stopped, groups set. Aborted: rules, connectors and groups are as they were."""
    assert scene.probe("east")[0] is WriteProbe.OPEN
    before = {tp: rows[:] for tp, rows in scene.rows("east").items()}
    held = scene.run("switchover", scene.flow, "--confirm", scene.flow, "--hold-before", "promote")
    assert held.returncode == 9, held.stderr
    assert "op abort" in held.stderr
    assert scene.probe("east")[0] is WriteProbe.FENCED
    assert {rule.principal for rule in scene.denials("east")} == {"User:app"}
    assert scene.states()[f"{scene.flow}.source"] == "STOPPED"
    assert scene.active() is None

    (operation,) = [
        o for o in json.loads(scene.run("op", "list", "-o", "json").stdout)["items"] if o["flow"] == scene.flow
    ]
    report = scene.answer("op", "abort", operation["id"], "--yes")
    assert report["state"] == "aborted"
    assert scene.denials("east") == set()
    assert scene.probe("east")[0] is WriteProbe.OPEN
    assert scene.rows("east") == before, "no probe was appended"
    wait_until(lambda: set(scene.states().values()) == {"RUNNING"}, what="connectors run again")
    groups = scene.clusters["west"].groups.committed([scene.group("behind")], Deadline.after(30))
    assert not groups[scene.group("behind")].committed
    scene.produce("east", 20)


def test_a_drill_leaves_no_trace_and_finds_every_next_record(scene: Scene, tmp_path: Path) -> None:
    """Clones stand where the groups would, their next record is the source's, and afterwards there are none.

    A plan that was made before the world drifted is refused.
    """
    plan = tmp_path / "plan.json"
    rehearsed = scene.run("switchover", scene.flow, "--dry-run", "--plan-out", str(plan))
    assert rehearsed.returncode == 0, rehearsed.stderr
    scene.clusters["east"].groups.commit(scene.group("late"), {scene.partitions[0]: 3}, Deadline.after(30))
    drifted = scene.run("switchover", scene.flow, "--confirm", scene.flow, "--plan", str(plan))
    assert drifted.returncode == 4, drifted.stderr
    assert f"groups: {scene.group('late')} is new" in drifted.stderr

    held = scene.run("drill", scene.flow, "--yes", "--hold-before", "clean_up")
    assert held.returncode == 9, held.stderr
    clones = {name for name in scene.clusters["west"].groups.list(Deadline.after(30)) if name.startswith("drill.")}
    assert any(name.endswith(scene.group("behind")) for name in clones)
    before = scene.states()
    report = scene.answer(*said("a-planned-move", 0, flow=scene.flow))
    assert (report["state"], report["kind"]) == ("done", "drill")
    compared = report["evidence"]["compared"]
    assert compared.get("same", 0) >= PARTITIONS
    assert not {"skipped", "unavailable", "unreadable"} & compared.keys()
    assert report["rto_seconds"] > 0
    assert not {n for n in scene.clusters["west"].groups.list(Deadline.after(30)) if n in clones}
    assert scene.states() == before
    assert scene.active() is None


def test_a_switchover_under_live_traffic_loses_nothing(scene: Scene) -> None:
    """Applications are refused, all they were acknowledged is on the target once, and no group skips."""
    traffic = Traffic(scene, "east")
    wait_until(lambda: len(scene.ledger.handed.get("live", ())) > LOADED + 100, what="live traffic")
    assert scene.probe("west")[0] is WriteProbe.FENCED, "a standby takes nothing from applications"
    report = scene.answer(*said("a-planned-move", 1, flow=scene.flow))
    traffic.stop()

    assert report["state"] == "done", report["exceptions"]
    assert report["fence"]["source"].startswith("acl: ")
    assert report["loss"]["known_lost"] == report["loss"]["possible_lost_max"] == 0
    assert report["loss"]["unknown_window_seconds"] == 0
    assert 0 < report["unwritable_seconds"] <= report["rto_seconds"]
    assert scene.active() == "west"
    assert "access.denied" in traffic.refused, "the fence struck in the middle of traffic"
    answer, word = scene.probe("east")
    assert (answer, "29" in word) == (WriteProbe.FENCED, True)
    assert scene.probe("west")[0] is WriteProbe.OPEN
    given = rights_of_app(scene.clusters["west"])
    assert {rule.name for rule in given if rule.resource_type is ResourceType.TOPIC} == {scene.topic}
    assert {(r.right, r.name) for r in given if r.resource_type is ResourceType.GROUP} >= {(Right.READ, "*")}
    assert f"{len(given)} rules for 1 principal" in report["evidence"]["rights_given"]

    acked = set(scene.ledger.acked["east"])
    on_west = scene.numbers("west")
    assert acked <= set(on_west)
    assert len(on_west) == len(set(on_west)), "no record twice"
    assert set(on_west) <= set(scene.numbers("east")), "no record that east never had"
    grades = {group["group"]: group for group in report["groups"]}
    for name in ("behind", "live"):
        assert set(on_west) - scene.ledger.handed[name] <= scene.ahead("west", name), name
        again = len(scene.ahead("west", name) & scene.ledger.handed[name])
        assert again <= grades[scene.group(name)]["reread_records_max"], name
        assert grades[scene.group(name)]["grade"] in ("EXACT", "BOUNDED")

    again = scene.run("switchover", scene.flow, "--confirm", scene.flow)
    assert again.returncode == 4
    assert report["operation_id"] in again.stderr


def assert_no_skip(scene: Scene, cluster: str, was: str, name: str) -> None:
    """Every record that the former active held and the group was never handed is ahead of it."""
    missing = set(scene.numbers(was)) - scene.ledger.handed[name] - scene.ahead(cluster, name)
    assert not missing, f"{name} skips {sorted(missing)[:5]}"


def test_the_way_home_moves_only_the_difference(scene: Scene) -> None:
    """A forward flow that runs again is stopped; what was written since comes home once; groups resume there."""
    east_before = len(scene.numbers("east"))
    scene.produce("west", 150)
    scene.ledger.handed["fresh"] = set()
    on_west = len(scene.numbers("west"))
    scene.consume("west", "fresh", count=on_west - 60)
    scene.consume("west", "live", count=len(scene.ahead("west", "live")) - 20)
    with ConnectClient(scene.lab.connect_url("west")) as connect:
        connect.resume(f"{scene.flow}.source", Deadline.after(60))
    # A fenced member cannot even leave its group: it is missed when its session is over.
    wait_until(lambda: scene.is_empty("east", "live"), what="the old active misses its last member")
    foreseen = scene.run(*said("it-came-back", 0, flow=scene.flow))
    assert foreseen.returncode == 0, foreseen.stderr
    assert len(scene.numbers("east")) == east_before, "a rehearsal changes nothing"
    report = scene.answer(*said("it-came-back", 2, flow=scene.flow))

    assert report["state"] == "done", report["exceptions"]
    assert report["orphans"]["records"] == 0
    assert report["loss"]["possible_lost_max"] == 0
    assert len(scene.numbers("east")) == east_before + 150, "only the difference moved"
    assert sorted(scene.numbers("east")) == sorted(scene.numbers("west"))
    assert scene.active() == "east"
    assert scene.probe("east")[0] is WriteProbe.OPEN
    assert scene.probe("west")[0] is WriteProbe.FENCED
    assert rights_of_app(scene.clusters["west"]) == set(), "what was given is taken back from a standby"
    own = Journal(scene.clusters["west"]).read(Deadline.after(30))
    assert set(standing_fences(own, ClusterName("west"))) == scene.denials("west"), "west alone knows what fences it"
    for name in ("behind", "live", "fresh"):
        assert_no_skip(scene, "east", "west", name)
    bounds = {group["group"]: group["reread_records_max"] for group in report["groups"]}
    for name in ("behind", "live", "fresh"):
        again = len(scene.ahead("east", name) & scene.ledger.handed[name])
        assert again <= bounds[scene.group(name)], name

    wait_until(lambda: scene.states()[f"{scene.flow}.source"] == "RUNNING", what="the forward flow runs")
    scene.produce("east", 30)
    wait_until(lambda: len(scene.numbers("west")) == on_west + 30, what="the standby follows again")
    assert scene.run("failback", scene.flow, "--confirm", scene.flow).returncode == 4


def test_orphans_are_found_to_the_record_and_kept(scene: Scene) -> None:
    """Records that only the old active has are counted, exported and left behind; a leak of them is told.

    The old active answers when it is failed over from: it is fenced, proven, and open again when clients are home.
    An application died with a transaction open: what others wrote behind it is found too, once its broker has ended it.
    An aborted try has brought the difference home already: the next one does not bring it again.
    """
    stopped = scene.run("flow", "stop", scene.flow, "--yes")
    assert stopped.returncode == 0, stopped.stderr
    scene.produce("east", 40)
    orphans = set(range(scene.ledger.sent - 40, scene.ledger.sent))
    moved = scene.answer("failover", scene.flow, "--confirm", scene.flow, "--accept", "split-brain,stale-groups")
    assert moved["fence"]["source"] == f"acl: {len(scene.denials('east'))} rules deny applications"
    assert {rule.principal for rule in scene.denials("east")} == {"User:app"}
    answer, word = scene.probe("east")
    assert (answer, "29" in word) == (WriteProbe.FENCED, True)
    assert moved["accepted"] == ["split-brain", "stale-groups"], "named all the same"
    assert orphans.isdisjoint(scene.numbers("west"))
    scene.produce("west", 70)
    with ConnectClient(scene.lab.connect_url("west")) as connect:
        connect.resume(f"{scene.flow}.source", Deadline.after(60))
    wait_until(lambda: orphans <= set(scene.numbers("west")), what="the forward flow leaks")
    before, written = len(scene.numbers("east")), 70 + len(orphans)
    leave_transaction_open(scene)
    with KafkaCluster(scene.lab.access("east", "admin")) as admin:
        scene.produce("east", 10, door=admin)  # past the fence, as only a super user can
    hidden = set(range(scene.ledger.sent - 10, scene.ledger.sent))
    assert not hidden <= set(scene.numbers("east")), "nobody sees what lies behind an open transaction"
    orphans |= hidden
    before += len(hidden)

    held = scene.run(*said("it-came-back", 1, flow=scene.flow))
    assert held.returncode == 9, held.stderr
    assert len(scene.numbers("east")) == before + written, "the difference is at home while clients write on"
    assert scene.active() == "west"
    opened = [o for o in json.loads(scene.run("op", "list", "-o", "json").stdout)["items"] if o["state"] == "halted"]
    assert scene.answer("op", "show", opened[0]["id"])["orphans"]["records"] == len(orphans)
    assert scene.answer("op", "abort", opened[0]["id"], "--yes")["state"] == "aborted"
    report = scene.answer("failback", scene.flow, "--confirm", scene.flow, status=3)
    assert report["state"] == "done_with_exceptions"
    assert [told for told in report["exceptions"] if "40 records after the cut" in told]
    assert (report["orphans"]["of"], report["orphans"]["records"]) == (moved["operation_id"], len(orphans))
    (topic,) = report["orphans"]["topics"]
    assert topic == f"{scene.topic}.orphans.{report['operation_id']}"
    assert numbers_in(scene.clusters["east"], TopicName(topic)) == orphans
    assert len(scene.numbers("east")) == before + written
    assert scene.active() == "east"
    assert scene.denials("east") == set(), "what the failover had put up is gone"
    assert scene.probe("east")[0] is WriteProbe.OPEN

    for name in ("behind", "live", "fresh"):
        assert_no_skip(scene, "east", "west", name)

    proven = scene.run(*said("a-planned-move", 3, flow=scene.flow), "-o", "json")
    assert proven.returncode == 0, proven.stderr
    assert all(one["witnesses"] > 0 and not one["findings"] for one in json.loads(proven.stdout)["items"])


def leave_transaction_open(scene: Scene) -> None:
    """Be an application that dies in the middle of a transaction; the old active ends it, some time later."""
    access = scene.lab.access("east", "admin")
    dying = Producer(
        {
            "bootstrap.servers": access.bootstrap,
            "transactional.id": f"{scene.topic}.died",
            "transaction.timeout.ms": 25_000,
            **security_properties(access.security),
        }
    )
    dying.init_transactions(60)
    dying.begin_transaction()
    for tp in scene.partitions:
        dying.produce(tp.topic, b"-1", partition=tp.partition)
    assert dying.flush(60) == 0


def numbers_in(cluster: KafkaCluster, topic: TopicName) -> set[int]:
    """Return the numbers in a topic, none of them twice."""
    partitions = [TopicPartition(topic, n) for n in range(PARTITIONS)]
    found: list[int] = []
    for tp, end in cluster.positions.ends(partitions, Deadline.after(30)).items():
        read = cluster.read_range(tp, end.log_start, end.last_stable, deadline=Deadline.after(30))
        found += [int(record.value or b"") for record in read.records]
    assert len(found) == len(set(found))
    return set(found)
