"""`replicator failover`: the source is lost; the standby takes over, and what that costs is said."""

from __future__ import annotations

from pathlib import Path

import click

from replicator.cli.context import App, pass_app


@click.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("--confirm", metavar="FLOW", help="Type the flow's name: past promote the only way back is a failback.")
@click.option("--dry-run", "is_rehearsal", is_flag=True, help="Check every step, change nothing.")
@click.option("--accept", multiple=True, metavar="WHAT", help="split-brain, stale-groups, loss; comma-separated.")
@click.option(
    "--max-loss", "loss_max", type=click.IntRange(min=0), metavar="RECORDS", help="Stop where more may be lost."
)
@click.option("--hold-before", metavar="STEP", help="Stop before this step; `op resume` goes on.")
@click.option("--plan-out", type=click.Path(path_type=Path), metavar="FILE", help="With --dry-run: keep the plan.")
@click.option("--plan", type=click.Path(path_type=Path), metavar="FILE", help="Refuse where the world has drifted.")
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
    plan_out: Path | None,
    plan: Path | None,
) -> None:
    """Emergency move: the source is lost. The same command again resumes."""
    from replicator.cli.operations.doors import parse_choices
    from replicator.cli.operations.running import rehearse, run
    from replicator.failover import FAILOVER

    flow = app.settings.flow(flow_name)
    choices = parse_choices(accept, loss_max=loss_max)
    if hold_before is not None:
        FAILOVER.step(hold_before)
    if is_rehearsal:
        rehearse(app, flow, choices, FAILOVER.kind, plan_out=plan_out)
        return
    app.confirm_severe(f"failover of {flow.name} from {flow.source} to {flow.target}", name=flow.name, given=confirm)
    run(app, flow, choices, FAILOVER.kind, hold_before=hold_before, plan=plan)
