"""Faults of the product, planted on purpose: each is a context in which the product is wrong in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest import mock

from replicator.errors import ReplicatorError
from replicator.failover import launch
from replicator.failover.engine.engine import Engine
from replicator.failover.engine.logbook import Logbook
from replicator.failover.engine.runbook import Runbook, Step
from replicator.failover.groups import translating
from replicator.failover.groups.moves import GroupMove, Outcome, item_of
from replicator.failover.planned import fence_lost, fence_source
from replicator.failover.runbooks import runbook_of
from replicator.failover.steps import cut, groups, limit, promote
from replicator.failover.steps.groups import read_moves, read_outcomes
from replicator.failover.world import World
from replicator.journal import journal as journal_module
from replicator.journal.journal import JournalWriter
from replicator.model.names import GroupName, Offset
from replicator.model.offsets import GroupTranslation
from replicator.model.operations import Done, Finding, OperationKind, Ready, StepPhase

Plant = Callable[[], Any]
PLANTS: dict[str, Plant] = {}


def plant(make: Callable[[], Iterator[None]]) -> Plant:
    """Keep a planted fault under its name."""
    PLANTS[make.__name__] = context = contextmanager(make)
    return context


@contextmanager
def runbook_with(change: Callable[[list[Step[World]]], list[Step[World]]]) -> Iterator[None]:
    """Let switchover and failover have other steps; a drill's, of the same names, stay."""

    def changed(kind: Any) -> Runbook[World]:
        runbook = runbook_of(kind)
        if kind is OperationKind.DRILL:
            return runbook
        return replace(runbook, steps=tuple(change(list(runbook.steps))))

    with mock.patch.object(launch, "runbook_of", changed):
        yield


def step_with(name: str, **changes: Any) -> Any:
    """Let one step be another."""
    return runbook_with(lambda steps: [replace(s, **changes) if s.name == name else s for s in steps])


def without(name: str) -> Any:
    """Leave one step out."""
    return runbook_with(lambda steps: [s for s in steps if s.name != name])


def _always_done(_world: World) -> Finding:
    return Done({})


def _commit_believing(world: World, moves: list[GroupMove], _seen: Any) -> dict[str, dict[str, Any]]:
    """Set groups and believe that it worked, whatever was answered."""
    for move in moves:
        with suppress(ReplicatorError):
            world.target.groups.alter(move.group, move.positions)  # type: ignore[attr-defined]
    return {item_of(move.group): {"outcome": Outcome.COMMITTED.value} for move in moves}


def _check_by_journal(world: World) -> Finding:
    left = set(read_moves(world)) - set(read_outcomes(world))
    return Ready(f"{len(left)} left") if left else Done({})


@plant
def nobody_reads_back() -> Iterator[None]:
    """Groups are set, and what the journal says of it is believed."""
    with step_with("commit", check=_check_by_journal), mock.patch.object(groups, "commit_chunk", _commit_believing):
        yield


@plant
def a_lost_answer_is_a_yes() -> Iterator[None]:
    """A commit that got no answer counts, where a group is only looked at before."""

    def settled(_move: Any, _seen: Any, known: Any) -> bool:
        return known is not None

    with mock.patch.object(groups, "is_settled", settled), mock.patch.object(groups, "commit_chunk", _commit_believing):
        yield


@plant
def promote_comes_before_commit() -> Iterator[None]:
    """Clients are told before their groups stand."""

    def swap(steps: list[Step[World]]) -> list[Step[World]]:
        names = [s.name for s in steps]
        at, to = names.index("commit"), names.index("promote")
        steps[at], steps[to] = steps[to], steps[at]
        return steps

    with runbook_with(swap):
        yield


@plant
def a_living_source_is_not_fenced() -> Iterator[None]:
    """A failover takes a source that answers for one that is gone."""
    with mock.patch.object(fence_lost, "_is_answering", return_value=False):
        yield


@plant
def the_fence_of_a_living_source_is_not_journaled() -> Iterator[None]:
    """An abort of a failover does not know which rules to take down."""
    with mock.patch.object(fence_lost, "rule_to_row", return_value=["User:nobody", "topic", "none", "write"]):
        yield


@plant
def nobody_verifies() -> Iterator[None]:
    """It is called done without a look."""
    with without("verify"):
        yield


@plant
def live_groups_are_moved() -> Iterator[None]:
    """Members are thrown out and the group is set."""

    def commit(world: World, moves: list[GroupMove], seen: Any) -> dict[str, dict[str, Any]]:
        world.target.groups.delete([move.group for move in moves], world.deadline(30))
        return _commit_believing(world, moves, seen)

    with mock.patch.object(groups, "commit_chunk", commit):
        yield


@plant
def the_epoch_is_forgotten() -> Iterator[None]:
    """A new holder writes under the epoch of the old."""
    made = JournalWriter.__init__

    def init(self: Any, *args: Any, epoch: int, **more: Any) -> None:
        made(self, *args, epoch=max(1, epoch - 1), **more)

    with mock.patch.object(JournalWriter, "__init__", init):
        yield


@plant
def the_lease_is_not_asked_for() -> Iterator[None]:
    """A process that was frozen goes on as if it had been away for a moment."""
    with mock.patch.object(JournalWriter, "require_lease", return_value=None):
        yield


def _shifted(by: int) -> Any:
    original = groups.translate_groups

    def translate(world: World, taken: Any, names: Any) -> Iterator[list[GroupMove]]:
        for batch in original(world, taken, names):
            yield [_move(move, by) for move in batch]

    return mock.patch.object(groups, "translate_groups", translate)


def _move(move: GroupMove, by: int) -> GroupMove:
    rows = tuple(
        row if row.target_offset is None else replace(row, target_offset=Offset(max(0, row.target_offset + by)))
        for row in move.translation.translations
    )
    told = move.translation
    return replace(move, translation=GroupTranslation(told.flow, told.group, rows))


@plant
def translations_are_one_too_high() -> Iterator[None]:
    """Every group skips one record."""
    with _shifted(1):
        yield


@plant
def translations_are_far_too_low() -> Iterator[None]:
    """Every group reads more again than it is told."""
    with _shifted(-3):
        yield


@plant
def half_a_cut_is_enough() -> Iterator[None]:
    """A cut counts before the loss is accounted for."""

    def check(world: World) -> Finding:
        return Done({}) if world.log is not None and cut.read_cut(world.log) is not None else Ready("to be cut")

    with step_with("cut", check=check):
        yield


@plant
def nothing_is_drained() -> Iterator[None]:
    """A planned move ends the flow wherever it is."""
    with step_with("drain", check=_always_done):
        yield


@plant
def a_planned_move_may_lose() -> Iterator[None]:
    """What is left on the source keeps nobody from promoting."""
    nothing = mock.patch.object(cut, "find_breach", return_value=None)
    late = mock.patch.object(promote, "find_breach", return_value=None)
    with step_with("drain", check=_always_done), nothing, late:
        yield


@plant
def late_writes_are_not_looked_for() -> Iterator[None]:
    """The source is not asked again before the point of no return."""
    with mock.patch.object(promote, "_find_late_breach", return_value=None):
        yield


@plant
def transactions_are_left_open() -> Iterator[None]:
    """MirrorMaker's transactions on the target are not ended."""
    with without("fence_mm2"):
        yield


@plant
def the_flow_is_not_stopped() -> Iterator[None]:
    """The flow runs on."""
    with step_with("stop_flow", check=_always_done):
        yield


@plant
def nothing_is_proven() -> Iterator[None]:
    """What was done is taken for what is so."""
    with mock.patch.object(Engine, "_prove", return_value=Done({})):
        yield


@plant
def the_intent_comes_late() -> Iterator[None]:
    """The world is changed before the journal knows."""
    act = Engine._act

    def late(self: Any, step: Step[World], says: str) -> Finding:
        if not step.is_read_only and not step.is_point_of_no_return:
            step.do(self._world)
        return act(self, step, says)

    with mock.patch.object(Engine, "_act", late):
        yield


@plant
def an_abort_leaves_the_groups() -> Iterator[None]:
    """Groups stay where the operation has put them."""
    with step_with("commit", undo=None):
        yield


@plant
def an_abort_leaves_the_flow_stopped() -> Iterator[None]:
    """The flow stays stopped."""
    with step_with("stop_flow", undo=None):
        yield


@plant
def an_abort_leaves_the_fence() -> Iterator[None]:
    """The source stays fenced."""
    with step_with("fence_source", undo=None):
        yield


@plant
def an_abort_may_come_after_promote() -> Iterator[None]:
    """The point of no return is none."""
    with mock.patch.object(Logbook, "is_past_promote", property(lambda _self: False)):
        yield


@plant
def undone_groups_are_deleted() -> Iterator[None]:
    """A group that had positions before is gone afterwards."""

    def restore(world: World, group: GroupName, _prior: Any) -> None:
        world.target.groups.delete([group], world.deadline(30))

    with mock.patch.object(groups, "_restore", restore):
        yield


@plant
def priors_are_noted_too_late() -> Iterator[None]:
    """Where groups stood is noted once they have been set."""

    def commit(world: World) -> None:
        with mock.patch.object(groups, "_note_priors"):
            groups.do_commit(world)
        seen = world.target.groups.committed(read_moves(world), world.deadline(30)).values()
        world.logbook.add_facts("commit", {f"prior:{one.group}": groups._prior_of(one) for one in seen})

    with step_with("commit", do=commit):
        yield


@plant
def the_fence_is_not_journaled() -> Iterator[None]:
    """Rules are put up that no abort knows of."""

    def fence(world: World) -> None:
        if world.fencing.grade.value == "acl":
            rules = fence_source.missing_rules(world, world.observed.topics, world.observed.groups)
            world.source.acls.create(rules, world.deadline(30))
        world.logbook.add_fact(
            "fence_source",
            "fenced",
            {
                "grade": (grade := world.fencing.grade.value),
                "reached": grade,
                "told": "",
                "cluster": "east",
                "actor": "x",
            },
        )

    with step_with("fence_source", do=fence):
        yield


@plant
def more_is_known_lost_than_was() -> Iterator[None]:
    """The known loss counts a record that was mirrored."""
    account = limit.account_loss

    def more(*args: Any, **named: Any) -> Any:
        loss = account(*args, **named)
        return replace(loss, known_lost=loss.known_lost + 1)

    with mock.patch.object(limit, "account_loss", more):
        yield


@plant
def the_unknown_window_is_none() -> Iterator[None]:
    """What was written unseen is left out of the bound."""
    with mock.patch.object(limit, "unknown_window_seconds", return_value=0.0):
        yield


@plant
def an_unknown_outcome_is_written_again() -> Iterator[None]:
    """A journal append without an answer is made once more, unseen whether it is there."""

    def settle(self: Any, deadline: Any) -> bool:
        self._writer = self._log.open_writer(self.writer_id, deadline)
        self._unsettled = []
        return False

    with mock.patch.object(JournalWriter, "_settle", settle):
        yield


@plant
def the_chain_begins_anew() -> Iterator[None]:
    """A new writer does not go on where the chain ends."""
    with mock.patch.object(journal_module, "next_head", return_value=journal_module.Head()):
        yield


@plant
def untouched_partitions_are_left_out() -> Iterator[None]:
    """A group gets positions only where it has committed."""
    with mock.patch.object(translating, "with_starts", lambda seen, _starts: seen):
        yield


@plant
def finished_steps_are_believed() -> Iterator[None]:
    """A step that was done once is not looked at again."""
    advance = Engine._advance

    def believing(self: Any, step: Step[World]) -> Finding:
        if self._log.has(step.name, StepPhase.DONE):
            return Done({})
        return advance(self, step)

    with mock.patch.object(Engine, "_advance", believing):
        yield
