"""`fence_mm2`: MM2's open transactions on the target are ended, and a task that still lives is cut off.

A fence on a transactional id holds until a worker makes the task anew. Durable is STOPPED alone; with
Connect dead the report says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicator.failover.copies import read_ends
from replicator.failover.engine.runbook import Step
from replicator.failover.steps.stop_flow import connector_names
from replicator.failover.world import ACT_SECONDS, World
from replicator.model.flow import Delivery
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.operations import Done, Finding, Ready

NAME = "fence_mm2"
FENCED = "fenced"
LISTED_MAX = 5


def check_fenced(world: World) -> Finding:
    """Done once every task's transactional id was taken over and no transaction is open on the copies."""
    if world.flow.delivery is not Delivery.EXACTLY_ONCE:
        return Done({"fence": "none: an at-least-once flow writes without transactions"})
    fenced = world.log.fact(NAME, FENCED) if world.log is not None else None
    if fenced is None:
        return Ready(f"{len(transactional_ids(world))} transactional ids to be taken over")
    pending = open_partitions(read_ends(world))
    if pending:
        return Ready(f"transactions are still open on {_listed(pending)}")
    return Done({"fenced": len(fenced["ids"])})


def _listed(partitions: list[TopicPartition]) -> str:
    more = f" and {len(partitions) - LISTED_MAX} more" if len(partitions) > LISTED_MAX else ""
    return ", ".join(str(tp) for tp in partitions[:LISTED_MAX]) + more


def open_partitions(ends: dict[TopicPartition, PartitionEnds]) -> list[TopicPartition]:
    """Return the partitions on which a transaction is open."""
    return sorted(tp for tp, found in ends.items() if found.last_stable != found.end)


def do_fence(world: World) -> None:
    """Take over every transactional id that a task of the flow can have, then journal which."""
    ids = transactional_ids(world)
    world.logbook.require_lease()
    world.target.fence_transactional_ids(ids, world.deadline(ACT_SECONDS))
    world.crashpoint(f"{NAME}.before_fact")
    world.logbook.add_fact(NAME, FENCED, {"ids": ids})


def transactional_ids(world: World) -> list[str]:
    """Return `<group.id>-<connector>-<n>` for every task that may exist: as many as anybody ever allowed.

    Source: Worker.taskTransactionalId. Taking over one that no task has is harmless.
    """
    names = connector_names(world)
    allowed = _tasks_allowed(world, names)
    return [f"{world.worker.group_id}-{name}-{n}" for name in names for n in range(allowed[name])]


def _tasks_allowed(world: World, names: tuple[str, ...]) -> dict[str, int]:
    stored = world.read_stored_connectors()
    told = {name: _numbers(stored[name].config.get("tasks.max") if name in stored else None) for name in names}
    return {name: max([world.worker.tasks_max, *told[name]]) for name in names}


def _numbers(text: str | None) -> Iterable[int]:
    return [int(text)] if text is not None and text.isdecimal() else []


FENCE_MM2 = Step(
    name=NAME,
    says="Fence MirrorMaker's transactions on the target",
    check=check_fenced,
    do=do_fence,
    proof_seconds=ACT_SECONDS,
    kill_points=("before_fact",),
)
