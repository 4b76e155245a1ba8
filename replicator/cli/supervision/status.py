"""`replicator status`: every flow on one screen, from a live supervisor or from here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, OutputFormat, emit
from replicator.cli.supervision.look import look
from replicator.model.forms.figures import show_count, show_lag_seconds, show_rate, show_seconds

if TYPE_CHECKING:
    from replicator.api.schema import FlowView, StatusView

_STATE_STYLES = {
    "HEALTHY": "green",
    "LAGGING": "yellow",
    "DEGRADED": "yellow",
    "PAUSED": "yellow",
    "STOPPED": "yellow",
    "FAILED_OVER": "cyan",
    "STALLED": "bold red",
    "FAILED": "bold red",
    "UNKNOWN": "magenta",
}


@click.command()
@click.argument("flow", required=False)
@pass_app
def status(app: App, flow: str | None) -> None:
    """State and cause, lag, rates and age of every flow, or of one; under a supervisor its readiness too.

    LAG is for how long the oldest record not mirrored has waited, at least so long where ≥ stands before it. AGE is how
    old the figures are. UNREAD is how long nobody has read the source: what was written since, nobody knows. FAILOVER
    is whether one would work now.
    """
    with look(app, flow) as seen:
        found = seen.status
    if app.output.format in (OutputFormat.JSON, OutputFormat.YAML):
        emit("Status", item=found, output=app.output, warnings=unread(found))
    else:
        columns = status_columns(found.computed_at)
        emit("FlowStatus", items=found.flows, output=app.output, columns=columns, warnings=unread(found))
        for line in next_commands(found):
            app.tell(f"next: {line}")


def unread(seen: StatusView) -> list[str]:
    """Return one line for each flow whose lag could not be read: it is unknown, not 0."""
    return [f"flow {flow.flow}: lag is unknown: {flow.cause}" for flow in seen.flows if flow.lag.lag_records is None]


def age_seconds(moment: datetime | None, *, now: datetime) -> float | None:
    """Return how old a figure of that moment is; None when there is none."""
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def next_commands(seen: StatusView) -> list[str]:
    """Return for each flow that is not ready to fail over as it should be the first command that helps."""
    return [
        f"{flow.flow}: {flow.readiness.fixes[0]}"
        for flow in seen.flows
        if flow.readiness is not None and flow.readiness.fixes
    ]


def status_columns(now: datetime) -> list[Column]:
    """Return the columns of the table; `now` is when the status was computed."""
    return [
        Column("FLOW", lambda flow: flow.flow),
        Column("DIRECTION", lambda flow: f"{flow.source.cluster} → {flow.target.cluster}"),
        Column("STATE", lambda flow: flow.state, style=_state_style),
        Column(
            "LAG",
            lambda flow: show_lag_seconds(flow.lag.lag_seconds, is_minimum=flow.lag.is_seconds_minimum),
            is_number=True,
        ),
        Column("RECORDS", lambda flow: show_count(flow.lag.lag_records), is_number=True),
        Column("IN", lambda flow: show_rate(flow.lag.rate_in), is_number=True),
        Column("OUT", lambda flow: show_rate(flow.lag.rate_out), is_number=True),
        Column("ETA", lambda flow: show_seconds(flow.lag.eta_seconds), is_number=True),
        Column("STALLED PARTITIONS", lambda flow: show_count(flow.lag.stalled_partitions), is_number=True),
        Column("AGE", lambda flow: show_seconds(age_seconds(flow.lag.observed_at, now=now)), is_number=True),
        Column("UNREAD", lambda flow: show_seconds(flow.window_seconds), is_number=True),
        Column("FAILOVER", lambda flow: None if flow.readiness is None else flow.readiness.answer.replace("_", " ")),
        Column("CAUSE", lambda flow: flow.cause),
    ]


def _state_style(flow: FlowView) -> str | None:
    return _STATE_STYLES.get(flow.state)
