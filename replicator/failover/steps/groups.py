"""`translate` and `commit`: every group of the flow stands on the target, never past its true place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from replicator.errors import OperationHalted, PreflightBlocked, ReplicatorError
from replicator.failover.copies import read_ends, take_cut
from replicator.failover.engine.runbook import Step
from replicator.failover.facts import Cut
from replicator.failover.groups.known import selected_groups
from replicator.failover.groups.moves import (
    GroupMove,
    Outcome,
    Settled,
    group_of,
    is_settled,
    item_of,
    kept_inside,
    move_from_fact,
    move_to_fact,
    stands_at,
)
from replicator.failover.groups.translating import translate_groups
from replicator.failover.steps.cut import read_cut
from replicator.failover.takeover import inherited_facts
from replicator.failover.world import ACT_SECONDS, World
from replicator.model.forms.figures import show_items
from replicator.model.names import GroupName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade
from replicator.model.operations import Done, Finding, Ready, StepPhase

TRANSLATE_NAME = "translate"
COMMIT_NAME = "commit"
PRIOR_PREFIX = "prior:"
CHUNK = 50
"""Groups that are set side by side, and whose outcomes share a transaction of the journal."""


def check_translated(world: World) -> Finding:
    """Done when every selected group has a translation under the operation's cut."""
    names = selected_groups(world)
    cut = read_cut(world.log) if world.log is not None else None
    if cut is None:
        return Ready(f"{show_items(len(names), 'group')} to be translated")
    moves = read_moves(world)
    missing = names - {name for name, move in moves.items() if move.cut_digest == cut.digest}
    if missing:
        return Ready(f"{show_items(len(missing), 'group')} to be translated")
    return Done({"groups": len(names), "grades": count_grades(moves.values())})


def count_grades(moves: Iterable[GroupMove]) -> dict[str, int]:
    """Return how many groups have each grade; grades that no group has are left out."""
    counts = dict.fromkeys((grade.value for grade in Grade), 0)
    for move in moves:
        counts[move.translation.grade.value] += 1
    return {grade: count for grade, count in counts.items() if count}


def do_translate(world: World) -> None:
    """Journal where each selected group resumes, and how sure that is."""
    cut = _require_cut(world)
    world.look_again()  # where the groups stand, as late as it can be told
    done = {name for name, move in read_moves(world).items() if move.cut_digest == cut.digest}
    for moves in translate_groups(world, cut, selected_groups(world) - done):
        world.logbook.add_facts(TRANSLATE_NAME, {item_of(m.group): move_to_fact(m) for m in moves})
        world.crashpoint(f"{TRANSLATE_NAME}.between_batches")


def foresee_translations(world: World) -> str:
    """Return what the translations would be if the cut were taken now."""
    moves = [m for batch in translate_groups(world, take_cut(world), selected_groups(world)) for m in batch]
    told = ", ".join(f"{count} {grade}" for grade, count in count_grades(moves).items())
    return f"{show_items(len(moves), 'group')}: {told}" if moves else "no group to move"


def _require_cut(world: World) -> Cut:
    cut = read_cut(world.logbook)
    if cut is None:
        raise OperationHalted(
            "the operation has no cut", hint=f"replicator op resume {world.logbook.request.operation_id}"
        )
    return cut


def read_moves(world: World) -> dict[GroupName, GroupMove]:
    """Return every group's move that this operation has journaled, the newest of each."""
    facts = world.log.facts(TRANSLATE_NAME) if world.log is not None else {}
    found = {name: fact for item, fact in facts.items() if (name := group_of(item)) is not None}
    return {name: _read_move(world, name, fact) for name, fact in sorted(found.items())}


def _read_move(world: World, name: GroupName, fact: Mapping[str, Any]) -> GroupMove:
    """Return the move of a fact, taken apart once: a fact never changes, and steps ask for all of them many times."""
    known = world.read_facts.get(name)
    if known is None or known[0] is not fact:
        known = world.read_facts[name] = fact, move_from_fact(world.flow.name, name, fact)
    return known[1]


def current_moves(world: World) -> dict[GroupName, GroupMove]:
    """Return the moves under the operation's cut, within the logs as they are now; none before it was taken."""
    cut = read_cut(world.log) if world.log is not None else None
    if cut is None:
        return {}
    moves = {name: move for name, move in read_moves(world).items() if move.cut_digest == cut.digest}
    ends = read_ends(world) if moves else {}
    return {name: kept_inside(move, ends) for name, move in moves.items()}


def read_outcomes(world: World) -> dict[GroupName, Settled]:
    """Return how each group's commit ended."""
    found = {}
    for record in world.logbook.records:
        name = group_of(record.item or "")
        if record.step == COMMIT_NAME and record.phase == StepPhase.FACT and name is not None:
            found[name] = Settled(Outcome(record.body["outcome"]), record.epoch == world.logbook.epoch)
    return found


def check_committed(world: World) -> Finding:
    """Done when every group stands where it is meant to, or is an exception that the journal names."""
    if world.log is None:
        return Ready(f"{show_items(len(selected_groups(world)), 'group')} to be set on {world.flow.target}")
    moves = current_moves(world)
    outcomes = read_outcomes(world)
    seen = world.target.groups.committed(moves, world.deadline(ACT_SECONDS))
    left = [name for name, move in moves.items() if not is_settled(move, seen[name], outcomes.get(name))]
    if left:
        return Ready(f"{len(left)} of {show_items(len(moves), 'group')} to be set on {world.flow.target}")
    return Done({"groups": len(moves), "outcomes": _count(outcomes)})


def _count(outcomes: Mapping[GroupName, Settled]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for settled in outcomes.values():
        counts[settled.outcome.value] = counts.get(settled.outcome.value, 0) + 1
    return counts


def do_commit(world: World) -> None:
    """Set every group that does not stand right yet; what cannot be set is journaled and does not stop the rest."""
    moves = current_moves(world)
    outcomes = read_outcomes(world)
    seen = world.target.groups.committed(moves, world.deadline(ACT_SECONDS))
    left = [move for name, move in moves.items() if not is_settled(move, seen[name], outcomes.get(name))]
    _note_priors(world, [seen[move.group] for move in left if not stands_at(move, seen[move.group])])
    for start in range(0, len(left), CHUNK):
        world.logbook.require_lease()
        results = commit_chunk(world, left[start : start + CHUNK], seen)
        world.crashpoint(f"{COMMIT_NAME}.before_facts")
        world.logbook.add_facts(COMMIT_NAME, results)


def _note_priors(world: World, seen: list[GroupObservation]) -> None:
    """Journal where groups stood before we touch them, once: an abort puts them back there."""
    known = world.logbook.facts(COMMIT_NAME)
    facts: dict[str, Mapping[str, Any]] = {f"{PRIOR_PREFIX}{group.group}": _prior_of(group) for group in seen}
    before = inherited_facts(world.logbook, COMMIT_NAME)
    facts |= {item: fact for item, fact in before.items() if item.startswith(PRIOR_PREFIX)}
    world.logbook.add_facts(COMMIT_NAME, {item: fact for item, fact in facts.items() if item not in known})
    world.crashpoint(f"{COMMIT_NAME}.after_priors")


def _prior_of(seen: GroupObservation) -> dict[str, Any]:
    rows = [[tp.topic, tp.partition, offset] for tp, offset in sorted(seen.committed.items())]
    return {"rows": rows, "is_missing": seen.state is GroupState.DEAD}


def commit_chunk(
    world: World, moves: list[GroupMove], seen: Mapping[GroupName, GroupObservation]
) -> dict[str, dict[str, Any]]:
    """Return the journal item and outcome of each group after trying to set them, side by side."""
    told = {move.group: _settled_before(world, move, seen[move.group]) for move in moves}
    wanted = {move.group: move.positions for move in moves if told[move.group] is None}
    refused = world.target.groups.commit_all(
        wanted, world.deadline(ACT_SECONDS), before_each=world.logbook.require_lease
    )
    return {item_of(group): outcome or _outcome_of(refused.get(group)) for group, outcome in told.items()}


def _settled_before(world: World, move: GroupMove, seen: GroupObservation) -> dict[str, Any] | None:
    """Return the outcome of a group that needs no commit, or can have none; None of one to be set."""
    if not move.positions:
        return {"outcome": Outcome.UNAVAILABLE.value, "reason": "no partition of it can be set"}
    if stands_at(move, seen):
        return {"outcome": Outcome.COMMITTED.value}
    if seen.state is GroupState.ACTIVE:
        return _exception(Outcome.ACTIVE, f"it has {seen.members} members on {world.flow.target}")
    return None


def _outcome_of(refusal: ReplicatorError | None) -> dict[str, Any]:
    if refusal is None:
        return {"outcome": Outcome.COMMITTED.value}
    outcome = Outcome.ACTIVE if isinstance(refusal, PreflightBlocked) else Outcome.FAILED
    return _exception(outcome, refusal.message)


def _exception(outcome: Outcome, reason: str) -> dict[str, Any]:
    return {"outcome": outcome.value, "reason": reason}


def undo_commit(world: World) -> None:
    """Leave every group that was touched where it stood before; one that did not exist does not again."""
    for item, prior in world.logbook.facts(COMMIT_NAME).items():
        if item.startswith(PRIOR_PREFIX):
            world.logbook.require_lease()
            _restore(world, GroupName(item.removeprefix(PRIOR_PREFIX)), prior)


def _restore(world: World, group: GroupName, prior: Mapping[str, Any]) -> None:
    meant = {TopicPartition(topic, number): offset for topic, number, offset in prior["rows"]}
    seen = world.target.groups.committed([group], world.deadline(ACT_SECONDS))[group]
    if dict(seen.committed) == meant and (seen.state is GroupState.DEAD) == prior["is_missing"]:
        return
    if seen.state is GroupState.ACTIVE:
        raise PreflightBlocked(
            f"group {group} has members on {world.flow.target}: its positions are its own now",
            hint="stop its consumers there, then abort again",
        )
    if seen.committed.keys() - meant.keys() or not meant:
        world.target.groups.delete([group], world.deadline(ACT_SECONDS))
    world.target.groups.commit(group, meant, world.deadline(ACT_SECONDS))


TRANSLATE = Step(
    name=TRANSLATE_NAME,
    says="Translate every group's position, never past its true place",
    check=check_translated,
    do=do_translate,
    foresee=foresee_translations,
    is_read_only=True,
    needs_ground=True,
    proof_seconds=0.0,
    kill_points=("between_batches",),
)

COMMIT = Step(
    name=COMMIT_NAME,
    says="Set every group on the target, and read each one back",
    check=check_committed,
    do=do_commit,
    undo=undo_commit,
    kill_points=("after_priors", "before_facts"),
)
