"""A live supervisor's /metrics on real clusters: every family the alerts and the dashboard read is really there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from replicator.api.app import create_app
from replicator.api.server import serve
from replicator.api.wiring import SupervisorSource
from replicator.cli.main import run
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.http import HttpClient
from replicator.journal import Entry, Journal
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import FlowState
from replicator.model.names import FlowName, OperationId, TopicName, TopicPartition
from replicator.settings import load_settings
from replicator.supervisor import World
from replicator.supervisor.daemon import Supervisor
from replicator.supervisor.metrics.export import DASHBOARD_FILE, RULES_FILE
from replicator.supervisor.metrics.families import FAMILIES
from tests.promql import Scraped, evaluate, names_in, parse_scrape

CONFIGS = Path(__file__).parents[2] / "configs"
RULES = {
    rule["alert"]: rule["expr"]
    for rule in YAML(typ="safe").load((CONFIGS / RULES_FILE).read_text())["groups"][0]["rules"]
}
PANELS = json.loads((CONFIGS / DASHBOARD_FILE).read_text())["panels"]
ASKED_OF_CLUSTERS = (
    "heartbeat_timestamp_seconds",
    "checkpoint_timestamp_seconds",
    "snapshot_duration_seconds",
    "repository_errors_total",
    "collect_errors_total",
)
"""No rule reads them, and only a real flow and a real snapshot have them."""
WANTED = {
    name
    for text in (*RULES.values(), *(target["expr"] for panel in PANELS for target in panel["targets"]))
    for name in names_in(text)[0]
} | {f"replicator_{name}" for name in ASKED_OF_CLUSTERS}


@contextmanager
def scraped_supervisor(config: Path, environ: dict[str, str]) -> Iterator[tuple[Supervisor, HttpClient]]:
    """Yield a supervisor that runs, and a client of its API."""
    with World(load_settings(config, environ)) as world:
        supervisor = Supervisor(world)
        source = SupervisorSource(supervisor, world)
        server = serve(create_app(source), "127.0.0.1:0")
        supervisor.start()
        source.start()
        try:
            with HttpClient(server.url, timeout_seconds=20.0) as client:
                yield supervisor, client
        finally:
            server.stop(Deadline.after(10))
            source.stop()
            supervisor.stop()


def scrape(client: HttpClient) -> Scraped:
    """Return one scrape."""
    answer = client.request("GET", "/metrics")
    assert answer.status == 200
    return parse_scrape(answer.text(), at=SYSTEM_CLOCK.now().timestamp())


def note_a_drill(lab: Lab, flow: str, *, topic_prefix: str) -> None:
    """Leave a drill that succeeded in the flow's journal."""
    with KafkaCluster(lab.west) as west:
        journal = Journal(west, topic_prefix)
        journal.ensure_topic(Deadline.after(20))
        writer = journal.open_writer("test", is_allowed=lambda: True, deadline=Deadline.after(20))
        about: dict[str, Any] = {
            "operation_id": OperationId("drill-1"),
            "flow": FlowName(flow),
            "kind": "drill",
            "step": "operation",
            "actor": "test",
        }
        body = {"source": "east", "target": "west", "commanded_at": "2026-01-01T00:00:00Z"}
        requested = Entry(phase="requested", body=body, **about)
        writer.append([requested, Entry(phase="ended", body={"state": "done"}, **about)], Deadline.after(20))
        writer.close()


@pytest.fixture
def config(lab: Lab, names: Any, tmp_path: Path) -> Path:
    """A flow with an objective, a store and a schedule."""
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": [f"{names.prefix}.*"]},
        "groups": {"include": [f"{names.prefix}.*"]},
        "objectives": {"rpo_seconds": 3600, "rto_seconds": 60},
    }
    schedules = {"nightly": {"cron": "15 2 * * *", "timezone": "UTC", "flow": names.flow()}}
    snapshots = {"store": str(tmp_path / "repository"), "schedules": schedules}
    text = lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps({names.flow(): flow})}")
    path = tmp_path / "replicator.yaml"
    path.write_text(f"{text}\nsnapshots: {json.dumps(snapshots)}\n")
    return path


def test_every_metric_that_alerts_and_panels_read_is_served(
    lab: Lab, names: Any, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow with records, groups, a proven snapshot and a drill serves a sample of each, and no alert holds."""
    prefix = f"__{names.prefix}"
    environ = {"REPLICATOR_SUPERVISOR__TOPIC_PREFIX": prefix, "REPLICATOR_SUPERVISOR__ID": names.prefix[-20:]}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    topic = names.topic("orders")
    with KafkaCluster(lab.east) as east:
        spec = TopicSpec(name=topic, partitions=2, configs={"retention.ms": "-1"})
        east.topics.create([spec], Deadline.after(30))
        produce(east, topic)
        east.groups.commit(names.group("billing"), {TopicPartition(topic, 0): 1}, Deadline.after(30))
        assert run(["-c", str(config), "apply", names.flow()]) == 0
        assert run(["-c", str(config), "repo", "init"]) == 0
        assert run(["-c", str(config), "schedule", "run", "nightly"]) == 0
        note_a_drill(lab, names.flow(), topic_prefix=prefix)
        try:
            with scraped_supervisor(config, environ) as (supervisor, client):
                check_served(supervisor, client, names.flow(), move=lambda: produce(east, topic))
        finally:
            run(["-c", str(config), "flow", "stop", names.flow(), "--yes"])


def check_served(supervisor: Supervisor, client: HttpClient, name: str, *, move: Callable[[], None]) -> None:
    """Everything wanted is served while records move, and once all is well no alert holds."""

    def state() -> FlowState | None:
        flow = supervisor.status.flow(name)
        return None if flow is None else flow.state

    deadline = Deadline.after(120)
    while WANTED - set((seen := scrape(client)).samples):
        deadline.check(f"{state()}, not served: {sorted(WANTED - set(seen.samples))}")
        move()
        time.sleep(0.5)
    check_names(seen)
    while state() is not FlowState.HEALTHY or alerts_that_hold(seen, scrape(client)):
        deadline.check(f"{state()}, alerts: {alerts_that_hold(seen, scrape(client))}")
        time.sleep(0.2)


def alerts_that_hold(*scrapes: Scraped) -> set[str]:
    """Return the alerts whose expression holds at the last scrape."""
    return {name for name, text in RULES.items() if evaluate(text, scrapes)}


def produce(east: KafkaCluster, topic: TopicName) -> None:
    """Leave a few more records on the source."""
    writer = east.writer("test")
    for number in range(20):
        writer.send(Outgoing(topic, str(number).encode(), b"v"))
    writer.flush(Deadline.after(30))
    writer.close()


def check_names(seen: Scraped) -> None:
    """What is served is what the table of families says, each with its labels."""
    by_name = {family.name: family for family in FAMILIES}
    for name, values in seen.samples.items():
        base = name if name in by_name else name.rsplit("_", 1)[0]
        assert base in by_name, name
        for labels in values:
            told = {label for label, _ in labels} - {"le"}
            missing = set(by_name[base].labels) - told
            assert told <= set(by_name[base].labels), name
            assert missing <= {"partition", "cluster"}, name  # a topic has no partition, a schedule's loop no cluster
