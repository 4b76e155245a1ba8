"""However an operation ends or stands still, the end of its journal is kept where its own cluster cannot change it."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.errors import ReplicatorError
from replicator.failover import Choices, Order, Override, World, run_operation
from replicator.journal import KeptHead, journal_topic, prove_journals
from replicator.journal.chain import Stored
from replicator.model.names import OperationId
from replicator.model.operations import OperationKind, OperationState
from tests.simulation.brokers import Broker
from tests.simulation.judge import journal_of
from tests.simulation.play import Theatre, copy_stage
from tests.simulation.stage import Stage
from tests.simulation.test_kills import open_world
from tests.simulation.wires import Fault, Process

KINDS = (OperationKind.DRILL, OperationKind.FAILOVER, OperationKind.SWITCHOVER, OperationKind.FAILBACK)


class Witnessed(Theatre):
    """A world with a store for heads, in which all is accepted by name; every order may be held."""

    hold_before: str | None = None

    def __init__(self, stage: Stage, faults: dict[int, Fault] | None = None) -> None:
        super().__init__(stage, 0, faults or {})
        self.kept: list[KeptHead] = []

    def _world(self, process: Process) -> tuple[World, int]:
        world, epoch = super()._world(process)
        world.keep_head = self.kept.append
        world.choices = Choices(accepted=frozenset(Override))
        return world, epoch

    def hold(self, before: str) -> OperationState:
        """Begin the order, hold it before a step, and return how it stands."""
        with self._patched():
            world, epoch = self._world(Process(self.wires, "holding"))
            order = Order(
                kind=self.stage.kind,
                actor="simulation",
                commanded_at=self.stage.clock.now(),
                fresh_id=OperationId("held"),
                hold_before=before,
            )
            with pytest.raises(ReplicatorError):
                run_operation(world, order, announce=lambda _id: None, epoch_elsewhere=epoch)
        operation = self._last()
        assert operation is not None
        return operation.state


def stored(broker: Broker) -> list[Stored]:
    """Return what a cluster's journal holds."""
    topic = broker.topics.get(journal_topic())
    log = topic.logs[0] if topic is not None else None
    return [] if log is None else [Stored(at, log.entries[at].value or b"") for at in log.visible(0, log.end)]


def assert_kept(theatre: Witnessed, *, is_on_peer: bool = True) -> None:
    """The newest head outside is that of the newest record; with that record cut off, each witness says so."""
    target, source = theatre.stage.target, theatre.stage.source
    own = [r for r in journal_of(target) if r.kind == theatre.stage.kind]
    last = own[-1]
    head = theatre.kept[-1]
    assert (head.cluster, head.writer, head.sequence, head.digest) == (
        target.name,
        last.writer,
        last.sequence,
        last.digest,
    )
    assert head.epoch == last.epoch
    whole = stored(target)
    cut = [one for one in whole if last.offset is None or one.offset < last.offset]
    assert len(cut) < len(whole)
    by_store = prove_journals({target.name: cut}, kept_elsewhere=theatre.kept)
    assert any("the tail was cut" in found for found in by_store[0].findings)
    proofs = {one.cluster: one for one in prove_journals({target.name: cut, source.name: stored(source)})}
    assert any("the tail was cut" in found for found in proofs[target.name].findings) is is_on_peer
    whole_again: Any = prove_journals({target.name: whole, source.name: stored(source)}, kept_elsewhere=theatre.kept)
    assert all(one.is_whole for one in whole_again)


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_an_operation_is_kept_outside(kind: OperationKind) -> None:
    """Store and other cluster have it; a failover's lost source cannot, and the store alone does."""
    theatre = Witnessed(copy_stage(open_world(kind)))
    theatre.run()
    operation = theatre._last()
    assert operation is not None
    assert operation.state.is_terminal
    assert operation.is_past_promote is (kind is not OperationKind.DRILL)
    assert_kept(theatre, is_on_peer=not theatre.stage.source.is_down)
    assert theatre.stage.source.is_down is (kind is OperationKind.FAILOVER)


def test_a_failover_tells_an_old_active_that_answers() -> None:
    """It was accepted that the old active lives: its journal has the head."""
    stage = copy_stage(open_world(OperationKind.FAILOVER))
    stage.source.is_down = False
    theatre = Witnessed(stage)
    theatre.run()
    operation = theatre._last()
    assert operation is not None
    assert operation.is_past_promote
    assert_kept(theatre)


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_an_abort_is_kept_outside(kind: OperationKind) -> None:
    """Killed midway and taken back: the head is that of the aborted operation's last record."""
    stage = copy_stage(open_world(kind))
    calm = Witnessed(copy_stage(stage))
    calm.run()
    call = next(call for call, place in calm.wires.places.items() if place == "translate.after_intent")
    stage.aborts_after, stage.goes_on = 1, False
    theatre = Witnessed(stage, {call: Fault.KILL_BEFORE})
    theatre.run()
    operation = theatre._last()
    assert operation is not None
    assert operation.state is OperationState.ABORTED
    assert_kept(theatre, is_on_peer=not stage.source.is_down)


@pytest.mark.parametrize("kind", KINDS)
def test_where_an_operation_stands_still_is_kept_outside(kind: OperationKind) -> None:
    """Halted for a human, who may be long: the head is kept before anybody comes."""
    theatre = Witnessed(copy_stage(open_world(kind)))
    before = "clean_up" if kind is OperationKind.DRILL else "promote"
    assert theatre.hold(before) is OperationState.HALTED
    assert_kept(theatre, is_on_peer=not theatre.stage.source.is_down)
