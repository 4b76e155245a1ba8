"""The way home: east returns, what only it has is found and kept, the difference goes back; then a drill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from replicator.cli.demo import data, evidence
from replicator.cli.demo.ledger import Ledger
from replicator.cli.demo.report import DemoReport
from replicator.cli.demo.story import FLOW, Scene, Stage, watch_lag_fall
from replicator.cli.demo.traffic import Application, read_on
from replicator.clock import Deadline
from replicator.model.forms.figures import show_count
from replicator.model.names import TopicName

START_SECONDS = 120.0
FLIGHTS_ON_WEST = 3_000
BOOKINGS_ON_WEST = 20
FLIGHTS_AT_HOME = 2_000
EVENTS = tuple(sorted(data.PARTITIONS.keys() - data.COMPACTED))
"""Nothing of these goes by itself: what stands there may be counted before and after."""


def write_on_west(stage: Stage) -> str:
    """Let applications write where they were moved to: what east will have to be brought."""
    deadline = Deadline.after(60, clock=stage.clock)
    if stage.application is not None:
        stage.application.close()  # what it had not sent by the outage must not reach east when that returns
    application = stage.application = Application(stage.west, stage.ledger)
    before = {topic: stage.ledger.topics[topic].expected() for topic in EVENTS}
    application.load(map(data.to_flight, data.take(stage.lines, FLIGHTS_ON_WEST)), deadline)
    bookings = data.read_bookings(data.read_flight_lines(), every=50)
    for _, booking in zip(range(BOOKINGS_ON_WEST), bookings, strict=False):
        application.book(booking, deadline)
    stage.difference = {topic: stage.ledger.topics[topic].expected() - before[topic] for topic in EVENTS}
    return f"{sum(map(len, stage.difference.values())):,} records that only west has"


def return_east(stage: Stage) -> str:
    """Start the old active again, with a worker beside it; nobody is pointed at it."""
    deadline = Deadline.after(START_SECONDS, clock=stage.clock)
    stage.lab.start("east", wait=deadline)
    stage.lab.start("east/connect", wait=deadline)
    return "east answers again, as it was when it died"


def go_home(stage: Stage) -> str:
    """Fail back as an operator would; `planes` was made anew meanwhile and goes home whole."""
    words = ("failback", FLOW, "--confirm", FLOW, "--fence", "attested", "--rebuild", data.PLANES)
    told = stage.shell.run(*words, timeout_seconds=300, allowed=(0, 3)).item
    (stage.folder / "failback.json").write_text(json.dumps(told, indent=2))
    deadline = Deadline.after(180, clock=stage.clock)
    east, west = (evidence.read_cluster(cluster, EVENTS, deadline) for cluster in (stage.east, stage.west))
    judge_home(stage.report, stage.ledger, told, east=east, west=west, difference=stage.difference)
    return f"{len(told['steps'])} steps; east is active after {told['rto_seconds']:.1f} s"


def judge_home(
    report: DemoReport,
    ledger: Ledger,
    told: Mapping[str, Any],
    *,
    east: evidence.Found,
    west: evidence.Found,
    difference: evidence.Found,
) -> None:
    """Enter the promises about orphans and the difference.

    An orphan is a record that east has and west never got; both were read whole.
    """
    orphans = sum(len(east[topic] - west[topic]) for topic in EVENTS)
    lost = sum(len(ledger.topics[topic].expected() - west[topic]) for topic in EVENTS)
    counted = told["orphans"]["records"] if told["orphans"] else 0
    report.promise(
        "Orphans are found to the record",
        f"{show_count(counted)} told, {show_count(orphans)} found on east alone, {show_count(lost)} of them had been "
        "acknowledged",
        is_kept=counted == orphans and lost <= orphans,
    )
    written = sum(map(len, difference.values()))
    missing = sum(len(difference[topic] - east[topic]) for topic in EVENTS)
    gone = sum(len(ledger.topics[topic].expected() - east[topic]) for topic in EVENTS)
    report.promise(
        "What was written meanwhile comes home",
        f"{show_count(written - missing)} of {show_count(written)} records; "
        f"{show_count(gone)} that home had acknowledged are missing there",
        is_kept=missing == 0 and gone == 0,
    )


def read_at_home(stage: Stage) -> str:
    """Let every group go on at home; what west held and it was never handed must come now."""
    deadline = Deadline.after(120, clock=stage.clock)
    missing: set[tuple[TopicName, int]] = set()
    for trace in stage.traces.values():
        new = {(topic, number) for topic in trace.topics for number in stage.difference.get(topic, ())}
        missing |= read_on(stage.east, trace, until=new - trace.after, deadline=deadline)
    stage.report.promise(
        "No skip on the way home",
        f"{len(missing)} records skipped by {len(stage.traces)} groups",
        is_kept=not missing,
    )
    return "every group was handed what was written while it lived on west"


def write_at_home(stage: Stage) -> str:
    """Let applications write at home again, and west follow."""
    assert stage.application is not None  # noqa: S101 - set by write_on_west
    stage.application.close()
    stage.application = Application(stage.east, stage.ledger)
    rows = map(data.to_flight, data.take(stage.lines, FLIGHTS_AT_HOME))
    written = stage.application.load(rows, Deadline.after(60, clock=stage.clock))
    return f"{written:,} flights on east; {watch_lag_fall(stage)}"


def drill(stage: Stage) -> str:
    """Rehearse the next failover while everything runs, and leave nothing of it."""
    told = stage.shell.run("drill", FLOW, "--yes", timeout_seconds=180, allowed=(0, 3)).item
    groups = stage.west.groups.list(Deadline.after(30, clock=stage.clock))
    traces = [name for name in groups if name.startswith("drill.")]
    compared = told["evidence"]["compared"]
    found = {how: compared.get(how, 0) for how in ("same", "behind")}
    stage.report.promise(
        "A drill passes and leaves nothing",
        f"of the clones' positions {found['same']} begin with the source's next record, {found['behind']} "
        f"before it, within what was told; {len(traces)} clones left",
        is_kept=not told["exceptions"] and sum(found.values()) > 0 and not traces,
    )
    return f"a failover would take {told['rto_seconds']:.1f} s"


HOMEWARD: tuple[Scene, ...] = (
    Scene("Applications write on west", write_on_west),
    Scene("East returns", return_east),
    Scene("Go home to east", go_home),
    Scene("Groups go on on east", read_at_home),
    Scene("Applications write at home again", write_at_home),
    Scene("Drill the next failover", drill),
)
