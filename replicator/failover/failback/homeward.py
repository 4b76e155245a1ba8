"""Where a group of the new active resumes at home: by the reverse flow's map, and by the inverse of the forward one.

    new active    ────────────────┤ seed ├── written since ──→
                  inverse of the       the reverse flow's
                  forward map          own map

Below the seed everything was a copy: the inverse map leads back to where it came from. From the seed on the
reverse flow has copied everything, behind whatever stood at home: no group is handed the orphan tail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from replicator.failover.facts import Cut
from replicator.failover.failback.reconcile import find_last_move, forward_of
from replicator.failover.failback.reverse import first_bases
from replicator.failover.groups.moves import GroupMove
from replicator.failover.world import READ_SECONDS, World
from replicator.journal import Observations
from replicator.model.names import FlowName, Offset, TopicName, TopicPartition
from replicator.model.observations import CopyHistory, GroupObservation
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import (
    OffsetHistory,
    OffsetMap,
    SourceView,
    TargetView,
    Translator,
    copies_observed,
    examine_copies,
    open_source,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Both translators, the reverse flow's map, and where it began: source offset and the target's end then."""

    reverse: Translator
    backward: Translator | None
    reverse_map: OffsetMap
    bases: Mapping[TopicPartition, tuple[int, int]]


def translate_homeward(world: World, cut: Cut, groups: Iterable[GroupObservation]) -> Iterator[GroupMove]:
    """Yield the move of each group, each position by the way that leads home from there."""
    ways = open_ways(world, cut)
    for seen in groups:
        answers = translate_one(ways, world.flow.name, seen)
        yield GroupMove(translation=answers, cut_digest=cut.digest, observed_at=seen.observed_at)


def translate_one(ways: Ways, flow: FlowName, seen: GroupObservation) -> GroupTranslation:
    """Return a group's translation, its positions split at the seeds."""
    since = {tp: at for tp, at in seen.committed.items() if at >= _begin(ways, tp)}
    before = {tp: at for tp, at in seen.committed.items() if tp not in since}
    found = list(ways.reverse.translate(replace(seen, committed=since)).translations) if since else []
    found = [_not_below_base(answer, ways) for answer in found]
    if before and ways.backward is not None:
        found += ways.backward.translate_back(replace(seen, committed=before)).translations
    elif before:
        found += [_unavailable(tp, at) for tp, at in before.items()]
    return GroupTranslation(flow, seen.group, tuple(sorted(found, key=lambda t: t.partition)))


def _begin(ways: Ways, tp: TopicPartition) -> int:
    return ways.bases[tp][0] if tp in ways.bases else 0


def _not_below_base(answer: Translation, ways: Ways) -> Translation:
    """Return the answer; one that only knows the log start resumes where the reverse flow began to write: what
    stands below that at home is no copy of anything from the seed on."""
    base = ways.bases.get(answer.partition)
    if base is None or answer.target_offset is None or answer.target_offset >= base[1]:
        return answer
    first = next(((u, d) for u, d in ways.reverse_map.of(answer.partition).points() if d >= base[1]), None)
    is_before = first is not None and answer.source_offset <= first[0]
    rereads = max(0, first[1] - base[1]) if first is not None and is_before else None
    grade = Grade.EXACT if rereads == 0 else Grade.BOUNDED if rereads is not None else Grade.FLOOR
    return replace(answer, target_offset=Offset(base[1]), grade=grade, reread_records_max=rereads, rule="reverse_base")


def _unavailable(tp: TopicPartition, at: int) -> Translation:
    return Translation(
        partition=tp,
        target_partition=tp,
        source_offset=Offset(at),
        target_offset=None,
        grade=Grade.UNAVAILABLE,
        reread_records_max=None,
        rule="not_mirrored",
    )


def open_ways(world: World, cut: Cut) -> Ways:
    """Return both ways home, everything that groups share read once."""
    deadline = world.deadline(READ_SECONDS)
    reverse_map = OffsetHistory(world.target, world.flow).refresh(deadline)
    states = TargetView.open(world.target, cut.topic_ids, deadline).states
    target = TargetView(world.target, states, cut.target_ends)
    source = open_source(world.source, {p.source.topic for p in cut.partitions}, deadline)
    reverse = Translator(
        world.flow,
        offset_map=reverse_map,
        mirrored=cut.mirrored,
        target=target,
        source=source,
        deadline=deadline,
        copies=examine_copies(
            world.flow, world.copies, offset_map=reverse_map, target=target, source=source, deadline=deadline
        ),
    )
    return Ways(reverse=reverse, backward=_open_backward(world), reverse_map=reverse_map, bases=first_bases(world))


def _open_backward(world: World) -> Translator | None:
    """Return the inverse of the configured flow's map, which ends where that flow stopped writing.

    Raises:
        ReplicatorError: home cannot be read. Without it no position below the seed has an answer, and every group
            would be left without one: the step fails instead, and goes on where home answers.
    """
    move = find_last_move(world)
    if move is None:
        return None
    deadline, forward = world.deadline(READ_SECONDS), forward_of(world)
    offset_map = OffsetHistory(world.source, forward.flow).refresh(deadline)
    states = TargetView.open(world.source, move.cut.topic_ids, deadline).states
    target = TargetView(world.source, states, move.cut.target_ends)
    source = SourceView.open(world.target, {p.source.topic for p in move.cut.partitions}, deadline)
    copies = examine_copies(
        forward.flow, _forward_copies(world), offset_map=offset_map, target=target, source=source, deadline=deadline
    )
    return Translator(
        forward.flow,
        offset_map=offset_map,
        mirrored=move.cut.mirrored,
        target=target,
        source=source,
        deadline=deadline,
        copies=copies,
    )


def _forward_copies(world: World) -> dict[TopicName, CopyHistory]:
    """Return what the forward flow's supervisors observed of its copies, on the cluster that is active now."""
    observations = Observations(world.source, world.identity.topic_prefix)
    return copies_observed(observations.read(forward_of(world).flow.name, world.deadline(READ_SECONDS)).topics)
