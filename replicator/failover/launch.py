"""Operations from the outside: begin or resume, abort, rehearse. Every face comes in here."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from replicator.clock import to_rfc3339
from replicator.errors import PreflightBlocked, ReplicatorError
from replicator.failover.engine.engine import Engine, ForeseenStep, Onlooker, nobody_looks, rehearse
from replicator.failover.engine.logbook import Logbook, Request
from replicator.failover.fences.rules import FENCE_STEP, RULES_ITEM
from replicator.failover.planned.copy_head import what_the_other_learns, write_head
from replicator.failover.report import OperationReport, accepted_of, loss_max_of, report_of
from replicator.failover.runbooks import runbook_of
from replicator.failover.steps.survey import refuse_one_cluster
from replicator.failover.takeover import TAKES_OVER, can_be_taken_over, end_taken_over, require_loss_of_source
from replicator.failover.world import READ_SECONDS, Choices, FenceGrade, Fencing, Override, World
from replicator.journal import (
    OPERATION_STEP,
    Hold,
    Journal,
    KeptHead,
    active_cluster,
    find_operation,
    is_being_aborted,
    list_operations,
    merge_records,
    open_operation,
    take_lease,
)
from replicator.journal.chain import canonical_json
from replicator.model.flow import Flow
from replicator.model.forms.plain import to_plain
from replicator.model.names import OperationId, TopicName
from replicator.model.operations import JournalRecord, Operation, OperationKind, OperationState, StepPhase

Announce = Callable[[OperationId], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody ordered. `operation_id` None: the flow's open operation, or a new one; `fresh_id` is what a new
    one is called where somebody has been told an id already."""

    kind: OperationKind
    actor: str
    commanded_at: datetime
    operation_id: OperationId | None = None
    fresh_id: OperationId | None = None
    hold_before: str | None = None


def make_operation_id(kind: OperationKind, at: datetime) -> OperationId:
    """Return a new id: kind and moment for people, and a random end that no other has."""
    return OperationId(f"{kind.value}-{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")


def run_operation(
    world: World,
    order: Order,
    *,
    announce: Announce,
    onlooker: Onlooker = nobody_looks,
    epoch_elsewhere: int = 0,
) -> OperationReport:
    """Return the report of the operation once it is done: begun now, or resumed where it had stopped.

    `announce` is called with the operation's id before anything is changed.

    Raises:
        LockHeld: another operation runs; the error names it.
        PreflightBlocked, LimitExceeded: a check said no.
        OperationHalted: it stopped midway and can be resumed or aborted.
    """
    if order.hold_before is not None:
        runbook_of(order.kind).step(order.hold_before)
    with _held(world, order, announce=announce, epoch_elsewhere=epoch_elsewhere) as log:
        log.begin(_request_body(world, order))
        end_taken_over(log)
        engine = _engine(world, order.kind, onlooker)
        try:
            engine.run(hold_before=order.hold_before)
            return _finish(world, log)
        finally:
            _leave_witness(world, log)


def abort_operation(
    world: World, order: Order, *, announce: Announce, onlooker: Onlooker = nobody_looks, epoch_elsewhere: int = 0
) -> OperationReport:
    """Return the report of the operation after every step that was begun is undone, last first.

    Raises:
        PreflightBlocked: it is past its point of no return, or over already.
        OperationHalted: an undo failed; the same command goes on.
    """
    with _held(world, order, announce=announce, is_abort=True, epoch_elsewhere=epoch_elsewhere) as log:
        _engine(world, order.kind, onlooker).abort()
        _leave_witness(world, log)
        return report_of(log.records, objectives=world.flow.objectives)


def rehearse_operation(
    world: World, kind: OperationKind, *, onlooker: Onlooker = nobody_looks
) -> tuple[ForeseenStep, ...]:
    """Return what each step would find now. Nothing is changed, not even the journal."""
    world.log = None
    return rehearse(runbook_of(kind), world, onlooker=onlooker)


def _engine(world: World, kind: OperationKind, onlooker: Onlooker) -> Engine[World]:
    return Engine(
        runbook_of(kind), world, world.logbook, clock=world.clock, crashpoint=world.crashpoint, onlooker=onlooker
    )


@contextmanager
def _held(
    world: World, order: Order, *, announce: Announce, epoch_elsewhere: int, is_abort: bool = False
) -> Iterator[Logbook]:
    """Yield the operation's logbook while the lease is held; afterwards it is given back.

    The journal is asked twice: before the lease, so that the id is told before anything changes, and again
    once nobody else can write it.
    """
    journal = Journal(world.target, world.identity.topic_prefix, clock=world.clock)
    writer = world.identity.supervisor_id
    before = journal.read(world.deadline(READ_SECONDS))
    found = _find(before, world, order, writer=writer, is_abort=is_abort)
    if found is None:
        refuse_one_cluster(world)
    chosen = found.id if found is not None else order.fresh_id or make_operation_id(order.kind, order.commanded_at)
    if not before:
        announce(chosen)  # the journal's topic is made next, and that is a change
    with _take(world, journal, epoch_elsewhere) as hold:
        _end_rehearsal(world, hold, order, writer=writer)
        found = _find(hold.writer.records, world, order, writer=writer, is_abort=is_abort)
        if found is None:
            _take_over(world, hold)
        chosen = found.id if found else chosen
        if before:
            announce(chosen)
        request = Request(operation_id=chosen, flow=world.name, kind=order.kind, actor=order.actor)
        world.log = Logbook(hold.writer, request, clock=world.clock, crashpoint=world.crashpoint)
        if not is_abort:
            refuse_changed_flow(world.flow, world.log.records)
        if world.forward is not None:
            world.forward.log = world.log
        world.choices = merge_choices(world.choices, world.log.records)
        world.fencing = fencing_as_begun(world.fencing, world.log.records)
        yield world.log


def gives_way(operation: Operation, order: Order, *, writer: str) -> bool:
    """Whether a failover is ordered, and the operation is a drill, for an outage waits for no rehearsal; or one that a
    lost source keeps from its end."""
    if order.kind is not OperationKind.FAILOVER or order.operation_id is not None:
        return False
    is_kind = operation.kind is OperationKind.DRILL or can_be_taken_over(operation)
    return is_kind and operation.records[0].writer == writer


def _end_rehearsal(world: World, hold: Hold, order: Order, *, writer: str) -> None:
    """Leave nothing of a drill that gives way to this order. It needs the standby alone.

    Raises:
        OperationHalted: it could not be taken back.
    """
    drill = open_operation(hold.writer.records, world.name)
    if drill is None or drill.kind is not OperationKind.DRILL or not gives_way(drill, order, writer=writer):
        return
    request = Request(operation_id=drill.id, flow=world.name, kind=drill.kind, actor=order.actor)
    world.log = Logbook(hold.writer, request, clock=world.clock, crashpoint=world.crashpoint)
    _engine(world, drill.kind, nobody_looks).abort()
    world.log = None


def _take_over(world: World, hold: Hold) -> None:
    """Note which open operation the one that begins now goes on in the place of, where there is one.

    Raises:
        PreflightBlocked: the source is not lost: that operation can go on by itself.
    """
    world.log = None
    found = open_operation(hold.writer.records, world.name)
    if found is not None:
        require_loss_of_source(world, found, runbook_of(OperationKind.FAILOVER).step("survey"))
        world.takes_over = found.id


def _take(world: World, journal: Journal, epoch_elsewhere: int) -> Hold:
    identity = world.identity
    return take_lease(
        world.target,
        journal,
        topic_prefix=identity.topic_prefix,
        supervisor_id=identity.supervisor_id,
        session_seconds=identity.session_seconds,
        epoch_elsewhere=epoch_elsewhere,
        deadline=world.deadline(READ_SECONDS),
    )


def _find(
    records: Sequence[JournalRecord], world: World, order: Order, *, writer: str, is_abort: bool
) -> Operation | None:
    flow = replace(world.flow, name=world.name)
    return find_target(records, flow, order, writer=writer, is_abort=is_abort, peer_records=world.peer_records)


def find_target(
    records: Sequence[JournalRecord],
    flow: Flow,
    order: Order,
    *,
    writer: str,
    is_abort: bool = False,
    peer_records: Sequence[JournalRecord] = (),
) -> Operation | None:
    """Return the operation to go on with: the one asked for, or the flow's open one; None to begin a new one.

    Raises:
        NotFound: the one asked for is not in the journal.
        PreflightBlocked: it cannot go on by this order, or there is nothing to begin.
    """
    if order.operation_id is not None:
        found: Operation | None = find_operation(records, order.operation_id)
    else:
        found = open_operation(records, flow.name)
    if found is not None and not is_abort and gives_way(found, order, writer=writer):
        found = None
    if found is None:
        _refuse_open_elsewhere(peer_records, flow)
        _refuse_misplaced(merge_records([records, peer_records]), flow, order)
        return None
    _refuse_over(found)
    _refuse_unfit(found, order, writer=writer, is_abort=is_abort)
    return found


def _refuse_over(operation: Operation) -> None:
    if operation.state.is_terminal:
        raise PreflightBlocked(
            f"operation {operation.id} is over: {operation.state.value}",
            hint=f"replicator op show {operation.id}",
            operation_id=operation.id,
        )


def _refuse_unfit(operation: Operation, order: Order, *, writer: str, is_abort: bool) -> None:
    """Refuse to go on with an operation of another kind, of another supervisor, or one that goes backwards."""
    if operation.kind is not order.kind:
        raise PreflightBlocked(
            f"flow {operation.flow} has an open {operation.kind.value}: {operation.id}",
            hint=f"`replicator op resume {operation.id}` or `replicator op abort {operation.id}` first",
            operation_id=operation.id,
        )
    if operation.records[0].writer != writer:
        raise PreflightBlocked(
            f"operation {operation.id} was begun by supervisor {operation.records[0].writer!r}, this one is {writer!r}",
            hint=f"set supervisor.id to {operation.records[0].writer} to go on with it",
            operation_id=operation.id,
        )
    if is_being_aborted(operation) and not is_abort:
        raise PreflightBlocked(
            f"operation {operation.id} is being aborted",
            hint=f"`replicator op abort {operation.id}` goes on with that",
            operation_id=operation.id,
        )


def _refuse_open_elsewhere(peer_records: Sequence[JournalRecord], flow: Flow) -> None:
    """Refuse to begin while the flow has an operation in the other cluster's journal that is not over."""
    found = open_operation(peer_records, flow.name)
    if found is not None:
        raise PreflightBlocked(
            f"flow {flow.name} has an open {found.kind.value} in the journal of {found.target}: {found.id}",
            hint=f"`replicator op resume {found.id}` or `replicator op abort {found.id}` first",
            operation_id=found.id,
        )


def _refuse_misplaced(records: Sequence[JournalRecord], flow: Flow, order: Order) -> None:
    """Refuse to move to a cluster that is active already: its source is not what it was."""
    active = active_cluster(records, flow.name)
    if order.kind is OperationKind.FAILBACK and active != flow.source:
        told = f"{active} is active" if active else "it was never moved"
        raise PreflightBlocked(f"flow {flow.name} is at home: {told}", hint=f"replicator flow show {flow.name}")
    if active != flow.target:
        return
    moved = [op for op in list_operations(records).values() if op.flow == flow.name and op.is_past_promote]
    last = moved[-1].id if moved else None
    raise PreflightBlocked(
        f"flow {flow.name} was failed over already: {flow.target} is active" + (f" since {last}" if last else ""),
        hint=f"replicator op show {last}" if last else "replicator op list",
        operation_id=last,
    )


def _request_body(world: World, order: Order) -> dict[str, object]:
    choices = world.choices
    return {
        "source": world.flow.source,
        "target": world.flow.target,
        "commanded_at": to_rfc3339(order.commanded_at),
        "accepted": sorted(override.value for override in choices.accepted),
        "loss_max": choices.loss_max,
        "hold_before": order.hold_before,
        "fence": world.fencing.grade.value,
        "plan": world.plan_digest,
        "rebuild": sorted(choices.rebuild),
        "moves": digest_of_moves(world.flow),
        **({TAKES_OVER: world.takes_over} if world.takes_over is not None else {}),
    }


def digest_of_moves(flow: Flow) -> str:
    """Return the digest of what the flow moves and where: its sides, its naming, its topics and groups."""
    told = {
        "source": flow.source,
        "target": flow.target,
        "naming": flow.naming,
        "topics": flow.topics,
        "groups": flow.groups,
    }
    return hashlib.sha256(canonical_json(to_plain(told))).hexdigest()


def refuse_changed_flow(flow: Flow, records: Sequence[JournalRecord]) -> None:
    """Refuse to go on with another choice of topics or groups than the operation was begun with: what no longer
    belongs to the flow would be left where it was, and the report would call the move done.

    Raises:
        PreflightBlocked: the flow's configuration has changed since.
    """
    begun_with = records[0].body.get("moves") if records else None
    if begun_with is None or begun_with == digest_of_moves(flow):
        return
    operation = records[0].operation_id
    raise PreflightBlocked(
        f"operation {operation}: sides, naming, topics or groups of flow {flow.name} were changed since it was begun",
        hint=f"put flows.{flow.name} back as it was, or `replicator op abort {operation}` where it can still go back",
        operation_id=operation,
    )


def merge_choices(choices: Choices, records: Sequence[JournalRecord]) -> Choices:
    """Return the choices with all that was accepted, or is to be rebuilt, by earlier runs; a limit that was set stays
    unless set anew."""
    accepted = frozenset(Override(name) for name in accepted_of(records))
    loss_max = choices.loss_max if choices.loss_max is not None else loss_max_of(records)
    told = [r.body.get("rebuild", ()) for r in records if r.step == OPERATION_STEP]
    rebuild = frozenset(TopicName(name) for names in told for name in names)
    return replace(choices, accepted=choices.accepted | accepted, loss_max=loss_max, rebuild=choices.rebuild | rebuild)


def fencing_as_begun(fencing: Fencing, records: Sequence[JournalRecord]) -> Fencing:
    """Return the fencing with the grade that the operation's last run had, unless another is asked for in time.

    Raises:
        PreflightBlocked: another is asked for, and the fence was begun: one is not swapped for another.
    """
    told = [r.body["fence"] for r in records if r.step == OPERATION_STEP and r.body.get("fence") is not None]
    if not told:
        return fencing
    grade = FenceGrade(told[-1])
    if not fencing.is_asked or fencing.grade is grade:
        return replace(fencing, grade=grade)
    if any(r.step == FENCE_STEP and r.phase == StepPhase.INTENT for r in records):
        operation_id = records[0].operation_id
        raise PreflightBlocked(
            f"operation {operation_id} has begun to fence by {grade.value}: not swapped for {fencing.grade.value}",
            hint=f"`replicator op resume {operation_id}` goes on so, `replicator op abort {operation_id}` goes back",
            operation_id=operation_id,
        )
    return fencing


WITNESSED = frozenset({OperationState.HALTED})
"""States that are no end, in which an operation may stand for long: its head is kept outside all the same."""
PEER_SECONDS = 5.0
"""A cluster that was left behind is asked for so long whether it lives, when a head is to be kept there."""


def _leave_witness(world: World, log: Logbook) -> None:
    """Leave the end of the chain in the store and on the other cluster once the operation is over or stands still,
    however it ended. A copy that fails costs a witness, nothing else."""
    if not log.records or not log.is_lease_held():
        return
    state = log.operation.state
    if not (state.is_terminal or state in WITNESSED):
        return
    _keep_on_peer(world)
    if world.keep_head is not None:
        with suppress(ReplicatorError):
            world.keep_head(_head_of(world, log))


def _keep_on_peer(world: World) -> None:
    """Leave the head in the other cluster's journal, where that answers soon: of a failover it is mostly lost."""
    log = world.logbook
    has_fenced = (
        not world.is_planned and log.operation.state.is_terminal and log.fact(FENCE_STEP, RULES_ITEM) is not None
    )
    with suppress(ReplicatorError), world.within(READ_SECONDS):
        world.source.describe(world.deadline(PEER_SECONDS))
        # A failover that fenced its source tells it of the rules here, as a planned move has done before.
        write_head(world, what_the_other_learns(log) if has_fenced else None)


def _head_of(world: World, log: Logbook) -> KeptHead:
    last = log.records[-1]
    return KeptHead(
        cluster=world.flow.target,
        writer=last.writer,
        sequence=last.sequence,
        digest=last.digest,
        kept_at=last.written_at,
        epoch=log.epoch,
    )


def _finish(world: World, log: Logbook) -> OperationReport:
    report = report_of(log.records, objectives=world.flow.objectives)
    state = OperationState.DONE_WITH_EXCEPTIONS if report.exceptions else OperationState.DONE
    log.end(state, {"exceptions": len(report.exceptions)})
    return report_of(log.records, objectives=world.flow.objectives)
