"""The demo's story: a list of scenes, told in order; reading the list is reading the story. `home` goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replicator.cli.demo import data, evidence
from replicator.cli.demo.ledger import GroupTrace, Ledger
from replicator.cli.demo.report import DemoReport
from replicator.cli.demo.shell import Answer, Shell, stop
from replicator.cli.demo.traffic import Application, LiveTraffic, Reader, read_on, read_until
from replicator.clock import Clock, Deadline
from replicator.errors import OperationFailed
from replicator.kafka import KafkaCluster, Record, probe_listeners
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName
from replicator.model.observations import Reachability

FLOW = "demo"
OBSERVATION_PERIOD_SECONDS = 2.0
FLIGHTS_LOADED = 300_000
FLIGHTS_LIVE_PER_SECOND = 3_000
BOOKINGS_LOADED = 150
BEHIND_SECONDS = 1.5
LAGGING_BY = 50_000
TENTH = 10
OBJECTIVES = {"rpo_seconds": 10.0, "rto_seconds": 60.0}

HEAD = GroupName("board-at-the-head")
LAGGING = GroupName("report-50000-behind")
SLOW = GroupName("archive-at-10-percent")
TABLE = GroupName("planes-on-a-compacted-topic")
SUBSCRIPTIONS: dict[GroupName, tuple[TopicName, ...]] = {
    HEAD: (data.FLIGHTS, data.BOOKINGS, data.WEATHER),
    LAGGING: (data.FLIGHTS,),
    SLOW: (data.FLIGHTS,),
    TABLE: (data.PLANES,),
}


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything the scenes share."""

    lab: Lab
    folder: Path
    shell: Shell
    east: KafkaCluster
    west: KafkaCluster
    clock: Clock
    ledger: Ledger = field(default_factory=lambda: Ledger.of(data.PARTITIONS, compacted=data.COMPACTED))
    traces: dict[GroupName, GroupTrace] = field(default_factory=dict)
    report: DemoReport = field(default_factory=DemoReport)
    lines: Iterator[dict[str, str]] = field(default_factory=data.read_flight_lines)
    application: Application | None = None
    traffic: LiveTraffic | None = None
    reader: Reader | None = None
    supervisor: subprocess.Popen[bytes] | None = None
    verdict: dict[str, Any] = field(default_factory=dict)
    planes_before: list[Record] = field(default_factory=list)
    snapshot_id: str = ""
    killed_at: float = 0.0
    difference: evidence.Found = field(default_factory=dict)
    supervisor_section: dict[str, Any] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _line: None

    def close(self) -> None:
        """Stop every process and thread the scenes started."""
        for worker in (self.traffic, self.reader):
            if worker is not None:
                worker.stop()
        if self.application is not None:
            self.application.close()
        if self.supervisor is not None:
            stop(self.supervisor)


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happens; `says` is the line the audience reads."""

    says: str
    play: Callable[[Stage], str]


def configure(stage: Stage) -> str:
    """Write the demo's configuration beside the lab's own."""
    text = stage.lab.config_path.read_text()
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": sorted(data.PARTITIONS)},
        "groups": {"include": ["*"], "exclude": ["demo-*"]},
        "objectives": OBJECTIVES,
    }
    told = evidence.add_demo_flow(
        text, FLOW, flow, store=str(stage.folder / "repo"), supervisor=stage.supervisor_section
    )
    (stage.folder / "demo.yaml").write_text(told)
    stage.shell.run("config", "validate")
    return "flow demo: east → west, six topics, exactly once"


def load_history(stage: Stage) -> str:
    """Produce the past: flights, weather, bookings, and the reference tables."""
    deadline = Deadline.after(120, clock=stage.clock)
    specs = [
        TopicSpec(
            name=topic,
            partitions=count,
            configs=data.COMPACTED_CONFIGS if topic in data.COMPACTED else data.EVENT_CONFIGS,
        )
        for topic, count in data.PARTITIONS.items()
    ]
    stage.east.topics.create(specs, deadline)
    application = stage.application = Application(stage.east, stage.ledger)
    count = 0
    for table in sorted(data.COMPACTED):
        count += application.load(data.read_reference_table(table), deadline)
    count += application.load(data.read_weather(), deadline)
    count += application.load(map(data.to_flight, data.take(stage.lines, FLIGHTS_LOADED)), deadline)
    for _, booking in zip(range(BOOKINGS_LOADED), data.read_bookings(data.read_flight_lines(), every=40), strict=False):
        application.book(booking, deadline)
    return f"{count:,} records and {BOOKINGS_LOADED} transactions on east"


def let_groups_read(stage: Stage) -> str:
    """Leave two groups behind on flights, one on a compacted topic, and one reading at the head."""
    deadline = Deadline.after(120, clock=stage.clock)
    stage.traces = {group: GroupTrace(group, topics) for group, topics in SUBSCRIPTIONS.items()}
    wanted = {LAGGING: FLIGHTS_LOADED - LAGGING_BY, SLOW: FLIGHTS_LOADED // TENTH, TABLE: 1}
    for group, count in wanted.items():
        read_until(stage.east, stage.traces[group], has_enough=_has(count), deadline=deadline)
    stage.reader = Reader(stage.east, stage.traces[HEAD])
    stage.reader.start()
    return "; ".join(f"{group}: {len(trace.before):,} read" for group, trace in stage.traces.items())


def _has(count: int) -> Callable[[GroupTrace], bool]:
    return lambda trace: len(trace.before) >= count


def apply_flow(stage: Stage) -> str:
    """Make the flow what the configuration says, and start the supervisor."""
    stage.shell.run("apply")
    stage.supervisor = stage.shell.spawn("run", log="supervisor.log")
    return "connectors created stopped, topics made, flow resumed; the supervisor watches"


def watch_lag_fall(stage: Stage) -> str:
    """Wait until west has everything that east has."""
    deadline = Deadline.after(120, clock=stage.clock)
    highest = 0
    while True:
        lag = stage.shell.run("lag", FLOW).items[0]
        records, seconds = lag["lag_records"], lag["lag_seconds"]
        highest = max(highest, records or 0)
        stage.tell(f"lag {'unknown' if records is None else f'{records:,} records'}, {seconds} s")
        if records == 0:
            return f"lag fell from {highest:,} records to 0"
        deadline.check("west did not catch up", hint="see the worker's log in the lab's folder")
        stage.clock.sleep(0.5)


def take_snapshot(stage: Stage) -> str:
    """Take a snapshot of the standby into a folder, and verify it."""
    stage.shell.run("repo", "init")
    told = stage.shell.run("snapshot", "create", "--flow", FLOW, timeout_seconds=180).item
    figures = stage.report.snapshot = evidence.describe_snapshot(told)
    stage.snapshot_id = figures["id"]
    stage.shell.run("snapshot", "verify", stage.snapshot_id, timeout_seconds=180)
    return f"{figures['records']:,} records, {figures['bytes'] / 1e6:.1f} MB in {figures['seconds']:.1f} s; verified"


def go_on_producing(stage: Stage) -> str:
    """Keep flights and bookings coming until the supervisor has seen some of them."""
    assert stage.application is not None  # noqa: S101 - set by load_history
    bookings = data.read_bookings(data.read_flight_lines(), every=30)
    stage.traffic = LiveTraffic(
        stage.application,
        rows=map(data.to_flight, stage.lines),
        bookings=bookings,
        rows_per_second=FLIGHTS_LIVE_PER_SECOND,
        clock=stage.clock,
    )
    stage.traffic.start()
    stage.clock.sleep(8)
    return f"{stage.traffic.sent:,} flights so far, {FLIGHTS_LIVE_PER_SECOND:,} a second, bookings in between"


def kill_east(stage: Stage) -> str:
    """SIGKILL every process of the active cluster, and prove that it is gone."""
    assert stage.traffic is not None  # noqa: S101 - set by go_on_producing
    listeners = stage.east.access.bootstrap.split(",")
    stage.lab.freeze("west/connect")  # the line between the sites goes first, as lines do: west falls behind
    stage.clock.sleep(BEHIND_SECONDS)
    stage.killed_at = stage.clock.monotonic()
    stage.lab.kill("east")
    answer = probe_listeners(listeners)
    stage.lab.thaw("west/connect")
    if answer is not Reachability.REFUSED:
        raise OperationFailed(f"east still answers ({answer}); the outage did not happen")
    for worker in (stage.traffic, stage.reader):
        if worker is not None:
            worker.stop()
    return f"every process of east SIGKILLed in mid-traffic, {BEHIND_SECONDS:g} s after the line; its ports refuse"


def read_status(stage: Stage) -> str:
    """Wait until the supervisor knows that the source is gone."""
    deadline = Deadline.after(30, clock=stage.clock)
    while True:
        answer = stage.shell.run("status", FLOW, allowed=(0, 3))
        state = evidence.state_of(answer.envelope, FLOW)
        if state == "UNKNOWN":
            return "status: UNKNOWN; lag is unknown too, never 0"
        deadline.check(f"status still says {state}")
        stage.clock.sleep(0.5)


def fail_over(stage: Stage) -> str:
    """Run the failover as an operator would, and keep its report."""
    answer: Answer = stage.shell.run("failover", FLOW, "--confirm", FLOW, timeout_seconds=180)
    stage.verdict = answer.item
    (stage.folder / "failover.json").write_text(json.dumps(stage.verdict, indent=2))
    evidence.note_failover(stage.report, stage.verdict)
    return f"west is active after {stage.report.rto_seconds:.1f} s"


def resume_groups(stage: Stage) -> str:
    """Let every group go on on west, and let the ledger judge data and groups."""
    deadline = Deadline.after(120, clock=stage.clock)
    found = evidence.read_cluster(stage.west, data.PARTITIONS, deadline)
    for trace in stage.traces.values():
        missing = evidence.unread(trace, found)
        read_on(stage.west, trace, until=missing, deadline=deadline)
    evidence.judge(
        stage.report,
        stage.ledger,
        stage.traces,
        found,
        stage.verdict,
        period=OBSERVATION_PERIOD_SECONDS,
        killed_at=stage.killed_at,
    )
    return "; ".join(f"{line.group}: {line.grade}, skipped {line.skipped}" for line in stage.report.groups)


def delete_planes(stage: Stage) -> str:
    """Play the somebody who deletes a topic."""
    deadline = Deadline.after(60, clock=stage.clock)
    stage.planes_before = evidence.read_topic(stage.west, data.PLANES, deadline)
    stage.west.topics.delete([data.PLANES], deadline)
    while data.PLANES in stage.west.topics.names(deadline):
        deadline.check("planes is still there")
        stage.clock.sleep(0.1)
    return f"planes with {len(stage.planes_before):,} records is gone from west"


def restore_planes(stage: Stage) -> str:
    """Restore the topic from the snapshot and compare it record by record."""
    stage.shell.run(
        "snapshot",
        "restore",
        stage.snapshot_id,
        "--target",
        "west",
        "--topics",
        data.PLANES,
        "--yes",
        timeout_seconds=120,
    )
    after = evidence.read_topic(stage.west, data.PLANES, Deadline.after(60, clock=stage.clock))
    is_same = evidence.contents(after) == evidence.contents(stage.planes_before)
    stage.report.promise(
        "A deleted topic comes back identical",
        f"{len(after):,} records: keys, values, headers, times, order",
        is_kept=is_same,
    )
    return f"{len(after):,} records restored, {'identical' if is_same else 'NOT identical'}"


SCENES: tuple[Scene, ...] = (
    Scene("Write the configuration", configure),
    Scene("Load history into east", load_history),
    Scene("Let four groups read", let_groups_read),
    Scene("Apply the flow and start the supervisor", apply_flow),
    Scene("Watch the lag fall", watch_lag_fall),
    Scene("Snapshot the standby", take_snapshot),
    Scene("Keep producing", go_on_producing),
    Scene("Kill east", kill_east),
    Scene("Read the status", read_status),
    Scene("Fail over to west", fail_over),
    Scene("Groups go on on west", resume_groups),
    Scene("Somebody deletes planes", delete_planes),
    Scene("Restore planes from the snapshot", restore_planes),
)
