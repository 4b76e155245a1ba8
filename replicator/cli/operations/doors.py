"""What the operation verbs share: the world from the settings, and who acts."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from replicator.cli.context import App
from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.connect.mirror import TASKS_MAX
from replicator.errors import ReplicatorError, UsageError
from replicator.failover import Choices, Identity, Override, Worker, World, crashpoint_from
from replicator.journal import Journal
from replicator.kafka import KafkaCluster, probe_listeners
from replicator.model.flow import Flow
from replicator.model.names import TopicName
from replicator.model.observations import Reachability
from replicator.settings import Settings

_PEER_SECONDS = 5.0


def parse_choices(accept: Sequence[str], *, loss_max: int | None = None) -> Choices:
    """Return what `--accept a,b` and `--max-loss` mean.

    Raises:
        UsageError: something unknown is to be accepted.
    """
    known = {override.value: override for override in Override}
    names = [name.strip() for text in accept for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"--accept does not know {unknown[0]!r}", hint=f"it knows {', '.join(known)}")
    return Choices(accepted=frozenset(known[name] for name in names), loss_max=loss_max)


def actor() -> str:
    """Return who acts: user@host, or the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@contextmanager
def open_world(app: App, flow: Flow, choices: Choices) -> Iterator[World]:
    """Yield the flow's world, every door closed again afterwards. Nothing is connected before it is asked."""
    settings = app.settings
    access = settings.connect_of(flow.target)
    source, target = settings.cluster_access(flow.source), settings.cluster_access(flow.target)
    connect = ConnectClient(access.url, username=access.username, password=access.password, ca_file=access.ca_file)
    with KafkaCluster(source, clock=app.clock) as old, KafkaCluster(target, clock=app.clock) as new, connect:
        world = World(
            flow=flow,
            source=old,
            target=new,
            connect=connect,
            worker=_worker(settings, flow),
            identity=_identity(settings),
            choices=choices,
            clock=app.clock,
            crashpoint=crashpoint_from(app.environ),
            budget=Deadline.after(app.timeout_seconds, clock=app.clock) if app.timeout_seconds else None,
        )
        try:
            yield world
        finally:
            world.close()


def _worker(settings: Settings, flow: Flow) -> Worker:
    access = settings.connect_of(flow.target)
    wanted = flow.connector.get("tasks.max", "")
    return Worker(
        group_id=access.group_id,
        offsets_topic=TopicName(access.offsets_topic),
        configs_topic=TopicName(access.configs_topic),
        tasks_max=int(wanted) if wanted.isdecimal() else TASKS_MAX,
    )


def _identity(settings: Settings) -> Identity:
    supervisor = settings.supervisor
    return Identity(
        supervisor_id=supervisor.id,
        topic_prefix=supervisor.topic_prefix,
        session_seconds=supervisor.session_seconds,
    )


def highest_peer_epoch(world: World) -> int:
    """Return the highest epoch in the source's journal, 0 where it cannot be read."""
    addresses = [address.strip() for address in world.source.access.bootstrap.split(",")]
    if probe_listeners(addresses) is not Reachability.REACHABLE:
        return 0
    journal = Journal(world.source, world.identity.topic_prefix, clock=world.clock)
    try:
        return journal.read_chain(world.deadline(_PEER_SECONDS)).highest_epoch
    except ReplicatorError:
        return 0
