"""Drills that a schedule orders, and forecasts that a supervisor makes: on real brokers, judged from the outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.api.views import status_view
from replicator.api.wiring import SupervisorSource
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import ConnectClient
from replicator.errors import DataCorrupt, PartlyDone, PreflightBlocked
from replicator.failover import DRILL
from replicator.failover.engine.logbook import Logbook, Request
from replicator.journal import Journal, Observations, active_cluster, list_operations, observations_topic
from replicator.journal.observations import encode_observation
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.names import ClusterName, FlowName, GroupName, OperationId, TopicName, TopicPartition
from replicator.model.observations import OvertakenSpan, TopicObservation
from replicator.model.operations import OperationKind, OperationState
from replicator.model.supervision.overview import Overview
from replicator.settings import Settings, load_settings
from replicator.supervisor.assemble import World
from replicator.supervisor.daemon import Supervisor
from replicator.supervisor.metrics.collect import collect
from replicator.supervisor.schedules import DrillWork, ScheduleRunner
from replicator.supervisor.schedules.loops import to_schedule
from tests.pages import said

pytestmark = pytest.mark.lab

RECORDS, READ = 300, 120


@dataclass
class Scene:
    """One flow between the shared clusters, with a store whose documents are signed."""

    config: Path
    store: Path
    flow: str
    topic: TopicName
    east: KafkaCluster
    west: KafkaCluster

    @property
    def settings(self) -> Settings:
        """The configuration, loaded."""
        return load_settings(self.config, {})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return how a fresh process ended."""
        command = [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments]
        environment = {"HOME": str(self.config.parent), "PATH": os.environ["PATH"]}
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)

    def answer(self, *arguments: str) -> dict[str, Any]:
        """Return the item of a JSON answer."""
        ended = self.run(*arguments, "-o", "json")
        assert ended.returncode == 0, ended.stderr
        item: dict[str, Any] = json.loads(ended.stdout)["item"]
        return item

    def drills(self) -> dict[str, str]:
        """Return the state of each drill of the flow, oldest first."""
        records = Journal(self.west).read(Deadline.after(30))
        found = [one for one in list_operations(records).values() if one.flow == self.flow]
        return {one.id: one.state.value for one in found if one.kind is OperationKind.DRILL}

    def traces(self) -> list[str]:
        """Return every group and topic that a drill of this flow has made and not removed."""
        ids = tuple(self.drills())
        groups = self.west.groups.list(Deadline.after(30))
        topics = self.west.topics.names(Deadline.after(30))
        return [name for name in [*groups, *topics] if "drill." in name and any(one in name for one in ids)]

    def copies(self) -> int:
        """Return how many records of the topic west holds."""
        found = 0
        for n in range(2):
            tp = TopicPartition(self.topic, n)
            end = self.west.positions.ends([tp], Deadline.after(30))[tp]
            read = self.west.read_range(
                tp, end.log_start, end.last_stable, deadline=Deadline.after(30), records_max=10**6
            )
            found += len(read.records)
        return found


class Jumping(Clock):
    """A clock whose wall time is set by hand; the rest is the machine's."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    def sleep(self, seconds: float) -> None:
        SYSTEM_CLOCK.sleep(seconds)


def wait_until(is_reached: Callable[[], Any], *, what: str, seconds: float = 120) -> Any:
    """Return what was reached, once it is."""
    deadline = Deadline.after(seconds)
    while not (reached := is_reached()):
        deadline.check(what)
        time.sleep(0.1)
    return reached


def write_key(path: Path) -> None:
    """Leave a private key to sign with."""
    key = Ed25519PrivateKey.generate()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.chmod(0o600)


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The flow applied, everything mirrored, a group part of the way."""
    folder = tmp_path_factory.mktemp("rehearsals")
    suffix = f"{time.time_ns() % 10**9:x}"
    flow, topic = f"rehearsed-{suffix}", TopicName(f"rehearsed-{suffix}")
    write_key(folder / "signing.pem")
    sections = {
        "flows": {
            flow: {
                "source": "east",
                "target": "west",
                "topics": {"include": [topic]},
                "groups": {"include": [f"{topic}*"]},
                "objectives": {"rto_seconds": 600},
                "connector": {"tasks.max": 1},
            }
        },
        "snapshots": {
            "store": str(folder / "store"),
            "signing_key": f"file:{folder / 'signing.pem'}",
            "schedules": {"rehearsal": {"cron": "* * * * *", "flow": flow, "kind": "drill"}},
        },
        "supervisor": {"session_seconds": 6, "id": flow},
    }
    text = lab.config_path.read_text().replace("flows: {}\n", "")
    config = folder / "replicator.yaml"
    config.write_text(text + "".join(f"{name}: {json.dumps(section)}\n" for name, section in sections.items()))
    with KafkaCluster(lab.east) as east, KafkaCluster(lab.west) as west:
        made = Scene(config, folder / "store", flow, topic, east, west)
        east.topics.create([TopicSpec(name=topic, partitions=2)], Deadline.after(30))
        writer = east.writer("test")
        for number in range(RECORDS):
            writer.send(Outgoing(topic, None, str(number).encode(), partition=number % 2))
        writer.flush(Deadline.after(30))
        writer.close()
        group = GroupName(f"{topic}.readers")
        east.groups.commit(group, {TopicPartition(topic, n): READ // 2 for n in range(2)}, Deadline.after(30))
        for command in (("repo", "init"), ("apply", flow)):
            ended = made.run(*command)
            assert ended.returncode == 0, ended.stderr
        wait_until(lambda: made.copies() == RECORDS, what="the load is mirrored")
        yield made


def test_a_schedule_drills_and_its_report_is_signed(scene: Scene) -> None:
    """Due once a minute has passed: one drill, passed, every step timed; its report proves itself, nothing is left."""
    settings = scene.settings
    flow = settings.flow(scene.flow)
    schedule = to_schedule("rehearsal", settings.snapshots.schedules["rehearsal"])
    with World(settings) as world:
        work = DrillWork(settings, flow, world.journal("west"), schedule="rehearsal", clock=SYSTEM_CLOCK)
        assert work.last_run() is None
        clock = Jumping(datetime.now(UTC))
        runner = ScheduleRunner(schedule, work, may_run=lambda: True, clock=clock)
        runner.tick(Deadline.after(30))
        assert not runner.is_running, "a new schedule waits for its turn"
        clock.at += timedelta(seconds=61)
        runner.tick(Deadline.after(30))
        wait_until(lambda: not runner.is_running, what="the drill ends")
        assert runner.status.error is None
        assert (runner.status.kind, runner.status.last_success_at) == ("drill", clock.at)
        ((drill, state),) = scene.drills().items()
        assert state == "done"
        last = work.last_run()
        assert last is not None
        assert datetime.now(UTC) - last < timedelta(minutes=10)
    assert scene.traces() == []

    kept = scene.answer(*said("a-planned-move", 5, flow=scene.flow, operation=drill))
    assert kept["is_passed"] is True
    assert kept["signed_by"] is not None
    report = kept["report"]
    assert report["rto_seconds"] > 0
    assert report["actor"].startswith("schedule:rehearsal@")
    assert [step["step"] for step in report["steps"]] == [step.name for step in DRILL.steps]
    assert all(step["seconds"] >= 0 for step in report["steps"])
    assert report["evidence"]["compared"]["same"] >= 2

    assert list((scene.store / "heads" / "west" / scene.flow).iterdir()), "the journal's end is kept in the store"
    proven = scene.run("audit", "verify", "-o", "json")
    assert proven.returncode == 0, proven.stderr
    west = next(one for one in json.loads(proven.stdout)["items"] if one["cluster"] == "west")
    assert west["witnesses"] >= 1

    asked = scene.run("forecast", scene.flow, "-o", "json")
    assert asked.returncode == 4, "no supervisor has observed the groups yet"
    foreseen = json.loads(asked.stdout)["item"]
    assert foreseen["last_drill_at"] is not None
    gates = {gate["name"]: gate["is_open"] for gate in foreseen["gates"]}
    assert gates["drilled_lately"] is True
    assert gates["standby_is_healthy"] is True
    assert gates["standby_has_room"] is not None, "brokers of this version tell their disks"

    path = scene.store / "reports" / drill
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"is_passed": true', b'"is_passed": null'))
    forged = scene.run("audit", "report", drill)
    path.write_bytes(whole)
    assert forged.returncode == 1, forged.stdout
    assert "SHA-256" in forged.stderr


def test_a_drill_that_was_left_open_is_taken_back_by_the_next(scene: Scene) -> None:
    """Clones and probe of an unfinished drill go before a new one begins; its time does not count against the new."""
    held = scene.run("drill", scene.flow, "--yes", "--hold-before", "clean_up")
    assert held.returncode == 9, held.stderr
    assert [name for name in scene.traces() if name.startswith("__replicator.drill.")], "the probe has its own topic"
    assert [name for name in scene.traces() if name.startswith("drill.")], "groups are cloned"
    left = next(drill for drill, state in scene.drills().items() if state == "halted")
    settings = scene.settings
    with World(settings) as world:
        work = DrillWork(
            settings, settings.flow(scene.flow), world.journal("west"), schedule="rehearsal", clock=SYSTEM_CLOCK
        )
        report = work.drill(Deadline.after(240))
    assert report.exceptions == ()
    assert scene.drills()[left] == "aborted"
    assert scene.drills()[report.operation_id] == "done"
    assert scene.traces() == []


def test_foreign_records_in_our_topics_stop_nothing(scene: Scene) -> None:
    """Nonsense in the journal and among the observations is named by audit and doctor; a drill goes its way, and
    what it has journaled is printed whole."""
    Journal(scene.west).ensure_topic(Deadline.after(30))
    Observations(scene.west).ensure_topic(Deadline.after(30))
    writer = scene.west.writer("stranger")
    for value in (b"hello", b"[]", b'{"v":1,"digest":"x"}', None):
        writer.send(Outgoing(TopicName("__replicator.journal"), None, value, partition=0))
        for key in (b"\xff", f"topic/{scene.flow}/{scene.topic}-x".encode()):
            writer.send(Outgoing(TopicName("__replicator.observations"), key, value, partition=0))
    writer.flush(Deadline.after(30))
    writer.close()
    drilled = scene.run("drill", scene.flow, "--yes")
    assert drilled.returncode == 0, drilled.stderr
    proved = scene.run("audit", "verify")
    assert proved.returncode == 1, proved.stdout
    assert "values are no records and left out" in proved.stderr
    assert "is no JSON" in proved.stderr
    told = scene.run("audit", "export")
    assert told.returncode == 0, told.stderr
    assert scene.flow in scene.run("op", "list").stdout
    assert "no records and left out" in " ".join(scene.run("doctor", "-o", "json").stdout.split())


def with_own_journal(scene: Scene, folder: Path, *, prefix: str, **sections: Any) -> Scene:
    """Return the scene with a journal of its own and no store; `sections` replace those of its configuration."""
    own = {"supervisor": {"session_seconds": 6, "id": scene.flow, "topic_prefix": prefix}, **sections}
    names = ("snapshots", *own)
    kept = [line for line in scene.config.read_text().splitlines() if not line.startswith(names)]
    config = folder / "replicator.yaml"
    config.write_text("\n".join([*kept, *(f"{name}: {json.dumps(section)}" for name, section in own.items()), ""]))
    return replace(scene, config=config)


def end_a_drill(journal: Journal, id_: str, *, flow: str, writer: str) -> None:
    """Leave the records of a drill that was begun and is over."""
    opened = journal.open_writer(writer, is_allowed=lambda: True, deadline=Deadline.after(30))
    request = Request(operation_id=OperationId(id_), flow=FlowName(flow), kind=OperationKind.DRILL, actor="ann@host")
    log = Logbook(opened, request)
    log.begin({"source": "east", "target": "west"})
    log.end(OperationState.ABORTED)
    opened.close()


def test_behind_a_broken_journal_operations_go_on_once_that_is_accepted(scene: Scene, tmp_path: Path) -> None:
    """Retention was set on the journal and its beginning is gone: nothing may run, and `audit verify` names the way on;
    accepted by name it runs again, and every audit tells it."""
    prefix = f"__{scene.flow}"
    other = with_own_journal(scene, tmp_path, prefix=prefix)
    journal, tp = Journal(scene.west, prefix), TopicPartition(TopicName(f"{prefix}.journal"), 0)
    journal.ensure_topic(Deadline.after(30))
    for number in range(2):
        end_a_drill(journal, f"drill-{number}", flow=scene.flow, writer=scene.flow)
    records = journal.read(Deadline.after(30))
    first = next(record for record in records if record.operation_id == "drill-1")
    assert first.offset is not None
    scene.west.positions.delete_records({tp: first.offset}, Deadline.after(30))
    (broken,) = [one for one in journal.read_stored(Deadline.after(30)) if one.offset == first.offset]
    refused = other.run("drill", scene.flow, "--yes")
    assert refused.returncode == DataCorrupt.exit_status, refused.stderr
    assert "replicator audit verify" in refused.stderr
    proved = other.run("audit", "verify")
    assert proved.returncode == DataCorrupt.exit_status, proved.stdout
    command = [str(broken.offset) if word == "47" else word for word in said("a-planned-move", 4, flow=scene.flow)]
    assert " ".join(command[:5]) in " ".join(proved.stderr.split())
    wrong = other.run(*[str(broken.offset + 1) if word == str(broken.offset) else word for word in command])
    assert wrong.returncode == PreflightBlocked.exit_status, wrong.stderr
    assert journal.read_stored(Deadline.after(30))[-1].offset == records[-1].offset
    accepted = other.run(*command)
    assert accepted.returncode == 0, accepted.stderr
    again = other.answer("drill", scene.flow, "--yes")
    assert again["state"] == "done"
    proved = other.run("audit", "verify")
    assert proved.returncode == 0, proved.stderr
    assert f"the break at offset {broken.offset}" in " ".join(proved.stderr.split())
    assert "retention was set on it" in proved.stderr
    assert set(journal.operations(Deadline.after(30))) == {"drill-1", again["operation_id"]}


def test_a_move_without_what_was_deleted_first_is_asked_for_by_name(scene: Scene, tmp_path: Path) -> None:
    """Nothing is changed before that; then what is left moves, and the report has what was deleted in its
    bound. That a supervisor notes such a span is shown elsewhere."""
    name, topic = f"{scene.flow}-torn", TopicName(f"{scene.flow}-torn")
    flow = {"source": "east", "target": "west", "topics": {"include": [topic]}, "connector": {"tasks.max": 1}}
    prefix, tp = f"__{name}", TopicPartition(topic, 0)
    torn = replace(scene, flow=name, topic=topic)
    torn = with_own_journal(torn, tmp_path, prefix=prefix, flows={name: flow}, failover={"fence": "attested"})
    scene.east.topics.create([TopicSpec(name=topic, partitions=2)], Deadline.after(30))
    writer = scene.east.writer("test")
    for number in range(40):
        writer.send(Outgoing(topic, None, str(number).encode(), partition=0))
    writer.flush(Deadline.after(30))
    writer.close()
    scene.east.positions.delete_records({tp: 30}, Deadline.after(30))
    applied = torn.run("apply", name)
    assert applied.returncode == 0, applied.stderr
    wait_until(lambda: torn.copies() == 10, what="what is left is mirrored")
    seen = TopicObservation(
        cluster=ClusterName("east"),
        topic=topic,
        topic_id=scene.east.topics.describe([topic], Deadline.after(30))[topic].topic_id,
        observed_at=SYSTEM_CLOCK.now(),
        partitions=tuple(scene.east.positions.ends([tp], Deadline.after(30)).values()),
        overtaken=(OvertakenSpan(partition=0, from_offset=5, to_offset=30, seen_at=SYSTEM_CLOCK.now()),),
    )
    Observations(scene.west, prefix).ensure_topic(Deadline.after(30))
    key, value = encode_observation(FlowName(name), seen)
    writer = scene.west.writer("test")
    writer.send(Outgoing(observations_topic(prefix), key, value, partition=0))
    writer.flush(Deadline.after(30))
    writer.close()
    refused = torn.run(*said("a-planned-move", 1, flow=name))
    assert refused.returncode == PreflightBlocked.exit_status, refused.stderr
    assert f"25 offsets of east went before the flow could mirror them ({tp} 5-29)" in " ".join(refused.stderr.split())
    (begun,) = Journal(scene.west, prefix).operations(Deadline.after(30)).values()
    assert (begun.state, begun.is_past_promote) == (OperationState.ABORTED, False)
    moved = torn.run(*said("a-planned-move", 2, flow=name), "-o", "json")
    assert moved.returncode == PartlyDone.exit_status, moved.stderr
    item = json.loads(moved.stdout)["item"]
    assert (item["accepted"], item["loss"]["known_lost"], item["loss"]["possible_lost_max"]) == (["loss"], 0, 25)
    assert [told for told in item["exceptions"] if told.startswith(f"{tp}: 25 offsets were deleted")]
    assert torn.copies() == 10
    records = Journal(scene.west, prefix).read(Deadline.after(30))
    assert active_cluster(records, FlowName(name)) == "west"


def test_a_stranger_who_writes_a_copy_is_seen(scene: Scene) -> None:
    """What the flow mirrors is no stranger's; a record that an application writes on the standby is."""
    with World(scene.settings) as world:
        (loops,) = Supervisor(world).flows
        for look in (loops.steps.read_journal, loops.steps.sweep, loops.steps.read_mirrored, loops.read_sides):
            look(Deadline.after(60))
        before = scene.copies()
        writer = scene.east.writer("test")
        writer.send(Outgoing(scene.topic, None, b"mirrored", partition=0))
        writer.flush(Deadline.after(30))
        writer.close()
        wait_until(lambda: scene.copies() == before + 1, what="one more is mirrored")
        loops.read_sides(Deadline.after(60))
        assert loops.board.sides is not None
        assert loops.board.sides.foreign_partitions == ()
        writer = scene.west.writer("stranger")
        writer.send(Outgoing(scene.topic, None, b"foreign", partition=1))
        writer.flush(Deadline.after(30))
        writer.close()
        loops.read_sides(Deadline.after(60))
        assert loops.board.sides.foreign_partitions == (TopicPartition(scene.topic, 1),)


def test_a_supervisor_forecasts_at_every_tick(scene: Scene) -> None:
    """What a failover would cost stands in status and metrics, newer at every look; each red gate names its fix."""
    flow = FlowName(scene.flow)
    with World(scene.settings) as world:
        supervisor = Supervisor(world)
        source = SupervisorSource(supervisor, world)
        supervisor.start()
        source.start()
        try:
            wait_until(lambda: _is_whole(source, flow), what="a whole forecast")
            first = source.overview().forecasts[flow]
            # On a busy machine one look or another is late, and the forecast says so until the next.
            overview = wait_until(lambda: _ready_later(source, flow, first.computed_at), what="a later tick, ready")
        finally:
            source.stop()
            supervisor.stop()
    view = status_view(overview).flow(flow)
    assert view is not None
    assert view.forecast is not None
    told = view.forecast
    assert told.is_ready
    assert told.loss is not None
    assert told.loss.known_lost == 0
    assert told.lost_seconds_max is not None
    assert told.groups == 1
    assert told.groups_unavailable == ()
    assert told.reread_records_max is not None
    assert told.expected_rto_seconds is not None, "drills were timed"
    assert told.last_drill_at is not None
    assert all(gate.fix for gate in told.gates if gate.is_open is False)
    series = {(one.family, one.labels) for one in collect(overview)}
    for name in ("failover_lost_seconds_max", "failover_replay_records_max", "drill_rto_seconds"):
        assert (f"replicator_{name}", (flow,)) in series, name
    assert ("replicator_failover_gate_open", (flow, "drilled_lately")) in series


def _ready_later(source: SupervisorSource, flow: FlowName, since: datetime) -> Overview | None:
    """Return what is served once it holds a whole forecast that is newer, and ready."""
    overview = source.overview()
    view = status_view(overview).flow(flow)
    is_ready = view is not None and view.forecast is not None and view.forecast.is_ready
    is_later = _is_forecast_whole(overview, flow) and overview.forecasts[flow].computed_at > since
    return overview if is_ready and is_later else None


def _is_whole(source: SupervisorSource, flow: FlowName) -> bool:
    """Whether every part of the flow's forecast has been looked at."""
    return _is_forecast_whole(source.overview(), flow)


def _is_forecast_whole(overview: Overview, flow: FlowName) -> bool:
    found = overview.forecasts.get(flow)
    return (
        found is not None
        and found.gates_read_at is not None
        and found.reread_records_max is not None
        and found.expected_rto_seconds is not None
        and found.loss is not None
        and ClusterName("west") in overview.journals_read
    )


def test_a_drill_finds_what_the_standby_lacks(scene: Scene) -> None:
    """The flow is set forward by hand and passes records over: a group whose next record is among them is a finding,
    for nothing but loss explains it, and the drill has not passed."""
    tp, passed_over, more = TopicPartition(scene.topic, 0), 20, 150
    source = f"{scene.flow}.source"
    first = scene.east.positions.ends([tp], Deadline.after(30))[tp].end
    held = scene.copies()
    with ConnectClient(scene.settings.connect_of("west").url) as connect:
        connect.stop(source, Deadline.after(90))
        writer = scene.east.writer("test")
        for number in range(more):
            writer.send(Outgoing(scene.topic, None, f"later-{number}".encode(), partition=0))
        writer.flush(Deadline.after(30))
        writer.close()
        positions = {tp: first + passed_over}
        connect.set_positions(source, source_alias="east", positions=positions, deadline=Deadline.after(60))
        connect.resume(source, Deadline.after(90), tasks_min=1)
    wait_until(lambda: scene.copies() == held + more - passed_over, what="the rest is mirrored")
    group = GroupName(f"{scene.topic}.readers")
    scene.east.groups.commit(group, {tp: first + 5}, Deadline.after(30))
    drilled = scene.run("drill", scene.flow, "--yes", "-o", "json")
    assert drilled.returncode == PartlyDone.exit_status, drilled.stdout
    (told,) = json.loads(drilled.stdout)["item"]["exceptions"]
    assert f"{tp}: the copy lacks the record at {first + 5}" in told
    assert scene.traces() == []


def test_an_outage_waits_for_no_rehearsal(scene: Scene) -> None:
    """A failover takes a drill that stands still back and begins."""
    held = scene.run("drill", scene.flow, "--yes", "--hold-before", "clean_up")
    assert held.returncode == 9, held.stderr
    left = next(drill for drill, state in scene.drills().items() if state == "halted")
    ended = scene.run(
        "failover", scene.flow, "--confirm", scene.flow, "--accept", "split-brain,stale-groups", "-o", "json"
    )
    assert ended.returncode in (0, 3), ended.stderr
    assert json.loads(ended.stdout)["item"]["is_past_promote"] is True
    assert scene.drills()[left] == "aborted"
    assert scene.traces() == []
