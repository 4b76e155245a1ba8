"""A flow held still for moments: its source connector paused, and running again whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import NotFound, OperationFailed
from replicator.log import get_logger
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow

PAUSE_SECONDS = 30.0
RESUME_SECONDS = 60.0
"""Letting go has a time of its own: a flow must run again even where the time of what it was held for is over."""


@contextmanager
def hold_flow(flow: Flow, connect: ConnectClient, deadline: Deadline) -> Iterator[None]:
    """Yield while the flow's source connector and all its tasks are PAUSED; RUNNING again afterwards.

    One that was paused or stopped before is left so. Killed meanwhile it stays paused: `replicator flow resume`.
    Raises: NotFound when the flow was never applied; OperationFailed when it runs in no state that can be held, or
    does not run again; Unreachable.
    """
    name = flow.source_connector
    found = connect.find(name, deadline)
    if found is None or found.status is None:
        raise NotFound(f"flow {flow.name}: there is no connector {name}", hint=f"replicator apply {flow.name}")
    state = found.status.state
    if state in (ConnectorState.PAUSED, ConnectorState.STOPPED):
        yield
        return
    if state is not ConnectorState.RUNNING:
        raise OperationFailed(f"flow {flow.name}: connector {name} is {state.value}")
    try:
        get_logger().info("flow_held", flow=flow.name, if_killed=f"replicator flow resume {flow.name}")
        connect.pause(name, Deadline.after(deadline.capped(PAUSE_SECONDS), clock=deadline.clock))
        yield
    finally:
        connect.resume(name, Deadline.after(RESUME_SECONDS, clock=deadline.clock), tasks_min=1)
        get_logger().info("flow_released", flow=flow.name)
