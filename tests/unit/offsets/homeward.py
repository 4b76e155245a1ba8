"""The truth of the inverse map in a world: what a group that stands on the copy has read, and what it has not."""

from __future__ import annotations

from itertools import pairwise

from replicator.model.observations import PartitionEnds
from replicator.model.offsets import Grade, Translation
from replicator.offsets.inverse import invert_offset
from tests.unit.offsets.world import World, WorldReads


def invert_all(world: World) -> list[Translation]:
    """Return the way home from every offset of the copy."""
    reads, standing, points = WorldReads(world), world.standing(), world.points(is_whole=True)
    source = PartitionEnds(
        partition=0, log_start=world.source_start, last_stable=world.source_end, end=world.source_end
    )
    stop = world.copy_end + 2
    return [invert_offset(at, standing, points, reads, source=source) for at in range(stop)]


def find_inverse_faults(world: World) -> list[str]:
    """Return what is wrong with the way home from the world's copy; nothing is, if the rules are right."""
    answers = invert_all(world)
    faults = [fault for answer in answers for fault in _faults_of(world, answer)]
    for before, after in pairwise(answers):
        if _place(after) < _place(before):
            faults.append(f"not monotone: {before} then {after}")
    return faults + _round_trip_faults(world, answers)


def _place(answer: Translation) -> int:
    assert answer.target_offset is not None
    return answer.target_offset


def _at(world: World, answer: Translation) -> int:
    assert world.swept is not None
    return min(answer.source_offset, world.swept.last_stable)


def _on_source(world: World) -> set[int]:
    return {u for u in world.source if u >= world.source_start}


def _faults_of(world: World, answer: Translation) -> list[str]:
    """A group that has read the copy up to the position: nothing ahead of it is skipped, re-reads are bounded."""
    at, place = _at(world, answer), _place(answer)
    read = {u for d, u in world.copied.items() if d < at}
    ahead = {u for d, u in world.copied.items() if d >= at}
    faults = []
    if skipped := sorted(u for u in (ahead - read) & _on_source(world) if u < place):
        faults.append(f"skips {skipped}: {answer}")
    again = read if world.shape.is_exactly_once else read - ahead
    count = sum(u >= place for u in again & _on_source(world))
    assert answer.reread_records_max is not None
    if count > answer.reread_records_max:
        faults.append(f"reads {count} twice: {answer}")
    if (answer.grade is Grade.EXACT) != (answer.reread_records_max == 0):
        faults.append(f"grade and bound differ: {answer}")
    if not world.source_start <= place <= world.source_end:
        faults.append(f"outside the log: {answer}")
    return faults


def _round_trip_faults(world: World, answers: list[Translation]) -> list[str]:
    """A group that was sent to the copy and comes straight back, or reads on a while: it misses nothing of what
    the copy had for it. What retention took from under it counts as read: that was told on the way out."""
    faults = []
    assert world.swept is not None
    stop = world.swept.last_stable
    first = min((d for d in world.copy if d >= world.copy_start), default=world.copy_end)
    deleted = {u for d, u in world.copied.items() if d < world.copy_start}
    for sent in world.translate_all():
        start = sent.source_offset
        went = _place(sent)
        wanted = {r.source for d, r in world.copy.items() if r.source >= start and d < stop} & _on_source(world)
        wanted -= deleted if went <= first else set()
        for at in {went, (went + world.copy_end) // 2}:
            read = {u for d, u in world.copied.items() if went <= d < min(at, _at(world, answers[at]))}
            if skipped := sorted(u for u in wanted - read if u < _place(answers[at])):
                faults.append(f"sent from {start} to {went}, back from {at}: skips {skipped}: {answers[at]}")
    return faults
