"""Where each group resumes under the cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from replicator.connect import Checkpoint
from replicator.failover.facts import Cut, CutPartition, GroupsKnownFrom
from replicator.failover.groups.known import checkpointed_groups, groups_known_from, observed_groups
from replicator.failover.groups.moves import GroupMove
from replicator.failover.world import READ_SECONDS, World
from replicator.model.names import GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.model.operations import OperationKind
from replicator.offsets import OffsetHistory, TargetView, Translator, examine_copies, open_source, with_proofs

BATCH = 50
"""Groups translated and journaled together: a crash costs at most their translation again."""


def translate_groups(world: World, cut: Cut, names: Iterable[GroupName]) -> Iterator[list[GroupMove]]:
    """Yield the moves of the groups, some at a time.

    Without observations every group that MM2 knows starts over at the log start of each topic it consumed:
    where it stood since its last checkpoint nobody has read.
    """
    wanted = sorted(names)
    if not wanted:
        return
    if groups_known_from(world) is GroupsKnownFrom.OBSERVATIONS:
        yield from _batches(translate_observed(world, cut, wanted))
    else:
        known = checkpointed_groups(world)
        yield from _batches(start_over(world, cut, name, known[name]) for name in wanted)


def _batches(moves: Iterable[GroupMove]) -> Iterator[list[GroupMove]]:
    batch: list[GroupMove] = []
    for move in moves:
        batch.append(move)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def translate_observed(world: World, cut: Cut, names: Iterable[GroupName]) -> Iterator[GroupMove]:
    """Yield the move of each group whose positions were observed."""
    seen = observed_groups(world)
    if world.forward is not None:
        from replicator.failover.failback.homeward import translate_homeward

        starts = log_starts(world, cut)
        yield from translate_homeward(world, cut, [with_starts(seen[name], starts) for name in names])
        return
    translator, starts = _open_translator(world, cut), log_starts(world, cut)
    complete = {name: with_starts(seen[name], starts) for name in names}
    translator.read_ahead(complete.values())
    for name, whole in complete.items():
        yield GroupMove(
            translation=with_proofs(translator.translate(whole), world.observed.translations.get(name)),
            cut_digest=cut.digest,
            observed_at=whole.observed_at,
        )


def _open_translator(world: World, cut: Cut) -> Translator:
    """Return a translator that stands on the cut: the copies end where they ended then.

    What somebody has written to them since is new to every group, and must stay ahead of it.
    """
    deadline = world.deadline(READ_SECONDS)
    offset_map = OffsetHistory(world.target, world.flow).refresh(deadline)
    states = TargetView.open(world.target, cut.topic_ids, deadline).states
    view = TargetView(world.target, states, cut.target_ends)
    source = None
    if world.survey is not None and world.survey.is_answering and not _is_drill(world):
        source = open_source(world.source, {p.source.topic for p in cut.partitions}, deadline)
    return Translator(
        world.flow,
        offset_map=offset_map,
        mirrored=cut.mirrored,
        target=view,
        source=source,
        deadline=deadline,
        copies=examine_copies(
            world.flow, world.copies, offset_map=offset_map, target=view, source=source, deadline=deadline
        ),
    )


def _is_drill(world: World) -> bool:
    """A drill knows no more than the day after would: the standby alone."""
    return world.log is not None and world.log.request.kind is OperationKind.DRILL


Starts = Mapping[TopicName, Mapping[TopicPartition, int]]


def log_starts(world: World, cut: Cut) -> dict[TopicName, dict[TopicPartition, int]]:
    """Return the source's log start of every partition under the cut, by topic; 0 where nobody has read it."""
    seen = {
        TopicPartition(name, p.partition): p.log_start
        for name, topic in world.observed.topics.items()
        for p in topic.partitions
    }
    found: dict[TopicName, dict[TopicPartition, int]] = {}
    for row in cut.partitions:
        found.setdefault(row.source.topic, {})[row.source] = seen.get(row.source, 0)
    return found


def with_starts(seen: GroupObservation, starts: Starts) -> GroupObservation:
    """Return the observation with a position on every partition of the topics that the group consumes.

    Where it has committed nothing it has everything still ahead: it stands at the log start. Left unset, its
    consumers would use their own reset, and `latest` skips what came in between.
    """
    committed: dict[TopicPartition, int] = {}
    for topic in sorted({tp.topic for tp in seen.committed}):
        committed |= starts.get(topic, {})
    return replace(seen, committed={**committed, **seen.committed})


def start_over(world: World, cut: Cut, group: GroupName, checkpoints: list[Checkpoint]) -> GroupMove:
    """Return the move of a group that only MM2's checkpoints know: to the log start, or nowhere."""
    at = {c.partition: c.source_offset for c in checkpoints}
    topics = {c.partition.topic for c in checkpoints}
    partitions = [p for p in cut.partitions if p.target.topic in topics]
    translations = tuple(floor_of(p, source_offset=at.get(p.target, 0)) for p in partitions)
    return GroupMove(translation=GroupTranslation(world.flow.name, group, translations), cut_digest=cut.digest)


def floor_of(p: CutPartition, *, source_offset: int) -> Translation:
    """Return a translation to the copy's log start; UNAVAILABLE where there is no copy."""
    return Translation(
        partition=p.source,
        target_partition=p.target,
        source_offset=Offset(source_offset),
        target_offset=None if p.ends is None else Offset(p.ends.log_start),
        grade=Grade.UNAVAILABLE if p.ends is None else Grade.FLOOR,
        reread_records_max=None,
        rule="no_observation",
    )
