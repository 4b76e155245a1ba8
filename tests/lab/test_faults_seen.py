"""Faults on real clusters under one supervisor: state, cause and lag are right, and the shipped alerts hold."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from replicator.api.app import create_app
from replicator.api.server import serve
from replicator.api.wiring import SupervisorSource
from replicator.cli.exits import EXIT_INTERRUPTED
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.connect import ConnectClient
from replicator.errors import OperationHalted, PreflightBlocked
from replicator.http import HttpClient
from replicator.lab import Lab
from replicator.model.flow import FlowState
from replicator.model.names import TopicPartition
from replicator.model.observations import Reachability
from replicator.model.supervision.status import FlowStatus, Role
from replicator.settings import load_settings
from replicator.supervisor import World
from replicator.supervisor.daemon import Supervisor
from tests.lab.stage import (
    BOOKINGS,
    ORDERS,
    OVERTAKEN,
    PERIOD_SECONDS,
    SHOP,
    Stage,
    flow_of,
    open_stage,
    run_cli,
    start_cli,
    wait_until,
)
from tests.promql import Scraped, evaluate, parse_scrape, shipped_rules

RPO_SECONDS = 2.0
STATE_SECONDS = 30.0
"""Within this a flow's state tells what is wrong, and hand-made changes show."""
RULES = shipped_rules()


@dataclass
class Watched:
    """A stage under a supervisor whose /metrics are scraped as Prometheus does."""

    stage: Stage
    supervisor: Supervisor
    client: HttpClient
    connect: ConnectClient
    scrapes: list[Scraped]

    @property
    def flow(self) -> FlowStatus:
        """The flow as it stands."""
        return flow_of(self.supervisor)

    def scrape(self) -> Scraped:
        """Return one more scrape."""
        text = self.client.request("GET", "/metrics").text()
        self.scrapes.append(parse_scrape(text, at=SYSTEM_CLOCK.now().timestamp()))
        return self.scrapes[-1]

    def wait_alert(self, *alerts: str) -> None:
        """Return once the expressions of these alerts hold for the flow, as they stand in the rule file."""

        def hold() -> bool:
            self.scrape()
            return all(
                any(labels["flow"] == SHOP for labels in evaluate(RULES[alert], self.scrapes)) for alert in alerts
            )

        wait_until(hold, seconds=60, what=str(alerts), told=self.tell)

    def wait_state(self, state: FlowState, *, seconds: float = STATE_SECONDS) -> None:
        """Return once the flow is in this state; that is promised to take no longer than this."""
        wait_until(lambda: self.flow.state is state, seconds=seconds, what=state, told=self.tell)

    def wait_well(self) -> None:
        """Return once the flow is healthy with nothing to mirror, and led by this supervisor."""
        wait_until(
            lambda: self.flow.state is FlowState.HEALTHY and self.flow.lag.lag_records == 0,
            seconds=120,
            what="HEALTHY with lag 0",
            told=self.tell,
        )

    def tell(self) -> str:
        """How the flow stands, and what its loops complain of."""
        errors = {one.name: one.error for one in self.supervisor.status.collectors if one.error}
        return f"{self.flow.state} because {self.flow.cause}; lag {self.flow.lag.lag_records}; {errors}"

    def steps(self, name: str) -> int:
        """How often a loop has stepped."""
        return next(one.steps_total for one in self.supervisor.status.collectors if one.name == name)

    def pace(self, *loops: str) -> dict[str, float]:
        """Seconds each of these loops takes for five steps, from now on."""
        began, before, took = SYSTEM_CLOCK.monotonic(), {name: self.steps(name) for name in loops}, {}

        def have_stepped() -> bool:
            done = (name for name in loops if name not in took and self.steps(name) - before[name] >= 5)
            took.update({name: SYSTEM_CLOCK.monotonic() - began for name in done})
            return len(took) == len(loops)

        wait_until(have_stepped, seconds=120, what=f"five steps of {loops}", told=self.tell)
        return took


@pytest.fixture(scope="module")
def watched(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A supervisor that leads, over a flow that is well; every test leaves it so."""
    with (
        open_stage(private_lab, tmp_path_factory.mktemp("config"), rpo_seconds=RPO_SECONDS) as stage,
        World(load_settings(stage.config, {})) as world,
        ConnectClient(private_lab.connect_url("west")) as connect,
    ):
        supervisor = Supervisor(world)
        source = SupervisorSource(supervisor, world)
        server = serve(create_app(source), "127.0.0.1:0")
        supervisor.start()
        source.start()
        try:
            with HttpClient(server.url, timeout_seconds=20.0) as client:
                made = Watched(stage, supervisor, client, connect, [])
                wait_until(lambda: made.flow.role is Role.LEADER, seconds=60, what="leading")
                made.wait_well()
                yield made
        finally:
            server.stop(Deadline.after(10))
            source.stop()
            supervisor.stop()


def test_a_frozen_source_is_silent_its_lag_unknown_and_nobody_else_waits(watched: Watched) -> None:
    """SIGSTOP: the port is open and nothing answers. Lag is unknown and never 0; other loops keep their period."""
    stage = watched.stage
    wait_until(lambda: watched.flow.recorded_at is not None, what="a first record")
    loops = ("source:back", "target:shop", "record:shop")
    usual = watched.pace(*loops)
    stage.lab.freeze("east")
    try:
        watched.wait_state(FlowState.UNKNOWN)
        wait_until(lambda: watched.flow.source.reachability is Reachability.SILENT, what="SILENT")
        seen = watched.flow
        assert (seen.lag.lag_records, seen.lag.lag_seconds, seen.lag.stalled_partitions) == (None, None, None)
        assert {topic.topic for topic in seen.lag.topics} >= {ORDERS}
        assert all(verdict.is_held is None for verdict in seen.verdicts)
        contact, frozen = stage.contact(), watched.pace(*loops)
        assert all(frozen[name] <= 2 * usual[name] + PERIOD_SECONDS for name in loops), (usual, frozen)
        wait_until(lambda: stage.contact().observed_at > contact.observed_at, what="another look at the source")
        assert stage.contact().last_reached_at == contact.last_reached_at
        wait_until(lambda: watched.flow.window_seconds > seen.window_seconds + PERIOD_SECONDS, what="a longer window")
        watched.wait_alert("ReplicatorFlowUnknown", "ReplicatorClusterUnreachable", "ReplicatorRPOBreached")
        assert "replicator_flow_lag_seconds" not in watched.scrape().samples
    finally:
        stage.lab.thaw("east")
    watched.wait_well()


def test_a_killed_worker_makes_the_flow_unknown_and_its_lag_rise(watched: Watched) -> None:
    """Connect is gone: the state says so, records that arrive are lag, and its age grows until the worker is back."""
    watched.stage.lab.kill("west/connect")
    try:
        watched.stage.produce(50)
        wait_until(lambda: watched.flow.lag.lag_records == 50, what="50 records behind")
        before = watched.flow.lag.lag_seconds or 0.0
        watched.wait_state(FlowState.UNKNOWN)
        assert "Connect beside west cannot be read" in (watched.flow.cause or "")
        watched.wait_alert("ReplicatorFlowUnknown", "ReplicatorRPOBreached")
        assert watched.flow.lag.lag_records == 50
        assert (watched.flow.lag.lag_seconds or 0.0) > before
    finally:
        watched.stage.lab.start("west/connect", wait=Deadline.after(120))
    watched.wait_well()


def test_what_failed_is_restarted_and_what_was_changed_by_hand_is_drift(watched: Watched) -> None:
    """A fenced task runs again without anybody's help, and a topic's hand-changed setting shows."""
    stage = watched.stage
    task = f"{stage.lab.group_id('west')}-{SHOP}.source-0"
    wait_until(lambda: watched.flow.drift == (), seconds=60, what="a look for drift that finds none")
    watched.scrape()
    stage.west.topics.alter_configs(ORDERS, {"retention.ms": "3600000"}, Deadline.after(10))
    stage.west.fence_transactional_ids([task], Deadline.after(20))
    try:

        def is_mended() -> bool:
            stage.produce(5)
            return bool(watched.flow.restarts) and watched.flow.state is FlowState.HEALTHY

        wait_until(is_mended, seconds=90, what="a restart that mends")
        assert watched.flow.restarts == {(f"{SHOP}.source", "task"): 1}
        drift = wait_until(lambda: watched.flow.drift, seconds=60, what="drift")
        assert [(one.kind, one.name) for one in drift] == [("topic", ORDERS)]
        assert "retention.ms" in drift[0].told
        watched.wait_alert("ReplicatorRestartLoop", "ReplicatorConfigDrift")
    finally:
        stage.west.topics.alter_configs(ORDERS, {"retention.ms": "-1"}, Deadline.after(10))
    watched.wait_well()


def test_whatever_was_changed_by_hand_shows_soon(watched: Watched) -> None:
    """A setting and the partitions of a copy, and a connector's key: in `plan`, in the status and in the metric."""
    stage, name, deadline = watched.stage, f"{SHOP}.source", Deadline.after(60)
    wait_until(lambda: watched.flow.drift == (), seconds=60, what="a look for drift that finds none")
    config = watched.connect.find(name, deadline).config
    stage.west.topics.alter_configs(BOOKINGS, {"retention.ms": "3600000"}, deadline)
    stage.west.topics.grow(BOOKINGS, partitions=4, deadline=deadline)
    watched.connect.configure(name, {**config, "offset.lag.max": "7"}, deadline)

    def told() -> set[str]:
        words = " ".join(one.told for one in watched.flow.drift or ())
        return {word for word in ("retention.ms", "4 partitions, 3 on east", "offset.lag.max") if word in words}

    def count_drift() -> float:
        samples = watched.scrape().samples["replicator_config_drift"]
        return sum(value for labels, value in samples.items() if ("flow", SHOP) in labels)

    try:
        wait_until(lambda: len(told()) == 3, seconds=STATE_SECONDS, what="all three as drift", told=watched.tell)
        wait_until(lambda: count_drift() >= 3, seconds=STATE_SECONDS, what="all three in the metric")
        planned = " ".join(run_cli("-c", str(stage.config), "plan", SHOP).stdout.split())
        assert "retention.ms" in planned
        assert "offset.lag.max" in planned
    finally:
        # Nothing shrinks a topic: the source grows after it, and a plan sets back the rest.
        stage.east.topics.grow(BOOKINGS, partitions=4, deadline=Deadline.after(20))
        applied = run_cli("-c", str(stage.config), "apply", SHOP)
    assert applied.returncode == 0, applied.stderr
    wait_until(lambda: watched.flow.drift == (), seconds=90, what="no drift left", told=watched.tell)
    watched.wait_well()


def test_a_connector_stopped_by_hand_and_overtaken_by_retention(watched: Watched) -> None:
    """Stopped by hand is told as such while lag rises; what retention deleted meanwhile degrades the flow for good, and
    a planned move without it has to be asked for by name."""
    stage, tp, connector = watched.stage, TopicPartition(OVERTAKEN, 0), f"{SHOP}.source"
    stage.produce(20, topic=tp.topic, partition=0)
    wait_until(lambda: stage.mirrored_position(tp) == 20, what="20 records mirrored")
    watched.connect.stop(connector, Deadline.after(30))
    stage.produce(50, topic=tp.topic, partition=0)
    watched.wait_state(FlowState.STOPPED)
    assert "though not by `flow stop`" in (watched.flow.cause or "")
    wait_until(lambda: watched.flow.lag.lag_records == 50, what="50 records behind")
    watched.wait_alert("ReplicatorFlowStopped", "ReplicatorRPOBreached")
    stage.east.positions.delete_records({tp: 60}, Deadline.after(10))
    wait_until(lambda: watched.flow.lag.lag_records == 10, what="10 records left to mirror")
    time.sleep(1.5)  # the sweep that saw the deletion is paired with positions from before it
    watched.connect.resume(connector, Deadline.after(60), tasks_min=1)
    watched.wait_state(FlowState.DEGRADED)
    assert f"{tp}: offsets 20 to 59 were deleted" in (watched.flow.cause or "")
    watched.wait_alert("ReplicatorFlowDegraded")
    wait_until(lambda: stage.observed().topics[OVERTAKEN].overtaken, what="the standby knows what was deleted")
    arguments = ("-c", str(stage.config), "switchover", SHOP, "--dry-run", "--fence", "attested")
    refused = run_cli(*arguments)
    assert refused.returncode == PreflightBlocked.exit_status, refused.stderr
    told = " ".join(refused.stderr.split())
    assert f"40 offsets of east went before the flow could mirror them ({tp} 20-59)" in told
    accepted = run_cli(*arguments, "--accept", "loss")
    assert accepted.returncode == 0, accepted.stderr
    assert "40 offsets were deleted on the source before they were mirrored" in " ".join(accepted.stdout.split())


INTERRUPTED = (
    ("plan", SHOP),
    ("apply", SHOP),
    ("lag",),
    ("status",),
    ("doctor",),
    ("group", "list", SHOP),
    ("group", "sync", SHOP, "--yes"),
    ("flow", "restart", SHOP),
    ("forecast", SHOP),
    ("switchover", SHOP, "--confirm", SHOP),
    ("drill", SHOP, "--yes"),
)


def test_ctrl_c_ends_whatever_waits_for_a_frozen_cluster(watched: Watched) -> None:
    """Each command is caught while it waits for a cluster that accepts and never answers: one line, no traceback."""
    stage = watched.stage
    port = int(stage.lab.east.bootstrap.rpartition(":")[2])
    stage.lab.freeze("east")
    try:
        with contextlib.ExitStack() as stack:
            started = {words: stack.enter_context(start_cli("-c", str(stage.config), *words)) for words in INTERRUPTED}
            for words, process in started.items():
                wait_until(
                    lambda process=process: is_connected(process.pid, port), seconds=120, what=f"{words} at work"
                )
                process.send_signal(signal.SIGINT)
            for words, process in started.items():
                _out, told = process.communicate(timeout=120)
                assert process.returncode == EXIT_INTERRUPTED, (words, told)
                assert [line for line in told.splitlines() if line.startswith("error: ")] == ["error: interrupted"], (
                    told
                )
                assert "Traceback" not in told, (words, told)
    finally:
        stage.lab.thaw("east")
    watched.wait_well()


def is_connected(pid: int, port: int) -> bool:
    """Whether the process has a connection to this port."""
    return any(one.raddr and one.raddr.port == port for one in psutil.Process(pid).net_connections("tcp"))


OUTAGE_ALERTS = {
    "ReplicatorBlind",
    "ReplicatorClusterUnreachable",
    "ReplicatorFlowUnknown",
    "ReplicatorOutageConfirmed",
}
"""What goes off when every listener refuses; not the objective: where nothing listens nobody writes."""


@pytest.mark.long
def test_five_alerts_go_off_in_an_outage(watched: Watched) -> None:
    """Each rule's own patience waited out: those of a dead source, and that of a failover that stands still midway."""
    stage, arguments = watched.stage, ("-c", str(watched.stage.config))

    def tell() -> str:
        return f"{sorted(going_off())} go off; {watched.tell()}; {watched.client.request('GET', '/v1/alerts').text()}"

    def going_off() -> set[str]:
        told = watched.client.request("GET", "/v1/alerts").json()["items"]
        return {alert["name"] for alert in told if alert["state"] == "firing" and alert["labels"].get("flow") == SHOP}

    assert not going_off() & (OUTAGE_ALERTS | {"ReplicatorOperationHalted"})
    stage.lab.kill("east")
    try:
        wait_until(lambda: going_off() >= OUTAGE_ALERTS, seconds=300, what="four alerts", told=tell)
        held = run_cli(*arguments, "failover", SHOP, "--confirm", SHOP, "--hold-before", "promote")
        assert held.returncode == OperationHalted.exit_status, held.stderr
        wait_until(lambda: "ReplicatorOperationHalted" in going_off(), seconds=60, what="a fifth", told=tell)
        listed = json.loads(run_cli(*arguments, "op", "list", "-o", "json").stdout)["items"]
        (operation,) = [one["id"] for one in listed if one["flow"] == SHOP and one["state"] == "halted"]
        aborted = run_cli(*arguments, "op", "abort", operation, "--yes")
        assert aborted.returncode == 0, aborted.stderr
    finally:
        stage.revive_east()
    watched.wait_well()
    wait_until(lambda: not going_off(), seconds=60, what="silence", told=tell)
