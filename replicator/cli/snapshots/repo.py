"""`replicator repo`: the repository snapshots live in."""

from __future__ import annotations

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit
from replicator.cli.snapshots.encryption import encrypt, keygen, rekey, shred
from replicator.errors import DataCorrupt


@click.group()
def repo() -> None:
    """The object-storage repository snapshots live in."""


@repo.command()
@click.argument("url", required=False)
@pass_app
def init(app: App, url: str | None) -> None:
    """Make a repository in an empty folder, bucket or prefix; URL is snapshots.store if left out.

    With snapshots.encryption it is encrypted from its first snapshot on. An existing repository is left as it is.
    """
    from replicator.cli.snapshots.doors import load_configured_keys, store_url
    from replicator.snapshot import Repository, begin_encryption
    from replicator.snapshot.capture.create import TOOL

    keys = load_configured_keys(app, url)
    found, is_new = Repository.init(store_url(app, url), clock=app.clock, tool=TOOL, keys=keys)
    if is_new and keys.unlock.is_given:
        begin_encryption(found, clock=app.clock)
    app.tell(f"{'made a repository' if is_new else 'a repository was there already'}: {found.url}")
    emit(
        "Repository",
        output=app.output,
        item={
            "url": found.url,
            "id": found.id,
            "created_at": found.created_at,
            "is_new": is_new,
            "is_encrypted": found.vault.key is not None,
        },
    )


@repo.command()
@click.argument("url", required=False)
@pass_app
def check(app: App, url: str | None) -> None:
    """Look whether every manifest can be read and everything it names is there; reads no record data."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import check_repository

    found = check_repository(open_repository(app, url), now=app.clock.now())
    item = {
        "is_ok": found.is_ok,
        "snapshots": found.snapshots,
        "problems": found.problems,
        "unnamed_objects": len(found.garbage),
        "unnamed_bytes": sum(one.size_bytes for one in found.garbage),
    }
    emit("RepositoryCheck", output=app.output, item=item)
    if not found.is_ok:
        raise DataCorrupt(
            f"{len(found.problems)} problems, the first: {found.problems[0]}",
            detail="\n".join(found.problems),
            hint="replicator snapshot verify ID tells what can still be restored",
        )


@repo.command()
@click.argument("url", required=False)
@pass_app
def stats(app: App, url: str | None) -> None:
    """Show what the repository holds, what sharing saves, and who is at work in it."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import count_repository

    emit("RepositoryStats", output=app.output, item=count_repository(open_repository(app, url), clock=app.clock))


@repo.command()
@click.argument("url", required=False)
@click.option("--force", "is_forced", is_flag=True, help="Also the claims of processes that may be alive.")
@click.option("--confirm", "given", metavar="ID", help="The repository's id (repo stats), for --force.")
@pass_app
def unlock(app: App, url: str | None, *, is_forced: bool, given: str | None) -> None:
    """Delete the claims of processes that are gone."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import unlock as delete_claims

    repository = open_repository(app, url)
    if is_forced:
        act = f"Delete every claim of repository {repository.id}, also of processes at work"
        app.confirm_severe(act, name=repository.id, given=given)
    gone = delete_claims(repository, clock=app.clock, is_forced=is_forced)
    emit("RepositoryUnlock", output=app.output, item={"claims": gone, "is_forced": is_forced})


for _command in (keygen, encrypt, rekey, shred):
    repo.add_command(_command)
