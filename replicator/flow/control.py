"""Pause, resume, stop and restart a flow: both connectors, each act proven before it counts as done."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import NotFound, PreflightBlocked
from replicator.flow.planning.apply import require_applicable
from replicator.flow.planning.changes import Plan
from replicator.flow.planning.decide import ASKED_STOPPED, LABEL_ASKED
from replicator.model.connectors import Connector, ConnectorState, ConnectorStatus
from replicator.model.flow import Flow

Statuses = tuple[ConnectorStatus, ...]


def connectors_of(flow: Flow, connect: ConnectClient, deadline: Deadline) -> tuple[Connector, ...]:
    """Return the flow's connectors that exist, the source connector first."""
    found = (connect.find(name, deadline) for name in (flow.source_connector, flow.checkpoint_connector))
    return tuple(connector for connector in found if connector is not None)


def check_pausable(flow: Flow, connectors: Iterable[Connector]) -> None:
    """Return only if pausing would pause: what is stopped has no task left to pause.

    Raises:
        PreflightBlocked: the source connector is stopped.
    """
    for connector in connectors:
        status = connector.status
        if connector.name == flow.source_connector and status is not None and status.is_stopped:
            raise PreflightBlocked(
                f"flow {flow.name}: {connector.name} is STOPPED, which is more than paused: nothing was changed",
                hint=f"replicator flow show {flow.name}",
            )


def pause_flow(flow: Flow, connect: ConnectClient, deadline: Deadline) -> Statuses:
    """Leave both connectors and all their tasks PAUSED. A stopped flow stays stopped.

    Raises:
        PreflightBlocked: the flow is stopped.
        NotFound: the flow was never applied.
    """
    check_pausable(flow, connectors_of(flow, connect, deadline))
    return _each(flow, connect, deadline, lambda one: _pause(one, connect, deadline))


def _pause(connector: Connector, connect: ConnectClient, deadline: Deadline) -> ConnectorStatus:
    if connector.status is not None and connector.status.is_stopped:
        return connector.status
    return connect.pause(connector.name, deadline)


def stop_flow(flow: Flow, connect: ConnectClient, deadline: Deadline) -> Statuses:
    """Leave both connectors STOPPED without a task, and labelled so that no `apply` starts them again.

    Raises:
        NotFound: the flow was never applied.
    """
    return _each(flow, connect, deadline, lambda one: _stop(one, connect, deadline))


def _stop(connector: Connector, connect: ConnectClient, deadline: Deadline) -> ConnectorStatus:
    status = connect.stop(connector.name, deadline)
    if connector.config.get(LABEL_ASKED) != ASKED_STOPPED:
        connect.configure(connector.name, {**connector.config, LABEL_ASKED: ASKED_STOPPED}, deadline)
    return status


def resume_flow(flow: Flow, connect: ConnectClient, plan: Plan, deadline: Deadline) -> Statuses:
    """Leave both connectors RUNNING; `plan` is the flow's plan of now, whose refusals forbid it.

    Raises:
        PreflightBlocked: the flow may not run, for example because its topics go the other way now.
        NotFound: the flow was never applied.
    """
    require_applicable(plan)
    return _each(flow, connect, deadline, lambda one: _resume(flow, one, connect, deadline))


def _resume(flow: Flow, connector: Connector, connect: ConnectClient, deadline: Deadline) -> ConnectorStatus:
    if LABEL_ASKED in connector.config:
        kept = {key: value for key, value in connector.config.items() if key != LABEL_ASKED}
        connect.configure(connector.name, kept, deadline)
    return connect.resume(connector.name, deadline, tasks_min=_tasks_min(flow, connector))


def restart_flow(flow: Flow, connect: ConnectClient, deadline: Deadline, *, is_whole: bool = False) -> Statuses:
    """Leave what had failed RUNNING again (`is_whole`: everything restarted). What is stopped or paused stays so.

    Raises:
        NotFound: the flow was never applied.
        OperationFailed: it failed again.
    """
    return _each(flow, connect, deadline, lambda one: _restart(flow, one, connect, deadline, is_whole=is_whole))


def _restart(
    flow: Flow, connector: Connector, connect: ConnectClient, deadline: Deadline, *, is_whole: bool
) -> ConnectorStatus:
    status = connector.status
    if status is not None and status.state in (ConnectorState.STOPPED, ConnectorState.PAUSED):
        return status
    restart = connect.restart if is_whole else connect.restart_failed
    return restart(connector.name, deadline, tasks_min=_tasks_min(flow, connector))


def _tasks_min(flow: Flow, connector: Connector) -> int:
    """The source connector always has a task, for heartbeats at least; the other has none without groups."""
    return 1 if connector.name == flow.source_connector else 0


def _each(
    flow: Flow, connect: ConnectClient, deadline: Deadline, act: Callable[[Connector], ConnectorStatus]
) -> Statuses:
    found = connectors_of(flow, connect, deadline)
    if not found:
        raise NotFound(
            f"flow {flow.name}: Connect {connect.url} has no connector of it", hint=f"replicator apply {flow.name}"
        )
    return tuple(act(connector) for connector in found)
