"""The acts a running supervisor offers over its API: what the verbs of the same names do, through the same doors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from replicator.api.acting import Act, Order
from replicator.cli.context import App
from replicator.clock import Deadline
from replicator.errors import PartlyDone, PreflightBlocked, UsageError
from replicator.model.forms.figures import show_items

if TYPE_CHECKING:
    from replicator.cli.flows.doors import FlowAct, FlowDoors
    from replicator.cli.groups.desk import Desk
    from replicator.failover import OperationReport
    from replicator.model.connectors import ConnectorStatus
    from replicator.model.offsets import GroupTranslation
    from replicator.model.operations import OperationKind

FLOW_SECONDS = 90.0
SYNC_SECONDS = 120.0
SNAPSHOT_SECONDS = 24 * 3600.0
OPERATION_SECONDS = 3600.0
REFUSALS_TOLD = 3


def make_acts(app: App) -> Mapping[str, Act]:
    """Return every act on a flow, by the name of its verb; the harmless first."""
    acts = (
        Act(name="pause", run=_on_flow(app, _pause), budget_seconds=FLOW_SECONDS),
        Act(name="resume", run=_on_flow(app, _resume), budget_seconds=FLOW_SECONDS),
        Act(name="restart", run=_on_flow(app, _restart), budget_seconds=FLOW_SECONDS),
        Act(name="stop", run=_on_flow(app, _stop), budget_seconds=FLOW_SECONDS),
        Act(name="sync", run=lambda order, deadline: _sync(app, order, deadline), budget_seconds=SYNC_SECONDS),
        *((_snapshot_act(app), _restore_act(app)) if app.settings.store else ()),
        *_operation_acts(app),
    )
    return {act.name: act for act in acts}


def _on_flow(app: App, act: FlowAct) -> Callable[[Order, Deadline], str]:
    from replicator.cli.flows.doors import act_on_flow

    def run(order: Order, deadline: Deadline) -> str:
        statuses = act_on_flow(app.settings, order.flow, act, deadline)
        return ", ".join(f"{status.name} {status.state.value}" for status in statuses)

    return run


def _pause(doors: FlowDoors, deadline: Deadline) -> tuple[ConnectorStatus, ...]:
    from replicator.flow import pause_flow

    return pause_flow(doors.flow, doors.handles.connect, deadline)


def _resume(doors: FlowDoors, deadline: Deadline) -> tuple[ConnectorStatus, ...]:
    from replicator.flow import resume_flow

    return resume_flow(doors.flow, doors.handles.connect, doors.plan(deadline), deadline)


def _restart(doors: FlowDoors, deadline: Deadline) -> tuple[ConnectorStatus, ...]:
    from replicator.flow import restart_flow

    return restart_flow(doors.flow, doors.handles.connect, deadline)


def _stop(doors: FlowDoors, deadline: Deadline) -> tuple[ConnectorStatus, ...]:
    from replicator.flow import stop_flow

    return stop_flow(doors.flow, doors.handles.connect, deadline)


def _sync(app: App, order: Order, deadline: Deadline) -> str:
    """Commit the translated positions of all groups of the flow; a group with members on the target is left out.

    Raises:
        PartlyDone: some groups were not moved, or not whole.
    """
    from replicator.cli.groups.desk import open_desk

    with open_desk(app, app.settings.flow(order.flow), deadline) as desk:
        desk.require_standby(deadline)
        outcomes = {answer.group: _sync_one(desk, answer, deadline) for answer in desk.translate(desk.groups, deadline)}
    undone = [f"{group}: {why}" for group, why in outcomes.items() if why is not None]
    if undone:
        told = "; ".join(undone[:5])
        raise PartlyDone(f"{len(undone)} of {len(outcomes)} groups were not moved, or not whole: {told}")
    return f"{show_items(len(outcomes), 'group')} moved"


def _sync_one(desk: Desk, answer: GroupTranslation, deadline: Deadline) -> str | None:
    """Return why the group was not moved whole; None when it was."""
    from replicator.offsets import commit_group

    try:
        commit_group(desk.target, answer, deadline)
    except PreflightBlocked as error:
        return error.message
    unavailable = sum(one.target_offset is None for one in answer.translations)
    return f"{show_items(unavailable, 'partition')} unavailable" if unavailable else None


def _snapshot_act(app: App) -> Act:
    def run(order: Order, deadline: Deadline) -> str:
        from replicator.kafka import KafkaCluster
        from replicator.supervisor.schedules import capture_flow

        flow = app.settings.flow(order.flow)
        with KafkaCluster(app.settings.cluster_access(flow.target), clock=app.clock) as cluster:
            manifest = capture_flow(app.settings, flow, cluster, tags=(), clock=app.clock, deadline=deadline)
        return f"{manifest.id}: {manifest.totals.records:,} records, proven"

    return Act(name="snapshot", run=run, budget_seconds=SNAPSHOT_SECONDS)


def _restore_act(app: App) -> Act:
    """Return what `snapshot restore` does: onto topics that are not there or are empty, and onto no others."""

    def run(order: Order, deadline: Deadline) -> str:
        from replicator.cli.snapshots.doors import open_cluster, open_repository
        from replicator.cli.snapshots.restoring import request_of
        from replicator.snapshot import Restorer

        asked = order.restore
        if asked is None:
            raise UsageError("a restore needs to know what to bring back", hint='send "restore": {"snapshot": …}')
        request = request_of(asked)
        repository = open_repository(app, None)
        with open_cluster(app, asked.cluster) as (door, raw):
            restorer = Restorer(door, raw, repository, clock=app.clock, deadline=deadline)
            plan = restorer.plan(repository.find(asked.snapshot), request)
            if plan.refusals:
                raise PreflightBlocked(f"cluster {plan.cluster}: {'; '.join(plan.refusals[:REFUSALS_TOLD])}")
            what = f"{len(plan.topics)} topics, {plan.records:,} records of {plan.snapshot} to {plan.cluster}"
            if asked.is_dry_run:
                return f"would restore {what}; nothing was changed"
            done = restorer.apply(plan)
        return f"restored {what}: {done.written_records:,} written, every one proven"

    return Act(name="restore", run=run, budget_seconds=SNAPSHOT_SECONDS)


def _operation_acts(app: App) -> tuple[Act, ...]:
    """Return an act for each runbook that this version has."""
    from replicator.failover import RUNBOOKS
    from replicator.model.operations import OperationKind

    def act(kind: OperationKind) -> Act:
        return Act(
            name=kind.value,
            run=lambda order, deadline: _operate(app, kind, order, deadline),
            is_severe=kind is not OperationKind.DRILL,
            budget_seconds=OPERATION_SECONDS,
        )

    return tuple(act(kind) for kind in RUNBOOKS)


def _operate(app: App, kind: OperationKind, order: Order, deadline: Deadline) -> str:
    """Run the runbook, or go on with the flow's open one, as the verb does; the lease keeps others off."""
    from replicator.cli.operations.doors import highest_peer_epoch, open_world, parse_choices
    from replicator.cli.operations.running import keep_drill
    from replicator.cli.worker import ensure_worker
    from replicator.failover import Order as OperationOrder
    from replicator.failover import run_operation
    from replicator.model.operations import OperationKind

    flow = app.settings.flow(order.flow)
    if kind is OperationKind.FAILBACK:
        ensure_worker(app, flow.source)
    asked = OperationOrder(kind=kind, actor=order.actor, commanded_at=app.clock.now(), fresh_id=order.operation_id)
    with open_world(app, flow, parse_choices(order.accept), kind=kind) as world:
        world.budget = deadline
        report = run_operation(world, asked, announce=lambda _id: None, epoch_elsewhere=highest_peer_epoch(world))
    keep_drill(app, report)
    return _told(report)


def _told(report: OperationReport) -> str:
    if report.exceptions:
        raise PartlyDone(
            f"{report.operation_id} is done with {len(report.exceptions)} exceptions: {report.exceptions[0]}",
            hint=f"replicator op show {report.operation_id}",
            operation_id=report.operation_id,
        )
    return f"{report.operation_id} is done"
