"""Carries a plan out, in order, and proves it by planning again. Everything in it may be done twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from replicator.clock import Deadline
from replicator.errors import OperationFailed, PreflightBlocked
from replicator.flow.handles import FlowHandles
from replicator.flow.planning.changes import Act, Change, Plan
from replicator.kafka import KafkaCluster
from replicator.log import get_logger

Replan = Callable[[], Plan]
Told = Callable[[Change], None]

PROOF_SECONDS = 5.0


def apply_plan(
    plan: Plan, *, handles: FlowHandles, replan: Replan, deadline: Deadline, told: Told | None = None
) -> Plan:
    """Leave the flow as the plan says, and return the plan made anew afterwards, which is empty.

    Killed anywhere, the next plan holds what is missing. `told` hears of each change after it was made.

    Raises:
        PreflightBlocked: the plan has refusals; nothing was changed.
        OperationFailed: something is still to be changed after everything was done.
    """
    require_applicable(plan)
    for batch in _batches(plan.changes):
        _apply_batch(batch, handles, deadline)
        for change in batch:
            get_logger(flow=plan.flow).info("change applied", act=change.act.value, name=change.name)
            if told is not None:
                told(change)
    return _proof(plan, replan, deadline) if plan.changes else plan


def require_applicable(plan: Plan) -> None:
    """Return only if nothing forbids to apply the plan.

    Raises:
        PreflightBlocked: the message tells the first refusal, the detail all of them.
    """
    if plan.refusals:
        first = plan.refusals[0]
        raise PreflightBlocked(
            f"flow {plan.flow}: {first.line}",
            detail="\n".join(f"{refusal.line} ({refusal.hint})" for refusal in plan.refusals),
            hint=first.hint,
        )


def _proof(plan: Plan, replan: Replan, deadline: Deadline) -> Plan:
    """Return the empty plan made anew; a new topic may take a moment to be known to every broker."""
    patience = Deadline.after(deadline.capped(PROOF_SECONDS), clock=deadline.clock)
    while (after := replan()).changes and not patience.is_over:
        deadline.clock.sleep(0.2)
    require_applicable(after)
    if after.changes:
        raise OperationFailed(
            f"flow {plan.flow}: {len(after.changes)} changes are still to be made after all were made",
            detail="\n".join(change.line for change in after.changes),
            hint=f"replicator plan {plan.flow}",
        )
    return after


def _batches(changes: Sequence[Change]) -> list[list[Change]]:
    """Put neighbours that create topics on one cluster together: a thousand topics are one request."""
    grouped = groupby(enumerate(changes), key=lambda pair: _batch_key(*pair))
    return [[change for _, change in pairs] for _, pairs in grouped]


def _batch_key(index: int, change: Change) -> tuple[object, ...]:
    return (change.act, change.cluster) if change.act is Act.CREATE_TOPIC else (index,)


def _apply_batch(batch: list[Change], handles: FlowHandles, deadline: Deadline) -> None:
    if batch[0].act is Act.CREATE_TOPIC:
        specs = [change.topic for change in batch if change.topic is not None]
        _cluster_of(batch[0], handles).topics.create(specs, deadline)
    else:
        _apply_one(batch[0], handles, deadline)


def _apply_one(change: Change, handles: FlowHandles, deadline: Deadline) -> None:
    match change.act:
        case Act.GROW_TOPIC | Act.ALTER_TOPIC:
            _apply_topic(change, _cluster_of(change, handles), deadline)
        case Act.CREATE_CONNECTOR:
            handles.connect.create(change.name, change.config, deadline=deadline)
        case Act.UPDATE_CONNECTOR:
            handles.connect.configure(change.name, change.config, deadline)
        case Act.START_CONNECTOR:
            # The heartbeats topic alone gives the source connector a task; without groups the other has none.
            handles.connect.resume(change.name, deadline, tasks_min=1 if change.name.endswith(".source") else 0)


def _cluster_of(change: Change, handles: FlowHandles) -> KafkaCluster:
    return handles.source if change.cluster == handles.source.name else handles.target


def _apply_topic(change: Change, cluster: KafkaCluster, deadline: Deadline) -> None:
    if change.topic is None:
        raise OperationFailed(f"{change.line}: the change does not say what the topic has to be")
    if change.act is Act.GROW_TOPIC:
        cluster.topics.grow(change.topic.name, partitions=change.topic.partitions, deadline=deadline)
    else:
        settings = {difference.key: difference.desired for difference in change.differences}
        cluster.topics.alter_configs(change.topic.name, settings, deadline)
