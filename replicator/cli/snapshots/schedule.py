"""`replicator schedule`: the schedules of snapshots, proofs and drills, when they run, and a run now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.errors import DataCorrupt, NotFound
from replicator.model.forms.figures import show_bytes, show_count, show_items, show_moment, show_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicator.api.schema import ScheduleView
    from replicator.model.flow import Flow

RUN_SECONDS = 24 * 3600.0


@click.group()
def schedule() -> None:
    """Schedules of snapshots, proofs and drills: next, last and missed runs."""


@schedule.command(name="list")
@pass_app
def list_schedules(app: App) -> None:
    """List all schedules. What was run and missed is known where a supervisor answers; else when each is due."""
    # Without schedules there is nothing to ask of anybody: a warning about silence would be untrue.
    found = _ask_supervisor(app) if app.settings.snapshots.schedules else []
    warnings = [] if found is not None else ["no supervisor answers: nothing runs now, and what ran is not known"]
    emit(
        "Schedule",
        items=_from_settings(app) if found is None else found,
        output=app.output,
        warnings=warnings,
        columns=(
            Column("SCHEDULE", lambda one: one.name),
            Column("KIND", lambda one: one.kind),
            Column("FLOW", lambda one: one.flow),
            Column("CRON", lambda one: one.cron),
            Column("ZONE", lambda one: one.timezone),
            Column("NEXT", lambda one: "waits" if one.is_queued else show_moment(one.next_run_at)),
            Column("LAST GOOD", lambda one: show_moment(one.last_success_at)),
            Column("TOOK", lambda one: show_seconds(one.last_duration_seconds), is_number=True),
            Column("MISSED", lambda one: show_count(None if found is None else one.missed_total), is_number=True),
            Column("ERROR", lambda one: one.error, style=lambda one: "red" if one.error else None),
        ),
    )


@schedule.command(name="run")
@click.argument("name")
@pass_app
def run_schedule(app: App, name: str) -> None:
    """Do now what the schedule does: a snapshot, proven, a proof of all, or a drill. It counts as its last run."""
    from replicator.supervisor.assemble import World
    from replicator.supervisor.schedules import SnapshotWork

    configured = app.settings.snapshots.schedules
    if name not in configured:
        raise NotFound(f"there is no schedule {name!r}", hint=f"known: {', '.join(configured) or 'none'}")
    flow = app.settings.flow(configured[name].flow)
    if configured[name].kind == "drill":
        _drill(app, name, flow)
        return
    if configured[name].kind == "verify":
        _verify(app, name, flow)
        return
    begun = app.clock.monotonic()
    with World(app.settings, clock=app.clock) as world:
        work = SnapshotWork(app.settings, flow, world.cluster(flow.target), schedule=name, clock=app.clock)
        manifest = work.capture(app.deadline(RUN_SECONDS))
    item = {
        "schedule": name,
        "snapshot": manifest.id,
        "topics": len(manifest.topics),
        "records": manifest.totals.records,
        "bytes": manifest.totals.bytes,
        "is_verified": True,
        "seconds": round(app.clock.monotonic() - begun, 3),
    }
    emit(
        "ScheduledRun",
        item=item,
        output=app.output,
        warnings=manifest.warnings,
        columns=(
            Column("snapshot", lambda row: row["snapshot"]),
            Column("records", lambda row: show_count(row["records"])),
            Column("size", lambda row: show_bytes(row["bytes"])),
            Column("verified", lambda row: row["is_verified"]),
            Column("took", lambda row: show_seconds(row["seconds"])),
        ),
    )


def _verify(app: App, name: str, flow: Flow) -> None:
    """Prove as the schedule does, and print what came of it.

    Raises:
        DataCorrupt: a snapshot is broken.
    """
    from replicator.supervisor.schedules import VerifyWork

    begun = app.clock.monotonic()
    work = VerifyWork(app.settings, flow, schedule=name, clock=app.clock)
    proof = work.prove(app.deadline(RUN_SECONDS))
    item = {
        "schedule": name,
        "proven": proof.proven,
        "broken": [report.snapshot for report in proof.broken],
        "seconds": round(app.clock.monotonic() - begun, 3),
    }
    emit(
        "ScheduledProof",
        item=item,
        output=app.output,
        columns=(
            Column("proven", lambda row: show_count(row["proven"])),
            Column("broken", lambda row: ", ".join(row["broken"]) or "none"),
            Column("took", lambda row: show_seconds(row["seconds"])),
        ),
    )
    if proof.broken:
        raise DataCorrupt(
            f"{show_items(len(proof.broken), 'snapshot')} cannot be restored as it should",
            hint=f"replicator snapshot verify {proof.broken[0].snapshot}",
        )


def _drill(app: App, name: str, flow: Flow) -> None:
    """Drill as the schedule does, and print the report.

    Raises:
        PartlyDone: it did not pass.
    """
    from replicator.cli.operations.running import finish
    from replicator.supervisor.assemble import World
    from replicator.supervisor.schedules import DrillWork

    with World(app.settings, clock=app.clock) as world:
        work = DrillWork(app.settings, flow, world.journal(flow.target), schedule=name, clock=app.clock)
        report = work.drill(app.deadline(RUN_SECONDS))
    finish(app, report)


def _ask_supervisor(app: App) -> Sequence[ScheduleView] | None:
    """Return what a live supervisor tells; None where none answers for us."""
    from replicator.cli.supervision.look import ask_supervisor

    if app.is_standalone:
        return None
    live = ask_supervisor(app, [flow.name for flow in app.settings.flows])
    if live is None:
        return None
    client, _status = live
    with client:
        try:
            return client.schedules()
        except NotFound:
            return None


def _from_settings(app: App) -> Sequence[ScheduleView]:
    from replicator.api.schema import ScheduleView
    from replicator.supervisor.schedules.loops import to_schedule

    known = [to_schedule(name, settings) for name, settings in app.settings.snapshots.schedules.items()]
    return [
        ScheduleView(
            name=one.name,
            flow=one.flow,
            cron=one.cron,
            timezone=one.timezone,
            kind=one.kind,
            misfire=one.policies.misfire,
            overlap=one.policies.overlap,
            next_run_at=one.timetable.next_after(app.clock.now()),
        )
        for one in known
    ]
