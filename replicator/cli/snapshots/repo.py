"""`replicator repo`: the repository snapshots live in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit, make_table, text_of
from replicator.cli.snapshots.encryption import encrypt, keygen, rekey, shred
from replicator.errors import ConfigInvalid, DataCorrupt, PartlyDone, UsageError
from replicator.model.forms.figures import show_bytes, show_moment

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.model.archive.keeping import LockReport


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


@repo.command("lock-report")
@click.argument("url", required=False)
@click.option(
    "--lock",
    "lock_text",
    metavar="DURATION",
    help="The bucket's default retention, such as 30d; else snapshots.object_lock.",
)
@click.option(
    "--for",
    "needed_text",
    metavar="DURATION",
    help="How long a snapshot is to be protected; else as long as the lock.",
)
@pass_app
def lock_report(app: App, url: str | None, lock_text: str | None, needed_text: str | None) -> None:
    """Show what of a locked bucket can be deleted before a snapshot that needs it."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import report_locks

    text = lock_text if lock_text is not None else app.settings.snapshots.object_lock
    if text is None:
        raise ConfigInvalid(
            "the bucket's retention is not known: stores do not tell it",
            hint="give --lock, or set snapshots.object_lock",
        )
    lock = _duration("--lock", text)
    needed = None if needed_text is None else _duration("--for", needed_text)
    found = report_locks(open_repository(app, url), lock=lock, needed=needed, now=app.clock.now())
    emit("LockReport", output=app.output, item=found, view=lock_view(found))
    if not found.is_ok:
        told = found.early[0].key if found.early else f"snapshot {found.unreadable[0]} cannot be read"
        raise PartlyDone(
            f"{len(found.early)} objects are locked for less time than snapshots need them, the first: {told}",
            hint="copy them onto themselves with the provider's tool: the new version is locked anew",
        )


def _duration(option: str, text: str) -> timedelta:
    from replicator.settings.values import duration_of

    try:
        return duration_of(text)
    except ValueError as exc:
        raise UsageError(f"{option} {text!r}: {exc}") from exc


def lock_view(report: LockReport) -> RenderableType:
    """The objects, soonest end first, and who needs them longer."""
    table = make_table("OBJECT", "SIZE", "LOCKED UNTIL", "NEEDED UNTIL", "BY", numbers=("SIZE",))
    for one in report.early:
        cells = (
            one.key, show_bytes(one.size_bytes), show_moment(one.locked_until), show_moment(one.needed_until),
            one.snapshots[-1] if len(one.snapshots) == 1 else f"{one.snapshots[-1]} and {len(one.snapshots) - 1} more",
        )  # fmt: skip
        table.add_row(*map(text_of, cells))
    return table


for _command in (keygen, encrypt, rekey, shred):
    repo.add_command(_command)
