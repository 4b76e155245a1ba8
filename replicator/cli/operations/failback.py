"""`replicator failback`: the old active is back; the difference goes home, then the clients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from replicator.cli.context import App, pass_app
from replicator.cli.operations.switchover import FENCES
from replicator.model.names import TopicName


@click.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("--confirm", metavar="FLOW", help="Type the flow's name: clients move once more.")
@click.option("--dry-run", "is_rehearsal", is_flag=True, help="Check every step, change nothing.")
@click.option("--fence", type=FENCES, help="How the present active is kept from taking writes (failover.fence).")
@click.option("--accept", multiple=True, metavar="WHAT", help="split-brain; comma-separated.")
@click.option(
    "--rebuild",
    multiple=True,
    metavar="TOPIC",
    help="Delete this topic on the old active and copy it whole; may be given again. --dry-run tells bytes and time.",
)
@click.option(
    "--hold-before", metavar="STEP", help="Stop before this step: before fence_source the difference is at home."
)
@click.option("--plan-out", type=click.Path(path_type=Path), metavar="FILE", help="With --dry-run: keep the plan.")
@click.option("--plan", type=click.Path(path_type=Path), metavar="FILE", help="Refuse where the world has drifted.")
@pass_app
def failback(
    app: App,
    flow_name: str,
    *,
    confirm: str | None,
    is_rehearsal: bool,
    fence: str | None,
    accept: tuple[str, ...],
    rebuild: tuple[str, ...],
    hold_before: str | None,
    plan_out: Path | None,
    plan: Path | None,
) -> None:
    """Bring the difference home and move back, losing nothing. The same command again resumes."""
    from replicator.cli.operations.doors import parse_choices
    from replicator.cli.operations.running import rehearse, run
    from replicator.cli.worker import ensure_worker
    from replicator.failover import FAILBACK

    flow = app.settings.flow(flow_name)
    choices = replace(parse_choices(accept), rebuild=frozenset(TopicName(name) for name in rebuild))
    if hold_before is not None:
        FAILBACK.step(hold_before)
    if is_rehearsal:
        rehearse(app, flow, choices, FAILBACK.kind, fence=fence, plan_out=plan_out)
        return
    app.confirm_severe(f"failback of {flow.name} from {flow.target} to {flow.source}", name=flow.name, given=confirm)
    ensure_worker(app, flow.source)
    run(app, flow, choices, FAILBACK.kind, hold_before=hold_before, fence=fence, plan=plan)
