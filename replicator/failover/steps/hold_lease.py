"""`hold_lease`: this process may act, and nobody else."""

from __future__ import annotations

from replicator.errors import DataCorrupt
from replicator.failover.engine.runbook import Step
from replicator.failover.world import ASK_SECONDS, World
from replicator.journal import Journal, has_live_holder
from replicator.model.operations import Blocked, Done, Finding, Ready


def check_lease(world: World) -> Finding:
    """Done while the lease is held. A rehearsal takes none: it looks whether somebody else holds it."""
    if world.log is None:
        return _foresee_lease(world)
    world.log.require_lease()
    return Done({"supervisor": world.identity.supervisor_id, "epoch": world.log.epoch})


def _foresee_lease(world: World) -> Finding:
    is_taken = has_live_holder(
        world.target,
        topic_prefix=world.identity.topic_prefix,
        supervisor_id=world.identity.supervisor_id,
        deadline=world.deadline(ASK_SECONDS),
    )
    if is_taken:
        return Blocked("another operation holds the lease", "replicator op list")
    try:
        Journal(world.target, world.identity.topic_prefix, clock=world.clock).read(world.deadline(ASK_SECONDS))
    except DataCorrupt as error:  # the real thing would be refused here too
        return Blocked(error.message, error.hint or "replicator audit verify")
    return Ready("nobody holds the lease")


def act_on_nothing(_world: World) -> None:
    """The lease is won before the journal can be written; there is nothing left to do."""


HOLD_LEASE = Step(
    name="hold_lease",
    says="Hold the right to act; older holders are fenced",
    check=check_lease,
    do=act_on_nothing,
    is_read_only=True,
)
