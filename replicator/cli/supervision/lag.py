"""`replicator lag`: how far the standby is behind, by flow, topic or partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.cli.supervision.look import Look, look
from replicator.cli.supervision.status import age_seconds, unread
from replicator.model.forms.figures import show_count, show_lag_seconds, show_rate, show_seconds

if TYPE_CHECKING:
    from replicator.api.schema import LagView, PartitionLagView


@dataclass(frozen=True, slots=True, kw_only=True)
class LagRow:
    """One line of lag. `age_seconds` is how old all its figures are; None is unknown, never 0."""

    flow: str
    topic: str | None
    partition: int | None
    lag_records: int | None
    lag_seconds: float | None
    is_seconds_minimum: bool
    rate_in: float | None
    rate_out: float | None
    eta_seconds: float | None
    stalled_partitions: int | None
    source_end: int | None
    mirrored_position: int | None
    observed_at: datetime | None
    age_seconds: float | None


@click.command()
@click.argument("flow", required=False)
@click.option(
    "--by", type=click.Choice(["flow", "topic", "partition"]), default="flow", help="One line for each (flow)."
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N furthest behind.")
@click.option("--only-issues", is_flag=True, help="Only what is behind, stalled or unknown.")
@pass_app
def lag(app: App, flow: str | None, by: str, top: int | None, only_issues: bool) -> None:
    """Lag in records and in seconds, rates in and out, time to catch up, and the age of each figure.

    Seconds are for how long the oldest record not mirrored has waited, at least so long where ≥ stands before them. A
    dash is unknown.
    """
    with look(app, flow) as seen:
        rows = choose_rows(list(lag_rows(seen, by=by)), top=top, is_only_issues=only_issues)
        emit("Lag", items=rows, output=app.output, columns=_columns(by), warnings=unread(seen.status))


def lag_rows(seen: Look, *, by: str) -> Iterator[LagRow]:
    """Return one row for each flow, topic or partition."""
    now = seen.status.computed_at
    for flow in seen.status.flows:
        if by == "flow":
            yield _row(flow.flow, flow.lag, now=now)
            continue
        for topic in sorted(seen.lag(flow.flow, has_partitions=by == "partition").topics, key=lambda one: one.topic):
            if by == "topic":
                yield _row(flow.flow, topic, now=now, topic=topic.topic)
            else:
                yield from (_partition_row(flow.flow, topic.topic, one, now=now) for one in topic.partitions)


def _row(flow: str, lag: LagView, *, now: datetime, topic: str | None = None) -> LagRow:
    return LagRow(
        flow=flow,
        topic=topic,
        partition=None,
        lag_records=lag.lag_records,
        lag_seconds=lag.lag_seconds,
        is_seconds_minimum=lag.is_seconds_minimum,
        rate_in=lag.rate_in,
        rate_out=lag.rate_out,
        eta_seconds=lag.eta_seconds,
        stalled_partitions=lag.stalled_partitions,
        source_end=None,
        mirrored_position=None,
        observed_at=lag.observed_at,
        age_seconds=age_seconds(lag.observed_at, now=now),
    )


def _partition_row(flow: str, topic: str, one: PartitionLagView, *, now: datetime) -> LagRow:
    return LagRow(
        flow=flow,
        topic=topic,
        partition=one.partition,
        lag_records=one.lag_records,
        lag_seconds=one.lag_seconds,
        is_seconds_minimum=one.is_seconds_minimum,
        rate_in=one.rate_in,
        rate_out=one.rate_out,
        eta_seconds=one.eta_seconds,
        stalled_partitions=None if one.is_stalled is None else int(one.is_stalled),
        source_end=one.source_end,
        mirrored_position=one.mirrored_position,
        observed_at=one.observed_at,
        age_seconds=age_seconds(one.observed_at, now=now),
    )


def choose_rows(rows: Sequence[LagRow], *, top: int | None, is_only_issues: bool) -> list[LagRow]:
    """Return the rows asked for. With `top` the furthest behind come first, and the unknown before them all."""
    chosen = [row for row in rows if not is_only_issues or _is_issue(row)]
    if top is None:
        return chosen
    return sorted(chosen, key=_by_urgency, reverse=True)[:top]


def _is_issue(row: LagRow) -> bool:
    return row.lag_records is None or row.lag_records > 0 or bool(row.stalled_partitions)


def _by_urgency(row: LagRow) -> tuple[bool, float, int]:
    return row.lag_records is None, row.lag_seconds or 0.0, row.lag_records or 0


def _columns(by: str) -> list[Column]:
    columns = [Column("FLOW", lambda row: row.flow)]
    if by != "flow":
        columns.append(Column("TOPIC", lambda row: row.topic))
    if by == "partition":
        columns.append(Column("PART", lambda row: row.partition, is_number=True))
    columns += [
        Column("LAG", lambda row: show_lag_seconds(row.lag_seconds, is_minimum=row.is_seconds_minimum), is_number=True),
        Column("RECORDS", lambda row: show_count(row.lag_records), is_number=True),
        Column("IN", lambda row: show_rate(row.rate_in), is_number=True),
        Column("OUT", lambda row: show_rate(row.rate_out), is_number=True),
        Column("ETA", lambda row: show_seconds(row.eta_seconds), is_number=True),
        Column("STALLED", lambda row: show_count(row.stalled_partitions), is_number=True),
    ]
    if by == "partition":
        columns.append(Column("SOURCE END", lambda row: show_count(row.source_end), is_number=True))
        columns.append(Column("MIRRORED", lambda row: show_count(row.mirrored_position), is_number=True))
    return [*columns, Column("AGE", lambda row: show_seconds(row.age_seconds), is_number=True)]
