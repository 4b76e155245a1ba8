"""`replicator tui`: the dashboard. It is found by name, so that nothing here imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import click

from replicator.cli.context import App, Seconds, pass_app
from replicator.cli.supervision.remote import make_client
from replicator.errors import ReplicatorError, UsageError

ENTRY_POINTS = "replicator.dashboards"


@click.command()
@click.option("--allow-actions", "is_acting_allowed", is_flag=True, help="Let acts be asked for; it takes a token.")
@click.option("--replay", type=click.Path(path_type=Path, dir_okay=False), help="Show a recording instead.")
@click.option("--at", "at_seconds", type=Seconds(), default=0.0, help="Begin so far into the recording.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Record into a new file.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with plain letters.")
@pass_app
def tui(
    app: App,
    *,
    is_acting_allowed: bool,
    replay: Path | None,
    at_seconds: float,
    record: Path | None,
    is_ascii: bool,
) -> int:
    """Open the dashboard."""
    if replay is not None and record is not None:
        raise UsageError("--replay and --record cannot be meant together")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal", hint="`replicator status` prints the same once")
    run = load_dashboard()
    client = None if replay is not None else make_client(app)
    return run(
        client=client,
        is_acting_allowed=is_acting_allowed,
        replay=replay,
        record=record,
        at_seconds=at_seconds,
        is_ascii=is_ascii,
    )


def load_dashboard() -> Callable[..., int]:
    """Return the dashboard's entry point.

    Raises:
        ReplicatorError: none is installed.
    """
    found = next(iter(entry_points(group=ENTRY_POINTS)), None)
    if found is None:
        raise ReplicatorError("no dashboard is installed", hint="install the extra: pip install 'replicator[tui]'")
    loaded: Callable[..., int] = found.load()
    return loaded
