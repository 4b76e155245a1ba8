"""`copy_head`: the other cluster's journal names the active cluster and the end of this one's chain.

Either cluster alone then tells where clients belong, and which rules fence it: a later failover onto it, with this
journal's cluster lost, has to lift them. A chain whose tail was cut, or that was written anew, shows beside the
copied head. Copies have a writer of their own: they break nobody's chain.
"""

from __future__ import annotations

from replicator.failover.engine.logbook import Logbook
from replicator.failover.engine.runbook import Step
from replicator.failover.fences import FENCE_STEP, RULES_ITEM
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.journal import ACTIVE_ITEM, HEAD_ITEM, HEAD_STEP, PROMOTE_STEP, Entry, Journal, copy_writer
from replicator.model.operations import Done, Finding, Ready, StepPhase

NAME = "copy_head"
COPIED = "copied"


def check_copied(world: World) -> Finding:
    """Done once this operation has written its head and the active cluster into the other cluster's journal."""
    copied = world.log.fact(NAME, COPIED) if world.log is not None else None
    if copied is None:
        return Ready(f"{world.flow.source} is to learn that {world.flow.target} is active")
    return Done(dict(copied))


def do_copy(world: World) -> None:
    """Write the active cluster, the fence and the chain's head into the other cluster's journal, then journal it."""
    body = write_head(world, what_the_other_learns(world.logbook))
    world.crashpoint(f"{NAME}.before_fact")
    world.logbook.add_fact(NAME, COPIED, body)


def what_the_other_learns(log: Logbook) -> list[Entry]:
    """Return what a later promotion of the other cluster has to know with this journal lost: who is active, and which
    rules fence it."""
    copied = ((PROMOTE_STEP, ACTIVE_ITEM), (FENCE_STEP, RULES_ITEM))
    facts = [(step, item, log.fact(step, item)) for step, item in copied]
    return [_entry(log, step, item, dict(fact)) for step, item, fact in facts if fact is not None]


def write_head(world: World, told: list[Entry] | None = None) -> dict[str, object]:
    """Leave the head of this operation's chain, after what else is `told`, in the other cluster's journal."""
    log = world.logbook
    last = log.records[-1]
    body: dict[str, object] = {
        "cluster": world.flow.target,
        "writer": last.writer,
        "sequence": last.sequence,
        "digest": last.digest,
        "epoch": log.epoch,
    }
    journal = Journal(world.source, world.identity.topic_prefix, clock=world.clock)
    journal.ensure_topic(world.deadline(ACT_SECONDS))
    log.require_lease()  # opening the copies' writer would fence a newer holder's
    writer = journal.open_writer(
        copy_writer(world.identity.supervisor_id),
        is_allowed=log.is_lease_held,
        epoch_elsewhere=log.epoch,
        deadline=world.deadline(READ_SECONDS),
    )
    try:
        writer.append([*(told or ()), _entry(log, HEAD_STEP, HEAD_ITEM, body)], world.deadline(ACT_SECONDS))
    finally:
        writer.close()
    return body


def _entry(log: Logbook, step: str, item: str, body: dict[str, object]) -> Entry:
    request = log.request
    return Entry(
        operation_id=request.operation_id,
        flow=request.flow,
        kind=request.kind.value,
        step=step,
        phase=StepPhase.FACT,
        actor=request.actor,
        item=item,
        body=body,
    )


COPY_HEAD = Step(
    name=NAME,
    says="Tell the other cluster: which one is active, and where this journal ends",
    check=check_copied,
    do=do_copy,
    kill_points=("before_fact",),
)
