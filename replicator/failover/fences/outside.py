"""What a fence has to do with the outside: the operator's commands, and a look through an application's eyes."""

from __future__ import annotations

import os

from replicator.errors import AccessDenied, DeadlineExceeded, Unreachable
from replicator.failover.fences.proof import NOT_PROBED, Probed, judge_probes
from replicator.failover.hooks import HookCommand, run_hooks, worst_seconds
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, World
from replicator.model.cluster import ClusterAccess
from replicator.model.names import TopicName, TopicPartition
from replicator.wire import RawClient, WriteProbe, probe_write


def call_hooks(world: World, hooks: tuple[HookCommand, ...], *, step: str) -> None:
    """Leave the operator's commands run, with the operation, the step and the epoch in their environment; the lease is
    asked for right before each."""
    deadline = world.deadline(ACT_SECONDS * max(1, len(hooks)) + worst_seconds(hooks))
    for hook in hooks:
        world.logbook.require_lease()
        run_hooks(
            (hook,),
            environ=os.environ,
            operation_id=world.logbook.request.operation_id,
            step=step,
            epoch=world.logbook.epoch,
            deadline=deadline,
        )


def probe_topics(
    world: World, access: ClusterAccess, topics: list[TopicName]
) -> dict[TopicName, tuple[WriteProbe, str]]:
    """Return what a write to each topic would be answered, asked as an application.

    Unknown is what was not answered, and what was refused before it was about writing: a log-in that fails says
    nothing of those who are logged in. Who did not answer once is not asked for the other topics.
    """
    found: dict[TopicName, tuple[WriteProbe, str]] = dict.fromkeys(topics, (WriteProbe.UNKNOWN, "not asked"))
    with RawClient(access, client_id="replicator-probe", clock=world.clock) as client:
        for topic in topics:
            try:
                found[topic] = probe_write(client, TopicPartition(topic, 0), deadline=world.deadline(ASK_SECONDS))
            except AccessDenied:
                found[topic] = WriteProbe.UNKNOWN, "access denied"
            except (Unreachable, DeadlineExceeded):
                found[topic] = WriteProbe.UNKNOWN, "unreachable"
                break
    return found


def probe_fence(world: World, topics: list[TopicName]) -> Probed:
    """Return whether an application could write the topics of the source now; nothing is appended anywhere."""
    access = world.fencing.probe_source
    return NOT_PROBED if access is None else judge_probes(probe_topics(world, access, topics))
