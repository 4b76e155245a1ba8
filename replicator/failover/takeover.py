"""A failover takes over a planned move whose source has died: that can neither go on nor wholly go back.

The planned move ends, aborted, in the same journal; what it has left behind is known to the failover by the link in
its request, and is the failover's to undo: where groups stood, how connectors were, the rules on the dead source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replicator.errors import PreflightBlocked, ReplicatorError
from replicator.failover.engine.logbook import Logbook
from replicator.failover.engine.runbook import Step
from replicator.failover.fences import FENCE_STEP, LIFTED_ITEM, RULES_ITEM, rule_to_row, rules_of
from replicator.failover.world import ACT_SECONDS, World
from replicator.journal import facts_of, find_operation, is_being_aborted
from replicator.model.names import OperationId
from replicator.model.operations import (
    Blocked,
    JournalRecord,
    Operation,
    OperationKind,
    OperationState,
)

TAKES_OVER = "takes_over"
CHAIN_MAX = 20
"""Failovers that took over one another; more than this is no outage."""


def can_be_taken_over(operation: Operation) -> bool:
    """Whether a failover may go on in its place: a planned move before its point of no return, or a failover whose
    abort stands still because it cannot reach the source."""
    if operation.is_past_promote or operation.state.is_terminal:
        return False
    if operation.kind is OperationKind.FAILOVER:
        return is_being_aborted(operation) and operation.state is OperationState.HALTED
    return operation.kind is OperationKind.SWITCHOVER


def require_loss_of_source(world: World, operation: Operation, survey: Step[World]) -> None:
    """Return only where a failover may begin by what both sides look like; nothing was changed then.

    Raises:
        PreflightBlocked: it may not: the planned move stays what it is.
    """
    finding = survey.check(world)
    if isinstance(finding, Blocked):
        ways = f"`replicator op resume {operation.id}` or `replicator op abort {operation.id}`"
        raise PreflightBlocked(
            f"flow {operation.flow} has an open {operation.kind.value}, {operation.id}, and it is not taken over: "
            f"{finding.reason}",
            hint=f"{ways}; or {finding.hint}" if finding.hint else ways,
            operation_id=operation.id,
        )


def end_taken_over(log: Logbook) -> None:
    """Leave the operation that this one takes over ended. Its own records say by which."""
    taken = taken_over_by(log.records)
    operation = None if taken is None else find_operation(log.all_records, taken)
    if operation is not None and not operation.state.is_terminal:
        log.end_other(operation, reason=f"taken over by {log.request.operation_id}: its source was lost")


def taken_over_by(records: Sequence[JournalRecord]) -> OperationId | None:
    """Return the operation whose place the records' own has taken; None where it began by itself."""
    told = records[0].body.get(TAKES_OVER) if records else None
    return None if told is None else OperationId(str(told))


def inherited_facts(log: Logbook, step: str) -> dict[str, Mapping[str, Any]]:
    """Return the facts that a step left in the operations which this one has taken over, the newest of each item."""
    found: dict[str, Mapping[str, Any]] = {}
    for records in _lineage(log):
        found = {**facts_of(records, step), **found}
    return found


def _lineage(log: Logbook) -> Iterator[list[JournalRecord]]:
    """Yield the records of each operation taken over, the nearest first."""
    taken = taken_over_by(log.records)
    for _ in range(CHAIN_MAX):
        if taken is None:
            return
        records = [record for record in log.all_records if record.operation_id == taken]
        yield records
        taken = taken_over_by(records)


def undo_takeover(world: World) -> None:
    """Leave none of the rules on the source that an operation taken over had put there.

    Raises:
        ReplicatorError: the source cannot be asked; the rules stand until the same command reaches it.
    """
    rules = rules_of(inherited_facts(world.logbook, FENCE_STEP).get(RULES_ITEM))
    if not rules:
        return
    world.logbook.require_lease()
    try:
        world.source.acls.delete(rules, world.deadline(ACT_SECONDS))
    except ReplicatorError as error:
        error.hint = error.hint or f"{len(rules)} rules stand on {world.flow.source} until the same command reaches it"
        raise
    body = {"cluster": world.flow.source, "rows": [rule_to_row(rule) for rule in rules]}
    world.logbook.add_fact(FENCE_STEP, LIFTED_ITEM, body)
