"""`replicator repo`: the repository snapshots live in."""

from __future__ import annotations

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit


@click.group()
def repo() -> None:
    """The object-storage repository snapshots live in."""


@repo.command()
@click.argument("url", required=False)
@pass_app
def init(app: App, url: str | None) -> None:
    """Make a repository in an empty folder, bucket or prefix; URL is snapshots.store if left out.

    An existing repository is left as it is.
    """
    from replicator.cli.snapshots.doors import load_configured_keys, store_url
    from replicator.snapshot import Repository
    from replicator.snapshot.capture.create import TOOL

    found, is_new = Repository.init(
        store_url(app, url), clock=app.clock, tool=TOOL, keys=load_configured_keys(app, url)
    )
    app.tell(f"{'made a repository' if is_new else 'a repository was there already'}: {found.url}")
    emit(
        "Repository",
        output=app.output,
        item={"url": found.url, "id": found.id, "created_at": found.created_at, "is_new": is_new},
    )
