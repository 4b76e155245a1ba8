"""`replicator plan` and `replicator apply`: what has to change so that flows are what the configuration says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit, make_table, text_of
from replicator.errors import NotFound, PreflightBlocked

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.clock import Deadline
    from replicator.flow import Plan
    from replicator.model.flow import Flow

_PLAN_SECONDS = 60.0
_APPLY_SECONDS = 180.0


@click.command()
@click.argument("flow_name", metavar="[FLOW]", required=False)
@pass_app
def plan(app: App, flow_name: str | None) -> int:
    """Show what `apply` would change, and why; change nothing.

    Exits 0 when it can be applied, 4 when something forbids it.
    """
    deadline = app.deadline(_PLAN_SECONDS)
    plans = [_plan_one(app, flow, deadline) for flow in _chosen(app, flow_name)]
    _emit_plans(app, plans)
    return PreflightBlocked.exit_status if any(one.refusals for one in plans) else 0


@click.command()
@click.argument("flow_name", metavar="[FLOW]", required=False)
@pass_app
def apply(app: App, flow_name: str | None) -> None:
    """Make flows what the configuration says; with nothing to do it does nothing.

    All flows are planned before the first is changed: one that is refused leaves everything as it is.
    """
    from replicator.flow import require_applicable

    deadline = app.deadline(_APPLY_SECONDS)
    flows = _chosen(app, flow_name)
    plans = [_plan_one(app, flow, deadline) for flow in flows]
    for one in plans:
        require_applicable(one)
    app.hint_if_interrupted = "every change told above is done; `replicator apply` makes the rest"
    for flow in flows:
        _apply_one(app, flow, deadline)
    app.hint_if_interrupted = None
    emit(
        "Applied",
        output=app.output,
        items=[{"flow": one.flow, "changes": list(one.changes), "warnings": list(one.warnings)} for one in plans],
        columns=(
            Column("FLOW", lambda row: row["flow"]),
            Column("CHANGES", lambda row: len(row["changes"]), is_number=True),
            Column("STATE", lambda row: "as configured" if row["changes"] else "was as configured"),
        ),
        warnings=[warning for one in plans for warning in one.warnings],
    )


def _chosen(app: App, flow_name: str | None) -> Sequence[Flow]:
    if flow_name is not None:
        return (app.settings.flow(flow_name),)
    if not app.settings.flows:
        raise NotFound("the configuration has no flow", hint="add one under flows:, then `replicator plan`")
    return app.settings.flows


def _plan_one(app: App, flow: Flow, deadline: Deadline) -> Plan:
    from replicator.cli.flows.doors import open_flow, sides_of

    with open_flow(app.settings, flow.name) as doors, app.waiting_for(sides_of(flow, deadline)):
        return doors.plan(deadline)


def _apply_one(app: App, flow: Flow, deadline: Deadline) -> None:
    from replicator.cli.flows.doors import open_flow
    from replicator.flow import apply_plan

    with open_flow(app.settings, flow.name) as doors:
        # Planned again just before it is applied: flows of one configuration share topics.
        apply_plan(
            doors.plan(deadline),
            handles=doors.handles,
            replan=lambda: doors.plan(deadline),
            deadline=deadline,
            told=lambda change: app.tell(f"{flow.name}: {change.line}"),
        )


def _emit_plans(app: App, plans: Sequence[Plan]) -> None:
    emit(
        "Plan",
        output=app.output,
        items=plans,
        columns=(
            Column("FLOW", lambda one: one.flow),
            Column("CHANGES", lambda one: len(one.changes), is_number=True),
            Column("REFUSALS", lambda one: len(one.refusals), is_number=True),
        ),
        view=_view(plans),
        warnings=[warning for one in plans for warning in one.warnings],
    )


def _view(plans: Sequence[Plan]) -> RenderableType:
    table = make_table("FLOW", "ACT", "WHAT", "WHY")
    for one in plans:
        for refusal in one.refusals:
            cells = (one.flow, "refused", refusal.line, f"next: {refusal.hint}")
            table.add_row(*(text_of(cell, style="red") for cell in cells))
        for change in one.changes:
            table.add_row(*map(text_of, (one.flow, change.act, change.what, change.why)))
        if one.is_empty:
            table.add_row(*map(text_of, (one.flow, "nothing", "", "everything is as configured")))
    return table
