"""Whose connectors these are: MirrorMaker reads no epoch, and Connect refuses none, so every holder looks for itself.

The connectors of the way home carry the epoch of the holder who made them. A holder that was replaced while it stood
still finds a later one there, before it acts or right after, and acts no more.
"""

from __future__ import annotations

from replicator.connect import LABEL_EPOCH, ConnectClient
from replicator.errors import Fenced
from replicator.failover.world import ACT_SECONDS, World


def require_own(connect: ConnectClient, name: str, world: World) -> None:
    """Return only while the lease is held and the connector, if there is one, is of no later holder.

    Raises:
        Fenced: somebody newer acts here.
    """
    found = connect.find(name, world.deadline(ACT_SECONDS))
    theirs = epoch_of(found.config.get(LABEL_EPOCH)) if found is not None else 0
    if theirs > world.logbook.epoch:
        raise Fenced(
            f"connector {name} is of epoch {theirs}, this process is of epoch {world.logbook.epoch}",
            hint="`replicator op list` shows who goes on; the same command again resumes",
        )
    world.logbook.require_lease()  # last: nothing is asked between this and what is done


def epoch_of(label: str | None) -> int:
    """Return the epoch that a connector's label tells, 0 where it tells none.

    >>> epoch_of("7"), epoch_of(None), epoch_of("x")
    (7, 0, 0)
    """
    return int(label) if label is not None and label.isdecimal() else 0
