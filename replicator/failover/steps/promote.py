"""`promote`: the target is the flow's active cluster. Its intent is the point of no return."""

from __future__ import annotations

from replicator.failover.engine.runbook import Step
from replicator.failover.world import World
from replicator.journal import ACTIVE_ITEM, PROMOTE_STEP
from replicator.model.operations import Done, Finding, Ready


def check_promoted(world: World) -> Finding:
    """Done once this operation has journaled the target as active."""
    active = world.log.fact(PROMOTE_STEP, ACTIVE_ITEM) if world.log is not None else None
    if active is None:
        return Ready(f"{world.flow.target} becomes active for {world.flow.name}")
    return Done({"active": active["cluster"]})


def do_promote(world: World) -> None:
    """Run the hooks, each of which may be repeated, then journal the active cluster: that publishes it."""
    for hook in world.hooks:
        world.logbook.require_lease()
        hook(world)
    world.crashpoint(f"{PROMOTE_STEP}.before_fact")
    world.logbook.add_fact(
        PROMOTE_STEP,
        ACTIVE_ITEM,
        {"cluster": world.flow.target, "was": world.flow.source, "epoch": world.logbook.epoch},
    )


PROMOTE = Step(
    name=PROMOTE_STEP,
    says="Promote: publish the target as active (no way back but failback)",
    check=check_promoted,
    do=do_promote,
    is_point_of_no_return=True,
    kill_points=("before_fact",),
)
