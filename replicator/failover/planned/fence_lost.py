"""`fence_source` of a failover: a source that still answers is fenced as well as it can be; nothing waits for it.

The same grades as in a planned move, and the same rules, journaled before they are: an abort takes them down, a later
promotion of that cluster lifts them. What was reached is journaled as a fact, `none` with its reason where the source
does not answer or the fence failed. Hooks run even then: what we cannot reach others may. A fence that is not verified
leaves split-brain as it was: named, and accepted by name before this step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded, Fenced, OutcomeUnknown, ReplicatorError, Unreachable
from replicator.failover.engine.runbook import Step
from replicator.failover.fences.outside import call_hooks, probe_fence
from replicator.failover.fences.proof import NOT_PROBED, Probed, ProbeOutcome, is_verified, reached_grade
from replicator.failover.fences.rules import FENCE_STEP, RULES_ITEM, rule_to_row, rules_of
from replicator.failover.hooks import are_verified
from replicator.failover.planned.fence_source import FENCED, STILL_SECONDS, missing_rules, undo_fence
from replicator.failover.sources import read_ends_again, read_source
from replicator.failover.takeover import inherited_facts
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, FenceGrade, World
from replicator.journal import Observed
from replicator.model.names import TopicPartition
from replicator.model.observations import Reachability
from replicator.model.operations import Blocked, Done, Finding, Ready

T = TypeVar("T")

NAME = FENCE_STEP
TRY_SECONDS = 15.0
"""A source that answers is fenced within this, or it is gone on without: no outage waits for a half-dead cluster."""
AGAIN_SECONDS = 2.0
PAUSE_SECONDS = 0.3


def check_tried(world: World) -> Finding:
    """Done once this operation has journaled which grade was reached; blocked where only a verified one will do."""
    fenced = world.log.fact(NAME, FENCED) if world.log is not None else None
    if fenced is None:
        return Ready(_foretell(world))
    if world.choices.needs_fence and not is_verified(FenceGrade(fenced["reached"])):
        return Blocked(
            f"no verified fence: {world.flow.source} may be alive for others ({fenced['told']})",
            f"make sure that nobody writes {world.flow.source}, then `replicator failover {world.name} --confirm "
            f"{world.name}`",
        )
    return Done({key: fenced[key] for key in ("grade", "reached", "told")})


def _foretell(world: World) -> str:
    grade, source = world.fencing.grade, world.flow.source
    if grade is FenceGrade.HOOK:
        return f"{len(world.fencing.fence_hooks)} hooks will fence {source}, as far as they can"
    if world.survey is None or not world.survey.is_answering:
        return f"{source} does not answer: no fence can be set"
    return f"{source} answers: it will be fenced ({grade.value}), as far as it can be"


def _is_answering(world: World) -> bool:
    """Whether the source answered this process when it looked at both sides. Where it only took the connection then, it
    is asked once more: one lost answer is no death."""
    survey = world.survey
    if survey is None or survey.is_answering or survey.answer is not Reachability.REACHABLE:
        return survey is not None and survey.is_answering
    try:
        world.source.describe(world.deadline(AGAIN_SECONDS))
    except ReplicatorError:
        return False
    return True


def do_try(world: World) -> None:
    """Fence what can be fenced within TRY_SECONDS, and journal which grade that has reached, and why no other."""
    grade, log = world.fencing.grade, world.logbook
    try:
        reached, told = _fence(world)
    except Fenced:
        raise
    except ReplicatorError as error:
        reached, told = FenceGrade.NONE, error.message
    world.crashpoint(f"{NAME}.before_fact")
    body = {"grade": grade.value, "reached": reached.value, "told": told, "actor": log.request.actor}
    log.add_fact(NAME, FENCED, {**body, "cluster": world.flow.source})


def _fence(world: World) -> tuple[FenceGrade, str]:
    """Return the grade reached, and what tells of it."""
    grade, source = world.fencing.grade, world.flow.source
    if grade is FenceGrade.NONE:
        return FenceGrade.NONE, "no fence was asked for"
    if grade is FenceGrade.HOOK:
        if not world.fencing.fence_hooks:
            return FenceGrade.NONE, "no hook is configured that fences"
        call_hooks(world, world.fencing.fence_hooks, step=NAME)
    if not _is_answering(world):
        is_done = grade is FenceGrade.HOOK
        reached = reached_grade(grade, NOT_PROBED, is_hook_verified=are_verified(world.fencing.fence_hooks))
        return (reached, _tell_hooks(world)) if is_done else (FenceGrade.NONE, f"{source} does not answer")
    with world.within(TRY_SECONDS) as deadline:
        return _fence_living(world, deadline)


def _fence_living(world: World, deadline: Deadline) -> tuple[FenceGrade, str]:
    """Return what was reached against a source that answers. A question that got no answer is asked again in time."""
    if world.fencing.grade is FenceGrade.ACL and not _ask(world, deadline, _has_authorizer):
        return FenceGrade.NONE, f"the source {world.flow.source} has no authorizer: no rule can fence it"
    while True:
        if world.fencing.grade is FenceGrade.ACL:
            _ask(world, deadline, _set_rules)
        moving, probed = _ask(world, deadline, _look)
        is_over = deadline.left < STILL_SECONDS
        if (not moving and probed.outcome is not ProbeOutcome.OPEN) or is_over:
            return _judge(world, moving, probed)
        world.clock.sleep(PAUSE_SECONDS)


def _ask(world: World, deadline: Deadline, act: Callable[[World], T]) -> T:
    while True:
        try:
            return act(world)
        except (Unreachable, DeadlineExceeded, OutcomeUnknown):
            if deadline.left < PAUSE_SECONDS:
                raise
            world.clock.sleep(PAUSE_SECONDS)


def _has_authorizer(world: World) -> bool:
    return world.source.acls.has_authorizer(world.deadline(ASK_SECONDS))


def _set_rules(world: World) -> None:
    """Leave the rules in force on the source, journaled before they are, with those of operations taken over."""
    log = world.logbook
    found = read_source(world.source, world.flow, world.moves_group, world.clock, world.deadline(ACT_SECONDS))
    topics, groups = {*found.topics, *world.observed.topics}, {*found.groups, *world.observed.groups}
    missing = set(missing_rules(world, topics, groups))
    known = set(rules_of(log.fact(NAME, RULES_ITEM)))
    taken = set(rules_of(inherited_facts(log, NAME).get(RULES_ITEM)))
    if not missing <= known:
        rows = [rule_to_row(rule) for rule in sorted(known | missing | taken)]
        log.add_fact(NAME, RULES_ITEM, {"cluster": world.flow.source, "rows": rows})
    world.crashpoint(f"{NAME}.before_rules")
    log.require_lease()
    world.source.acls.create(missing, world.deadline(ACT_SECONDS))


def _look(world: World) -> tuple[list[TopicPartition], Probed]:
    """Return which partitions are still written, and what an application could write."""
    before = _ends(world)
    world.clock.sleep(STILL_SECONDS)
    after = _ends(world)
    moving = sorted(tp for tp, end in after.items() if before.get(tp) != end)
    return moving, probe_fence(world, sorted({tp.topic for tp in after}))


def _ends(world: World) -> dict[TopicPartition, int]:
    found = read_ends_again(world.source, world.flow, Observed(), world.clock, world.deadline(ASK_SECONDS))
    return {TopicPartition(n, p.partition): p.end for n, topic in found.topics.items() for p in topic.partitions}


def _judge(world: World, moving: list[TopicPartition], probed: Probed) -> tuple[FenceGrade, str]:
    if moving:
        return FenceGrade.NONE, f"{world.flow.source} is still written: {len(moving)} of its partitions moved"
    grade = world.fencing.grade
    reached = reached_grade(grade, probed, is_hook_verified=are_verified(world.fencing.fence_hooks))
    return reached, f"{_tell_hooks(world)}; {probed.told}" if grade is FenceGrade.HOOK else probed.told


def _tell_hooks(world: World) -> str:
    hooks = world.fencing.fence_hooks
    return f"{len(hooks)} hooks ran, {'each verified' if are_verified(hooks) else 'not each verified'}"


FENCE_LOST = Step(
    name=NAME,
    says="Fence the source as far as it answers: applications can write there no more, or the report says why not",
    check=check_tried,
    do=do_try,
    undo=undo_fence,
    proof_seconds=0.0,
    kill_points=("before_rules", "before_fact"),
)
