"""Where each group resumes under the cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replicator.connect import Checkpoint
from replicator.failover.facts import Cut, CutPartition, GroupsKnownFrom
from replicator.failover.known_groups import checkpointed_groups, groups_known_from, observed_groups
from replicator.failover.moves import GroupMove
from replicator.failover.world import World
from replicator.model.names import GroupName, Offset
from replicator.model.observations import GroupObservation
from replicator.model.offsets import Grade, GroupTranslation, Translation

BATCH = 50
"""Groups translated and journaled together: a crash costs at most their translation again."""


def translate_groups(world: World, cut: Cut, names: Iterable[GroupName]) -> Iterator[list[GroupMove]]:
    """Yield the moves of the groups, some at a time.

    Without observations every group that MM2 knows starts over at the log start of each topic it consumed:
    where it stood since its last checkpoint nobody has read.
    """
    wanted = sorted(names)
    if groups_known_from(world) is GroupsKnownFrom.OBSERVATIONS:
        seen = observed_groups(world)
        moves: Iterable[GroupMove] = (translate_observed(world, cut, seen[name]) for name in wanted)
    else:
        known = checkpointed_groups(world)
        moves = (start_over(world, cut, name, known[name]) for name in wanted)
    yield from _batches(moves)


def _batches(moves: Iterable[GroupMove]) -> Iterator[list[GroupMove]]:
    batch: list[GroupMove] = []
    for move in moves:
        batch.append(move)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def translate_observed(world: World, cut: Cut, seen: GroupObservation) -> GroupMove:
    """Return the move of a group whose positions were observed."""
    translations = [
        floor_of(p, source_offset=seen.committed.get(p.source, 0))
        for p in cut.partitions
        if p.source.topic in {tp.topic for tp in seen.committed}
    ]
    return _move(world, cut, seen.group, translations, observed=seen)


def start_over(world: World, cut: Cut, group: GroupName, checkpoints: list[Checkpoint]) -> GroupMove:
    """Return the move of a group that only MM2's checkpoints know: the log start, or nothing."""
    at = {c.partition: c.source_offset for c in checkpoints}
    topics = {c.partition.topic for c in checkpoints}
    partitions = [p for p in cut.partitions if p.target.topic in topics]
    translations = [floor_of(p, source_offset=at.get(p.target, 0)) for p in partitions]
    return _move(world, cut, group, translations, observed=None)


def floor_of(p: CutPartition, *, source_offset: int, rule: str = "no_observation") -> Translation:
    """Return a translation to the copy's log start; UNAVAILABLE where there is no copy."""
    return Translation(
        partition=p.source,
        target_partition=p.target,
        source_offset=Offset(source_offset),
        target_offset=None if p.ends is None else Offset(p.ends.log_start),
        grade=Grade.UNAVAILABLE if p.ends is None else Grade.FLOOR,
        reread_records_max=None,
        rule=rule,
    )


def _move(
    world: World, cut: Cut, group: GroupName, translations: list[Translation], *, observed: GroupObservation | None
) -> GroupMove:
    return GroupMove(
        translation=GroupTranslation(world.flow.name, group, tuple(translations)),
        cut_digest=cut.digest,
        observed_at=observed.observed_at if observed else None,
    )
