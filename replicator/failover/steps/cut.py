"""`cut`: where every partition ends, in one sweep, and what is lost by ending there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replicator.failover.copies import take_cut
from replicator.failover.engine.logbook import Logbook
from replicator.failover.engine.runbook import Step
from replicator.failover.facts import Cut, cut_from_facts, cut_to_facts, to_body
from replicator.failover.steps.gaps import find_gap_blocker, read_gaps, tell_gaps, with_gaps
from replicator.failover.steps.limit import account_flow, find_excess, tell_loss
from replicator.failover.steps.survey import take_survey
from replicator.failover.tails import planned_loss
from replicator.failover.world import World
from replicator.journal.codec import from_plain
from replicator.model.forms.figures import show_count
from replicator.model.names import TopicPartition
from replicator.model.operations import Blocked, Done, Finding, LossReport, Ready

NAME = "cut"
LOSS = "loss"
LOSS_PARTITIONS_MAX = 2_000
"""The journal keeps the loss of so many partitions one by one, those that lose most first; sums are of all."""


def check_cut(world: World) -> Finding:
    """Done when the cut is journaled, the flow has not moved since, and the loss is within the limit."""
    cut = read_cut(world.log) if world.log is not None else None
    loss = read_loss(world.log) if world.log is not None else None
    if cut is None or loss is None or world.log is None:
        return Ready("the flow's positions and the copies' ends are to be read")
    now = take_cut(world)
    if now.mirrored != cut.mirrored:
        return Ready("the flow has moved since the cut was taken")
    blocked = find_breach(world, cut, now, loss) if world.is_planned else _find_excess(world, loss)
    if blocked is not None:
        return blocked
    return Done({"digest": cut.digest, "partitions": len(cut.partitions), **count_strangers(cut, now)})


def _find_excess(world: World, loss: LossReport) -> Blocked | None:
    return find_excess(loss, flow=world.flow, choices=world.choices)


def find_breach(world: World, cut: Cut, now: Cut, loss: LossReport) -> Blocked | None:
    """Return why a planned move must not go on, or None: it loses nothing, whatever was accepted."""
    grown = late_writes(cut, now)
    told = None
    if grown:
        told = f"{sum(grown.values())} offsets were written to {world.flow.source} after the cut, first to {min(grown)}"
    elif loss.known_lost:
        told = f"{show_count(loss.known_lost)} records of {world.flow.source} were not mirrored when the flow stopped"
    if told is None:
        return _find_torn(world, loss)
    return Blocked(f"{told}: a planned move loses none", "stop every producer, then abort")


def _find_torn(world: World, loss: LossReport) -> Blocked | None:
    """Return why what the standby lacks forbids to go on, where nobody accepted it: it may have been torn since the
    survey."""
    missing = sum(one.overtaken_offsets for one in loss.partitions)
    return find_gap_blocker(world, read_gaps(world)) if missing else None


def late_writes(cut: Cut, now: Cut) -> dict[TopicPartition, int]:
    """Return by how many offsets a living source has grown since the cut, where it has."""
    known = {row.source: row.source_end for row in cut.partitions}
    grown = {row.source: (row.source_end or 0) - (known.get(row.source) or 0) for row in now.partitions}
    return {tp: count for tp, count in grown.items() if count > 0}


def count_strangers(cut: Cut, now: Cut) -> dict[str, int]:
    """Count the offsets that somebody else has written to the copies since the cut; none is no news."""
    ends = cut.target_ends
    grown = sum(max(0, found.end - ends[tp].end) for tp, found in now.target_ends.items() if tp in ends)
    return {"foreign_offsets": grown} if grown else {}


def do_cut(world: World) -> None:
    """Journal one sweep, and the loss that follows from it."""
    cut = take_cut(world)
    world.logbook.add_facts(NAME, cut_to_facts(cut))
    world.crashpoint(f"{NAME}.before_loss")
    world.logbook.add_fact(NAME, LOSS, _loss_body(compute_loss(world, cut)))


def foresee_cut(world: World) -> str:
    """Return what would be lost if the cut were taken now."""
    loss = compute_loss(world, take_cut(world))
    if world.is_planned:
        told = f"{show_count(loss.known_lost)} records are not mirrored yet: they are drained first"
        gaps = read_gaps(world)
        return f"{told}; {tell_gaps(gaps)}" if gaps else told
    blocked = _find_excess(world, loss)
    return blocked.reason if blocked else tell_loss(loss)


def compute_loss(world: World, cut: Cut) -> LossReport:
    """Return what is lost when the flow ends at this cut."""
    if world.is_planned:
        return with_gaps(planned_loss(world, cut.mirrored), read_gaps(world))
    return account_flow(world, world.survey or take_survey(world), cut.mirrored, now=cut.taken_at)


def _loss_body(loss: LossReport) -> dict[str, Any]:
    worst = sorted(loss.partitions, key=lambda p: (-(p.possible_lost_max or 0), p.partition))
    return to_body(replace(loss, partitions=tuple(worst[:LOSS_PARTITIONS_MAX])))


def read_cut(log: Logbook) -> Cut | None:
    """Return the operation's cut, or None before it was taken."""
    return cut_from_facts(log.facts(NAME))


def read_loss(log: Logbook) -> LossReport | None:
    """Return the loss that the operation's cut means, or None before it was taken."""
    fact = log.fact(NAME, LOSS)
    return None if fact is None else from_plain(LossReport, fact)


CUT = Step(
    name=NAME,
    says="Take the cut: where each partition ends, and what is lost by ending there",
    check=check_cut,
    do=do_cut,
    foresee=foresee_cut,
    is_read_only=True,
    needs_ground=True,
    proof_seconds=0.0,
    kill_points=("before_loss",),
)
