"""What the operation verbs share: the world from the settings, and who acts."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from replicator.cli.context import App
from replicator.errors import UsageError
from replicator.failover import Choices, Override, World
from replicator.model.flow import Flow
from replicator.model.operations import OperationKind
from replicator.supervisor.operating import Desk, highest_peer_epoch, open_operation_world

__all__ = ["actor", "desk_of", "highest_peer_epoch", "open_world", "parse_choices"]


def parse_choices(accept: Sequence[str], *, loss_max: int | None = None) -> Choices:
    """Return what `--accept a,b` and `--max-loss` mean.

    Raises:
        UsageError: something unknown is to be accepted.
    """
    known = {override.value: override for override in Override}
    names = [name.strip() for text in accept for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"--accept does not know {unknown[0]!r}", hint=f"it knows {', '.join(known)}")
    return Choices(accepted=frozenset(known[name] for name in names), loss_max=loss_max)


def actor() -> str:
    """Return who acts: user@host, or the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def desk_of(app: App) -> Desk:
    """Return whoever operates from this command line: its settings, clock, environment and budget."""
    return Desk(settings=app.settings, clock=app.clock, environ=app.environ, budget_seconds=app.timeout_seconds)


@contextmanager
def open_world(
    app: App,
    flow: Flow,
    choices: Choices,
    *,
    kind: OperationKind = OperationKind.FAILOVER,
    fence: str | None = None,
) -> Iterator[World]:
    """Yield the flow's world, every door closed again afterwards, within `--timeout` if that is given."""
    with open_operation_world(desk_of(app), flow, choices, kind=kind, fence=fence) as world:
        yield world
