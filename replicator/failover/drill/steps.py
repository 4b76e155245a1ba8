"""The steps of a drill: what a failover does to groups, done to clones of them that no client knows.

Clones are called `drill.<operation>.<group>`, the probe goes through a topic of the drill's own. Nothing else is
written, nothing is stopped, and at the end neither is left. The flow mirrors on meanwhile: the cut is a moment, not
an end.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from replicator.errors import DeadlineExceeded, OperationFailed, ReplicatorError
from replicator.failover.copies import describe_copies, read_ends, take_cut
from replicator.failover.drill.comparing import Likeness, compare_first, find_hollowness
from replicator.failover.engine.runbook import Step
from replicator.failover.facts import cut_to_facts
from replicator.failover.groups.moves import GroupMove, kept_inside
from replicator.failover.steps.cut import NAME as CUT_NAME
from replicator.failover.steps.cut import read_cut
from replicator.failover.steps.groups import COMMIT_NAME, read_moves
from replicator.failover.steps.verify import ITEM as VERIFIED
from replicator.failover.steps.verify import NAME as VERIFY_NAME
from replicator.failover.steps.verify import write_probe
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.model.names import GroupName, TopicName
from replicator.model.observations import GroupState
from replicator.model.offsets import Translation
from replicator.model.operations import Done, Finding, Ready

CLEAN_UP_NAME = "clean_up"
CLONED = "cloned"
FINDINGS = (Likeness.SKIPPED, Likeness.UNAVAILABLE, Likeness.MISSING, Likeness.FAILED)
FINDINGS_MAX = 50
"""So many partitions that do not compare are told one by one."""


def check_cut(world: World) -> Finding:
    """Done once the drill has a cut; a flow that mirrors on leaves it behind, which is no fault here."""
    cut = read_cut(world.log) if world.log is not None else None
    if cut is None:
        return Ready("the flow's positions and the copies' ends are to be read, while it runs")
    return Done({"digest": cut.digest, "partitions": len(cut.partitions)})


def do_cut(world: World) -> None:
    """Journal one sweep."""
    world.logbook.add_facts(CUT_NAME, cut_to_facts(take_cut(world)))


def clone_of(world: World, group: GroupName) -> GroupName:
    """Return the name of a group's clone in this drill."""
    return GroupName(f"drill.{world.logbook.request.operation_id}.{group}")


def drilled_moves(world: World) -> dict[GroupName, GroupMove]:
    """Return every group's move, within the copies as they are now."""
    ends = read_ends(world)
    return {name: kept_inside(move, ends) for name, move in read_moves(world).items()}


def check_cloned(world: World) -> Finding:
    """Done once every clone was seen at its place; the cleaned-up drill has none any more."""
    fact = world.log.fact(COMMIT_NAME, CLONED) if world.log is not None else None
    return Done(dict(fact)) if fact is not None else Ready("groups are to be cloned")


def do_clone(world: World) -> None:
    """Commit every clone where a failover would set its group, each read back."""
    moves = drilled_moves(world)
    for name, move in moves.items():
        world.logbook.require_lease()
        if move.positions:
            world.target.groups.commit(clone_of(world, name), move.positions, world.deadline(ACT_SECONDS))
        world.crashpoint(f"{COMMIT_NAME}.between_groups")
    cloned = [name for name, move in moves.items() if move.positions]
    world.logbook.add_fact(COMMIT_NAME, CLONED, {"groups": len(moves), "cloned": len(cloned)})


def probe_topic(world: World) -> TopicName:
    """Return the topic of this drill alone; the prefix keeps every flow off it."""
    return TopicName(f"{world.identity.topic_prefix}.drill.{world.logbook.request.operation_id}")


def has_probe_topic(world: World) -> bool:
    """Whether this drill's topic is there."""
    topic = probe_topic(world)
    return topic in world.target.topics.describe([topic], world.deadline(ACT_SECONDS))


def remove_probe(world: World) -> None:
    """Leave no topic of this drill."""
    world.logbook.require_lease()
    world.target.topics.delete([probe_topic(world)], world.deadline(ACT_SECONDS))


def clean_up(world: World) -> None:
    """Leave neither topic nor clone of this drill."""
    remove_probe(world)
    world.crashpoint(f"{CLEAN_UP_NAME}.before_groups")
    remove_clones(world)


def remove_clones(world: World) -> None:
    """Leave no clone of this drill."""
    for name in leftover_clones(world):
        world.logbook.require_lease()
        world.target.groups.delete([name], world.deadline(ACT_SECONDS))
        world.crashpoint(f"{CLEAN_UP_NAME}.between_groups")


def leftover_clones(world: World) -> list[GroupName]:
    """Return the clones of this drill that are still there."""
    clones = [clone_of(world, name) for name in read_moves(world)]
    found = world.target.groups.committed(clones, world.deadline(ACT_SECONDS))
    return [name for name, seen in found.items() if seen.state is not GroupState.DEAD]


def check_verified(world: World) -> Finding:
    """Done once this drill has journaled what it compared."""
    fact = world.log.fact(VERIFY_NAME, VERIFIED) if world.log is not None else None
    if fact is None:
        return Ready("first records are to be compared with the source, and a probe written and read")
    return Done({"compared": fact["compared"], "findings": fact["findings"]})


def do_verify(world: World) -> None:
    """Journal how the first records of each clone compare with the source, and the probe's offset."""
    counts: Counter[str] = Counter()
    findings: list[str] = []
    cut = read_cut(world.logbook)
    mirrored = cut.mirrored if cut is not None else {}
    compacted = compacted_copies(world)
    for name, move in drilled_moves(world).items():
        for answer in move.translation.translations:
            likeness = _compare(world, answer, mirrored=mirrored.get(answer.partition), compacted=compacted)
            counts[likeness.value] += 1
            if likeness in FINDINGS:
                findings.append(f"group {name}: {answer.partition}: {_tell(likeness, answer)}")
    hollow = find_hollowness(counts)
    if hollow is not None:
        findings.insert(0, hollow)
    canary_offset = write_probe(world, probe_topic(world))
    world.crashpoint(f"{VERIFY_NAME}.before_fact")
    body: dict[str, Any] = {
        "canary_offset": canary_offset,
        "compared": dict(counts),
        "findings": findings[:FINDINGS_MAX],
    }
    world.logbook.add_fact(VERIFY_NAME, VERIFIED, body)


def compacted_copies(world: World) -> frozenset[TopicName]:
    """Return the copies from which the cleaner takes records of its own accord."""
    configs = world.target.topics.configs(sorted(describe_copies(world)), world.deadline(ACT_SECONDS))
    return frozenset(name for name, found in configs.items() if "compact" in (found["cleanup.policy"].value or ""))


def _compare(world: World, answer: Translation, *, mirrored: int | None, compacted: frozenset[TopicName]) -> Likeness:
    is_compacted = answer.target_partition.topic in compacted
    deadline = world.deadline(READ_SECONDS)
    try:
        return compare_first(
            world.source, world.target, answer, mirrored=mirrored, is_compacted=is_compacted, deadline=deadline
        )
    except (OperationFailed, DeadlineExceeded):
        return Likeness.FAILED


def _tell(likeness: Likeness, answer: Translation) -> str:
    if likeness is Likeness.UNAVAILABLE:
        return "the target has no copy of it"
    if likeness is Likeness.MISSING:
        return (
            f"the copy lacks the record at {answer.source_offset}: it is not among what follows {answer.target_offset}"
        )
    if likeness is Likeness.FAILED:
        return f"whether the record at {answer.source_offset} follows could not be read"
    return f"the record at {answer.source_offset} does not follow {answer.target_offset} of the copy"


def check_clean(world: World) -> Finding:
    """Done when neither topic nor clone of this drill is left."""
    if world.log is None:
        return Ready("every clone is to be removed, and the probe's topic")
    left = leftover_clones(world)
    if has_probe_topic(world):
        return Ready(f"{len(left)} clones and topic {probe_topic(world)} are to be removed")
    return Ready(f"{len(left)} clones are to be removed") if left else Done({"clones": 0, "topics": 0})


def undo_clone(world: World) -> None:
    """Leave no clone, as if the drill had never been."""
    try:
        remove_clones(world)
    except ReplicatorError as error:
        error.hint = error.hint or "the same command goes on with the removal"
        raise


DRILL_CUT = Step(
    name=CUT_NAME,
    says="Take a cut while the flow runs: where a failover would end it",
    check=check_cut,
    do=do_cut,
    is_read_only=True,
    proof_seconds=0.0,
)

CLONE = Step(
    name=COMMIT_NAME,
    says="Clone every group, and set the clone where a failover would set the group",
    check=check_cloned,
    do=do_clone,
    undo=undo_clone,
    kill_points=("between_groups",),
)

COMPARE = Step(
    name=VERIFY_NAME,
    says="Verify: each clone's next record is the source's next record; a probe goes in and out of a topic of its own",
    check=check_verified,
    do=do_verify,
    undo=remove_probe,
    proof_seconds=0.0,
    kill_points=("before_fact",),
)

CLEAN_UP = Step(
    name=CLEAN_UP_NAME,
    says="Clean up: neither clone nor probe is left",
    check=check_clean,
    do=clean_up,
    proof_seconds=30.0,
    kill_points=("before_groups", "between_groups"),
)
