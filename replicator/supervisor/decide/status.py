"""One flow's status from the newest samples: values to a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from replicator.clock import seconds_between
from replicator.flow import HealthFacts, decide_health
from replicator.model.flow import Flow
from replicator.model.forms.figures import show_seconds
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName, OperationId
from replicator.model.objectives import Objectives, Verdict
from replicator.model.observations import ClusterObservation, Reachability
from replicator.model.supervision.status import ClusterStatus, FlowStatus, Restarted, Role
from replicator.supervisor.decide.reachability import is_readable
from replicator.supervisor.samples import ConnectSample, DriftSample, GroupsSample

READABLE_SECONDS_MAX = 6.0
"""A cluster not read whole for this long cannot be read: its lag is unknown."""
READ_PERIODS = 4.0
"""A read that takes long comes seldom: so many times its own duration, if that is longer."""
CONNECT_SECONDS_MAX = 15.0
"""Connect answers slowly while its group rebalances; only a longer silence is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """Everything of one flow at one moment, as the decider sees it.

    The causes say why the last read of a cluster failed. `stall_cause` is what a probe found behind a stall,
    `damage` what replication cannot mend. `last_rto_seconds` is how long the last move took.
    """

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
    heartbeat_arrived_at: datetime | None
    recorded_at: datetime | None
    stall_cause: str | None = None
    damage: tuple[str, ...] = ()
    is_budget_spent: bool = True
    last_rto_seconds: float | None = None
    drift: DriftSample | None = None
    restarts: Mapping[Restarted, int] = field(default_factory=dict)
    operation_id: OperationId | None = None
    sweep_seconds: float = 0.0


def can_read(observation: ClusterObservation, *, now: datetime, read_seconds: float = 0.0) -> bool:
    """Whether what we know of the cluster is fresh enough to speak of it; its last whole read took so long."""
    return is_readable(observation, now=now, age_seconds_max=max(READABLE_SECONDS_MAX, READ_PERIODS * read_seconds))


def decide_flow(view: FlowView, *, previous: FlowStatus | None, now: datetime) -> FlowStatus:
    """Return the flow's status; it is in its state since the moment an unbroken run of it began."""
    connect = _fresh_connect(view.connect, now=now)
    health = decide_health(
        view.flow,
        HealthFacts(
            connectors=None if connect is None else {connector.name: connector for connector in connect.connectors},
            source_cause=_left_alone(view)
            or _unreadable(view.source, "source", cause=view.source_cause, now=now, read_seconds=view.sweep_seconds),
            target_cause=_unreadable(view.target, "target", cause=view.target_cause, now=now),
            connect_cause=None if connect is not None else _tell_connect(view),
            is_failed_over=view.active == view.flow.target,
            is_budget_spent=view.is_budget_spent,
            lag=view.lag,
            damage=view.damage,
            stall_cause=view.stall_cause,
            operation_id=view.operation_id,
        ),
    )
    return FlowStatus(
        flow=view.flow.name,
        source=cluster_status(view.source, cause=view.source_cause),
        target=cluster_status(view.target, cause=view.target_cause),
        role=view.role,
        state=health.state,
        cause=health.cause,
        since=previous.since if previous is not None and previous.state is health.state else now,
        lag=view.lag,
        objectives=view.flow.objectives,
        verdicts=(*health.verdicts, *judge_rto(view.flow.objectives, last_rto_seconds=view.last_rto_seconds)),
        window_seconds=None if view.role is Role.STANDBY else unread_window(view.source, now=now),
        connectors=() if view.connect is None else view.connect.statuses,
        connectors_observed_at=None if view.connect is None else view.connect.began_at,
        active=view.active,
        groups_observed=None if view.groups is None else len(view.groups.groups),
        groups_observed_at=None if view.groups is None else view.groups.began_at,
        heartbeat_sent_at=view.heartbeat_sent_at,
        heartbeat_arrived_at=view.heartbeat_arrived_at,
        recorded_at=view.recorded_at,
        drift=None if view.drift is None else view.drift.drift,
        drift_observed_at=None if view.drift is None else view.drift.began_at,
        restarts=view.restarts,
        operation_id=view.operation_id,
    )


def _fresh_connect(sample: ConnectSample | None, *, now: datetime) -> ConnectSample | None:
    if sample is None or now - sample.began_at > timedelta(seconds=CONNECT_SECONDS_MAX):
        return None
    return sample


def _tell_connect(view: FlowView) -> str:
    return f"Connect beside {view.flow.target} cannot be read: {view.connect_cause or 'it has not answered yet'}"


def _left_alone(view: FlowView) -> str | None:
    """Return why nobody here knows of the source, where that is as it should be."""
    if view.role is not Role.STANDBY:
        return None
    return f"this supervisor stands by: the one that leads reads {view.flow.source}"


def _unreadable(
    cluster: ClusterObservation, duty: str, *, cause: str | None, now: datetime, read_seconds: float = 0.0
) -> str | None:
    """Return in one line why a cluster cannot be read; None when it can."""
    if can_read(cluster, now=now, read_seconds=read_seconds):
        return None
    why = f": {cause}" if cause else ""
    match cluster.reachability:
        case Reachability.REFUSED:
            return f"{duty} {cluster.cluster} refuses every connection"
        case Reachability.SILENT if cause is None and cluster.last_reached_at is None:
            return f"{duty} {cluster.cluster} has not been read yet"
        case Reachability.SILENT:
            return f"{duty} {cluster.cluster} does not answer{why}"
        case Reachability.REACHABLE if cause:
            return f"{duty} {cluster.cluster} answers but cannot be read{why}"
        case Reachability.REACHABLE:
            return f"{duty} {cluster.cluster} has not answered a whole read for {READABLE_SECONDS_MAX:g} s or more"


def judge_rto(objectives: Objectives, *, last_rto_seconds: float | None) -> tuple[Verdict, ...]:
    """Return whether the promised time of a move holds; only a move that was made can prove it."""
    promised = objectives.rto_seconds
    if promised is None:
        return ()
    if last_rto_seconds is None:
        return (Verdict("rto_seconds", None, f"no move was measured yet, promised is {show_seconds(promised)}"),)
    told = f"the last move took {show_seconds(last_rto_seconds)}, promised is {show_seconds(promised)}"
    return (Verdict("rto_seconds", last_rto_seconds <= promised, told),)


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
    None: it was never read, or a clock stepped back since.
    """
    if source.last_reached_at is None:
        return None
    until = source.unreachable_since if source.reachability is Reachability.REFUSED else now
    return seconds_between(source.last_reached_at, until or now)
