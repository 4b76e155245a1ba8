"""`replicator failover`: the source is lost; the standby takes over, and what that costs is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit
from replicator.errors import PartlyDone, PreflightBlocked

if TYPE_CHECKING:
    from replicator.failover import Choices, OperationReport
    from replicator.model.flow import Flow


@click.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("--confirm", metavar="FLOW", help="Type the flow's name: past promote the only way back is a failback.")
@click.option("--dry-run", "is_rehearsal", is_flag=True, help="Check every step, change nothing.")
@click.option("--accept", multiple=True, metavar="WHAT", help="split-brain, stale-groups, loss; comma-separated.")
@click.option(
    "--max-loss", "loss_max", type=click.IntRange(min=0), metavar="RECORDS", help="Stop where more may be lost."
)
@click.option("--hold-before", metavar="STEP", help="Stop before this step; `op resume` goes on.")
@pass_app
def failover(
    app: App,
    flow_name: str,
    *,
    confirm: str | None,
    is_rehearsal: bool,
    accept: tuple[str, ...],
    loss_max: int | None,
    hold_before: str | None,
) -> None:
    """Emergency move: the source is lost. The same command again resumes."""
    from replicator.cli.operations.doors import parse_choices
    from replicator.failover import FAILOVER

    flow = app.settings.flow(flow_name)
    choices = parse_choices(accept, loss_max=loss_max)
    if hold_before is not None:
        FAILOVER.step(hold_before)
    if is_rehearsal:
        _rehearse(app, flow, choices)
        return
    app.confirm_severe(f"failover of {flow.name} from {flow.source} to {flow.target}", name=flow.name, given=confirm)
    _run(app, flow, choices, hold_before=hold_before)


def _rehearse(app: App, flow: Flow, choices: Choices) -> None:
    from replicator.cli.operations.doors import open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.cli.operations.view import FORESEEN_COLUMNS, foreseen_items, is_blocked
    from replicator.failover import rehearse_operation
    from replicator.model.operations import OperationKind

    with open_world(app, flow, choices) as world, StepTeller(app) as teller:
        foreseen = rehearse_operation(world, OperationKind.FAILOVER, onlooker=teller)
    if app.output.is_for_people:
        emit("FailoverPlan", output=app.output, items=foreseen, columns=FORESEEN_COLUMNS)
    else:
        emit("FailoverPlan", output=app.output, items=foreseen_items(foreseen), columns=FORESEEN_COLUMNS)
    blocked = [step for step in foreseen if is_blocked(step)]
    if blocked:
        told = "; ".join(f"{step.step}: {getattr(step.finding, 'reason', '')}" for step in blocked)
        hint = getattr(blocked[0].finding, "hint", None)
        raise PreflightBlocked(f"failover of {flow.name} would stop at {told}", hint=hint)
    app.tell("nothing was changed; that every check passes now is no promise of success")


def _run(app: App, flow: Flow, choices: Choices, *, hold_before: str | None) -> None:
    from replicator.cli.operations.doors import actor, highest_peer_epoch, open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.failover import Order, run_operation
    from replicator.model.operations import OperationKind

    order = Order(kind=OperationKind.FAILOVER, actor=actor(), commanded_at=app.clock.now(), hold_before=hold_before)
    with open_world(app, flow, choices) as world, StepTeller(app) as teller:
        report = run_operation(
            world,
            order,
            announce=app.announce_operation,
            onlooker=teller,
            epoch_elsewhere=highest_peer_epoch(world),
        )
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
