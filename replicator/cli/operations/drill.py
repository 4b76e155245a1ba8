"""`replicator drill`: a failover rehearsed on clones of the groups, while clients work on."""

from __future__ import annotations

import click

from replicator.cli.context import App, pass_app


@click.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_rehearsal", is_flag=True, help="Check every step, change nothing.")
@click.option("--hold-before", metavar="STEP", help="Stop before this step: before clean_up the clones can be seen.")
@pass_app
def drill(app: App, flow_name: str, *, is_agreed: bool, is_rehearsal: bool, hold_before: str | None) -> None:
    """Rehearse a failover of FLOW: clone its groups, set and compare the clones, time every step, remove them.

    Exits 0 when it passed, 3 when some group would not stand where it has to. No client notices.
    """
    from replicator.cli.operations.running import rehearse, run
    from replicator.failover import DRILL, Choices

    flow = app.settings.flow(flow_name)
    if hold_before is not None:
        DRILL.step(hold_before)
    if is_rehearsal:
        rehearse(app, flow, Choices(), DRILL.kind)
        return
    app.confirm_moderate(f"Drill a failover of flow {flow.name} on {flow.target}", is_agreed=is_agreed)
    run(app, flow, Choices(), DRILL.kind, hold_before=hold_before)
