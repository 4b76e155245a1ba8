"""In which state a flow is, and why: the first rule that applies, in DESIGN's order. Values to a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.figures import show_count, show_seconds
from replicator.model.flow import Flow, FlowState
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName
from replicator.model.observations import Reachability
from replicator.model.status import ClusterStatus

Answer = tuple[FlowState, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a flow's state is decided from.

    `connectors` None: Connect has not answered lately. `is_…_readable`: read whole within the last seconds.
    `stall_cause` is what a probe found behind a stall; `degradations` are gaps, re-created topics and the like.
    """

    flow: Flow
    source: ClusterStatus
    target: ClusterStatus
    is_source_readable: bool
    is_target_readable: bool
    connectors: tuple[ConnectorStatus, ...] | None
    connect_cause: str | None
    active: ClusterName
    lag: FlowLag
    has_spent_restarts: bool = False
    stall_cause: str | None = None
    degradations: tuple[str, ...] = ()

    @property
    def source_connector(self) -> ConnectorStatus | None:
        """The connector that moves the records, as Connect tells of it."""
        found = (status for status in self.connectors or () if status.name == self.flow.source_connector)
        return next(found, None)


def decide_state(evidence: Evidence) -> Answer:
    """Return the flow's state and, unless it is HEALTHY, the cause in one line."""
    for rule in _RULES:
        answer = rule(evidence)
        if answer is not None:
            return answer
    return FlowState.HEALTHY, None


def _asked(evidence: Evidence) -> Answer | None:
    """STOPPED or PAUSED because somebody asked. After a promotion it was the runbook that stopped the flow."""
    if evidence.connectors is None or evidence.active == evidence.flow.target:
        return None
    connector = evidence.source_connector
    if connector is None:
        return FlowState.STOPPED, f"connector {evidence.flow.source_connector} does not exist: `replicator apply`"
    if connector.state is ConnectorState.STOPPED:
        return FlowState.STOPPED, f"connector {connector.name} is STOPPED"
    if connector.state is ConnectorState.PAUSED:
        return FlowState.PAUSED, f"connector {connector.name} is PAUSED"
    return None


def _failed_over(evidence: Evidence) -> Answer | None:
    if evidence.active != evidence.flow.target:
        return None
    return FlowState.FAILED_OVER, f"{evidence.flow.target} is active since the last promotion"


def _unknown(evidence: Evidence) -> Answer | None:
    if not evidence.is_source_readable:
        return FlowState.UNKNOWN, f"source {tell_unreadable(evidence.source)}"
    if not evidence.is_target_readable:
        return FlowState.UNKNOWN, f"target {tell_unreadable(evidence.target)}"
    if evidence.connectors is None:
        return FlowState.UNKNOWN, f"Connect cannot be read: {evidence.connect_cause or 'it has not answered yet'}"
    return None


def tell_unreadable(cluster: ClusterStatus) -> str:
    """Return in one line how a cluster that cannot be read answers."""
    match cluster.reachability:
        case Reachability.REFUSED:
            return f"{cluster.cluster} refuses every connection"
        case Reachability.SILENT:
            return f"{cluster.cluster} does not answer" + (f": {cluster.cause}" if cluster.cause else "")
        case Reachability.REACHABLE:
            return f"{cluster.cluster} answers but cannot be read" + (f": {cluster.cause}" if cluster.cause else "")


def _failed(evidence: Evidence) -> Answer | None:
    connector = evidence.source_connector
    if connector is None or not _has_failure(connector):
        return None
    is_whole = connector.state is ConnectorState.FAILED or len(connector.failed_tasks) == len(connector.tasks)
    if evidence.has_spent_restarts or is_whole:
        return FlowState.FAILED, connector.first_failure() or f"connector {connector.name} failed without a trace"
    return None


def _has_failure(connector: ConnectorStatus) -> bool:
    return connector.state is ConnectorState.FAILED or bool(connector.failed_tasks)


def _stalled(evidence: Evidence) -> Answer | None:
    count = evidence.lag.stalled_partitions
    if not count:
        return None
    told = f"{count} partition{'s' if count != 1 else ''} not mirrored any further"
    return FlowState.STALLED, f"{told}: {evidence.stall_cause}" if evidence.stall_cause else told


def _degraded(evidence: Evidence) -> Answer | None:
    causes = list(evidence.degradations)
    connector = evidence.source_connector
    if connector is not None and connector.failed_tasks:
        causes.append(f"{len(connector.failed_tasks)} of {len(connector.tasks)} tasks failed")
    return (FlowState.DEGRADED, "; ".join(causes)) if causes else None


def _lagging(evidence: Evidence) -> Answer | None:
    lag, objectives = evidence.lag, evidence.flow.objectives
    causes = []
    if objectives.rpo_seconds is not None and lag.lag_seconds is not None and lag.lag_seconds > objectives.rpo_seconds:
        causes.append(f"{show_seconds(lag.lag_seconds)} behind, objective {show_seconds(objectives.rpo_seconds)}")
    if objectives.rpo_records is not None and lag.lag_records is not None and lag.lag_records > objectives.rpo_records:
        causes.append(f"{show_count(lag.lag_records)} records behind, objective {show_count(objectives.rpo_records)}")
    return (FlowState.LAGGING, "; ".join(causes)) if causes else None


_RULES: tuple[Callable[[Evidence], Answer | None], ...] = (
    _asked,
    _failed_over,
    _unknown,
    _failed,
    _stalled,
    _degraded,
    _lagging,
)
