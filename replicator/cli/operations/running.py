"""One way to run a runbook, or to rehearse it, from the command line; every operation verb goes through here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.cli.context import App
from replicator.cli.output import emit
from replicator.errors import PartlyDone, PreflightBlocked, ReplicatorError, UsageError
from replicator.model.forms.plain import to_plain
from replicator.model.operations import Blocked

if TYPE_CHECKING:
    from replicator.failover import Choices, ForeseenStep, MovePlan, OperationReport, World
    from replicator.model.flow import Flow
    from replicator.model.operations import OperationKind

_PLANS = {"failover": "FailoverPlan", "switchover": "SwitchoverPlan", "failback": "FailbackPlan", "drill": "DrillPlan"}


def rehearse(
    app: App,
    flow: Flow,
    choices: Choices,
    kind: OperationKind,
    *,
    fence: str | None = None,
    plan_out: Path | None = None,
) -> None:
    """Print what each step would find now; nothing is changed. `plan_out` gets the plan, to be carried out later.

    Raises:
        PreflightBlocked: some step would stop the operation.
    """
    from replicator.cli.operations.doors import highest_peer_epoch, open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.cli.operations.view import FORESEEN_COLUMNS, foreseen_items, is_blocked
    from replicator.failover import make_plan, rehearse_operation

    with open_world(app, flow, choices, kind=kind, fence=fence) as world, StepTeller(app) as teller:
        highest_peer_epoch(world)
        if plan_out is not None:
            _write_plan(plan_out, make_plan(world, kind))
        foreseen = rehearse_operation(world, kind, onlooker=teller)
    items = foreseen if app.output.is_for_people else foreseen_items(foreseen)
    emit(_PLANS[kind.value], output=app.output, items=items, columns=FORESEEN_COLUMNS)
    blocked = [step for step in foreseen if is_blocked(step)]
    if blocked:
        told = "; ".join(f"{', '.join(steps)}: {reason}" for reason, steps in _by_reason(blocked).items())
        hint = getattr(blocked[0].finding, "hint", None)
        raise PreflightBlocked(f"{kind.value} of {flow.name} would stop at {told}", hint=hint)
    app.tell("nothing was changed; that every check passes now is no promise of success")


def _by_reason(blocked: Sequence[ForeseenStep]) -> dict[str, list[str]]:
    """Return the steps that each reason would stop, in their order."""
    found: dict[str, list[str]] = {}
    for step in blocked:
        if isinstance(step.finding, Blocked):
            found.setdefault(step.finding.reason, []).append(step.step)
    return found


def _write_plan(path: Path, plan: MovePlan) -> None:
    body = {"apiVersion": "replicator/v1", "kind": "MovePlan", "digest": plan.digest, "plan": to_plain(plan)}
    try:
        path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"--plan-out {path}: {exc.strerror}", hint="name a file that can be written") from exc


def _read_plan(path: Path) -> MovePlan:
    from replicator.failover import plan_from

    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise UsageError(f"--plan {path}: cannot be read as a plan: {exc}", hint="--dry-run --plan-out FILE") from exc
    if not isinstance(told, dict):
        raise UsageError(f"--plan {path}: holds no plan", hint="--dry-run --plan-out FILE")
    return plan_from(told)


def _hold_to_plan(world: World, kind: OperationKind, path: Path) -> None:
    """Return only if the world is as the plan in the file has it; the operation journals its digest.

    Raises:
        PreflightBlocked: it is not; nothing was changed.
    """
    from replicator.failover import make_plan, require_same

    plan = _read_plan(path)
    require_same(plan, make_plan(world, kind))
    world.plan_digest = plan.digest


def run(
    app: App,
    flow: Flow,
    choices: Choices,
    kind: OperationKind,
    *,
    hold_before: str | None,
    fence: str | None = None,
    plan: Path | None = None,
) -> None:
    """Run the flow's operation of this kind to its end, or resume the one that is open, and print its report.

    Raises:
        PreflightBlocked: the world is not as `plan` has it.
        PartlyDone: it is done with exceptions. Everything else as `run_operation`.
    """
    from replicator.cli.operations.doors import actor, highest_peer_epoch, open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.failover import Order, run_operation

    order = Order(kind=kind, actor=actor(), commanded_at=app.clock.now(), hold_before=hold_before)
    with open_world(app, flow, choices, kind=kind, fence=fence) as world, StepTeller(app) as teller:
        epoch = highest_peer_epoch(world)
        if plan is not None:
            _hold_to_plan(world, kind, plan)
        report = run_operation(world, order, announce=app.announce_operation, onlooker=teller, epoch_elsewhere=epoch)
    keep_drill(app, report)
    finish(app, report)


def keep_drill(app: App, report: OperationReport) -> None:
    """Leave the report of a drill in the store, where there is one; that it cannot be kept there is a warning."""
    from replicator.model.operations import OperationKind
    from replicator.supervisor.reports import keep_report

    if report.kind is not OperationKind.DRILL:
        return
    try:
        key = keep_report(app.settings, report)
    except ReplicatorError as error:
        app.warn(f"the drill's report is in the journal alone: {error.message}")
        return
    if key is not None:
        app.tell(f"the report is kept in {app.settings.store}/{key}; `replicator audit report` proves it")


def finish(app: App, report: OperationReport) -> None:
    """Print the report, and raise PartlyDone where exceptions are left."""
    from replicator.cli.operations.view import report_view

    app.operation_id = app.hint_if_interrupted = None
    view = report_view(report) if app.output.is_for_people else None
    emit("Operation", output=app.output, item=report, view=view)
    if report.exceptions:
        raise PartlyDone(
            f"{report.kind.value} of {report.flow} is done with {len(report.exceptions)} exceptions",
            detail="\n".join(report.exceptions),
            hint=f"replicator op show {report.operation_id}",
            operation_id=report.operation_id,
        )
