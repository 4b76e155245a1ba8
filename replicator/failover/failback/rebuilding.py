"""Topics that go home whole: deleted on the old active, made anew, and mirrored from the new active's log start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicator.clock import Deadline
from replicator.failover.failback.reconcile import broken_seams, find_last_move
from replicator.failover.failback.seams import REBUILDING_ITEM, REBUILT_ITEM, SEED_STEP
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.model.forms.figures import show_bytes, show_seconds
from replicator.model.names import TopicName, TopicPartition
from replicator.wire import RawClient, read_sizes

REBUILD_BYTES_PER_SECOND = 50_000_000
"""How fast a plan takes a rebuild to go: half of what the template moves on two cores."""
POLL_SECONDS = 0.2


def is_rebuilt(world: World) -> bool:
    """Whether this operation has nothing to rebuild, or has made all of it anew."""
    return not world.choices.rebuild or (world.log is not None and world.log.fact(SEED_STEP, REBUILT_ITEM) is not None)


def delete_rebuilt(world: World) -> None:
    """Leave none of the topics that are to be rebuilt as they were on the old active; what was made anew stays.

    Their ids are journaled before the first is deleted: a second try deletes nothing that the first has made.
    """
    if is_rebuilt(world):
        return
    ids = _journal_ids(world)
    deadline = world.deadline(READ_SECONDS)
    while old := _still_old(world, ids, deadline):
        world.logbook.require_lease()
        world.target.topics.delete(old, deadline)
        deadline.check(f"topics of {world.flow.target} are still being deleted: {', '.join(old)}")
        world.clock.sleep(POLL_SECONDS)


def _journal_ids(world: World) -> Mapping[str, str]:
    log = world.logbook
    known = log.fact(SEED_STEP, REBUILDING_ITEM)
    if known is not None:
        return dict(known["topics"])
    found = world.target.topics.describe(sorted(world.choices.rebuild), world.deadline(ACT_SECONDS))
    ids: dict[str, str] = {
        name: found[name].topic_id if name in found else "" for name in sorted(world.choices.rebuild)
    }
    move = find_last_move(world)
    broken = broken_seams(world, move) if move is not None else {}
    untold = sorted(name for name in broken if name in ids)
    log.add_fact(SEED_STEP, REBUILDING_ITEM, {"topics": dict(ids), "untold": untold})
    return ids


def _still_old(world: World, ids: Mapping[str, str], deadline: Deadline) -> list[TopicName]:
    found = world.target.topics.describe([TopicName(name) for name in ids], deadline)
    return [name for name, topic in found.items() if topic.topic_id == ids[name]]


def note_rebuilt(world: World) -> None:
    """Journal that the topics are there anew."""
    if world.choices.rebuild and not is_rebuilt(world):
        world.logbook.add_fact(SEED_STEP, REBUILT_ITEM, {"topics": sorted(world.choices.rebuild)})


def sizes_of_rebuilt(world: World) -> dict[TopicName, int]:
    """Return how many bytes of each topic to rebuild the new active holds.

    Raises: as `read_sizes`.
    """
    return topic_bytes(world, world.choices.rebuild) if world.choices.rebuild else {}


def topic_bytes(world: World, names: Iterable[TopicName]) -> dict[TopicName, int]:
    """Return the bytes of topics on the flow's source, as their leaders hold them."""
    described = world.source.topics.describe(sorted(names), world.deadline(ACT_SECONDS))
    partitions = [TopicPartition(name, p.partition) for name, topic in described.items() for p in topic.partitions]
    with RawClient(world.source.access, client_id="replicator-rebuild", clock=world.clock) as raw:
        sizes = read_sizes(raw, partitions, deadline=world.deadline(ACT_SECONDS))
    return {name: sum(size for tp, size in sizes.items() if tp.topic == name) for name in described}


def tell_rebuild(sizes: Mapping[TopicName, int]) -> str:
    """Return what a rebuild moves and how long that may take, in words."""
    total = sum(sizes.values())
    seconds = show_seconds(total / REBUILD_BYTES_PER_SECOND)
    told = ", ".join(f"{name} ({show_bytes(size)})" for name, size in sorted(sizes.items()))
    rate = show_bytes(REBUILD_BYTES_PER_SECOND)
    return f"deleted at home and copied whole: {told}; about {seconds} at {rate} a second"
