"""`replicator tui`: the dashboard. It is found by name, so that nothing here imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, Seconds, pass_app
from replicator.errors import ConfigInvalid, ReplicatorError, UsageError

if TYPE_CHECKING:
    from replicator.api.client import ApiClient
    from replicator.model.cluster import Secret

ENTRY_POINTS = "replicator.dashboards"
URL_VARIABLE = "REPLICATOR_URL"
TOKEN_VARIABLE = "REPLICATOR_TOKEN"  # noqa: S105 - the name of a variable


@click.command()
@click.option("--url", metavar="URL", help="The supervisor's API; by default what supervisor.listen says.")
@click.option("--token", metavar="REFERENCE", help="env:NAME or file:PATH; by default env:REPLICATOR_TOKEN if set.")
@click.option("--ca-file", type=click.Path(path_type=Path, dir_okay=False), help="CA certificates that sign the API's.")
@click.option("--allow-actions", "is_acting_allowed", is_flag=True, help="Let acts be asked for; it takes a token.")
@click.option("--replay", type=click.Path(path_type=Path, dir_okay=False), help="Show a recording instead.")
@click.option("--at", "at_seconds", type=Seconds(), default=0.0, help="Begin so far into the recording.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Record into a new file.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with plain letters.")
@pass_app
def tui(
    app: App,
    *,
    url: str | None,
    token: str | None,
    ca_file: Path | None,
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
    client = None if replay is not None else make_client(app, url=url, token=token, ca_file=ca_file)
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


def make_client(app: App, *, url: str | None, token: str | None, ca_file: Path | None) -> ApiClient:
    """Return a client of the supervisor that is meant.

    Raises:
        ConfigInvalid: the token cannot be had. NotFound, ConfigInvalid: no URL was given and there is no
            configuration that names an address.
    """
    from replicator.api.client import ApiClient

    chosen = url or app.environ.get(URL_VARIABLE) or f"http://{app.settings.supervisor.listen}"
    ca = str(ca_file) if ca_file is not None else None
    return ApiClient(chosen, token=read_token(app, token), ca_file=ca)


def read_token(app: App, reference: str | None) -> Secret | None:
    """Return the token a reference names; without one, that of REPLICATOR_TOKEN, or none.

    Raises:
        ConfigInvalid: it cannot be had.
    """
    from replicator.settings.secrets import resolve_secret

    if reference is None:
        if not app.environ.get(TOKEN_VARIABLE):
            return None
        reference = f"env:{TOKEN_VARIABLE}"
    if not reference.startswith(("env:", "file:")):
        raise ConfigInvalid("--token: names where the token is, not the token", hint="--token env:NAME or file:PATH")
    return resolve_secret(reference, where="--token", environ=app.environ, folder=Path())
