"""One flow's status from the newest samples: values to a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from replicator.model.flow import Flow
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName
from replicator.model.observations import ClusterObservation, Reachability
from replicator.model.status import ClusterStatus, FlowStatus, Role
from replicator.supervisor.decide.reachability import is_readable
from replicator.supervisor.decide.state import Evidence, decide_state
from replicator.supervisor.decide.verdicts import judge_objectives
from replicator.supervisor.samples import ConnectSample, GroupsSample

READABLE_SECONDS_MAX = 6.0
"""A cluster not read whole for this long cannot be read: its lag is unknown."""
CONNECT_SECONDS_MAX = 15.0
"""Connect answers slowly while its group rebalances; only a longer silence is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """Everything of one flow at one moment, as the decider sees it."""

    flow: Flow
    role: Role
    source: ClusterObservation
    source_cause: str | None
    target: ClusterObservation
    target_cause: str | None
    connect: ConnectSample | None
    connect_cause: str | None
    groups: GroupsSample | None
    active: ClusterName
    lag: FlowLag
    heartbeat_sent_at: datetime | None
    recorded_at: datetime | None
    stall_cause: str | None = None
    degradations: tuple[str, ...] = ()
    has_spent_restarts: bool = False


def can_read(observation: ClusterObservation, *, now: datetime) -> bool:
    """Whether what we know of the cluster is fresh enough to speak of it."""
    return is_readable(observation, now=now, age_seconds_max=READABLE_SECONDS_MAX)


def decide_flow(view: FlowView, *, previous: FlowStatus | None, now: datetime) -> FlowStatus:
    """Return the flow's status; it is in its state since the moment an unbroken run of it began."""
    source = cluster_status(view.source, cause=view.source_cause)
    target = cluster_status(view.target, cause=view.target_cause)
    connect = _fresh_connect(view.connect, now=now)
    state, cause = decide_state(
        Evidence(
            flow=view.flow,
            source=source,
            target=target,
            is_source_readable=can_read(view.source, now=now),
            is_target_readable=can_read(view.target, now=now),
            connectors=None if connect is None else connect.statuses,
            connect_cause=view.connect_cause,
            active=view.active,
            lag=view.lag,
            has_spent_restarts=view.has_spent_restarts,
            stall_cause=view.stall_cause,
            degradations=view.degradations,
        )
    )
    window = unread_window(view.source, now=now)
    return FlowStatus(
        flow=view.flow.name,
        source=source,
        target=target,
        role=view.role,
        state=state,
        cause=cause,
        since=previous.since if previous is not None and previous.state is state else now,
        lag=view.lag,
        objectives=view.flow.objectives,
        verdicts=judge_objectives(view.flow.objectives, lag=view.lag, window_seconds=window),
        window_seconds=window,
        connectors=() if view.connect is None else view.connect.statuses,
        connectors_observed_at=None if view.connect is None else view.connect.began_at,
        active=view.active,
        groups_observed=None if view.groups is None else len(view.groups.groups),
        groups_observed_at=None if view.groups is None else view.groups.began_at,
        heartbeat_sent_at=view.heartbeat_sent_at,
        recorded_at=view.recorded_at,
    )


def _fresh_connect(sample: ConnectSample | None, *, now: datetime) -> ConnectSample | None:
    if sample is None or now - sample.began_at > timedelta(seconds=CONNECT_SECONDS_MAX):
        return None
    return sample


def cluster_status(observation: ClusterObservation, *, cause: str | None) -> ClusterStatus:
    """Return a cluster's observation as people are shown it, with why the last read failed."""
    return ClusterStatus(
        cluster=observation.cluster,
        cluster_id=observation.cluster_id,
        reachability=observation.reachability,
        observed_at=observation.observed_at,
        last_reached_at=observation.last_reached_at,
        unreachable_since=observation.unreachable_since,
        cause=cause,
    )


def unread_window(source: ClusterObservation, *, now: datetime) -> float | None:
    """Return the seconds in which the source may have taken records that nobody has read.

    From the last whole read until now, or until every listener refused: after that none was taken.
    None: it was never read.
    """
    if source.last_reached_at is None:
        return None
    until = source.unreachable_since if source.reachability is Reachability.REFUSED else now
    return max(0.0, ((until or now) - source.last_reached_at).total_seconds())
