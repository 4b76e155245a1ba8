"""One way to run a runbook, or to rehearse it, from the command line; every operation verb goes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.cli.context import App
from replicator.cli.output import emit
from replicator.errors import PartlyDone, PreflightBlocked

if TYPE_CHECKING:
    from replicator.failover import Choices, OperationReport
    from replicator.model.flow import Flow
    from replicator.model.operations import OperationKind

_PLANS = {"failover": "FailoverPlan", "switchover": "SwitchoverPlan", "failback": "FailbackPlan", "drill": "DrillPlan"}


def rehearse(app: App, flow: Flow, choices: Choices, kind: OperationKind, *, fence: str | None = None) -> None:
    """Print what each step would find now; nothing is changed.

    Raises:
        PreflightBlocked: some step would stop the operation.
    """
    from replicator.cli.operations.doors import highest_peer_epoch, open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.cli.operations.view import FORESEEN_COLUMNS, foreseen_items, is_blocked
    from replicator.failover import rehearse_operation

    with open_world(app, flow, choices, kind=kind, fence=fence) as world, StepTeller(app) as teller:
        highest_peer_epoch(world)
        foreseen = rehearse_operation(world, kind, onlooker=teller)
    items = foreseen if app.output.is_for_people else foreseen_items(foreseen)
    emit(_PLANS[kind.value], output=app.output, items=items, columns=FORESEEN_COLUMNS)
    blocked = [step for step in foreseen if is_blocked(step)]
    if blocked:
        told = "; ".join(f"{step.step}: {getattr(step.finding, 'reason', '')}" for step in blocked)
        hint = getattr(blocked[0].finding, "hint", None)
        raise PreflightBlocked(f"{kind.value} of {flow.name} would stop at {told}", hint=hint)
    app.tell("nothing was changed; that every check passes now is no promise of success")


def run(
    app: App,
    flow: Flow,
    choices: Choices,
    kind: OperationKind,
    *,
    hold_before: str | None,
    fence: str | None = None,
) -> None:
    """Run the flow's operation of this kind to its end, or resume the one that is open, and print its report.

    Raises:
        PartlyDone: it is done with exceptions. Everything else as `run_operation`.
    """
    from replicator.cli.operations.doors import actor, highest_peer_epoch, open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.failover import Order, run_operation

    order = Order(kind=kind, actor=actor(), commanded_at=app.clock.now(), hold_before=hold_before)
    with open_world(app, flow, choices, kind=kind, fence=fence) as world, StepTeller(app) as teller:
        epoch = highest_peer_epoch(world)
        report = run_operation(world, order, announce=app.announce_operation, onlooker=teller, epoch_elsewhere=epoch)
    finish(app, report)


def finish(app: App, report: OperationReport) -> None:
    """Print the report, and raise PartlyDone where exceptions are left."""
    from replicator.cli.operations.view import report_view

    app.operation_id = None
    view = report_view(report) if app.output.is_for_people else None
    emit("Operation", output=app.output, item=report, view=view)
    if report.exceptions:
        raise PartlyDone(
            f"{report.kind.value} of {report.flow} is done with {len(report.exceptions)} exceptions",
            detail="\n".join(report.exceptions),
            hint=f"replicator op show {report.operation_id}",
            operation_id=report.operation_id,
        )
