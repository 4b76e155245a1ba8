"""An operation as a runbook that can be watched: every step, how it stands, since when, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from replicator.api.schema import OperationView, RunbookView, StepView
from replicator.api.shapes.plans import PlannedStepView
from replicator.failover.engine.runbook import Step
from replicator.failover.runbooks import RUNBOOKS
from replicator.failover.world import World
from replicator.model.forms.text import safe_text
from replicator.model.operations import JournalRecord, Operation, OperationKind, StepPhase

_OPERATION = "operation"
_FINDING_LENGTH_MAX = 240

_STATE_OF_PHASE = {
    StepPhase.INTENT: "running",
    StepPhase.DONE: "done",
    StepPhase.ALREADY: "already",
    StepPhase.BLOCKED: "blocked",
    StepPhase.FAILED: "failed",
    StepPhase.UNDONE: "undone",
}
_SETTLED = frozenset({"done", "already", "undone"})


def runbook_views() -> tuple[RunbookView, ...]:
    """Return the steps of every kind of operation, as they would be run."""
    return tuple(
        RunbookView(
            kind=kind.value,
            steps=tuple(
                PlannedStepView(
                    name=step.name,
                    says=step.says,
                    is_point_of_no_return=step.is_point_of_no_return,
                    is_undoable=step.undo is not None,
                )
                for step in runbook.steps
            ),
        )
        for kind, runbook in RUNBOOKS.items()
    )


def operation_view(operation: Operation) -> OperationView:
    """Return the operation with its whole runbook, those steps not begun included while it may go on."""
    return OperationView(
        id=operation.id,
        flow=operation.flow,
        kind=operation.kind.value,
        source=operation.source,
        target=operation.target,
        state=operation.state.value,
        actor=operation.actor,
        started_at=operation.started_at,
        ended_at=operation.ended_at,
        step=operation.step,
        is_past_promote=operation.is_past_promote,
        reason=_reason(operation),
        steps=tuple(_steps(operation)),
    )


def _reason(operation: Operation) -> str | None:
    """Return why it stands still or how it ended, as the journal says it."""
    told = [r.body for r in operation.records if r.step == _OPERATION and (r.body.get("reason") or r.body.get("error"))]
    return _one_line(told[-1].get("reason") or told[-1].get("error")) if told else None


def _steps(operation: Operation) -> Iterable[StepView]:
    by_step: dict[str, list[JournalRecord]] = {}
    for record in operation.records:
        if record.step != _OPERATION:
            by_step.setdefault(record.step, []).append(record)
    known = {step.name: step for step in _known_steps(operation.kind)}
    expected = () if operation.state.is_terminal else tuple(known)
    for name in merge_steps(expected, tuple(by_step)):
        view = _step_view(name, by_step.get(name, ()))
        if (step := known.get(name)) is not None:
            extra = {"says": step.says, "is_point_of_no_return": step.is_point_of_no_return}
            view = view.model_copy(update=extra)
        yield view


def _known_steps(kind: OperationKind) -> tuple[Step[World], ...]:
    """Return the runbook's steps, to show what is still to come. The journal alone says what happened."""
    runbook = RUNBOOKS.get(kind)
    return () if runbook is None else runbook.steps


def merge_steps(expected: Sequence[str], begun: Sequence[str]) -> tuple[str, ...]:
    """Return the steps in the order to show: those begun as they happened, then what is still expected.

    An expected step that was passed by without a record is left out: this runbook does not hold it.
    """
    last = max((expected.index(name) for name in begun if name in expected), default=-1)
    return (*begun, *(name for name in expected[last + 1 :] if name not in begun))


def _step_view(name: str, records: Sequence[JournalRecord]) -> StepView:
    phases = [record for record in records if record.phase != StepPhase.FACT]
    last = phases[-1] if phases else None
    state = _state(last, records)
    return StepView(
        name=name,
        state=state,
        started_at=_since(phases),
        ended_at=last.written_at if last is not None and state in _SETTLED else None,
        finding=_finding(last),
    )


def _state(last: JournalRecord | None, records: Sequence[JournalRecord]) -> str:
    if last is None:
        return "running" if records else "pending"
    try:
        return _STATE_OF_PHASE.get(StepPhase(last.phase), last.phase)
    except ValueError:
        return last.phase


def _since(phases: Sequence[JournalRecord]) -> datetime | None:
    """Return when the newest try of the step began."""
    intents = [record for record in phases if record.phase == StepPhase.INTENT]
    return (intents or list(phases))[-1].written_at if phases else None


def _finding(record: JournalRecord | None) -> str | None:
    if record is None or record.phase == StepPhase.INTENT:
        return None
    told = record.body.get("reason") or record.body.get("error")
    return _one_line(told) if told else _told_evidence(record.body.get("evidence", record.body))


def _told_evidence(evidence: Any) -> str | None:
    if not isinstance(evidence, Mapping):
        return _one_line(evidence) if evidence else None
    plain = {key: value for key, value in evidence.items() if isinstance(value, str | int | float)}
    return _one_line(", ".join(f"{key} {_told(value)}" for key, value in plain.items())) or None


def _told(value: str | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _one_line(told: object) -> str:
    return safe_text(told)[:_FINDING_LENGTH_MAX]
