"""`Status`: everything the supervisor knows, in one frozen value. CLI, API, dashboard and metrics read this alone.

Every figure has its age: `…_at` beside it says when it was true. None is unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from replicator.model.connectors import ConnectorStatus
from replicator.model.flow import FlowState
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName, FlowName, OperationId
from replicator.model.objectives import Objectives, Verdict
from replicator.model.observations import Reachability


class Role(StrEnum):
    """What this supervisor is to a flow: it leads (acts and records), stands by for one that does, or cannot
    know, because the flow's target does not answer the election."""

    LEADER = "leader"
    STANDBY = "standby"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """Whether a cluster answers. `last_reached_at` is when it was last read whole; `cause` why it is not now."""

    cluster: ClusterName
    cluster_id: str | None
    reachability: Reachability
    observed_at: datetime
    last_reached_at: datetime | None
    unreachable_since: datetime | None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorStatus:
    """How one loop of the supervisor is doing. `name` is `<what>:<flow>`; counts are since it started.

    `errors` counts the steps that failed by the code of their error.
    """

    name: str
    flow: FlowName
    cluster: ClusterName | None
    period_seconds: float
    succeeded_at: datetime | None
    duration_seconds: float | None
    steps_total: int
    errors: Mapping[str, int]
    error: str | None
    error_code: str | None

    @property
    def errors_total(self) -> int:
        """How many steps failed."""
        return sum(self.errors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One thing that is not as the configuration says. `kind` is topic, connector or refusal (what forbids to
    apply the flow); `told` says what it is and what it should be, in one line."""

    kind: str
    name: str
    told: str


class Restarted(NamedTuple):
    """What was restarted, and what had failed of it: the `connector` itself, or a `task`."""

    connector: str
    reason: str


RESTART_REASONS = ("connector", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStatus:
    """One flow. `cause` says why it is in its state, in one line; `since` when this supervisor saw it enter it.

    `window_seconds` is what nobody has read: seconds between the last whole read of the source and now, or
    the moment since which every listener of it refuses. `recorded_at` is when observations last reached the
    standby: what a failover without us would know. `heartbeat_arrived_at` is when the newest heartbeat was sent
    that was mirrored; None: none of ours was yet. `drift` None: not looked for yet, or not now (an operation
    runs, the flow has failed over). `restarts` are counted since the supervisor started;
    `operation_id` is the operation that has not ended, during which nothing is healed.
    """

    flow: FlowName
    source: ClusterStatus
    target: ClusterStatus
    role: Role
    state: FlowState
    cause: str | None
    since: datetime
    lag: FlowLag
    objectives: Objectives
    verdicts: tuple[Verdict, ...]
    window_seconds: float | None
    connectors: tuple[ConnectorStatus, ...]
    connectors_observed_at: datetime | None
    active: ClusterName
    groups_observed: int | None
    groups_observed_at: datetime | None
    heartbeat_sent_at: datetime | None
    heartbeat_arrived_at: datetime | None
    recorded_at: datetime | None
    drift: tuple[Drift, ...] | None = None
    drift_observed_at: datetime | None = None
    restarts: Mapping[Restarted, int] = field(default_factory=dict)
    operation_id: OperationId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole of it, computed at one moment."""

    supervisor: str
    version: str
    started_at: datetime
    computed_at: datetime
    flows: tuple[FlowStatus, ...]
    collectors: tuple[CollectorStatus, ...] = ()
    is_standalone: bool = False

    def flow(self, name: str) -> FlowStatus | None:
        """Return the status of one flow; None when there is none of this name."""
        return next((flow for flow in self.flows if flow.flow == name), None)
