"""Which topics of the target are the flow's, and where they stand."""

from __future__ import annotations

from replicator.failover.facts import Cut, CutPartition
from replicator.failover.world import ACT_SECONDS, World
from replicator.model.cluster import TopicDescription
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds


def copies_of(world: World) -> dict[TopicName, TopicName]:
    """Return the source topic of every topic that the flow is known to write on the target.

    Known are topics that were observed on the source and topics with a mirrored position: another topic
    of the target whose name the flow would select is not the flow's.
    """
    known = {*world.observed.topics, *(tp.topic for tp in world.read_mirrored())}
    return {world.flow.remote_topic(name): name for name in sorted(known) if world.flow.carries_topic(name)}


def describe_copies(world: World) -> dict[TopicName, TopicDescription]:
    """Return the copies that exist on the target."""
    return world.target.topics.describe(copies_of(world), world.deadline(ACT_SECONDS))


def read_ends(world: World) -> dict[TopicPartition, PartitionEnds]:
    """Return the ends of every partition on the target that is a copy of the flow's."""
    partitions = _partitions(describe_copies(world))
    return world.target.positions.ends(partitions, world.deadline(ACT_SECONDS))


def _partitions(described: dict[TopicName, TopicDescription]) -> list[TopicPartition]:
    return [TopicPartition(name, p.partition) for name, topic in described.items() for p in topic.partitions]


def take_cut(world: World) -> Cut:
    """Return every partition of the flow as it stands now: how far it is mirrored and where its copy ends."""
    taken_at = world.now()
    source_ends = _source_ends(world)
    sources = copies_of(world)
    described = describe_copies(world)
    ends = world.target.positions.ends(_partitions(described), world.deadline(ACT_SECONDS))
    mirrored = world.read_mirrored()
    rows = [
        CutPartition(
            source=TopicPartition(source, number),
            target=TopicPartition(copy, number),
            mirrored=mirrored.get(TopicPartition(source, number)),
            ends=ends.get(TopicPartition(copy, number)),
            source_end=source_ends.get(TopicPartition(source, number)),
        )
        for copy, source in sources.items()
        for number in _numbers(world, source, described.get(copy), mirrored)
    ]
    ids = {name: topic.topic_id for name, topic in described.items()}
    return Cut(taken_at=taken_at, partitions=tuple(rows), topic_ids=ids)


def _source_ends(world: World) -> dict[TopicPartition, int]:
    """Return the ends of a living source as it tells them now; none of one that is not asked."""
    if not world.is_planned:
        return {}
    topics = world.look_at_ends().topics
    return {TopicPartition(name, ends.partition): ends.end for name, seen in topics.items() for ends in seen.partitions}


def _numbers(
    world: World, source: TopicName, copy: TopicDescription | None, mirrored: dict[TopicPartition, int]
) -> list[int]:
    """Return every partition number known on either side."""
    observed = world.observed.topics.get(source)
    known = {p.partition for p in observed.partitions} if observed else set()
    known |= {p.partition for p in copy.partitions} if copy else set()
    return sorted(known | {tp.partition for tp in mirrored if tp.topic == source})
