"""`replicator switchover`: both sides live; clients move to the standby and no record is lost."""

from __future__ import annotations

from pathlib import Path

import click

from replicator.cli.context import App, pass_app

FENCES = click.Choice(["acl", "hook", "attested", "none"])


@click.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("--confirm", metavar="FLOW", help="Type the flow's name: past promote the only way back is a failback.")
@click.option("--dry-run", "is_rehearsal", is_flag=True, help="Check every step, change nothing.")
@click.option(
    "--fence", type=FENCES, help="How the source is kept from taking writes (failover.fence). attested: you say so."
)
@click.option("--accept", multiple=True, metavar="WHAT", help="split-brain, loss; comma-separated.")
@click.option("--hold-before", metavar="STEP", help="Stop before this step; `op resume` goes on, `op abort` goes back.")
@click.option("--plan-out", type=click.Path(path_type=Path), metavar="FILE", help="With --dry-run: keep the plan.")
@click.option("--plan", type=click.Path(path_type=Path), metavar="FILE", help="Refuse where the world has drifted.")
@pass_app
def switchover(
    app: App,
    flow_name: str,
    *,
    confirm: str | None,
    is_rehearsal: bool,
    fence: str | None,
    accept: tuple[str, ...],
    hold_before: str | None,
    plan_out: Path | None,
    plan: Path | None,
) -> None:
    """Planned move without loss: fence, drain, stop, move. The same command again resumes."""
    from replicator.cli.operations.doors import parse_choices
    from replicator.cli.operations.running import rehearse, run
    from replicator.failover import SWITCHOVER

    flow = app.settings.flow(flow_name)
    choices = parse_choices(accept)
    if hold_before is not None:
        SWITCHOVER.step(hold_before)
    if is_rehearsal:
        rehearse(app, flow, choices, SWITCHOVER.kind, fence=fence, plan_out=plan_out)
        return
    app.confirm_severe(f"switchover of {flow.name} from {flow.source} to {flow.target}", name=flow.name, given=confirm)
    run(app, flow, choices, SWITCHOVER.kind, hold_before=hold_before, fence=fence, plan=plan)
