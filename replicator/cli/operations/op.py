"""`replicator op`: operations as the journals tell them, and the ways on: resume and abort."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.operations.switchover import FENCES
from replicator.cli.output import emit
from replicator.errors import NotFound, PreflightBlocked, ReplicatorError, Unreachable

if TYPE_CHECKING:
    from replicator.failover import OperationReport, Order
    from replicator.kafka import KafkaCluster
    from replicator.model.flow import Flow
    from replicator.model.names import ClusterName
    from replicator.model.operations import JournalRecord, Operation

READ_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Found:
    """An operation, the cluster whose journal holds it, and whether a process works on it now."""

    operation: Operation
    cluster: ClusterName
    is_live: bool | None

    @property
    def state(self) -> str:
        """What it is doing: what the journal calls running is halted when nobody works on it."""
        told = self.operation.state.value
        return "halted" if told == "running" and self.is_live is False else told


@click.group()
def op() -> None:
    """Operations in the journal: list, show, resume, abort."""


@op.command(name="list")
@pass_app
def list_operations(app: App) -> None:
    """List every operation in the journals of the clusters that answer, oldest first."""
    from replicator.cli.operations.view import OPERATION_COLUMNS

    found, warnings = _find_all(app)
    emit(
        "OperationList",
        output=app.output,
        items=[_to_row(one) for one in found],
        columns=OPERATION_COLUMNS,
        warnings=warnings,
    )


@op.command()
@click.argument("operation_id", metavar="ID")
@pass_app
def show(app: App, operation_id: str) -> None:
    """Show one operation: what it cost, what it found, how each step stands."""
    from replicator.cli.operations.view import report_view

    found, warnings = _find(app, operation_id)
    report = _report(app, found)
    view = report_view(report) if app.output.is_for_people else None
    emit("Operation", output=app.output, item=report, view=view, warnings=warnings)


@op.command()
@click.argument("operation_id", metavar="ID")
@click.option("--accept", multiple=True, metavar="WHAT", help="split-brain, stale-groups, loss; comma-separated.")
@click.option("--fence", type=FENCES, help="Another fence than it was begun with, as long as none was set.")
@click.option("--hold-before", metavar="STEP", help="Stop before this step.")
@pass_app
def resume(app: App, operation_id: str, *, accept: tuple[str, ...], fence: str | None, hold_before: str | None) -> None:
    """Go on with an operation that stopped midway."""
    from replicator.cli.operations.doors import highest_peer_epoch, open_world, parse_choices
    from replicator.cli.operations.progress import StepTeller
    from replicator.cli.operations.running import finish
    from replicator.failover import run_operation

    flow, order = _order(app, operation_id, hold_before=hold_before)
    _ready_worker(app, flow, order)
    choices = parse_choices(accept)
    with open_world(app, flow, choices, kind=order.kind, fence=fence) as world, StepTeller(app) as teller:
        epoch = highest_peer_epoch(world)
        report = run_operation(world, order, announce=app.announce_operation, onlooker=teller, epoch_elsewhere=epoch)
    finish(app, report)


@op.command()
@click.argument("operation_id", metavar="ID")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@pass_app
def abort(app: App, operation_id: str, *, is_agreed: bool) -> None:
    """Undo an operation that is not past its point of no return, last step first."""
    from replicator.cli.operations.doors import highest_peer_epoch, open_world
    from replicator.cli.operations.progress import StepTeller
    from replicator.cli.operations.view import report_view
    from replicator.failover import Choices, abort_operation

    flow, order = _order(app, operation_id, hold_before=None)
    app.confirm_moderate(f"abort {operation_id} of flow {flow.name}", is_agreed=is_agreed)
    _ready_worker(app, flow, order)
    with open_world(app, flow, Choices(), kind=order.kind) as world, StepTeller(app) as teller:
        epoch = highest_peer_epoch(world, is_needed=False)  # a lost source keeps nobody from going back
        report = abort_operation(world, order, announce=app.announce_operation, onlooker=teller, epoch_elsewhere=epoch)
    app.operation_id = None
    emit("Operation", output=app.output, item=report, view=report_view(report) if app.output.is_for_people else None)


def _ready_worker(app: App, flow: Flow, order: Order) -> None:
    """Return once the worker that a failback runs on is ready: a restart of the old active may have taken it along."""
    from replicator.cli.worker import ensure_worker
    from replicator.model.operations import OperationKind

    if order.kind is OperationKind.FAILBACK:
        ensure_worker(app, flow.source)


def _order(app: App, operation_id: str, *, hold_before: str | None) -> tuple[Flow, Order]:
    """Return the operation's flow as it is configured, and the order to go on with it."""
    from replicator.cli.operations.doors import actor
    from replicator.failover import Order, reverse_of, runbook_of
    from replicator.model.operations import OperationKind

    found, _ = _find(app, operation_id)
    operation = found.operation
    flow = app.settings.flow(operation.flow)
    directed = reverse_of(flow) if operation.kind is OperationKind.FAILBACK else flow
    if (directed.source, directed.target) != (operation.source, operation.target):
        raise PreflightBlocked(
            f"operation {operation_id} moves {operation.source} to {operation.target}; the configuration has "
            f"{directed.source} to {directed.target} for flow {flow.name}",
            hint="use the configuration that it was begun with",
        )
    if hold_before is not None:
        runbook_of(operation.kind).step(hold_before)
    order = Order(
        kind=operation.kind,
        actor=actor(),
        commanded_at=app.clock.now(),
        operation_id=operation.id,
        hold_before=hold_before,
    )
    return flow, order


def _report(app: App, found: _Found) -> OperationReport:
    """Return the operation's report, judged by the flow's objectives where the flow is still configured."""
    from replicator.failover import report_of
    from replicator.model.objectives import Objectives

    try:
        objectives = app.settings.flow(found.operation.flow).objectives
    except NotFound:
        objectives = Objectives()
    return report_of(found.operation.records, objectives=objectives)


def _find(app: App, operation_id: str) -> tuple[_Found, list[str]]:
    found, warnings = _find_all(app)
    for one in found:
        if one.operation.id == operation_id:
            return one, warnings
    told = f"; {'; '.join(warnings)}" if warnings else ""
    raise NotFound(f"operation {operation_id}: no journal that answers holds it{told}", hint="replicator op list")


def _find_all(app: App) -> tuple[list[_Found], list[str]]:
    """Return the operations of every journal that can be read, oldest first, and a warning for each that cannot.

    Raises:
        Unreachable: none can be read.
    """
    found: list[_Found] = []
    failures: list[ReplicatorError] = []
    for name in app.settings.clusters:
        try:
            with open_cluster(app, name) as cluster:
                found += _read_journal(app, cluster)
        except ReplicatorError as error:
            failures.append(error)
    if failures and len(failures) == len(app.settings.clusters):
        raise Unreachable(f"no cluster's journal can be read: {failures[0].message}", hint=failures[0].hint)
    warnings = [f"a journal was left out: {error.message}" for error in failures]
    return sorted(found, key=lambda one: one.operation.started_at), warnings


@contextmanager
def open_cluster(app: App, name: str) -> Iterator[KafkaCluster]:
    """Yield a cluster that answers, closed again afterwards.

    Raises:
        Unreachable: nobody listens there.
    """
    from replicator.kafka import KafkaCluster, probe_listeners
    from replicator.model.observations import Reachability

    access = app.settings.cluster_access(name)
    if probe_listeners(address.strip() for address in access.bootstrap.split(",")) is not Reachability.REACHABLE:
        raise Unreachable(f"cluster {name} ({access.bootstrap}): nobody answers")
    with KafkaCluster(access, clock=app.clock) as cluster:
        yield cluster


def _read_journal(app: App, cluster: KafkaCluster) -> list[_Found]:
    from replicator.journal import Journal, list_operations

    prefix = app.settings.supervisor.topic_prefix
    records = Journal(cluster, prefix, clock=app.clock).read(app.deadline(READ_SECONDS))
    operations = list_operations(records).values()
    live = {writer: _is_live(app, cluster, writer) for writer in _open_writers(records)}
    running = {writer: _last_of(records, writer) for writer in live}
    return [
        _Found(one, cluster.name, live[writer] and running[writer] == one.id)
        if (writer := one.records[0].writer) in live
        else _Found(one, cluster.name, is_live=False)
        for one in operations
    ]


def _open_writers(records: tuple[JournalRecord, ...]) -> set[str]:
    """Return the supervisors that have an operation which is not over."""
    from replicator.journal import list_operations

    return {o.records[0].writer for o in list_operations(records).values() if not o.state.is_terminal}


def _last_of(records: tuple[JournalRecord, ...], writer: str) -> str | None:
    """Return the operation a supervisor worked on last: the only one a live process can be working on."""
    own = [record.operation_id for record in records if record.writer == writer]
    return own[-1] if own else None


def _is_live(app: App, cluster: KafkaCluster, writer: str) -> bool:
    from replicator.journal import has_live_holder

    prefix = app.settings.supervisor.topic_prefix
    return has_live_holder(cluster, topic_prefix=prefix, supervisor_id=writer, deadline=app.deadline(READ_SECONDS))


def _to_row(found: _Found) -> dict[str, object]:
    operation = found.operation
    return {
        "id": operation.id,
        "flow": operation.flow,
        "kind": operation.kind,
        "state": found.state,
        "step": operation.step,
        "source": operation.source,
        "target": operation.target,
        "started_at": operation.started_at,
        "ended_at": operation.ended_at,
        "actor": operation.actor,
        "is_past_promote": operation.is_past_promote,
        "is_live": found.is_live,
        "journal": found.cluster,
    }
