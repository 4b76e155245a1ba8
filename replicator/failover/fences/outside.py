"""What a fence has to do with the outside: the operator's commands, and a look through an application's eyes."""

from __future__ import annotations

import os

from replicator.errors import AccessDenied, Unreachable
from replicator.failover.hooks import HookCommand, run_hooks
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, World
from replicator.model.cluster import ClusterAccess
from replicator.model.names import TopicName, TopicPartition
from replicator.wire import RawClient, WriteProbe, probe_write


def call_hooks(world: World, hooks: tuple[HookCommand, ...], *, step: str) -> None:
    """Leave the operator's commands run, with the operation, the step and the epoch in their environment."""
    world.logbook.require_lease()
    run_hooks(
        hooks,
        environ=os.environ,
        operation_id=world.logbook.request.operation_id,
        step=step,
        epoch=world.logbook.epoch,
        deadline=world.deadline(ACT_SECONDS * max(1, len(hooks)) + sum(hook.timeout_seconds for hook in hooks)),
    )


def probe_topics(
    world: World, access: ClusterAccess, topics: list[TopicName]
) -> dict[TopicName, tuple[WriteProbe, str]]:
    """Return what a write to each topic would be answered, asked as an application."""
    found: dict[TopicName, tuple[WriteProbe, str]] = {}
    with RawClient(access, client_id="replicator-probe", clock=world.clock) as client:
        for topic in topics:
            try:
                found[topic] = probe_write(client, TopicPartition(topic, 0), deadline=world.deadline(ASK_SECONDS))
            except AccessDenied:
                found[topic] = WriteProbe.FENCED, "access denied"
            except Unreachable:
                found[topic] = WriteProbe.FENCED, "unreachable"
    return found
