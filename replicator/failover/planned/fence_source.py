"""`fence_source`: applications can write the source no more, by a fence whose grade is journaled and proven.

    acl       rules that DENY every application's principal; proven by the rules as they stand
    hook      commands of the operator
    attested  the operator says that producers are stopped
    none      nothing: split-brain was accepted by name

Every grade but `none` is proven by ends that stand still, and by a probe as an application where one is
configured: a batch that no broker appends. Without the probe's proof, or that of every hook's `verify`, the grade that
is reached is `attested` at most, and the report says so. Transactions that were open may still end; `drain` waits for
them.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicator.errors import AccessDenied, ReplicatorError
from replicator.failover.engine.runbook import Step
from replicator.failover.fences.outside import call_hooks, probe_fence
from replicator.failover.fences.proof import reached_grade
from replicator.failover.fences.rules import FENCE_STEP, RULES_ITEM, fence_rules, rule_to_row, rules_of
from replicator.failover.hooks import are_verified
from replicator.failover.tails import source_ends
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, FenceGrade, Override, World
from replicator.model.acls import AclBinding
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.operations import Blocked, Done, Finding, Ready

NAME = FENCE_STEP
FENCED = "fenced"
STILL_SECONDS = 1.5
"""Ends are compared over this long: an application that still writes shows."""
FENCE_SECONDS = 30.0
"""Rules reach every broker, and requests that were under way end, within this."""
LISTED_MAX = 3


def check_fenced(world: World) -> Finding:
    """Done when the fence of the chosen grade stands and its proofs hold now."""
    blocked = find_fence_blocker(world)
    if blocked is not None:
        return blocked
    grade = world.fencing.grade
    if grade is FenceGrade.NONE:
        return Done({"grade": grade.value, "told": "split-brain was accepted"})
    if world.log is None or world.log.fact(NAME, FENCED) is None:
        return Ready(_foretell(world))
    missing = missing_rules(world, *_selected(world)) if grade is FenceGrade.ACL else ()
    if missing:
        return Ready(f"{len(missing)} rules are not in force")
    return _prove(world)


def find_fence_blocker(world: World) -> Blocked | None:
    """Return why the chosen grade cannot fence this source; or None."""
    fencing, flow = world.fencing, world.flow
    verb = "failback" if world.forward is not None else "switchover"
    again = f"replicator {verb} {world.name} --confirm {world.name} --fence"
    if fencing.grade is FenceGrade.NONE and not world.choices.accepts(Override.SPLIT_BRAIN):
        return Blocked(
            f"without a fence clients may write {flow.source} and {flow.target} at once",
            f"`{again} none --accept split-brain`, or a fence: acl, hook, attested",
        )
    if fencing.grade is FenceGrade.HOOK and not fencing.fence_hooks:
        return Blocked("no hook is configured that fences", "set failover.hooks.fence, or choose another --fence")
    if fencing.grade is FenceGrade.ACL and not world.source.acls.has_authorizer(world.deadline(ASK_SECONDS)):
        return Blocked(
            f"the source {flow.source} has no authorizer: no rule can fence it",
            f"stop every producer and say so: `{again} attested`; or fence by a hook",
        )
    return None


def _foretell(world: World) -> str:
    match world.fencing.grade:
        case FenceGrade.ACL:
            rules = len(wanted_rules(world, *_selected(world)))
            return f"{rules} rules will deny applications to write {world.flow.source}"
        case FenceGrade.HOOK:
            return f"{len(world.fencing.fence_hooks)} hooks will fence {world.flow.source}"
        case _:
            return "producers are stopped, says the operator; the source's ends will be watched"


def _selected(world: World) -> tuple[Iterable[TopicName], Iterable[GroupName]]:
    observed = world.look_again()
    return observed.topics, observed.groups


def wanted_rules(world: World, topics: Iterable[TopicName], groups: Iterable[GroupName]) -> tuple[AclBinding, ...]:
    """Return the rules that fence the source, by the rules that stand there now."""
    standing = world.source.acls.list(world.deadline(ASK_SECONDS))
    return fence_rules(standing, topics=topics, groups=groups, exempt=world.fencing.exempt)


def missing_rules(world: World, topics: Iterable[TopicName], groups: Iterable[GroupName]) -> tuple[AclBinding, ...]:
    """Return those of the wanted rules that do not stand on the source."""
    standing = set(world.source.acls.list(world.deadline(ASK_SECONDS)))
    return tuple(rule for rule in wanted_rules(world, topics, groups) if rule not in standing)


def _prove(world: World) -> Finding:
    """Return Done when the ends stand still and no application can write."""
    moving = _moving_partitions(world)
    if moving:
        return Ready(f"the source is still written: {_listed(moving)}")
    probed = probe_fence(world, sorted(world.observed.topics))
    if probed.open_topics:
        return Ready(f"an application may still write {', '.join(probed.open_topics[:LISTED_MAX])}")
    grade, is_verified = world.fencing.grade, are_verified(world.fencing.fence_hooks)
    reached = reached_grade(grade, probed, is_hook_verified=is_verified)
    return Done({"grade": grade.value, "reached": reached.value, "still_seconds": STILL_SECONDS, "probe": probed.told})


def _moving_partitions(world: World) -> list[TopicPartition]:
    world.look_at_ends()
    before = source_ends(world)
    world.clock.sleep(STILL_SECONDS)
    world.look_at_ends()
    after = source_ends(world)
    return sorted(tp for tp, ends in after.items() if tp not in before or before[tp].end != ends.end)


def _listed(partitions: list[TopicPartition]) -> str:
    more = f" and {len(partitions) - LISTED_MAX} more" if len(partitions) > LISTED_MAX else ""
    return ", ".join(str(tp) for tp in partitions[:LISTED_MAX]) + more


def do_fence(world: World) -> None:
    """Put the fence up, its rules journaled before they are: an abort takes exactly these down again."""
    grade, log = world.fencing.grade, world.logbook
    if grade is FenceGrade.ACL:
        mine = set(rules_of(log.fact(NAME, RULES_ITEM))) | set(missing_rules(world, *_selected(world)))
        log.add_fact(NAME, RULES_ITEM, {"cluster": world.flow.source, "rows": [rule_to_row(r) for r in sorted(mine)]})
        world.crashpoint(f"{NAME}.before_rules")
        log.require_lease()
        world.source.acls.create(mine, world.deadline(ACT_SECONDS))
    elif grade is FenceGrade.HOOK:
        call_hooks(world, world.fencing.fence_hooks, step=NAME)
    world.crashpoint(f"{NAME}.before_fact")
    log.add_fact(NAME, FENCED, {"grade": grade.value, "cluster": world.flow.source, "actor": log.request.actor})


def undo_fence(world: World) -> None:
    """Leave the source as writable as it was: none of the rules we put there is left, or the operator's hooks ran."""
    mine = rules_of(world.logbook.fact(NAME, RULES_ITEM))
    if mine:
        lift_rules(world, mine)
    if world.fencing.grade is FenceGrade.HOOK:  # one that failed midway may have fenced a part
        call_hooks(world, world.fencing.unfence_hooks, step=NAME)


def lift_rules(world: World, rules: tuple[AclBinding, ...]) -> None:
    """Leave none of the rules on the source.

    Raises:
        ReplicatorError: the source cannot be asked; it stays fenced until the same command reaches it.
    """
    try:
        world.source.acls.delete(rules, world.deadline(ACT_SECONDS))
    except ReplicatorError as error:
        if isinstance(error, AccessDenied) and _stands_none(world, rules):
            return  # who may not take a rule away could not put one up either
        error.hint = error.hint or f"the fence on {world.flow.source} stands until the same command reaches it"
        raise


def _stands_none(world: World, rules: tuple[AclBinding, ...]) -> bool:
    try:
        return set(rules).isdisjoint(world.source.acls.list(world.deadline(ASK_SECONDS)))
    except AccessDenied:
        return False  # the first refusal is told


FENCE_SOURCE = Step(
    name=NAME,
    says="Fence the source: applications can write there no more, proven",
    check=check_fenced,
    do=do_fence,
    undo=undo_fence,
    proof_seconds=FENCE_SECONDS,
    kill_points=("before_rules", "before_fact"),
)
