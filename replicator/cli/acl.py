"""`replicator acl`: the rights that we and MirrorMaker 2 need, on each cluster, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.model.acls import PatternType
from replicator.model.forms.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicator.model.acls import AclBinding
    from replicator.supervisor.doctor import ClusterRights

HOLDERS = ("supervisor", "mirror")
NOBODY = "User:NAME"
"""Stands where a principal is not known: it logs in by certificate, or the cluster asks nobody."""


@click.group()
def acl() -> None:
    """Rights: what a cluster must grant."""


@acl.command()
@click.option("--flow", "flow_name", metavar="FLOW", help="Only for this flow.")
@click.option("--for", "holder", type=click.Choice(HOLDERS), help="Only for the supervisor, or for MirrorMaker 2.")
@click.option("--commands", "is_as_commands", is_flag=True, help="Print kafka-acls commands that grant them.")
@pass_app
def show(app: App, flow_name: str | None, holder: str | None, *, is_as_commands: bool) -> None:
    """Print the rights a configuration needs; nothing is asked of any cluster.

    What `doctor` compares the clusters' rules against. Where a Connect stands beside the source, the rights of the
    way back are among them.
    """
    from replicator.model.rights import Holder
    from replicator.supervisor.doctor import rights_of_settings

    found = rights_of_settings(app.settings, flow=flow_name, holder=None if holder is None else Holder(holder))
    if is_as_commands:
        for line in _commands(app, found):
            click.echo(safe_text(line))
        return
    emit("Right", items=list(_rows(found)), output=app.output, columns=_COLUMNS, warnings=_warnings(found))


@acl.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("--commands", "is_as_commands", is_flag=True, help="Print kafka-acls commands for what is missing.")
@pass_app
def staged(app: App, flow_name: str, *, is_as_commands: bool) -> None:
    """Print the rights that `promote` gives applications on the standby of FLOW, and which of them stand there.

    Asked is the standby alone: a supervisor keeps there what applications may do on the active.
    """
    from replicator.failover import missing_rules, staged_rules
    from replicator.supervisor import World
    from replicator.supervisor.doctor.grants import acl_command

    deadline = app.deadline()
    with World(app.settings, clock=app.clock) as world:
        parts = world.flow(flow_name)
        wanted = staged_rules(parts.flow, parts.observations.read(parts.flow.name, deadline))
        missing = set(missing_rules(wanted.rules, parts.target.acls.list(deadline)))
    if is_as_commands:
        bootstrap = app.settings.document.clusters[parts.flow.target].bootstrap
        for rule in wanted.rules:
            if rule in missing:
                click.echo(safe_text(acl_command(rule, bootstrap=bootstrap)))
        return
    rows = [{**rule_row(rule), "stands": rule not in missing} for rule in wanted.rules]
    left_out = [
        f"left out, since it denies everybody: {rule.right.value} on {rule.resource_type.value} {safe_text(rule.name)}"
        for rule in wanted.left_out
    ]
    emit("Staged", items=rows, output=app.output, columns=_STAGED_COLUMNS, warnings=left_out)


def rule_row(rule: AclBinding) -> dict[str, Any]:
    """Return a rule as JSON tells it."""
    return {
        "principal": rule.principal,
        "resource_type": rule.resource_type.value,
        "name": rule.name,
        "pattern": rule.pattern.value,
        "right": rule.right.value,
        "permission": rule.permission.value,
        "host": rule.host,
    }


def _rows(found: Sequence[ClusterRights]) -> Iterator[dict[str, Any]]:
    for one in found:
        for need in one.needs:
            yield {
                "cluster": one.cluster,
                "for": one.holder.value,
                "principal": one.principal,
                "resource_type": need.resource_type.value,
                "name": need.name,
                "pattern": need.pattern.value,
                "right": need.right.value,
                "why": need.why,
            }


def _commands(app: App, found: Sequence[ClusterRights]) -> Iterator[str]:
    from replicator.supervisor.doctor.grants import acl_command

    for one in found:
        bootstrap = app.settings.document.clusters[one.cluster].bootstrap
        yield f"# {one.holder.value} on {one.cluster}"
        for need in one.needs:
            yield acl_command(need.binding(one.principal or NOBODY), bootstrap=bootstrap)


def _warnings(found: Sequence[ClusterRights]) -> list[str]:
    nameless = sorted({f"{one.holder.value} on {one.cluster}" for one in found if one.principal is None})
    return [f"{', '.join(nameless)}: no user name is configured, write the principal yourself"] if nameless else []


def _told_name(row: dict[str, Any]) -> str:
    return f"{row['name']}*" if row["pattern"] == PatternType.PREFIXED.value else str(row["name"])


_COLUMNS = (
    Column("CLUSTER", lambda row: row["cluster"]),
    Column("FOR", lambda row: row["for"]),
    Column("PRINCIPAL", lambda row: row["principal"]),
    Column("RESOURCE", lambda row: row["resource_type"]),
    Column("NAME", _told_name),
    Column("RIGHT", lambda row: row["right"]),
    Column("WHY", lambda row: row["why"]),
)

_STAGED_COLUMNS = (
    Column("PRINCIPAL", lambda row: row["principal"]),
    Column("RESOURCE", lambda row: row["resource_type"]),
    Column("NAME", _told_name),
    Column("RIGHT", lambda row: row["right"] if row["permission"] == "allow" else f"not {row['right']}"),
    Column("STANDS", lambda row: "yes" if row["stands"] else "at promote"),
)
