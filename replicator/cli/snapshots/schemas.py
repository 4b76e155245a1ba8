"""`replicator snapshot schemas`: the schemas of a snapshot brought back to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit, make_table, text_of
from replicator.errors import ConfigInvalid, PreflightBlocked

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.model.archive.schemas import SchemasPlan, SchemasReport

RESTORE_SECONDS = 600.0


@click.command()
@click.argument("reference", metavar="ID")
@click.option("--target", metavar="CLUSTER", required=True, help="The cluster whose registry gets them.")
@click.option(
    "--ids",
    type=click.Choice(["same", "map"]),
    default="same",
    show_default=True,
    help="same: every schema has the id it had; map: the registry gives new ids, and the report tells which.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def schemas(
    app: App, reference: str, target: str, ids: str, store: str | None, *, dry_run: bool, is_agreed: bool
) -> None:
    """Bring a snapshot's schemas back to the registry beside a cluster. Run again after a kill, it goes on."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.kafka.registry import SchemaRegistry
    from replicator.model.archive.schemas import IdRule
    from replicator.model.names import ClusterName
    from replicator.snapshot.schemas import SchemaRestorer

    app.settings.cluster_section(target)
    access = app.settings.registry_access(target)
    if access is None:
        raise ConfigInvalid(
            f"cluster {target} has no schema registry: registries.{target} is not configured",
            hint=f"set registries.{target}.url",
        )
    repository = open_repository(app, store)
    snapshot_id = repository.find(reference)
    deadline = app.deadline(RESTORE_SECONDS)
    with SchemaRegistry(access) as registry:
        restorer = SchemaRestorer(registry, repository, cluster=ClusterName(target))
        plan = restorer.plan(snapshot_id, IdRule(ids), deadline=deadline)
        if dry_run:
            emit("SchemasPlan", output=app.output, item=plan, warnings=plan.warnings, view=plan_view(plan))
        if plan.refusals:
            raise PreflightBlocked(
                f"registry of {target}: {plan.refusals[0]}",
                detail="\n".join(plan.refusals),
                hint="restore to an empty registry, or give new ids with --ids map",
            )
        if dry_run:
            return
        app.confirm_moderate(_describe(plan, url=access.url), is_agreed=is_agreed)
        app.hint_if_interrupted = "a subject may stand in mode IMPORT: the same command again goes on and ends that"
        done = restorer.apply(plan, deadline=deadline)
        app.hint_if_interrupted = None
    emit("SchemasRestore", output=app.output, item=done, warnings=done.warnings, view=report_view(done))


def plan_view(plan: SchemasPlan) -> RenderableType:
    """One line a version, in the order of their coming."""
    table = make_table("SUBJECT", "VERSION", "ID", "TYPE", "DELETED", "ACTION")
    for step in plan.steps:
        one = step.version
        action = "register" if step.must_register else "delete" if step.must_delete else "there already"
        told = (one.subject, one.version, one.id, one.schema_type, "yes" if one.is_deleted else None, action)
        table.add_row(*map(text_of, told))
    return table


def report_view(report: SchemasReport) -> RenderableType:
    """What was done, and each id that is another one now."""
    table = make_table("SUBJECT", "VERSION", "CAPTURED ID", "ID NOW")
    table.title = f"{report.versions} versions of {report.subjects} subjects, {report.registered} of them registered"
    for one in report.moved:
        table.add_row(*map(text_of, (one.subject, one.version, one.captured, one.restored)))
    return table


def _describe(plan: SchemasPlan, *, url: str) -> str:
    count = sum(step.must_register for step in plan.steps)
    rule = "with the ids they had" if plan.ids.value == "same" else "under new ids"
    return f"Register {count} schemas {rule} in the registry of {plan.cluster} ({url})"
