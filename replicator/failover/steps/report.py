"""`report`: the verdict on the operation, journaled beside the facts that it rests on."""

from __future__ import annotations

from typing import Any

from replicator.failover.engine.runbook import Step
from replicator.failover.report import LOST_ORPHANS_ITEM, OperationReport, report_of
from replicator.failover.world import World
from replicator.model.forms.plain import to_plain
from replicator.model.operations import Done, Finding, Ready

NAME = "report"
ITEM = "report"
EXPORT_STEP = "export_orphans"
KEPT_ITEM = "kept"
SNAPSHOT_ITEM = "snapshot"


def check_reported(world: World) -> Finding:
    """Done once the operation's verdict is journaled."""
    fact = world.log.fact(NAME, ITEM) if world.log is not None else None
    return Done({"exceptions": fact["exceptions"]}) if fact is not None else Ready("the report is to be written")


def lost_snapshot(world: World) -> str | None:
    """Return the id of this operation's snapshot of orphans where the store says that it holds it no more."""
    kept = world.log.fact(EXPORT_STEP, SNAPSHOT_ITEM) if world.log is not None else None
    if kept is None or world.has_snapshot is None:
        return None
    return str(kept["id"]) if world.has_snapshot(str(kept["id"])) is False else None


def do_report(world: World) -> None:
    """Journal the sums and verdicts; the details stay the facts they are. Orphans whose snapshot is gone are told."""
    if (lost := lost_snapshot(world)) is not None:
        world.logbook.add_fact(NAME, LOST_ORPHANS_ITEM, {"snapshot": lost, "told": _tell_lost(world, lost)})
    report = report_of(world.logbook.records, objectives=world.flow.objectives)
    world.logbook.add_fact(NAME, ITEM, _summary(report))


def _tell_lost(world: World, snapshot: str) -> str:
    kept = world.logbook.fact(EXPORT_STEP, KEPT_ITEM) or {"topics": []}
    words = [
        "replicator snapshot create --cluster",
        world.flow.target,
        *(f"--topics {name}" for name in kept["topics"]),
    ]
    told = f"snapshot {snapshot} of the orphans is gone from the store; {world.flow.target} holds them still"
    return f"{told}: `{' '.join(words)}`"


def _summary(report: OperationReport) -> dict[str, Any]:
    loss = report.loss
    return {
        "exceptions": len(report.exceptions),
        "rto_seconds": report.rto_seconds,
        "known_lost": loss.known_lost if loss else None,
        "possible_lost_max": loss.possible_lost_max if loss else None,
        "unknown_window_seconds": loss.unknown_window_seconds if loss else None,
        "groups": len(report.groups),
        "verdicts": to_plain(report.verdicts),
    }


REPORT = Step(
    name=NAME,
    says="Report: what was lost, what is read again, whether each promise held",
    check=check_reported,
    do=do_report,
    is_read_only=True,
)
