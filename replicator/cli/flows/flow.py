"""`replicator flow`: look at flows, and pause, resume, stop and restart them. Every act waits for its proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit, make_table, text_of
from replicator.model.forms.figures import show_count, show_lag_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.cli.flows.doors import FlowAct
    from replicator.clock import Deadline
    from replicator.flow import FlowLook

_STATE_STYLES = {"HEALTHY": "green", "LAGGING": "yellow", "DEGRADED": "yellow", "UNKNOWN": "magenta"}


def _yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")(command)


@click.group()
def flow() -> None:
    """List, show, pause, resume, stop and restart flows."""


@flow.command(name="list")
@pass_app
def list_flows(app: App) -> None:
    """List the configured flows with their state."""
    deadline = app.deadline()
    looks = [_look(app, one.name, deadline) for one in app.settings.flows]
    emit(
        "FlowList",
        output=app.output,
        items=[_to_row(look) for look in looks],
        columns=(
            Column("FLOW", lambda row: row["flow"]),
            Column("STATE", lambda row: row["state"], style=lambda row: _style(row["state"])),
            Column("FROM", lambda row: row["source"]),
            Column("TO", lambda row: row["target"]),
            Column("TOPICS", lambda row: show_count(row["topics"]), is_number=True),
            Column("LAG RECORDS", lambda row: show_count(row["lag_records"]), is_number=True),
            Column("TASKS", lambda row: row["tasks"]),
            Column("CAUSE", lambda row: row["cause"]),
        ),
    )


@flow.command()
@click.argument("flow_name", metavar="FLOW")
@pass_app
def show(app: App, flow_name: str) -> None:
    """Show one flow: state and cause, connectors and tasks, topics and their lag in records."""
    look = _look(app, flow_name, app.deadline())
    item = {
        **_to_row(look),
        "connectors": look.connectors,
        "topic_names": look.topics,
        "lag": look.lag,
        "verdicts": look.health.verdicts,
        "observed_at": look.observed_at,
    }
    emit("Flow", output=app.output, item=item, view=_view(look))


@flow.command()
@click.argument("flow_name", metavar="FLOW")
@_yes_option
@pass_app
def pause(app: App, flow_name: str, *, is_agreed: bool) -> None:
    """Pause a flow: tasks stay, records wait. For a fence use `stop`."""
    from replicator.flow import pause_flow

    app.settings.flow(flow_name)
    app.confirm_moderate(f"Pause flow {flow_name}", is_agreed=is_agreed)
    _act(app, flow_name, lambda doors, deadline: pause_flow(doors.flow, doors.handles.connect, deadline))


@flow.command()
@click.argument("flow_name", metavar="FLOW")
@_yes_option
@pass_app
def stop(app: App, flow_name: str, *, is_agreed: bool) -> None:
    """Stop a flow: no task is left, and no `apply` starts it again; `resume` does."""
    from replicator.flow import stop_flow

    app.settings.flow(flow_name)
    app.confirm_moderate(f"Stop flow {flow_name}", is_agreed=is_agreed)
    _act(app, flow_name, lambda doors, deadline: stop_flow(doors.flow, doors.handles.connect, deadline))


@flow.command()
@click.argument("flow_name", metavar="FLOW")
@pass_app
def resume(app: App, flow_name: str) -> None:
    """Let a paused or stopped flow run again, unless something forbids it."""
    from replicator.flow import resume_flow

    _act(
        app,
        flow_name,
        lambda doors, deadline: resume_flow(doors.flow, doors.handles.connect, doors.plan(deadline), deadline),
    )


@flow.command()
@click.argument("flow_name", metavar="FLOW")
@click.option("--all", "is_whole", is_flag=True, help="Restart every task, not only failed ones.")
@_yes_option
@pass_app
def restart(app: App, flow_name: str, *, is_whole: bool, is_agreed: bool) -> None:
    """Restart what has failed, and wait until it runs."""
    from replicator.flow import restart_flow

    app.settings.flow(flow_name)
    if is_whole:
        app.confirm_moderate(f"Restart every task of flow {flow_name}", is_agreed=is_agreed)
    _act(
        app,
        flow_name,
        lambda doors, deadline: restart_flow(doors.flow, doors.handles.connect, deadline, is_whole=is_whole),
    )


def _look(app: App, flow_name: str, deadline: Deadline) -> FlowLook:
    from replicator.cli.flows.doors import open_flow, sides_of
    from replicator.flow import look_at_flow

    with open_flow(app.settings, flow_name) as doors, app.waiting_for(sides_of(doors.flow, deadline)):
        return look_at_flow(
            doors.flow,
            handles=doors.handles,
            journal=doors.read_journal_if_possible(deadline),
            now=app.clock.now(),
            deadline=deadline,
        )


def _act(app: App, flow_name: str, act: FlowAct) -> None:
    """Do what is asked unless an operation runs, and print the states seen afterwards."""
    from replicator.cli.flows.doors import act_on_flow, sides_of

    deadline = app.deadline(90.0)
    with app.waiting_for(sides_of(app.settings.flow(flow_name), deadline)):
        statuses = act_on_flow(app.settings, flow_name, act, deadline)
    emit(
        "ConnectorStatus",
        output=app.output,
        items=statuses,
        columns=(
            Column("CONNECTOR", lambda status: status.name),
            Column("STATE", lambda status: status.state),
            Column("TASKS", lambda status: ", ".join(task.state.value for task in status.tasks) or "none"),
        ),
    )


def _to_row(look: FlowLook) -> dict[str, object]:
    return {
        "flow": look.flow.name,
        "state": look.health.state.value,
        "cause": look.health.cause,
        "source": look.flow.source,
        "target": look.flow.target,
        "naming": look.flow.naming,
        "delivery": look.flow.delivery,
        "topics": None if look.topics is None else len(look.topics),
        "tasks": _told_tasks(look),
        "lag_records": look.lag.lag_records,
    }


def _told_tasks(look: FlowLook) -> str | None:
    if look.connectors is None:
        return None
    statuses = [connector.status for connector in look.connectors.values() if connector.status is not None]
    tasks = [task.state for status in statuses for task in status.tasks]
    return f"{sum(state.value == 'RUNNING' for state in tasks)}/{len(tasks)}"


def _style(state: str) -> str:
    return _STATE_STYLES.get(state, "red")


def _view(look: FlowLook) -> RenderableType:
    from rich.console import Group

    head = make_table("FLOW", "STATE", "FROM", "TO", "NAMING", "DELIVERY", "LAG RECORDS", numbers=["LAG RECORDS"])
    row = _to_row(look)
    state = text_of(row["state"], style=_style(str(row["state"])))
    rest = [text_of(row[key]) for key in ("source", "target", "naming", "delivery")]
    head.add_row(text_of(row["flow"]), state, *rest, text_of(show_count(look.lag.lag_records)))
    return Group(head, text_of(f"cause: {look.health.cause}"), text_of(""), _connector_table(look), _topic_table(look))


def _connector_table(look: FlowLook) -> RenderableType:
    table = make_table("CONNECTOR", "STATE", "TASK", "TASK STATE", "WHY")
    for name, connector in sorted((look.connectors or {}).items()):
        status = connector.status
        if status is None or not status.tasks:
            table.add_row(text_of(name), text_of(status.state if status else None), "", "", "")
        for task in status.tasks if status is not None else ():
            cells = (name, status.state if status else None, task.id, task.state, (task.trace or "").split("\n")[0])
            table.add_row(*(text_of(cell) for cell in cells))
    return table


def _topic_table(look: FlowLook) -> RenderableType:
    table = make_table(
        "TOPIC", "PARTITIONS", "LAG RECORDS", "LAG SECONDS", numbers=["PARTITIONS", "LAG RECORDS", "LAG SECONDS"]
    )
    for topic in look.lag.topics:
        cells = (
            topic.topic,
            len(topic.partitions),
            show_count(topic.lag_records),
            show_lag_seconds(topic.lag_seconds, is_minimum=topic.is_seconds_minimum),
        )
        table.add_row(*(text_of(cell) for cell in cells))
    return table
