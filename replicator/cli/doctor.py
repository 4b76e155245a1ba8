"""`replicator doctor`: what stands against the flows, before it matters; each finding with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.errors import PartlyDone, PreflightBlocked

if TYPE_CHECKING:
    from replicator.supervisor.doctor import Finding

SECONDS = 45.0
_STYLES = {"ok": "green", "skipped": "dim", "unknown": "magenta", "warning": "yellow", "blocked": "bold red"}


@click.command()
@click.option("--only-issues", is_flag=True, help="Leave out what is well, and what there is nothing to check of.")
@click.option("--cluster", metavar="CLUSTER", help="Only this cluster, its rights, and the Connect beside it.")
@pass_app
def doctor(app: App, *, only_issues: bool, cluster: str | None) -> int:
    """Check configuration, clusters, versions, rights, flows and the store; change nothing.

    Exits 0 when all is well, 3 with warnings or checks that could not be made, 4 when something blocks.
    """
    from replicator.cli.config import advice_for
    from replicator.supervisor.assemble import World
    from replicator.supervisor.doctor import examine, gather_facts, worst_of

    with World(app.settings, clock=app.clock) as world:
        facts = gather_facts(
            world,
            advice=advice_for(app.settings),
            deadline=app.deadline(SECONDS),
            cluster=cluster,
            clock=app.clock,
        )
    findings = examine(facts)
    shown = [one for one in findings if one.severity.is_complaint or not only_issues]
    emit("Finding", items=shown, output=app.output, columns=_COLUMNS)
    worst = worst_of(findings)
    _sum_up(app, findings)
    return {"blocked": PreflightBlocked.exit_status, "warning": PartlyDone.exit_status}.get(
        worst.value, PartlyDone.exit_status if worst.is_complaint else 0
    )


def _sum_up(app: App, findings: tuple[Finding, ...]) -> None:
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.severity.value] = counts.get(finding.severity.value, 0) + 1
    app.tell(", ".join(f"{count} {severity}" for severity, count in counts.items()))


_COLUMNS = (
    Column("SEVERITY", lambda one: one.severity, style=lambda one: _STYLES.get(one.severity.value)),
    Column("CHECK", lambda one: one.check),
    Column("SUBJECT", lambda one: one.subject),
    Column("WHAT", lambda one: one.what),
    Column("FIX", lambda one: one.fix),
)
