"""`replicator repo keygen|encrypt|rekey|shred`: who can read a repository, and what nobody can any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit
from replicator.errors import ConfigInvalid, OperationFailed, PreflightBlocked

if TYPE_CHECKING:
    from replicator.model.archive.unlocking import Unlock

_store_option = click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_app
def keygen(app: App, file: Path) -> None:
    """Write a fresh age identity to FILE, for its owner alone, and print its recipient."""
    from replicator.snapshot.repository.age import make_identity

    identity, recipient = make_identity()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise PreflightBlocked(f"{file} exists already", hint="name a new file") from exc
    except OSError as exc:
        raise OperationFailed(f"{file}: {exc.strerror}") from exc
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"# public key: {recipient}\n{identity}\n")
        stream.flush()
        os.fsync(stream.fileno())
    app.tell(f"keep {file} where the repository is not: without it nothing can be restored")
    emit("EncryptionIdentity", output=app.output, item={"file": str(file), "recipient": recipient})


@click.command()
@_store_option
@pass_app
def encrypt(app: App, store: str | None) -> None:
    """Encrypt snapshots from now on, as snapshots.encryption says; earlier ones stay as they are."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import begin_encryption

    _need_encryption(app)
    repository = open_repository(app, store)
    key = begin_encryption(repository, clock=app.clock)
    app.tell(f"snapshots in {repository.url} are encrypted from now on")
    item = {"url": repository.url, "key": key, "recipients": repository.vault.recipients()}
    emit("RepositoryEncryption", output=app.output, item=item)


@click.command()
@click.option("--old", metavar="REFERENCE", help="What opens it now: env:NAME or file:PATH; else as configured.")
@_store_option
@pass_app
def rekey(app: App, old: str | None, store: str | None) -> None:
    """Wrap the repository's key for whom snapshots.encryption names now, and nobody else; no data is touched."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import rewrap_key

    configured = _need_encryption(app)
    repository = open_repository(app, store)
    key = rewrap_key(repository, opened_by=configured if old is None else _read_old(app, old), clock=app.clock)
    item = {"url": repository.url, "key": key, "recipients": repository.vault.recipients()}
    emit("RepositoryEncryption", output=app.output, item=item)


def _need_encryption(app: App) -> Unlock:
    unlock = app.settings.unlock()
    if not unlock.is_given:
        raise ConfigInvalid("snapshots.encryption is not configured", hint="replicator repo keygen FILE, then set it")
    return unlock


def _read_old(app: App, reference: str) -> Unlock:
    from replicator.model.archive.unlocking import Unlock
    from replicator.settings.secrets import resolve_secret

    if not reference.startswith(("env:", "file:")):
        raise ConfigInvalid("--old is no reference", hint="write env:NAME or file:PATH, never the secret itself")
    secret = resolve_secret(reference, where="--old", environ=app.environ, folder=Path.cwd()).value
    is_identity = "AGE-SECRET-KEY-" in secret or "OPENSSH PRIVATE KEY" in secret
    return Unlock(identity=secret) if is_identity else Unlock(passphrase=secret)


@click.command()
@click.argument("topic")
@click.option("--reason", default="", help="Why; kept in the repository in place of the key.")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--confirm", "given", metavar="TOPIC", help="The topic's name once more.")
@_store_option
@pass_app
def shred(app: App, topic: str, reason: str, given: str | None, store: str | None, *, dry_run: bool) -> None:
    """Destroy a topic's keys: nobody reads it again from any encrypted snapshot; other topics are untouched.

    A bucket that keeps older versions of objects, or a copy of the folder keys/, keeps the keys too.
    """
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import apply_shred, plan_shred

    repository = open_repository(app, store)
    plan = plan_shred(repository, topic)
    warnings = [f"snapshot {one} holds topic {topic} unencrypted: it stays readable" for one in plan.plain_snapshots]
    if dry_run or plan.refusals:
        emit("ShredPlan", output=app.output, item=plan, warnings=warnings)
        if plan.refusals:
            raise PreflightBlocked(
                plan.refusals[0], detail="\n".join(plan.refusals), hint="replicator snapshot unkeep ID, if it may go"
            )
        return
    act = f"Make topic {topic} of {len(plan.snapshots)} snapshots unreadable for ever"
    app.confirm_severe(act, name=topic, given=given)
    done = apply_shred(repository, topic, reason=reason, clock=app.clock)
    emit("Shredded", output=app.output, item=done, warnings=warnings)
