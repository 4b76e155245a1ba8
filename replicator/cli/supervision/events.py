"""`replicator events`: what the supervisor has seen happen, once or as it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, OutputFormat, emit, emit_line, show
from replicator.cli.supervision.remote import make_client
from replicator.errors import Unreachable, UsageError
from replicator.model.forms.figures import show_moment
from replicator.model.forms.text import UNKNOWN

if TYPE_CHECKING:
    from replicator.api.client import ApiClient, Told
    from replicator.api.schema import EventView
    from replicator.clock import Deadline

LIMIT = 200
PAUSE_SECONDS = 0.5
PAUSE_SECONDS_MAX = 15.0
ABSENT_SECONDS_MAX = 3600.0
"""A supervisor that has not answered for so long is not waited for any longer."""

NOBODY_HINT = "`replicator run` starts a supervisor; `replicator status` looks from here"

_SEVERITIES = ("info", "warning", "critical")
_STYLES = {"warning": "yellow", "critical": "bold red"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events are wanted. `severity` is the least."""

    flow: str | None = None
    severity: str = "info"

    def takes(self, event: EventView) -> bool:
        """Whether the event is wanted; one of a severity we do not know is."""
        known = event.severity in _SEVERITIES
        is_grave = not known or _SEVERITIES.index(event.severity) >= _SEVERITIES.index(self.severity)
        return is_grave and self.flow in (None, event.flow)


@click.command()
@click.option("--follow", "-f", "is_follow", is_flag=True, help="Go on with what happens, over lost connections too.")
@click.option("--after", "after_id", metavar="ID", default="", help="With --follow: begin after this event.")
@click.option("--limit", type=click.IntRange(min=0, max=2000), help=f"The newest N ({LIMIT}).")
@click.option("--flow", "flow", metavar="FLOW", help="Only of this flow.")
@click.option("--severity", type=click.Choice(_SEVERITIES), default="info", help="Only of this severity and above.")
@pass_app
def events(app: App, *, is_follow: bool, after_id: str, limit: int | None, flow: str | None, severity: str) -> None:
    """What happened: states, restarts, damage, operations; the supervisor keeps the last 2,000."""
    choice = Choice(flow=flow, severity=severity)
    if is_follow and limit is not None:
        raise UsageError("--follow and --limit exclude each other", hint="--after ID begins after a known event")
    if after_id and not is_follow:
        raise UsageError("--after goes with --follow")
    with make_client(app) as client:
        if is_follow:
            _print_until_over(app, client, choice, after_id)
            return
        found = [event for event in _newest(client, LIMIT if limit is None else limit) if choice.takes(event)]
    emit("Event", items=found, output=app.output, columns=_COLUMNS)


def _newest(client: ApiClient, limit: int) -> Sequence[EventView]:
    """Return the newest events.

    Raises:
        Unreachable: no supervisor answers; only one that runs remembers what happened.
    """
    try:
        return client.events(limit=limit)
    except Unreachable as error:
        error.hint = NOBODY_HINT
        raise


def _print_until_over(app: App, client: ApiClient, choice: Choice, after_id: str) -> None:
    """Print every event from now on, until `--timeout` or a signal; without `--after` first what is kept."""
    budget = app.deadline(app.timeout_seconds) if app.timeout_seconds else None
    for told in follow(app, client, after_id=after_id, budget=budget):
        if choice.takes(told):
            _print_one(app, told)


def follow(app: App, client: ApiClient, *, after_id: str, budget: Deadline | None) -> Iterator[EventView]:
    """Yield events as they come; a lost supervisor is asked again, from the last event on.

    Raises:
        Unreachable: it never answered, or was gone for an hour. AccessDenied.
    """
    last_id, failed_at, pause = after_id, None, PAUSE_SECONDS
    has_answered = False
    while budget is None or not budget.is_over:
        try:
            with client.follow(last_event_id=last_id) as stream:
                for told in stream:
                    has_answered, failed_at, pause = True, None, PAUSE_SECONDS
                    if (event := _event_of(app, told)) is not None:
                        last_id = event.id
                        yield event
                    if budget is not None and budget.is_over:
                        return
        except Unreachable as error:
            now = app.clock.monotonic()
            failed_at = now if failed_at is None else failed_at
            if not has_answered or now - failed_at > ABSENT_SECONDS_MAX:
                error.hint = NOBODY_HINT
                raise
            app.tell(f"{error.message}; asking again in {pause:g} s")
            app.clock.sleep(pause if budget is None else budget.capped(pause))
            pause = min(PAUSE_SECONDS_MAX, pause * 2)


def _event_of(app: App, told: Told) -> EventView | None:
    """Return the event that was told; what was missed is told to people."""
    from replicator.api.schema import EventView, MissedView

    if isinstance(told, MissedView):
        count = "some" if told.count is None else str(told.count)
        app.warn(f"{count} events were missed: {told.reason}")
    return told if isinstance(told, EventView) else None


def _print_one(app: App, event: EventView) -> None:
    if app.output.format in (OutputFormat.JSON, OutputFormat.JSONL, OutputFormat.YAML):
        emit_line("Event", event)
        return
    cells = [show(column.cell(event)) for column in _COLUMNS]
    click.echo("\t".join(cells) if app.output.format is not OutputFormat.TABLE else _line(event))


def _line(event: EventView) -> str:
    flow = show(event.flow) if event.flow else UNKNOWN
    return f"{show_moment(event.at)}  {show(event.severity):<8}  {flow:<12}  {show(event.text)}"


_COLUMNS = (
    Column("AT", lambda event: event.at),
    Column("SEVERITY", lambda event: event.severity, style=lambda event: _STYLES.get(event.severity)),
    Column("FLOW", lambda event: event.flow),
    Column("CLUSTER", lambda event: event.cluster),
    Column("WHAT", lambda event: event.text),
    Column("ID", lambda event: event.id),
)
