"""Failovers from a source that still answers, and what their hooks and their probe's record are held to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from replicator.errors import OperationHalted
from replicator.failover import (
    Choices,
    FenceGrade,
    Fencing,
    HookCommand,
    OperationReport,
    Order,
    Override,
    abort_operation,
    run_operation,
)
from replicator.journal import active_cluster, facts_of
from replicator.model.acls import Permission, Right
from replicator.model.names import OperationId, TopicName, TopicPartition
from replicator.model.operations import OperationKind, OperationState
from tests.simulation.brokers import Entry
from tests.simulation.judge import journal_of
from tests.simulation.play import Theatre, copy_stage, open_stage
from tests.simulation.ports import SimWriter
from tests.simulation.stage import FLOW, Stage, is_homeward, make_stage
from tests.simulation.wires import Fault, Process

PROBE = TopicName("__replicator.probe")
ACCEPTED = Choices(accepted=frozenset({Override.SPLIT_BRAIN}))


def living(*, grade: FenceGrade = FenceGrade.ACL, is_answering: bool = True) -> Stage:
    """Return the world of a failover whose source answers, or not; by default it has an authorizer."""
    for seed in range(400):
        stage = make_stage(seed)
        is_kind = not is_homeward(seed) and stage.kind is OperationKind.FAILOVER
        if is_kind and stage.is_answering is is_answering and stage.fencing.grade is grade:
            return stage
    raise AssertionError("no such world")


def order(
    theatre: Theatre, number: int, *, choices: Choices = ACCEPTED, is_abort: bool = False, **changes: Any
) -> OperationReport:
    """Return the report of a failover, of a world in which `changes` hold."""
    process = Process(theatre.wires, f"process-{number}")
    asked = Order(
        kind=OperationKind.FAILOVER,
        actor="simulation",
        commanded_at=theatre.stage.clock.now(),
        fresh_id=OperationId(f"failover-{number}"),
        hold_before=changes.pop("hold_before", None),
    )
    with theatre._patched():
        world, epoch = theatre._world(process)
        world.choices = choices
        for name, value in changes.items():
            setattr(world, name, value)
        act = abort_operation if is_abort else run_operation
        return act(world, asked, announce=lambda _id: None, epoch_elsewhere=epoch)


def denials(stage: Stage) -> set[str]:
    """Return whom rules of the source deny to write."""
    is_write = {rule for rule in stage.source.rules if rule.right is Right.WRITE}
    return {rule.principal for rule in is_write if rule.permission is Permission.DENY}


def test_a_source_that_answers_is_fenced_before_the_cut_and_the_abort_lifts_it() -> None:
    """The rules stand before anything is stopped; they are ours to take down; not probed, they count as attested."""
    stage = living()
    theatre, before = Theatre(stage, 0, {}), stage.standing()
    with pytest.raises(OperationHalted, match="held before stop_flow"):
        order(theatre, 1, hold_before="stop_flow")
    assert denials(stage) == {"User:app"}
    order(theatre, 2, is_abort=True)
    assert stage.standing().rules == before.rules
    report = order(theatre, 3)
    assert denials(stage) == {"User:app"}
    rules = [rule for rule in stage.source.rules if rule.permission is Permission.DENY]
    assert report.fence is not None
    assert report.fence.source.startswith(
        f"acl: {len(rules)} rules deny applications; attested at most: no application"
    )
    assert report.accepted == ("split-brain",)


def test_the_other_cluster_learns_of_the_rules_that_fence_it() -> None:
    """With the promoted cluster lost, the old one's own journal tells which of our rules to lift."""
    stage = living()
    order(Theatre(stage, 0, {}), 1)
    told = facts_of(journal_of(stage.source), "fence_source")["rules"]
    assert told["cluster"] == FLOW.source
    assert len(told["rows"]) == len([r for r in stage.source.rules if r.permission is Permission.DENY])


def test_a_fence_that_cannot_be_set_keeps_no_failover() -> None:
    """No authorizer, or a source that stops answering under our hands: the report says why there is none."""
    by_rules = Fencing(grade=FenceGrade.ACL)
    stage = living(grade=FenceGrade.ATTESTED)
    report = order(Theatre(stage, 0, {}), 1, fencing=by_rules)
    assert report.is_past_promote
    assert report.fence is not None
    assert report.fence.source.startswith("none: split-brain was accepted: the source east has no authorizer")

    stage = living(grade=FenceGrade.ATTESTED)
    stage.source.has_authorizer = True
    theatre = Theatre(stage, 0, {})
    theatre.wires.tick = lambda: _die_after_the_survey(stage)
    report = order(theatre, 1, fencing=by_rules)
    assert report.is_past_promote
    assert report.fence is not None
    assert "cluster east does not answer" in report.fence.source


def test_one_lost_answer_in_the_survey_forgoes_no_fence() -> None:
    """The source took the connection and did not describe itself: it is asked once more before the cut."""
    stage = living()
    calm = Theatre(copy_stage(stage), 0, {})
    asked: list[int] = []
    calm.wires.tick = lambda: None
    original = Process.call

    def noted(self: Process, what: str, *rest: Any, **how: Any) -> Any:
        if what == "east: describe":
            asked.append(self._wires.calls + 1)
        return original(self, what, *rest, **how)

    with mock.patch.object(Process, "call", noted):
        order(calm, 1)
    for call in asked:
        world = copy_stage(stage)
        order(Theatre(world, 0, {call: Fault.LOST_REPLY}), 1)
        assert denials(world) == {"User:app"}, f"call {call}"
    assert len(asked) > 1


def _die_after_the_survey(stage: Stage) -> None:
    if any(record.step == "survey" and record.phase == "fact" for record in journal_of(stage.target)):
        stage.source.is_down = True


def test_where_nobody_decides_an_unverified_fence_stops_it() -> None:
    """Nothing is cut or promoted; a human who orders the same goes on with it."""
    stage = living(is_answering=False)
    theatre = Theatre(stage, 0, {})
    with pytest.raises(OperationHalted, match="no verified fence: east may be alive for others") as halted:
        order(theatre, 1, choices=Choices(needs_fence=True))
    assert "failover orders --confirm orders" in (halted.value.hint or "")
    assert active_cluster(journal_of(stage.target), FLOW.name) is None
    assert not any(record.step == "cut" for record in journal_of(stage.target))
    assert order(theatre, 2, choices=Choices()).is_past_promote


def python(text: str) -> tuple[str, ...]:
    """Return the arguments of a piece of Python."""
    return (sys.executable, "-c", text)


@pytest.mark.process
@pytest.mark.parametrize("is_looked_at", [True, False])
def test_a_hook_fences_what_does_not_answer_us(tmp_path: Path, is_looked_at: bool) -> None:
    """Where each hook is verified nobody has to decide; where none is, its word is attested at most."""
    stage, mark = living(is_answering=False), tmp_path / "cut"
    hook = HookCommand(
        python(f"open({str(mark)!r}, 'w')"),
        verify=python(f"import os; raise SystemExit(not os.path.exists({str(mark)!r}))") if is_looked_at else None,
    )
    fencing, theatre = Fencing(grade=FenceGrade.HOOK, fence_hooks=(hook,)), Theatre(stage, 0, {})
    if not is_looked_at:
        with pytest.raises(OperationHalted, match="no verified fence"):
            order(theatre, 1, choices=Choices(needs_fence=True), fencing=fencing)
        assert mark.exists()
        return
    report = order(theatre, 1, choices=Choices(needs_fence=True), fencing=fencing)
    assert mark.exists()
    assert report.fence is not None
    assert report.fence.source == "hook"


@pytest.mark.process
def test_a_promote_hook_that_lies_halts_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Nothing is published before what the hook is for is so; it runs again with the operation's later try."""
    stage, runs, mark = living(is_answering=False), tmp_path / "runs", tmp_path / "pointed"
    act = f"import os; open({str(runs)!r}, 'a').write(' '.join(os.environ[k] for k in ('OP', 'STEP', 'EPOCH')) + ';')"
    hook = HookCommand(python(act), verify=python(f"import os; raise SystemExit(not os.path.exists({str(mark)!r}))"))
    theatre = Theatre(stage, 0, {})
    with pytest.raises(OperationHalted, match="ended with 0, and what it is for is not so") as halted:
        order(theatre, 1, choices=Choices(), hooks=(hook,))
    assert "mend the hook; it may be run again; `replicator op resume failover-1` goes on" in (halted.value.hint or "")
    assert "abort" not in (halted.value.hint or ""), "past its intent the only way is forward"
    assert active_cluster(journal_of(stage.target), FLOW.name) is None
    mark.touch()
    assert order(theatre, 2, choices=Choices(), hooks=(hook,)).is_past_promote
    assert active_cluster(journal_of(stage.target), FLOW.name) == FLOW.target
    first, second, rest = runs.read_text().split(";")
    assert (first.split()[:2], second.split()[:2], rest) == (["failover-1", "promote"], ["failover-1", "promote"], "")
    assert int(second.split()[2]) > int(first.split()[2]), "each run under its own epoch"


@contextmanager
def old_acks() -> Any:
    """Let the target's brokers drop a probe and acknowledge it with the offset of an older record of the same words."""
    honest = SimWriter.flush

    def flush(self: SimWriter, deadline: Any) -> dict[TopicPartition, int]:
        tp = TopicPartition(PROBE, 0)
        same = [record for record in self._sent if record.topic == PROBE]
        if not same:
            return honest(self, deadline)
        log = self._line.broker.log(tp)
        log.entries[0].value = same[0].value
        self._sent = []
        return {tp: 0}

    with mock.patch.object(SimWriter, "flush", flush):
        yield


def _fill_probe(stage: Stage, values: Iterable[bytes]) -> None:
    stage.target.create(PROBE, 1)
    for value in values:
        stage.target.log(TopicPartition(PROBE, 0)).append(Entry(None, value))


def test_a_broker_that_acknowledges_an_old_offset_is_found() -> None:
    """The record at that offset reads back as it was sent; only the end before the write tells that it is another."""
    stage = living(is_answering=False)
    _fill_probe(stage, (b"older", b"old"))
    honest = copy_stage(stage)
    with old_acks(), pytest.raises(OperationHalted, match=r"acked offset 0, and ended at 2 before the write"):
        order(Theatre(stage, 0, {}), 1, choices=Choices())
    assert order(Theatre(honest, 0, {}), 1, choices=Choices()).state in (
        OperationState.DONE,
        OperationState.DONE_WITH_EXCEPTIONS,
    )


def test_a_failback_lifts_what_a_failover_has_fenced() -> None:
    """On the way home the rules are found by the journal and go at promote, as those of a planned move do."""
    for seed in range(3, 2000, 4):
        stage = open_stage(seed)
        if {r.permission for r in stage.target.rules} == {Permission.ALLOW, Permission.DENY} and _was_failover(stage):
            stage.aborts_after = None
            Theatre(stage, seed, {}).run()
            assert not {r for r in stage.target.rules if r.permission is Permission.DENY}
            return
    raise AssertionError("no failback comes home to a fence of a failover")


def _was_failover(stage: Stage) -> bool:
    return any(record.kind == OperationKind.FAILOVER.value for record in journal_of(stage.source))
