"""`stop_flow`: nothing mirrors any more: the source connector is STOPPED without a task, or Connect is dead and
said to be. The checkpoint connector writes no data: it is asked to stop too, and waited for at the report,
since its task holds on to a dead source for seconds."""

from __future__ import annotations

from contextlib import suppress

from replicator.connect import ConnectClient
from replicator.errors import DeadlineExceeded, NotFound, OperationFailed, Unreachable
from replicator.failover.runbook import Step
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, World
from replicator.flow import connectors_of
from replicator.model.connectors import Connector, ConnectorState
from replicator.model.operations import Done, Finding, Ready

NAME = "stop_flow"
BEFORE = "before"
CONNECT = "connect"
ASKED = "asked"
ASKING_SECONDS = 1.0
"""Connect takes note of a request within this; what it does about it may take longer."""


def check_stopped(world: World) -> Finding:
    """Done when Connect shows every connector of the flow stopped, or when this operation found Connect dead."""
    connectors = ask_connectors(world)
    if connectors is None:
        return _check_without_connect(world)
    running = [c.name for c in connectors if not is_stopped(c) and not _is_leaving(c, world)]
    if running:
        return Ready(f"{', '.join(running)} to be stopped")
    return Done({"connect": "answers", "stopped": [c.name for c in connectors]})


def _is_leaving(connector: Connector, world: World) -> bool:
    """Whether this operation has asked the connector to stop, and nothing of ours has to wait until it has."""
    asked = world.log.fact(NAME, ASKED) if world.log is not None else None
    return connector.name != world.flow.source_connector and asked is not None and connector.name in asked["names"]


def _check_without_connect(world: World) -> Finding:
    noted = world.log.fact(NAME, CONNECT) if world.log is not None else None
    if noted is not None and noted["is_reachable"] is False:
        return Done({"connect": "does not answer", "url": world.connect.url if world.connect else None})
    return Ready("Connect does not answer: MM2 will be fenced through Kafka alone")


def ask_connectors(world: World) -> tuple[Connector, ...] | None:
    """Return the flow's connectors that exist; None when Connect does not answer."""
    if world.connect is None:
        return None
    try:
        return connectors_of(world.flow, world.connect, world.deadline(ASK_SECONDS))
    except Unreachable:
        return None


def is_stopped(connector: Connector) -> bool:
    """Whether the connector is STOPPED and holds no task."""
    return connector.status is not None and connector.status.is_stopped


def do_stop(world: World) -> None:
    """Stop every connector that runs, having journaled how it stood."""
    connectors = ask_connectors(world)
    if connectors is None or world.connect is None:
        world.logbook.add_fact(NAME, CONNECT, {"is_reachable": False})
        return
    if world.logbook.fact(NAME, BEFORE) is None:
        world.logbook.add_fact(NAME, BEFORE, {"states": {c.name: _state_of(c) for c in connectors}})
    world.logbook.add_fact(NAME, CONNECT, {"is_reachable": True})
    names = [c.name for c in connectors]
    if world.flow.source_connector in names:
        stop_connector(world.connect, world.flow.source_connector, world)
    world.crashpoint(f"{NAME}.between_connectors")
    others = [name for name in names if name != world.flow.source_connector]
    for name in others:
        world.logbook.require_lease()
        _ask_to_stop(world.connect, name, world)
    world.logbook.add_fact(NAME, ASKED, {"names": others})


def _ask_to_stop(connect: ConnectClient, name: str, world: World) -> None:
    """Leave the connector asked to stop, without waiting for its task to notice."""
    with suppress(DeadlineExceeded):
        connect.stop(name, world.deadline(ASKING_SECONDS))


def stop_connector(connect: ConnectClient, name: str, world: World) -> None:
    """Leave the connector stopped; a Connect that dies meanwhile is met by the next check."""
    try:
        connect.stop(name, world.deadline(ACT_SECONDS))
    except Unreachable as error:
        if isinstance(error, DeadlineExceeded) and ask_connectors(world) is not None:
            raise
        world.logbook.add_fact(NAME, CONNECT, {"is_reachable": False})


def _state_of(connector: Connector) -> str:
    return connector.status.state.value if connector.status else ConnectorState.UNKNOWN.value


def undo_stop(world: World) -> None:
    """Leave every connector asked to be in the state it was found in."""
    before = world.logbook.fact(NAME, BEFORE)
    if before is None or world.connect is None:
        return
    for name, state in before["states"].items():
        if state == ConnectorState.PAUSED.value:
            world.connect.pause(name, world.deadline(ACT_SECONDS))
        elif state != ConnectorState.STOPPED.value:
            _resume(world.connect, name, world)


def _resume(connect: ConnectClient, name: str, world: World) -> None:
    """Ask the connector to run. That it cannot, since its source is gone, does not keep an abort from its end."""
    try:
        connect.resume(name, world.deadline(ACT_SECONDS))
    except (OperationFailed, DeadlineExceeded):
        if connect.status(name, world.deadline(ASK_SECONDS)).state is ConnectorState.STOPPED:
            raise
    except NotFound:
        return


STOP_FLOW = Step(
    name=NAME,
    says="Stop the flow: no connector of it runs any more",
    check=check_stopped,
    do=do_stop,
    undo=undo_stop,
    proof_seconds=ACT_SECONDS,
    kill_points=("between_connectors",),
)
