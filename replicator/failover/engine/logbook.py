"""The journal as one operation sees it: its own records, and what it may add to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.failover.engine.crash import AFTER_WRITE, BEFORE_WRITE, Crashpoint, never_crash, write_point
from replicator.journal import (
    OPERATION_STEP,
    Entry,
    JournalWriter,
    OperationPhase,
    facts_of,
    is_point_of_no_return,
    to_operation,
)
from replicator.model.names import FlowName, OperationId
from replicator.model.operations import JournalRecord, Operation, OperationKind, OperationState, StepPhase

APPEND_SECONDS = 30.0
"""A standby that does not take a record within this is told as lost contact."""
FACTS_AT_ONCE = 200
"""Facts of many items share a transaction, at most so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who wants which operation."""

    operation_id: OperationId
    flow: FlowName
    kind: OperationKind
    actor: str


class Logbook:
    """Writes one operation's records and reads only those back: yesterday's facts are another operation's."""

    def __init__(
        self,
        writer: JournalWriter,
        request: Request,
        *,
        clock: Clock = SYSTEM_CLOCK,
        crashpoint: Crashpoint = never_crash,
    ) -> None:
        self.request = request
        self._crashpoint = crashpoint
        self._writes = 0
        self._writer = writer
        self._clock = clock
        self._records = [r for r in writer.records if r.operation_id == request.operation_id]

    @property
    def records(self) -> tuple[JournalRecord, ...]:
        """The operation's records, oldest first."""
        return tuple(self._records)

    @property
    def all_records(self) -> tuple[JournalRecord, ...]:
        """Every record of the journal, other operations' included."""
        return self._writer.records

    @property
    def operation(self) -> Operation:
        """The operation as its records tell it."""
        return to_operation(self._records)

    @property
    def epoch(self) -> int:
        """The number of this process's hold on the lease."""
        return self._writer.epoch

    @property
    def is_past_promote(self) -> bool:
        """Whether the only way is forward."""
        return any(is_point_of_no_return(record) for record in self._records)

    def require_lease(self) -> None:
        """Return only while this process may act. Raises Fenced once it may not."""
        self._writer.require_lease()

    def is_lease_held(self) -> bool:
        """Whether this process may still act."""
        return self._writer.is_lease_held()

    def begin(self, body: Mapping[str, Any]) -> None:
        """Journal the request, or, where this operation was begun before, that it goes on."""
        phase = OperationPhase.RESUMED if self._records else OperationPhase.REQUESTED
        self._write(OPERATION_STEP, phase, body=body)

    def halt(self, reason: str) -> None:
        """Journal that the operation stands still and why."""
        self._write(OPERATION_STEP, OperationPhase.HALTED, body={"reason": reason})

    def begin_abort(self) -> None:
        """Journal that the operation goes backwards from here."""
        self._write(OPERATION_STEP, OperationPhase.ABORTING)

    def end(self, state: OperationState, body: Mapping[str, Any] | None = None) -> None:
        """Journal the end."""
        self._write(OPERATION_STEP, OperationPhase.ENDED, body={**(body or {}), "state": state.value})

    def end_other(self, operation: Operation, *, reason: str) -> None:
        """Journal that another operation, whose place this one takes, has ended."""
        body = {"state": OperationState.ABORTED.value, "reason": reason, "by": self.request.operation_id}
        entry = self._entry(OPERATION_STEP, OperationPhase.ENDED, body=body)
        other = replace(entry, operation_id=operation.id, kind=operation.kind.value)
        self._writes += 1
        self._crashpoint(write_point(self._writes, BEFORE_WRITE))
        self._writer.append([other], Deadline.after(APPEND_SECONDS, clock=self._clock))
        self._crashpoint(write_point(self._writes, AFTER_WRITE))

    def note(self, step: str, phase: StepPhase, body: Mapping[str, Any] | None = None) -> None:
        """Journal how a step stands."""
        self._write(step, phase, body=body)

    def add_fact(self, step: str, item: str, body: Mapping[str, Any]) -> None:
        """Journal one result of a step."""
        self._write(step, StepPhase.FACT, item=item, body=body)

    def add_facts(self, step: str, facts: Mapping[str, Mapping[str, Any]]) -> None:
        """Journal the results for many items, many to a transaction."""
        entries = [self._entry(step, StepPhase.FACT, item=item, body=body) for item, body in facts.items()]
        for start in range(0, len(entries), FACTS_AT_ONCE):
            self._append(entries[start : start + FACTS_AT_ONCE])

    def facts(self, step: str) -> dict[str, Mapping[str, Any]]:
        """Return the newest fact of each item that the step left in this operation."""
        return facts_of(self._records, step)

    def fact(self, step: str, item: str) -> Mapping[str, Any] | None:
        """Return one fact of this operation, or None."""
        return self.facts(step).get(item)

    def fact_record(self, step: str, item: str) -> JournalRecord | None:
        """Return the newest record of one fact, or None."""
        found = [r for r in self._records if r.step == step and r.phase == StepPhase.FACT and r.item == item]
        return found[-1] if found else None

    def has(self, step: str, phase: StepPhase) -> bool:
        """Whether the step ever stood in this phase in this operation."""
        return any(record.step == step and record.phase == phase for record in self._records)

    def _entry(self, step: str, phase: str, *, item: str | None = None, body: Mapping[str, Any] | None = None) -> Entry:
        return Entry(
            operation_id=self.request.operation_id,
            flow=self.request.flow,
            kind=self.request.kind.value,
            step=step,
            phase=phase,
            actor=self.request.actor,
            item=item,
            body=body or {},
        )

    def _write(self, step: str, phase: str, *, item: str | None = None, body: Mapping[str, Any] | None = None) -> None:
        self._append([self._entry(step, phase, item=item, body=body)])

    def _append(self, entries: list[Entry]) -> None:
        self._writes += 1
        self._crashpoint(write_point(self._writes, BEFORE_WRITE))
        deadline = Deadline.after(APPEND_SECONDS, clock=self._clock)
        self._records.extend(self._writer.append(entries, deadline))
        self._crashpoint(write_point(self._writes, AFTER_WRITE))
