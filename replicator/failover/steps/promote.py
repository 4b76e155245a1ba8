"""`promote`: the target is the flow's active cluster. Its intent is the point of no return."""

from __future__ import annotations

from replicator.failover.access import activate_rules
from replicator.failover.copies import take_cut
from replicator.failover.engine.runbook import Step
from replicator.failover.fences import LIFTED_ITEM, call_hooks, rule_to_row, standing_fences
from replicator.failover.steps.cut import find_breach, read_cut, read_loss
from replicator.failover.world import ACT_SECONDS, World
from replicator.journal import ACTIVE_ITEM, PROMOTE_STEP, merge_records
from replicator.model.acls import AclBinding
from replicator.model.operations import Blocked, Done, Finding, Ready


def check_promoted(world: World) -> Finding:
    """Done once this operation has journaled the target as active. A planned move looks at its source once more."""
    active = world.log.fact(PROMOTE_STEP, ACTIVE_ITEM) if world.log is not None else None
    if active is not None:
        return Done({"active": active["cluster"]})
    return _find_late_breach(world) or Ready(f"{world.flow.target} becomes active for {world.name}")


def _find_late_breach(world: World) -> Blocked | None:
    """Return why a planned move must not be promoted; past the point of no return nothing forbids it any more."""
    if not world.is_planned or world.log is None or world.log.is_past_promote:
        return None
    cut, loss = read_cut(world.log), read_loss(world.log)
    if cut is None or loss is None:
        return None
    return find_breach(world, cut, take_cut(world), loss)


def do_promote(world: World) -> None:
    """Open the target to applications, with the rights they have on the source, and run the hooks, each of which may
    be repeated; then journal the active cluster: that publishes it."""
    _lift_standing_fence(world)
    activate_rules(world)
    world.crashpoint(f"{PROMOTE_STEP}.before_hooks")
    call_hooks(world, world.hooks, step=PROMOTE_STEP)
    world.crashpoint(f"{PROMOTE_STEP}.before_fact")
    world.logbook.add_fact(
        PROMOTE_STEP,
        ACTIVE_ITEM,
        {"cluster": world.flow.target, "was": world.flow.source, "epoch": world.logbook.epoch},
    )


def standing_on_target(world: World) -> tuple[AclBinding, ...]:
    """Return the rules by which an earlier operation has fenced what is the target now."""
    return standing_fences(merge_records([world.logbook.all_records, world.peer_records]), world.flow.target)


def _lift_standing_fence(world: World) -> None:
    rules = standing_on_target(world)
    if not rules:
        return
    world.logbook.require_lease()
    world.target.acls.delete(rules, world.deadline(ACT_SECONDS))
    body = {"cluster": world.flow.target, "rows": [rule_to_row(rule) for rule in rules]}
    world.logbook.add_fact(PROMOTE_STEP, LIFTED_ITEM, body)


PROMOTE = Step(
    name=PROMOTE_STEP,
    says="Promote: publish the target as active (no way back but failback)",
    check=check_promoted,
    do=do_promote,
    is_point_of_no_return=True,
    kill_points=("before_hooks", "before_fact"),
)
