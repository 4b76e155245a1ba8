"""What the journal's records say: operations, their facts, which cluster is active. Values to values."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from replicator.errors import DataCorrupt, NotFound
from replicator.journal.chain import AUDIT_STEP
from replicator.model.names import ClusterName, FlowName, OperationId
from replicator.model.operations import JournalRecord, Operation, OperationKind, OperationState, StepPhase

OPERATION_STEP = "operation"
"""The step name of records about the operation as a whole."""

PROMOTE_STEP = "promote"
"""Its intent is the point of no return; its fact `active` names the active cluster."""

ACTIVE_ITEM = "active"

HEAD_STEP = "head"
HEAD_ITEM = "head"
"""Step and item of a copied head: where another cluster's chain of a writer ended when the copy was made."""

_COPY_PREFIX = "copy."


class OperationPhase(StrEnum):
    """What the journal says of an operation as a whole."""

    REQUESTED = "requested"
    RESUMED = "resumed"
    HALTED = "halted"
    ABORTING = "aborting"
    ENDED = "ended"


def list_operations(records: Iterable[JournalRecord]) -> dict[OperationId, Operation]:
    """Return every operation of the journal, oldest first, without those that `untold_operations` names."""
    return _list_told(records)[0]


def untold_operations(records: Iterable[JournalRecord]) -> dict[OperationId, str]:
    """Return each operation that its records do not tell, and why: something else has written them.

    What was copied from the other cluster's journal begins no operation here.
    """
    return _list_told(record for record in records if not record.writer.startswith(_COPY_PREFIX))[1]


def _list_told(records: Iterable[JournalRecord]) -> tuple[dict[OperationId, Operation], dict[OperationId, str]]:
    told: dict[OperationId, Operation] = {}
    untold: dict[OperationId, str] = {}
    for id_, own in _group(record for record in records if record.step != AUDIT_STEP).items():
        try:
            told[id_] = to_operation(own)
        except DataCorrupt as exc:
            untold[id_] = exc.message
    return told, untold


def _group(records: Iterable[JournalRecord]) -> dict[OperationId, list[JournalRecord]]:
    grouped: dict[OperationId, list[JournalRecord]] = {}
    for record in records:
        grouped.setdefault(record.operation_id, []).append(record)
    return grouped


def is_head(record: JournalRecord) -> bool:
    """Whether the record keeps the head of another cluster's chain."""
    return record.step == HEAD_STEP and record.phase == StepPhase.FACT


def _is_request(record: JournalRecord) -> bool:
    return record.step == OPERATION_STEP and record.phase == OperationPhase.REQUESTED


def to_operation(records: Sequence[JournalRecord]) -> Operation:
    """Return the operation that its own records, in order, tell. The first is its request.

    Raises:
        DataCorrupt: it is not, or one of them says what no operation can say.
    """
    first = records[0]
    if not _is_request(first):
        raise _untold(first, f"it begins with {first.step} {first.phase}, not with its request")
    try:
        return _read_operation(records)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise _untold(first, f"a field of it is missing or odd: {exc!r}") from exc


def _untold(record: JournalRecord, why: str) -> DataCorrupt:
    return DataCorrupt(
        f"operation {record.operation_id}: {why}",
        hint="something else has written the journal: `replicator audit verify` names what",
    )


def _read_operation(records: Sequence[JournalRecord]) -> Operation:
    first = records[0]
    ended = next((r for r in records if r.step == OPERATION_STEP and r.phase == OperationPhase.ENDED), None)
    steps = [record.step for record in records if record.step != OPERATION_STEP]
    return Operation(
        id=first.operation_id,
        flow=first.flow,
        kind=OperationKind(first.kind),
        source=ClusterName(_expect_text(first.body["source"])),
        target=ClusterName(_expect_text(first.body["target"])),
        state=_state_of(records),
        actor=first.actor,
        started_at=first.written_at,
        ended_at=ended.written_at if ended else None,
        step=steps[-1] if steps else None,
        is_past_promote=any(is_point_of_no_return(record) for record in records),
        records=tuple(records),
    )


def _expect_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a name is meant")
    return value


def _state_of(records: Sequence[JournalRecord]) -> OperationState:
    """RUNNING is what the journal says; whether a process still lives only the lease knows."""
    last = [record for record in records if record.step == OPERATION_STEP][-1]
    match OperationPhase(last.phase):
        case OperationPhase.ENDED:
            return OperationState(last.body["state"])
        case OperationPhase.HALTED:
            return OperationState.HALTED
        case OperationPhase.REQUESTED | OperationPhase.RESUMED | OperationPhase.ABORTING:
            return OperationState.RUNNING


def is_point_of_no_return(record: JournalRecord) -> bool:
    """Whether from this record on the only way is forward."""
    return record.step == PROMOTE_STEP and record.phase == StepPhase.INTENT


def is_being_aborted(operation: Operation) -> bool:
    """Whether an abort was begun: then only the abort may go on."""
    return any(r.step == OPERATION_STEP and r.phase == OperationPhase.ABORTING for r in operation.records)


def open_operation(records: Iterable[JournalRecord], flow: FlowName) -> Operation | None:
    """Return the flow's operation that has not ended, or None; the newest should there be several.

    Raises:
        DataCorrupt: an operation of the flow was requested and its records do not tell how it stands.
    """
    grouped = _group(record for record in records if record.flow == flow).values()
    begun = [to_operation(own) for own in grouped if _is_begun(own)]
    found = [op for op in begun if not op.state.is_terminal]
    return found[-1] if found else None


def _is_begun(records: Sequence[JournalRecord]) -> bool:
    """Whether the first record alone tells an operation: what follows must not be passed over then."""
    try:
        to_operation(records[:1])
    except DataCorrupt:
        return False
    return True


def running_operation(records: Sequence[JournalRecord], writer: str) -> Operation | None:
    """Return the operation that the writer worked on last, if it has not ended: what a live holder runs."""
    own = [record for record in records if record.writer == writer]
    if not own:
        return None
    operation = list_operations(records).get(own[-1].operation_id)
    return None if operation is None or operation.state.is_terminal else operation


def find_operation(records: Iterable[JournalRecord], operation_id: str) -> Operation:
    """Return the operation of this id.

    Raises:
        NotFound: the journal holds none.
    """
    found = list_operations(records).get(OperationId(operation_id))
    if found is None:
        raise NotFound(f"operation {operation_id}: the journal holds none of this id", hint="replicator op list")
    return found


def facts_of(records: Iterable[JournalRecord], step: str) -> dict[str, Mapping[str, Any]]:
    """Return the newest fact of each item that a step left; the records are those of one operation."""
    return {
        record.item or "": record.body for record in records if record.step == step and record.phase == StepPhase.FACT
    }


def copy_writer(supervisor_id: str) -> str:
    """Return the writer under which a supervisor copies heads into the other cluster's journal."""
    return f"{_COPY_PREFIX}{supervisor_id}"


def active_cluster(records: Iterable[JournalRecord], flow: FlowName) -> ClusterName | None:
    """Return the cluster that the flow's last promotion made active; None when nothing was ever promoted.

    The records may be those of several journals: epochs order them.
    """
    promoted = [
        record
        for record in records
        if record.flow == flow
        and record.step == PROMOTE_STEP
        and record.phase == StepPhase.FACT
        and record.item == ACTIVE_ITEM
        and isinstance(record.body.get("cluster"), str)
    ]
    if not promoted:
        return None
    newest = max(promoted, key=lambda record: (record.epoch, record.written_at, record.sequence))
    return ClusterName(newest.body["cluster"])


def merge_records(journals: Iterable[Iterable[JournalRecord]]) -> tuple[JournalRecord, ...]:
    """Return the records of several journals once each, in an order that no wall clock has a say in where anything else
    tells: each journal keeps its own, and between journals epochs decide, each of which is above all seen before it.

    Only records of one epoch in two journals are told apart by when they were written.
    """
    seen: set[str] = set()
    merged: list[JournalRecord] = []
    for record in heapq.merge(*journals, key=lambda r: (r.epoch, r.written_at, r.writer, r.sequence)):
        if record.digest not in seen:
            seen.add(record.digest)
            merged.append(record)
    return tuple(merged)
