"""`stop_flow`: nothing mirrors any more, or Connect is dead and said to be.

Stopped is a connector that Connect has durably been told to stop, and, where it writes data, that has no task
left. Its state in REST may say RUNNING for a minute longer: while its source is dead MM2's connector thread
hangs in a request to it, and only the tasks move records.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from replicator.connect import ConnectClient
from replicator.errors import DeadlineExceeded, NotFound, OperationFailed, Unreachable
from replicator.failover.engine.runbook import Step
from replicator.failover.takeover import inherited_facts
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, World
from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.operations import Done, Finding, Ready

Statuses = Mapping[str, ConnectorStatus | None]

NAME = "stop_flow"
BEFORE = "before"
CONNECT = "connect"
ASKING_SECONDS = 1.5
"""Connect takes note of a request within this; what it does about it may take longer."""


def check_stopped(world: World) -> Finding:
    """Done when nothing mirrors and nothing will, or when this operation found Connect dead."""
    statuses = ask_connect(world)
    if statuses is None:
        return _check_without_connect(world)
    running = running_connectors(world, statuses)
    if running:
        return Ready(f"{', '.join(running)} to be stopped")
    return Done({"connect": "answers", "stopped": sorted(statuses)})


def _check_without_connect(world: World) -> Finding:
    noted = world.log.fact(NAME, CONNECT) if world.log is not None else None
    if noted is not None and noted["is_reachable"] is False:
        return Done({"connect": "does not answer", "url": world.connect.url if world.connect else None})
    return Ready("Connect does not answer: MM2 will be fenced through Kafka alone")


def ask_connect(world: World) -> Statuses | None:
    """Return the status of each connector of the flow that exists; None when Connect does not answer.

    Only statuses are asked for: Connect tells them even while its herder hangs on a connector's dead source.
    """
    if world.connect is None:
        return None
    stored = world.read_stored_connectors()
    found: dict[str, ConnectorStatus | None] = {}
    for name in connector_names(world):
        try:
            found[name] = world.connect.status(name, world.deadline(ASK_SECONDS))
        except NotFound:
            if name in stored:
                found[name] = None
        except Unreachable:
            return None
    return found


def connector_names(world: World) -> tuple[str, str]:
    """Return the names of the flow's connectors, the one that writes data first."""
    return world.flow.source_connector, world.flow.checkpoint_connector


def running_connectors(world: World, statuses: Statuses | None) -> list[str]:
    """Return the names of the connectors that run, or may run again; what Connect does not tell, its topic does."""
    asked = {name: connector.is_stopped for name, connector in world.read_stored_connectors().items()}
    if statuses is None:
        return [name for name in connector_names(world) if not asked.get(name, True)]
    writer = world.flow.source_connector
    return [
        name
        for name, status in statuses.items()
        if not _is_at_rest(status, is_asked=asked.get(name, False), is_writer=name == writer)
    ]


def _is_at_rest(status: ConnectorStatus | None, *, is_asked: bool, is_writer: bool) -> bool:
    if status is not None and status.is_stopped:
        return True
    has_tasks = status is None or bool(status.tasks)
    return is_asked and not (is_writer and has_tasks)


def do_stop(world: World) -> None:
    """Tell every connector to stop, having journaled how it stood."""
    statuses = ask_connect(world)
    if statuses is None or world.connect is None:
        world.logbook.add_fact(NAME, CONNECT, {"is_reachable": False})
        return
    if world.logbook.fact(NAME, BEFORE) is None:
        found = {"states": {n: _state_of(s) for n, s in statuses.items()}}
        world.logbook.add_fact(NAME, BEFORE, inherited_facts(world.logbook, NAME).get(BEFORE, found))
    world.logbook.add_fact(NAME, CONNECT, {"is_reachable": True})
    for name in statuses:
        tell_to_stop(world.connect, name, world)
        world.crashpoint(f"{NAME}.between_connectors")


def tell_to_stop(connect: ConnectClient, name: str, world: World) -> None:
    """Leave the connector durably told to stop; a Connect that dies meanwhile is met by the next check."""
    deadline = world.deadline(ACT_SECONDS)
    while True:
        world.logbook.require_lease()
        try:
            connect.stop(name, world.deadline(ASKING_SECONDS))
        except DeadlineExceeded:
            stored = world.read_stored_connectors().get(name)
            if stored is not None and stored.is_stopped:
                return
            deadline.check(f"Connect {connect.url}: connector {name}: to be told to stop")
        except Unreachable:
            world.logbook.add_fact(NAME, CONNECT, {"is_reachable": False})
            return
        else:
            return


def _state_of(status: ConnectorStatus | None) -> str:
    return status.state.value if status else ConnectorState.UNKNOWN.value


def undo_stop(world: World) -> None:
    """Leave every connector asked to be in the state it was found in."""
    before = world.logbook.fact(NAME, BEFORE)
    if before is None or world.connect is None:
        return
    for name, state in before["states"].items():
        if state == ConnectorState.PAUSED.value:
            world.logbook.require_lease()
            world.connect.pause(name, world.deadline(ACT_SECONDS))
        elif state != ConnectorState.STOPPED.value:
            _tell_to_run(world.connect, name, world)


def _tell_to_run(connect: ConnectClient, name: str, world: World) -> None:
    """Leave the connector durably told to run. That its source is gone keeps no abort from its end."""
    with suppress(OperationFailed, DeadlineExceeded, NotFound):
        world.logbook.require_lease()
        connect.resume(name, world.deadline(ASKING_SECONDS))
        return
    stored = world.read_stored_connectors().get(name)
    if stored is not None and stored.is_stopped:
        world.logbook.require_lease()
        connect.resume(name, world.deadline(ACT_SECONDS))


STOP_FLOW = Step(
    name=NAME,
    says="Stop the flow: no task of it runs, and none will",
    check=check_stopped,
    do=do_stop,
    undo=undo_stop,
    proof_seconds=ACT_SECONDS,
    kill_points=("between_connectors",),
)
