"""Can I fail over now, and what would I lose? Values to a value; the answer is never better than its worst reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from replicator.model.flow import FlowState
from replicator.model.forms.figures import show_items, show_seconds
from replicator.model.observations import Reachability
from replicator.model.offsets import Grade
from replicator.model.operations import LossReport
from replicator.model.supervision.overview import Answer, GroupStatus, Readiness
from replicator.model.supervision.status import FlowStatus

COSTLY_STATES = (FlowState.STALLED, FlowState.FAILED, FlowState.DEGRADED, FlowState.STOPPED, FlowState.PAUSED)
"""A failover works in them; what was not replicated is the price."""

BLOCKING_CHECKS = ("standby_is_free", "standby_answers", "source_was_read")
COST_CHECKS = ("records_move", "source_is_read", "objectives_hold")
GROUP_CHECKS = ("groups_rest_on_standby", "groups_have_a_place", "groups_start_where_they_were")
"""Every check there is, by name; those of the groups cannot be known before groups were read."""


class Objection(NamedTuple):
    """Why a check does not hold."""

    check: str
    reason: str
    fix: str


def judge_readiness(
    flow: FlowStatus, *, loss: LossReport | None = None, groups: Sequence[GroupStatus] | None = None
) -> Readiness:
    """Return whether the flow's target could take over now, why not, and what would be lost.

    `loss` None: what the status alone can tell is used. Of a flow that has failed over nothing is left to lose.
    """
    blockers = tuple(_blockers(flow))
    costs = tuple(_costs(flow, groups or ()))
    answer = Answer.NO if blockers else Answer.AT_A_COST if costs else Answer.YES
    return Readiness(
        flow=flow.flow,
        answer=answer,
        reasons=tuple(objection.reason for objection in (*blockers, *costs)),
        fixes=tuple(objection.fix for objection in (*blockers, *costs)),
        loss=None if has_failed_over(flow) else loss or loss_from_status(flow),
        checks=_checks({objection.check for objection in (*blockers, *costs)}, has_groups=groups is not None),
    )


def _checks(failed: set[str], *, has_groups: bool) -> dict[str, bool | None]:
    """Return how each check stands, in the order in which they are asked."""
    known = {check: check not in failed for check in (*BLOCKING_CHECKS, *COST_CHECKS)}
    return known | {check: check not in failed if has_groups else None for check in GROUP_CHECKS}


def loss_from_status(flow: FlowStatus) -> LossReport | None:
    """Return what the status alone tells of a loss; None when it tells nothing.

    Nobody counted the records above the mirrored position here, so none is *known* to be lost: the lag,
    an upper bound in offsets, goes into the bound alone.
    """
    window, lag = flow.window_seconds, flow.lag
    if window is None:
        return None
    unseen = 0 if window == 0 else None if lag.rate_in is None else math.ceil(lag.rate_in * window)
    bound = None if lag.lag_records is None or unseen is None else lag.lag_records + unseen
    return LossReport(known_lost=0, unknown_window_seconds=window, possible_lost_max=bound)


def has_failed_over(flow: FlowStatus) -> bool:
    """Whether the flow's target is the active one already."""
    return flow.state is FlowState.FAILED_OVER or flow.active == flow.target.cluster


def _blockers(flow: FlowStatus) -> Iterator[Objection]:
    if has_failed_over(flow):
        told = f"{flow.target.cluster} is active already; `replicator failback {flow.flow}` leads home"
        yield Objection("standby_is_free", told, f"replicator failback {flow.flow}")
        return
    if flow.target.reachability is not Reachability.REACHABLE:
        yield Objection("standby_answers", _unreachable(flow), "replicator doctor")
    if flow.source.last_reached_at is None:
        told = f"{flow.source.cluster} was never read: what would be lost cannot be counted"
        yield Objection("source_was_read", told, "replicator doctor")


def _unreachable(flow: FlowStatus) -> str:
    how = "refuses connections" if flow.target.reachability is Reachability.REFUSED else "does not answer"
    return f"the standby {flow.target.cluster} {how}"


def _costs(flow: FlowStatus, groups: Sequence[GroupStatus]) -> Iterator[Objection]:
    if flow.state in COSTLY_STATES:
        told = f"{flow.state.value}: {flow.cause}" if flow.cause else flow.state.value
        yield Objection("records_move", told, _way_on(flow))
    if flow.source.reachability is not Reachability.REACHABLE:
        told = f"{flow.source.cluster} has not been read for {_window(flow)}"
        if flow.source.reachability is Reachability.REFUSED:
            # Its window ended with the first refusal: it says nothing of how long ago that was.
            told = f"{flow.source.cluster} refuses connections, {_window(flow)} after it was last read"
        yield Objection("source_is_read", told, f"replicator failover {flow.flow} --dry-run")
    for verdict in flow.verdicts:
        if verdict.is_held is False:
            told = f"{verdict.objective} not held: {verdict.evidence}"
            yield Objection("objectives_hold", told, f"replicator lag {flow.flow}")
    yield from _group_costs(flow, groups)


def _way_on(flow: FlowStatus) -> str:
    """Return the command that moves records again, or shows why none do."""
    if flow.state in (FlowState.STOPPED, FlowState.PAUSED):
        return f"replicator flow resume {flow.flow}"
    return f"replicator flow show {flow.flow}"


def _window(flow: FlowStatus) -> str:
    return show_seconds(flow.window_seconds)


def _show_groups(count: int) -> str:
    return show_items(count, "group")


def _group_costs(flow: FlowStatus, groups: Sequence[GroupStatus]) -> Iterator[Objection]:
    listed = f"replicator group list {flow.flow}"
    grades = Counter(group.translation.grade for group in groups if group.translation is not None)
    running = sum(1 for group in groups if group.is_active_on_target)
    if running:
        told = f"{_show_groups(running)} already {'runs' if running == 1 else 'run'} on the standby"
        yield Objection("groups_rest_on_standby", told, f"stop their consumers on {flow.target.cluster}; {listed}")
    if unplaced := grades[Grade.UNAVAILABLE]:
        yield Objection(
            "groups_have_a_place",
            f"{_show_groups(unplaced)} {'has' if unplaced == 1 else 'have'} no place on the standby yet",
            listed,
        )
    if floors := grades[Grade.FLOOR]:
        told = f"{_show_groups(floors)} would start at the log start"
        yield Objection("groups_start_where_they_were", told, listed)
