"""The crash matrix: a process killed with SIGKILL at every place of every planned runbook, on real clusters.

Not collected by `make test`: it takes a quarter of an hour. Run it with

    python -m pytest tests/drills/crash_matrix.py

One operation is killed at one place after the other, each time by a fresh process that resumes it, held before the
next step: a place that the operation does not pass (its step's goal held already) ends with exit 9 and is told.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.failover import DRILL, FAILBACK, FAILOVER, SWITCHOVER, Runbook, Step, World
from replicator.journal import Journal, Observations, active_cluster, merge_records
from replicator.kafka import KafkaCluster, Outgoing, probe_listeners
from replicator.lab import Lab, free_address
from replicator.model.cluster import TopicSpec
from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import Reachability
from replicator.model.operations import OperationKind

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

FLOW = "matrix"
TOPIC = TopicName("matrix.data")
PARTITION = TopicPartition(TOPIC, 0)
TABLE = TopicName("matrix.table")
ROWS = TopicPartition(TABLE, 0)
GROUP = GroupName("matrix.readers")
RECORDS, READ, SINCE = 300, 120, 50
WRITES_MAX = 80
PASSED_OVER = frozenset({"hold_lease", "drain", "translate.after_effect", "clean_up.after_effect"})
"""Goals that hold before anybody acts: no lease is left to take, nothing to drain without writers; and with a single
group the place inside `translate` and `clean_up` lies behind their whole effect."""
NOT_HERE = frozenset({"fence_source.before_rules", "export_orphans.before_snapshot", "export_orphans.before_publish"})
"""Places that this stage does not pass: it has no authorizer and no store."""


@dataclass
class Site:
    """One flow between two clusters, and what was written."""

    lab: Lab
    config: Path
    clusters: dict[str, KafkaCluster]
    sent: int = 0
    missed: dict[str, list[str]] = field(default_factory=dict)

    def run(self, *arguments: str, crash_at: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return how a fresh process ended."""
        command = [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments]
        environment = {"HOME": str(self.config.parent), "PATH": os.environ["PATH"]}
        if crash_at is not None:
            environment["REPLICATOR_CRASH_AT"] = crash_at
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)

    def produce(self, cluster: str, count: int) -> None:
        """Write numbered records."""
        writer = self.clusters[cluster].writer("test")
        for number in range(self.sent, self.sent + count):
            writer.send(Outgoing(TOPIC, None, str(number).encode(), partition=0))
        writer.flush(Deadline.after(60))
        writer.close()
        self.sent += count

    def put(self, cluster: str, rows: dict[str, str]) -> None:
        """Write rows of the table."""
        writer = self.clusters[cluster].writer("test")
        for key, value in rows.items():
            writer.send(Outgoing(TABLE, key.encode(), value.encode(), partition=0))
        writer.flush(Deadline.after(60))
        writer.close()

    def table(self, cluster: str) -> dict[str, str]:
        """Return the latest value of each key, tombstones left out."""
        door = self.clusters[cluster]
        end = door.positions.ends([ROWS], Deadline.after(30))[ROWS]
        read = door.read_range(ROWS, end.log_start, end.last_stable, deadline=Deadline.after(60))
        latest = {(record.key or b"").decode(): record.value for record in read.records}
        return {key: value.decode() for key, value in latest.items() if value is not None}

    def numbers(self, cluster: str) -> list[int]:
        """Return every number that is visible on a cluster, in order."""
        door = self.clusters[cluster]
        end = door.positions.ends([PARTITION], Deadline.after(30))[PARTITION]
        read = door.read_range(
            PARTITION, end.log_start, end.last_stable, deadline=Deadline.after(60), records_max=10**6
        )
        return [int(record.value or b"") for record in read.records]

    def next_number(self, cluster: str) -> int:
        """Return the number that the group would be handed next."""
        door = self.clusters[cluster]
        at = door.groups.committed([GROUP], Deadline.after(30))[GROUP].committed[PARTITION]
        read = door.read_range(PARTITION, at, at + 1000, deadline=Deadline.after(30), records_max=1)
        return int(read.records[0].value or b"")

    def active(self) -> str | None:
        """Return the active cluster, by both journals."""
        records = [Journal(door).read(Deadline.after(30)) for door in self.clusters.values()]
        return active_cluster(merge_records(records), FlowName(FLOW))

    def operations(self, kind: str) -> list[str]:
        """Return the states of the operations of a kind."""
        listed = json.loads(self.run("op", "list", "-o", "json").stdout)["items"]
        return [entry["state"] for entry in listed if entry["kind"] == kind]


@pytest.fixture(scope="module")
def site(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Records mirrored, a group part of the way, both workers up."""
    config = tmp_path_factory.mktemp("matrix") / "replicator.yaml"
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": ["matrix.*"]},
        "groups": {"include": ["matrix.*"]},
        "connector": {"tasks.max": 1},
    }
    text = private_lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps({FLOW: flow})}")
    extra = {"supervisor": {"session_seconds": 2, "listen": free_address()}, "failover": {"fence": "attested"}}
    config.write_text(text + "".join(f"{key}: {json.dumps(value)}\n" for key, value in extra.items()))
    private_lab.start("east/connect", wait=Deadline.after(120))
    with KafkaCluster(private_lab.east) as east, KafkaCluster(private_lab.west) as west:
        made = Site(private_lab, config, {"east": east, "west": west})
        east.topics.create([TopicSpec(name=TOPIC, partitions=1)], Deadline.after(30))
        east.topics.create(
            [TopicSpec(name=TABLE, partitions=1, configs={"cleanup.policy": "compact"})], Deadline.after(30)
        )
        made.put("east", {"a": "first", "b": "first"})
        made.produce("east", RECORDS)
        east.groups.commit(GROUP, {PARTITION: READ}, Deadline.after(30))
        applied = made.run("apply", FLOW)
        assert applied.returncode == 0, applied.stderr
        deadline = Deadline.after(120)
        while len(made.numbers("west")) < RECORDS or len(made.table("west")) < 2:
            deadline.check("the load is mirrored")
            time.sleep(0.2)
        yield made


def places_of(step: Step[World]) -> list[str]:
    """Return the places of a step in the order in which they are passed.

    Left out: undoing, which has a test of its own; and after_done, for once a step was killed after its effect it
    is not done again, and a kill then leaves what a kill before the next step's intent leaves.
    """
    inside = [name for point in step.kill_points if (name := f"{step.name}.{point}") not in NOT_HERE]
    return [f"{step.name}.before_intent", f"{step.name}.after_intent", *inside, f"{step.name}.after_effect"]


def kill_everywhere(site: Site, runbook: Runbook[World], *command: str) -> int:
    """Kill one operation at each of its places in turn, and return how often it was; then let it end."""
    killed = 0
    names = [step.name for step in runbook.steps]
    for place, step in enumerate(runbook.steps):
        after = ["--hold-before", names[place + 1]] if place + 1 < len(names) else []
        for point in places_of(step):
            ended = site.run(*command, *after, crash_at=point)
            if ended.returncode == -signal.SIGKILL:
                killed += 1
            else:
                assert ended.returncode in ((9,) if after else (0, 4)), f"{point}: {ended.returncode} {ended.stderr}"
                site.missed.setdefault(runbook.kind.value, []).append(point)
    listed = json.loads(site.run("op", "list", "-o", "json").stdout)["items"]
    if not [entry for entry in listed if entry["kind"] == runbook.kind.value and entry["state"] == "done"]:
        ended = site.run(*command)
        assert ended.returncode == 0, ended.stderr
    return killed


def assert_all_passed(site: Site, runbook: Runbook[World], killed: int) -> None:
    """Every place was killed at, save those of steps whose goal holds by itself."""
    missed = set(site.missed.get(runbook.kind.value, ()))
    unexpected = {point for point in missed if not {point, point.partition(".")[0]} & PASSED_OVER}
    assert not unexpected
    assert killed >= len([s for s in runbook.steps if s.name not in PASSED_OVER]) * 3
    print(f"{runbook.kind.value}: killed at {killed} places, passed over {sorted(missed)}")


def assert_report_tells_nothing_of_it(site: Site, runbook: Runbook[World]) -> None:
    """The report is that of an operation that was never killed, but for times: every step's goal held in the end, every
    group is set, nothing is lost and nothing is an exception; and Connect stands as it then would."""
    listed = json.loads(site.run("op", "list", "-o", "json").stdout)["items"]
    last = [entry for entry in listed if entry["kind"] == runbook.kind.value][-1]
    report = json.loads(site.run("op", "show", last["id"], "-o", "json").stdout)["item"]
    assert [row["step"] for row in report["steps"]] == [step.name for step in runbook.steps]
    assert {row["phase"] for row in report["steps"]} <= {"done", "already"}
    assert report["exceptions"] == []
    assert report["halted_because"] is None
    is_drill = runbook.kind is OperationKind.DRILL
    assert {group["outcome"] for group in report["groups"]} == {None if is_drill else "committed"}
    if not is_drill:
        assert report["loss"]["known_lost"] == 0
        with ConnectClient(site.lab.connect_url("west")) as connect:
            states = {name: connect.status(name, Deadline.after(30)).state.value for name in (f"{FLOW}.source",)}
        home = runbook.kind is OperationKind.FAILBACK
        assert states == {f"{FLOW}.source": "RUNNING" if home else "STOPPED"}


def test_a_drill_killed_everywhere_leaves_no_clone(site: Site) -> None:
    """One drill, killed at each of its places: passed in the end, and no clone is left."""
    killed = kill_everywhere(site, DRILL, "drill", FLOW, "--yes")
    assert_all_passed(site, DRILL, killed)
    assert_report_tells_nothing_of_it(site, DRILL)
    assert site.operations("drill") == ["done"]
    names = site.clusters["west"].groups.list(Deadline.after(30))
    assert not [name for name in names if name.startswith("drill.")]


def test_a_drill_killed_at_each_write_to_its_journal_is_passed_by_the_next_run(site: Site) -> None:
    """A drill for each write: killed behind it, run again, passed; no clone is left."""
    killed = 0
    for number in range(1, WRITES_MAX):
        ended = site.run("drill", FLOW, "--yes", crash_at=f"journal.after_{number}")
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        killed += 1
        again = site.run("drill", FLOW, "--yes")
        assert again.returncode == 0, f"after write {number}: {again.stderr}"
    print(f"drill: killed behind {killed} writes to the journal")
    assert killed >= len(DRILL.steps) * 2, "each step is journaled twice at least: begun and done"
    assert set(site.operations("drill")) == {"done"}
    names = site.clusters["west"].groups.list(Deadline.after(30))
    assert not [name for name in names if name.startswith("drill.")]


def test_a_switchover_killed_everywhere_ends_as_if_never_killed(site: Site) -> None:
    """One switchover: nothing lost, nothing twice, the group at its very record, west active."""
    killed = kill_everywhere(site, SWITCHOVER, "switchover", FLOW, "--confirm", FLOW)
    assert_all_passed(site, SWITCHOVER, killed)
    assert_report_tells_nothing_of_it(site, SWITCHOVER)
    assert site.operations("switchover") == ["done"]
    assert site.active() == "west"
    assert site.numbers("west") == list(range(RECORDS))
    assert site.next_number("west") == READ


def test_a_failback_killed_everywhere_ends_as_if_never_killed(site: Site) -> None:
    """One failback: only the difference came home, once; the group at its very record; the flow runs again."""
    site.put("east", {"a": "orphan", "c": "orphan"})
    site.produce("west", SINCE)
    site.put("west", {"b": "second"})
    killed = kill_everywhere(site, FAILBACK, "failback", FLOW, "--confirm", FLOW)
    assert_all_passed(site, FAILBACK, killed)
    assert_report_tells_nothing_of_it(site, FAILBACK)
    assert site.operations("failback") == ["done"]
    assert site.active() == "east"
    assert site.numbers("east") == site.numbers("west") == list(range(RECORDS + SINCE))
    assert site.next_number("east") == READ
    assert site.table("east") == site.table("west") == {"a": "first", "b": "second"}, "no orphan is a latest value"
    with ConnectClient(site.lab.connect_url("west")) as connect:
        assert connect.status(f"{FLOW}.source", Deadline.after(30)).state.value == "RUNNING"


def test_a_failover_killed_everywhere_ends_as_if_never_killed(site: Site) -> None:
    """The last, for east is dead from here on: west active with every record, the group at or before its place."""
    numbers = site.numbers("east")
    observe(site)
    site.lab.kill("east")
    assert probe_listeners(site.lab.east.bootstrap.split(",")) is Reachability.REFUSED
    killed = kill_everywhere(site, FAILOVER, "failover", FLOW, "--confirm", FLOW)
    assert_all_passed(site, FAILOVER, killed)
    assert_report_tells_nothing_of_it(site, FAILOVER)
    assert site.operations("failover") == ["done"]
    assert site.numbers("west") == numbers
    assert active_cluster(Journal(site.clusters["west"]).read(Deadline.after(30)), FlowName(FLOW)) == "west"
    assert site.next_number("west") <= READ, "no record is skipped"


def observe(site: Site) -> None:
    """Let a supervisor watch until the standby knows where the group stands, then kill it."""
    command = [sys.executable, "-m", "replicator", "-c", str(site.config), "run"]
    environment = {"HOME": str(site.config.parent), "PATH": os.environ["PATH"]}
    log = site.config.parent / "supervisor.log"
    with log.open("w") as out:
        supervisor = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        deadline = Deadline.after(120)
        while GROUP not in Observations(site.clusters["west"]).read(FlowName(FLOW), deadline).groups:
            assert supervisor.poll() is None, log.read_text()[-2000:]
            deadline.check("the group to be observed")
            time.sleep(0.5)
    finally:
        supervisor.kill()
        supervisor.wait(timeout=10)
