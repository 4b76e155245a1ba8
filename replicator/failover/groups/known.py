"""Which groups a flow moves, as far as the standby knows them: from observations, or from MM2's checkpoints."""

from __future__ import annotations

from dataclasses import replace

from replicator.connect import Checkpoint, decode_checkpoint
from replicator.failover.facts import GroupsKnownFrom
from replicator.failover.world import READ_SECONDS, World
from replicator.model.names import GroupName
from replicator.model.observations import GroupObservation, GroupState


def observed_groups(world: World) -> dict[GroupName, GroupObservation]:
    """Return the observed groups that the flow moves, each with its positions on the flow's topics."""
    found = {}
    groups = world.observed.groups
    topics = {tp.topic for seen in groups.values() for tp in seen.committed}
    is_carried = {topic: world.flow.carries_topic(topic) for topic in topics}
    for name, seen in groups.items():
        if seen.state is GroupState.DEAD or not world.moves_group(name):
            continue
        carried = {tp: offset for tp, offset in seen.committed.items() if is_carried[tp.topic]}
        if carried:
            found[name] = replace(seen, committed=carried)
    return found


def groups_known_from(world: World) -> GroupsKnownFrom:
    """Return where the groups are known from: a source that was observed and had no group is an observation too."""
    observed = world.observed
    if observed.groups or world.flow.source in observed.clusters:
        return GroupsKnownFrom.OBSERVATIONS
    return GroupsKnownFrom.CHECKPOINTS if checkpointed_groups(world) else GroupsKnownFrom.NOWHERE


def checkpointed_groups(world: World) -> dict[GroupName, list[Checkpoint]]:
    """Return MM2's newest checkpoints by group: their names survive even without observations."""
    tail = world.target.tail([world.flow.checkpoints_topic])
    try:
        records = tail.poll_to_end(world.deadline(READ_SECONDS))
    finally:
        tail.close()
    newest = {record.key: record.value for record in records if record.key is not None}
    found: dict[GroupName, list[Checkpoint]] = {}
    for key, value in newest.items():
        checkpoint = decode_checkpoint(key, value)
        if checkpoint is not None and world.moves_group(checkpoint.group):
            found.setdefault(checkpoint.group, []).append(checkpoint)
    return found


def selected_groups(world: World) -> set[GroupName]:
    """Return the groups that the flow moves."""
    if groups_known_from(world) is GroupsKnownFrom.OBSERVATIONS:
        return set(observed_groups(world))
    return set(checkpointed_groups(world))
