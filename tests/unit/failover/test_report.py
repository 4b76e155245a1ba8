"""The report tells what happened, and nothing that did not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from replicator.clock import Deadline
from replicator.errors import DataCorrupt
from replicator.failover import report_of, rto_told
from replicator.failover.engine.logbook import Logbook, Request
from replicator.failover.fences.telling import tell_unfenced
from replicator.journal import Journal, MemoryLog
from replicator.model.names import FlowName, OperationId
from replicator.model.objectives import Objectives
from replicator.model.observations import Reachability
from replicator.model.operations import OperationKind, OperationState, StepPhase


class Timepiece:
    """A clock that only sleeps move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def open_logbook(clock: Timepiece, kind: OperationKind) -> Logbook:
    """Return the logbook of an operation that has just begun."""
    writer = Journal(MemoryLog(), clock=clock).open_writer(
        "main", is_allowed=lambda: True, deadline=Deadline.after(5, clock=clock)
    )
    log = Logbook(writer, Request(operation_id=OperationId("op-1"), flow=FlowName("shop"), kind=kind, actor="ann"))
    log.begin({"source": "east", "target": "west", "commanded_at": "2026-01-01T00:00:00Z"})
    return log


@pytest.mark.parametrize(
    ("answer", "accepted", "told"),
    [
        (Reachability.REFUSED, (), "every known listener refuses"),
        (Reachability.REACHABLE, (), "none yet"),
        (Reachability.SILENT, ("loss",), "none yet"),
        (Reachability.SILENT, ("split-brain",), "none: split-brain was accepted"),
    ],
)
def test_an_override_that_nobody_gave_is_not_told(answer: Reachability, accepted: tuple[str, ...], told: str) -> None:
    """Without a fence it says why there is none."""
    assert tell_unfenced(answer, accepted) == told


def test_a_step_took_as_long_as_it_was_at_work() -> None:
    """The hour between two runs of an operation is no step's."""
    clock = Timepiece()
    log = open_logbook(clock, OperationKind.FAILOVER)
    log.note("survey", StepPhase.INTENT)
    clock.sleep(2)
    log.note("survey", StepPhase.DONE)
    log.note("cut", StepPhase.INTENT)
    clock.sleep(3)
    log.halt("too much would be lost")
    clock.sleep(3600)
    log.begin({"source": "east", "target": "west", "commanded_at": "2026-01-01T00:00:00Z"})
    log.note("survey", StepPhase.ALREADY)
    log.note("cut", StepPhase.INTENT)
    clock.sleep(4)
    log.note("cut", StepPhase.DONE)
    log.end(OperationState.DONE)
    took = {step.step: step.seconds for step in report_of(log.records, objectives=Objectives()).steps}
    assert took == {"survey": 2.0, "cut": 4.0}


@pytest.mark.parametrize(
    ("seconds", "expected", "is_held"), [(9.0, 9.0, True), (90.0, 90.0, False), (-3600.0, None, None)]
)
def test_a_clock_that_stepped_back_keeps_no_promise(
    seconds: float, expected: float | None, is_held: bool | None
) -> None:
    """What seems to have been verified before it was commanded took nobody knows how long: not 0 s."""
    clock = Timepiece()
    log = open_logbook(clock, OperationKind.FAILOVER)
    clock.seconds = seconds
    log.add_fact("verify", "verified", {"findings": []})
    report = report_of(log.records, objectives=Objectives(rto_seconds=60))
    assert (report.rto_seconds, [verdict.is_held for verdict in report.verdicts]) == (expected, [is_held])


def test_a_drill_promises_nothing_of_a_loss_and_fences_nobody() -> None:
    """It is judged by its time alone: a drill loses nothing and moves nobody."""
    log = open_logbook(Timepiece(), OperationKind.DRILL)
    log.end(OperationState.DONE)
    report = report_of(log.records, objectives=Objectives(rpo_seconds=10, rpo_records=5, rto_seconds=60))
    assert report.fence is None
    assert [verdict.objective for verdict in report.verdicts] == ["rto_seconds"]


@pytest.mark.parametrize(
    ("step", "item", "body"),
    [("fence_source", "fenced", {}), ("survey", "survey", {}), ("reconcile", "move", {}), ("cut", "loss", {"x": 1})],
)
def test_records_that_tell_no_report_are_named(step: str, item: str, body: dict[str, object]) -> None:
    """A fact that something else has written in an operation's name is an error of ours, never a crash; statistics
    of many operations go on without it."""
    log = open_logbook(Timepiece(), OperationKind.FAILOVER)
    log.add_fact(step, item, body)
    log.end(OperationState.DONE)
    with pytest.raises(DataCorrupt):
        report_of(log.records, objectives=Objectives())
    assert rto_told(log.records) is None


def test_a_request_without_its_moment_is_named() -> None:
    """An operation that somebody else began without saying when has no report."""
    log = open_logbook(Timepiece(), OperationKind.FAILOVER)
    odd = [replace(log.records[0], body={"source": "east", "target": "west"})]
    with pytest.raises(DataCorrupt, match="op-1: its records tell no report: KeyError"):
        report_of(odd, objectives=Objectives())
