"""Flows on real clusters: what apply makes works, what it made stays, and every act is proven."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from replicator.cli.main import run
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.connect import Heartbeat, decode_heartbeat
from replicator.errors import PreflightBlocked
from replicator.flow import (
    HEARTBEATS,
    FlowHeartbeat,
    JournalFacts,
    LagObservation,
    LagSeries,
    look_at_flow,
    pause_flow,
    restart_flow,
    resume_flow,
    stop_flow,
)
from replicator.kafka import KafkaCluster, Outgoing, Record
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.connectors import ConnectorState
from replicator.model.flow import FlowState, Naming
from replicator.model.names import TopicName, TopicPartition

pytestmark = pytest.mark.lab


def make_topic(cluster: KafkaCluster, name: TopicName, partitions: int = 1, **own: str) -> TopicName:
    """Make a topic that keeps everything."""
    configs = {"retention.ms": "-1", **{key.replace("_", "."): value for key, value in own.items()}}
    cluster.topics.create([TopicSpec(name=name, partitions=partitions, configs=configs)], Deadline.after(30))
    return name


def write(cluster: KafkaCluster, topic: TopicName, count: int, *, start: int = 0, size_bytes: int = 0) -> None:
    """Write numbered records to partition 0."""
    writer = cluster.writer("test")
    for number in range(start, start + count):
        value = str(number).encode().ljust(size_bytes)
        writer.send(Outgoing(topic, b"k", value, partition=0))
    writer.flush(Deadline.after(60))
    writer.close()


def read(cluster: KafkaCluster, topic: TopicName, *, partition: int = 0) -> tuple[Record, ...]:
    """Return every visible record of a partition."""
    tp = TopicPartition(topic, partition)
    ends = cluster.positions.ends([tp], Deadline.after(30))[tp]
    return cluster.read_range(tp, ends.log_start, ends.end, deadline=Deadline.after(30)).records


def content(record: Record) -> tuple[object, ...]:
    """Everything of a record that a copy must keep."""
    return record.key, record.value, record.headers, record.timestamp_ms


def test_a_flow_copies_records_identically(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """Keys, values, headers, timestamps, order, null and empty arrive as they were; aborted records do not."""
    opened = flow_on(lab)
    source = opened.handles.source
    topic = make_topic(source, names.topic("orders"), 2)
    made = [
        Outgoing(topic, b"k1", b"v1", 0, (("h", b"\xff\x00\xfe"), ("none", None), ("empty", b"")), 1357000000000),
        Outgoing(topic, None, b"no key", 0, (), 1),
        Outgoing(topic, b"", b"", 0, (("h", b"1"), ("h", b"2")), 1357000000001),
        Outgoing(topic, b"gone", None, 0, (), 1357000000002),
        Outgoing(topic, b"future", b"x", 0, (), int(datetime.now(UTC).timestamp() * 1000) + 3_000_000),
    ]
    writer = source.writer("test")
    for record in made:
        writer.send(record)
    writer.flush(Deadline.after(30))
    transaction = source.transactional_writer(names.topic("tx"), Deadline.after(30))
    transaction.abandon([Outgoing(topic, b"aborted", b"never", 0)], Deadline.after(30))
    transaction.append([Outgoing(topic, b"committed", b"last", 0)], Deadline.after(30))
    opened.apply()
    there = read(source, topic)
    opened.wait_mirrored(topic, there[-1].offset + 1)
    here = read(opened.handles.target, topic)
    assert [content(record) for record in here] == [content(record) for record in there]
    assert len(here) == 6
    described = opened.handles.target.topics.describe([topic], Deadline.after(30))[topic]
    assert len(described.partitions) == 2


def test_the_second_apply_does_nothing(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """What was applied is what was wanted, read back from Kafka and Connect."""
    opened = flow_on(lab)
    make_topic(opened.handles.source, names.topic("orders"), cleanup_policy="compact")
    first = opened.apply()
    assert first.changes
    assert opened.plan().is_empty
    assert opened.apply().changes == ()
    syncs = opened.flow.syncs_topic
    target = opened.handles.target
    assert len(target.topics.describe([syncs], Deadline.after(30))[syncs].partitions) == 1
    configs = target.topics.configs([syncs, names.topic("orders")], Deadline.after(30))
    assert int(configs[syncs]["min.compaction.lag.ms"].value or 0) > 10**9
    assert configs[names.topic("orders")]["cleanup.policy"].value == "compact"


def test_an_interrupted_apply_goes_on(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """Killed between making the connector and starting it, the next apply starts it."""
    opened = flow_on(lab)
    topic = make_topic(opened.handles.source, names.topic("orders"))
    write(opened.handles.source, topic, 3)
    connector = next(c for c in opened.plan().changes if c.name == opened.flow.source_connector and c.config)
    opened.handles.connect.create(connector.name, connector.config, deadline=Deadline.after(60))
    opened.apply()
    opened.wait_mirrored(topic, 3)


def test_pause_stop_and_resume_are_proven(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """Paused and stopped nothing moves, and no apply starts it; resumed it goes on where it was."""
    opened = flow_on(lab)
    source, target, connect = opened.handles.source, opened.handles.target, opened.handles.connect
    topic = make_topic(source, names.topic("orders"))
    write(source, topic, 5)
    opened.apply()
    opened.wait_mirrored(topic, 5)

    paused = pause_flow(opened.flow, connect, Deadline.after(60))
    assert all(status.is_wholly(ConnectorState.PAUSED) for status in paused)
    resume_flow(opened.flow, connect, opened.plan(), Deadline.after(60))

    stopped = stop_flow(opened.flow, connect, Deadline.after(60))
    assert all(status.is_stopped for status in stopped)
    write(source, topic, 5, start=5)
    assert opened.apply().changes == ()
    assert connect.status(opened.flow.source_connector, Deadline.after(10)).is_stopped
    assert opened.positions()[TopicPartition(topic, 0)] == 5

    resumed = resume_flow(opened.flow, connect, opened.plan(), Deadline.after(60))
    assert resumed[0].is_wholly(ConnectorState.RUNNING)
    assert resumed[0].tasks
    opened.wait_mirrored(topic, 10)
    assert [int(record.value) for record in read(target, topic)] == list(range(10))
    assert opened.plan().is_empty


def test_a_failed_task_is_restarted(
    lab: Lab, names: Any, flow_on: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """A record the target refuses fails the task; the state says so; mended and restarted, the record arrives."""
    opened = flow_on(lab)
    source, target, connect = opened.handles.source, opened.handles.target, opened.handles.connect
    topic = make_topic(source, names.topic("orders"))
    opened.apply()
    target.topics.alter_configs(topic, {"max.message.bytes": "2000"}, Deadline.after(30))
    write(source, topic, 1, size_bytes=50_000)
    name = opened.flow.source_connector
    eventually(lambda: connect.status(name, Deadline.after(10)).failed_tasks, what="the task did not fail")
    look = look_at_flow(
        opened.flow, handles=opened.handles, journal=JournalFacts(), now=SYSTEM_CLOCK.now(), deadline=Deadline.after(30)
    )
    assert look.health.state is FlowState.FAILED
    assert [change.name for change in opened.plan().changes] == [topic]
    opened.apply()
    statuses = restart_flow(opened.flow, connect, Deadline.after(60))
    assert statuses[0].is_wholly(ConnectorState.RUNNING)
    opened.wait_mirrored(topic, 1)


def test_drift_shows_and_is_mended(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """A connector key and a topic setting changed by hand show with both values; apply sets them back."""
    opened = flow_on(lab)
    topic = make_topic(opened.handles.source, names.topic("orders"))
    opened.apply()
    connect, name = opened.handles.connect, opened.flow.source_connector
    config = connect.find(name, Deadline.after(10)).config
    connect.configure(name, {**config, "offset.lag.max": "7", "errors.tolerance": "all"}, Deadline.after(30))
    opened.handles.target.topics.alter_configs(topic, {"retention.ms": "1000"}, Deadline.after(30))
    told = "\n".join(change.line for change in opened.plan().changes)
    assert "offset.lag.max: 7 → 100" in told
    assert "errors.tolerance: all → unset" in told
    assert "retention.ms: 1000 → -1" in told
    opened.apply()
    assert opened.plan().is_empty
    assert connect.find(name, Deadline.after(10)).config == config


def test_a_grown_topic_grows_its_copy(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """More partitions on the source are more on the target after apply."""
    opened = flow_on(lab)
    topic = make_topic(opened.handles.source, names.topic("orders"))
    opened.apply()
    opened.handles.source.topics.grow(topic, partitions=3, deadline=Deadline.after(30))
    opened.apply()
    described = opened.handles.target.topics.describe([topic], Deadline.after(30))
    assert len(described[topic].partitions) == 3


def test_foreign_records_are_not_written_over(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """A topic on the target with records of its own blocks the apply, and nothing is made."""
    opened = flow_on(lab)
    topic = make_topic(opened.handles.source, names.topic("orders"))
    make_topic(opened.handles.target, topic)
    write(opened.handles.target, topic, 4)
    with pytest.raises(PreflightBlocked, match="holds records that this flow did not write"):
        opened.apply()
    assert opened.handles.connect.find(opened.flow.source_connector, Deadline.after(10)) is None


def test_the_worker_itself_validates_the_template(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """Kafka's own validation has nothing against the template, and its objections become refusals."""
    opened = flow_on(lab)
    make_topic(opened.handles.source, names.topic("orders"))
    assert opened.plan().refusals == ()
    odd = flow_on(lab, name="odd", connector={"offset.lag.max": "many", "transaction.boundary": "never"})
    refused = "\n".join(refusal.line for refusal in odd.plan().refusals)
    assert "the worker refuses offset.lag.max" in refused
    assert "the worker refuses transaction.boundary" in refused


def test_lag_is_measured_and_falls_to_zero(
    lab: Lab, names: Any, flow_on: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Before the flow runs everything is lag and it ages; once it runs lag falls to 0, and markers are no lag."""
    opened = flow_on(lab)
    source = opened.handles.source
    topic = make_topic(source, names.topic("orders"))
    tp = TopicPartition(topic, 0)
    write(source, topic, 500)
    series = LagSeries(opened.flow.name)

    def observe() -> Any:
        seen = source.positions.ends([tp], Deadline.after(10))
        now = SYSTEM_CLOCK.now()
        series.add(LagObservation(observed_at=now, ends=seen, positions=opened.positions()))
        return series.measure(now)

    observe()
    before = observe()
    assert before.lag_records == 500
    assert before.lag_seconds > 0
    opened.apply()
    eventually(lambda: observe().lag_records == 0, what="lag did not fall to 0")
    assert observe().lag_seconds == 0.0
    transaction = source.transactional_writer(names.topic("tx"), Deadline.after(30))
    transaction.append([Outgoing(topic, b"k", b"tx", 0)], Deadline.after(30))
    transaction.abandon([Outgoing(topic, b"k", b"aborted", 0)], Deadline.after(30))
    opened.wait_mirrored(topic, 501)
    assert observe().lag_records == 3
    look = look_at_flow(
        opened.flow, handles=opened.handles, journal=JournalFacts(), now=SYSTEM_CLOCK.now(), deadline=Deadline.after(30)
    )
    assert look.lag.lag_records == 0
    assert look.health.state is FlowState.HEALTHY


def test_heartbeats_travel_the_flow(
    lab: Lab, names: Any, flow_on: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """A heartbeat made on the source arrives on the target, stamped there."""
    opened = flow_on(lab)
    make_topic(opened.handles.source, names.topic("orders"))
    opened.apply()
    with FlowHeartbeat(opened.handles.source, target=opened.flow.target) as heartbeat:
        assert heartbeat.ensure_topic(Deadline.after(30)) is False
        sent_at = SYSTEM_CLOCK.now()
        offset = heartbeat.beat(sent_at, Deadline.after(30))
    sent = Heartbeat(lab.east.name, lab.west.name, int(sent_at.timestamp() * 1000))
    [told] = [r for r in read(opened.handles.source, HEARTBEATS) if r.offset == offset]
    assert decode_heartbeat(told.key or b"", told.value) == sent

    def arrived() -> list[Record]:
        found = read(opened.handles.target, TopicName("east.heartbeats"))
        return [r for r in found if r.key is not None and decode_heartbeat(r.key, r.value) == sent]

    [beat, *_] = eventually(arrived, what="the heartbeat did not arrive")
    assert beat.is_log_append_time
    assert beat.timestamp_ms >= sent.timestamp_ms


def test_positions_are_those_of_connect(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """What is read through Kafka and what REST tells are the same positions; set ones are obeyed."""
    opened = flow_on(lab)
    source, target, connect = opened.handles.source, opened.handles.target, opened.handles.connect
    topic = make_topic(source, names.topic("orders"))
    tp = TopicPartition(topic, 0)
    write(source, topic, 20)
    make_topic(target, topic)
    plan = opened.plan()
    for change in plan.changes:
        if change.config:
            connect.create(change.name, change.config, deadline=Deadline.after(60))
    name = opened.flow.source_connector
    with pytest.raises(PreflightBlocked, match="already"):
        connect.create(name, connect.find(name, Deadline.after(10)).config, deadline=Deadline.after(10))
    connect.set_positions(name, source_alias="east", positions={tp: 15}, deadline=Deadline.after(60))
    assert opened.positions() == {tp: 15}
    resume_flow(opened.flow, connect, opened.plan(), Deadline.after(60))
    with pytest.raises(PreflightBlocked, match="must be STOPPED"):
        connect.reset_positions(name, Deadline.after(30))
    opened.wait_mirrored(topic, 20)
    assert [int(record.value) for record in read(target, topic)] == list(range(15, 20))
    positions = connect.positions(name, Deadline.after(30))
    assert positions[tp] == opened.positions()[tp] == 20
    connect.stop(name, Deadline.after(60))
    connect.reset_positions(name, Deadline.after(60))
    assert opened.positions() == {}


def test_prefix_naming_renames_the_copy(lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """With prefix naming the copy is `<source>.<topic>`, pre-created under that name."""
    opened = flow_on(lab, naming=Naming.PREFIX)
    topic = make_topic(opened.handles.source, names.topic("orders"))
    write(opened.handles.source, topic, 3)
    opened.apply()
    opened.wait_mirrored(topic, 3)
    assert len(read(opened.handles.target, TopicName(f"east.{topic}"))) == 3
    assert topic not in opened.handles.target.topics.names(Deadline.after(30))


@pytest.fixture
def config(lab: Lab, names: Any, tmp_path: Path) -> Path:
    """A configuration with one flow of this test's topics, and one that must not be."""
    text = lab.config_path.read_text(encoding="utf-8")
    flow = f"{{source: east, target: west, topics: {{include: ['{names.prefix}.*']}}"
    flows = (
        f"flows:\n  {names.flow()}: {flow}}}\n  {names.flow('bad')}: {flow}, connector: {{errors.tolerance: all}}}}\n"
    )
    path = tmp_path / "replicator.yaml"
    path.write_text(text.replace("flows: {}", flows), encoding="utf-8")
    return path


def ask(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run a command line in this process; returns its status and its JSON."""
    status = run(["-c", str(config), "-o", "json", *words])
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


def test_the_command_line_from_plan_to_stop(
    lab: Lab, names: Any, flow_on: Callable[..., Any], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """plan, apply, list, show, stop and resume tell the truth in JSON and by their exit status."""
    opened = flow_on(lab)
    make_topic(opened.handles.source, names.topic("orders"))
    flow, bad = names.flow(), names.flow("bad")
    status, planned = ask(config, capsys, "plan", bad)
    assert status == 4
    assert "errors.tolerance" in planned["items"][0]["refusals"][0]["subject"]
    text = config.read_text(encoding="utf-8")
    config.write_text(text[: text.index(f"  {bad}:")], encoding="utf-8")
    status, planned = ask(config, capsys, "plan")
    assert status == 0
    assert planned["items"][0]["changes"]
    status, applied = ask(config, capsys, "apply", flow)
    assert (status, len(applied["items"][0]["changes"])) == (0, len(planned["items"][0]["changes"]))
    status, again = ask(config, capsys, "apply")
    assert (status, again["items"][0]["changes"]) == (0, [])
    status, listed = ask(config, capsys, "flow", "list")
    assert (status, listed["items"][0]["state"]) == (0, "HEALTHY")
    status, stopped = ask(config, capsys, "flow", "stop", flow)
    assert (status, stopped) == (6, None)
    status, stopped = ask(config, capsys, "flow", "stop", flow, "--yes")
    assert (status, {item["state"] for item in stopped["items"]}) == (0, {"STOPPED"})
    status, shown = ask(config, capsys, "flow", "show", flow)
    assert (status, shown["item"]["state"]) == (0, "STOPPED")
    status, resumed = ask(config, capsys, "flow", "resume", flow)
    assert (status, resumed["items"][0]["state"]) == (0, "RUNNING")
    assert ask(config, capsys, "flow", "show", "nosuch")[0] == 10
