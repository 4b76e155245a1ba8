"""`drain`: the standby holds every record of the source, and no transaction there is open any more."""

from __future__ import annotations

from replicator.failover.engine.runbook import Step
from replicator.failover.steps.hold_lease import act_on_nothing
from replicator.failover.steps.stop_flow import NAME as STOP_NAME
from replicator.failover.tails import count_unmirrored, open_transactions, source_ends
from replicator.failover.world import DRAIN_SECONDS, World
from replicator.model.names import TopicPartition
from replicator.model.operations import Blocked, Done, Finding, Ready, StepPhase

NAME = "drain"
LISTED_MAX = 3


def check_drained(world: World) -> Finding:
    """Done when LSO is the end everywhere and no visible record lies above the mirrored position.

    A trailing marker keeps that position below the end for ever, so offsets alone prove nothing.
    """
    world.look_at_ends()
    ends = source_ends(world)
    pending = open_transactions(ends)
    if pending:
        return Ready(f"transactions are open on {_listed(pending)}")
    left = count_unmirrored(world, world.read_mirrored())
    if left and world.log is not None and world.log.has(STOP_NAME, StepPhase.INTENT):
        return Blocked(f"{sum(left.values())} records were written after the flow was stopped", "stop every producer")
    if left:
        return Ready(f"{sum(left.values())} records or more are still to be mirrored, of {_listed(sorted(left))}")
    return Done({"partitions": len(ends), "records_left": 0})


def _listed(partitions: list[TopicPartition]) -> str:
    more = f" and {len(partitions) - LISTED_MAX} more" if len(partitions) > LISTED_MAX else ""
    return ", ".join(str(tp) for tp in partitions[:LISTED_MAX]) + more


DRAIN = Step(
    name=NAME,
    says="Drain: wait until the target holds every record of the source",
    check=check_drained,
    do=act_on_nothing,
    is_read_only=True,
    needs_ground=True,
    proof_seconds=DRAIN_SECONDS,
)
