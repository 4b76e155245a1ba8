"""What travels between the supervisor and its clients: the fields of the model's values, snake_case, null = unknown.

Within v1 fields are only added, and a client leaves out of account what it does not know. Words that may grow
(states, grades, kinds) travel as plain text for the same reason. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from replicator.api.shapes.alerts import AlertView as AlertView  # noqa: PLC0414 - clients find it here
from replicator.api.shapes.base import Moment
from replicator.api.shapes.base import Travelling as Travelling  # noqa: PLC0414 - clients find it here
from replicator.api.shapes.outlook import AdviceView, GateView
from replicator.api.shapes.plans import RestoreOrder as RestoreOrder  # noqa: PLC0414 - clients find it here
from replicator.api.shapes.plans import RunbookView as RunbookView  # noqa: PLC0414 - clients find it here

API_VERSION = "replicator/v1"

T = TypeVar("T")


class ItemEnvelope(Travelling, Generic[T]):
    """One item of a kind."""

    api_version: Literal["replicator/v1"] = Field(default="replicator/v1", alias="apiVersion")
    kind: str
    item: T
    warnings: tuple[str, ...] = ()


class ItemsEnvelope(Travelling, Generic[T]):
    """Items of a kind. `total` counts those there are where only some were asked for."""

    api_version: Literal["replicator/v1"] = Field(default="replicator/v1", alias="apiVersion")
    kind: str
    items: tuple[T, ...]
    total: int | None = None
    warnings: tuple[str, ...] = ()


class ErrorView(Travelling):
    """A refusal. `reason` is the stable word, `code` the exit status a command would end with."""

    api_version: Literal["replicator/v1"] = Field(default="replicator/v1", alias="apiVersion")
    kind: Literal["Error"] = "Error"
    code: int
    reason: str
    message: str
    detail: str | None = None
    hint: str | None = None
    operation_id: str | None = None


class ClusterView(Travelling):
    """Whether a cluster answers."""

    cluster: str
    cluster_id: str | None
    reachability: str
    observed_at: Moment
    last_reached_at: Moment | None
    unreachable_since: Moment | None
    cause: str | None = None


class PartitionLagView(Travelling):
    """Lag of one source partition."""

    partition: int
    source_end: int | None
    mirrored_position: int | None
    lag_records: int | None
    lag_seconds: float | None
    rate_in: float | None
    rate_out: float | None
    eta_seconds: float | None
    is_stalled: bool | None
    observed_at: Moment | None
    is_seconds_minimum: bool = False


class LagView(Travelling):
    """Sum (records, rates) and maximum (seconds) over a flow's topics.

    `is_seconds_minimum`: it was behind already when watching began, so that `lag_seconds` is at least as long."""

    lag_records: int | None
    lag_seconds: float | None
    rate_in: float | None
    rate_out: float | None
    eta_seconds: float | None
    stalled_partitions: int | None
    observed_at: Moment | None
    is_seconds_minimum: bool = False


class TopicLagView(LagView):
    """The same over a topic's partitions. Partitions travel when they are asked for."""

    topic: str
    partitions_total: int
    partitions: tuple[PartitionLagView, ...] = ()


class FlowLagView(LagView):
    """A flow's lag with its topics, those furthest behind first; `topics_total` counts all there are."""

    flow: str
    topics_total: int
    topics: tuple[TopicLagView, ...]


class TaskView(Travelling):
    """One task of a connector."""

    id: int
    state: str
    worker: str
    trace: str | None = None


class ConnectorView(Travelling):
    """A connector as Connect tells of it; its word is no proof that records move."""

    name: str
    state: str
    worker: str
    trace: str | None = None
    tasks: tuple[TaskView, ...] = ()


class ObjectivesView(Travelling):
    """What a flow promises."""

    rpo_seconds: float | None = None
    rpo_records: int | None = None
    rto_seconds: float | None = None


class VerdictView(Travelling):
    """Whether an objective holds; null: it cannot be known now."""

    objective: str
    is_held: bool | None
    evidence: str


class LossView(Travelling):
    """known_lost ≤ true loss ≤ possible_lost_max."""

    known_lost: int
    unknown_window_seconds: float | None
    lost_seconds_max: float | None = None
    possible_lost_max: int | None


class ReadinessView(Travelling):
    """Whether a failover would work now, why not, and what it would lose."""

    answer: str
    reasons: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    loss: LossView | None = None


class ForecastView(Travelling):
    """What a failover would cost at this moment; None is unknown."""

    computed_at: Moment
    is_ready: bool
    loss: LossView | None
    lost_seconds_max: float | None
    groups: int | None
    groups_unavailable: tuple[str, ...]
    reread_records_max: int | None
    expected_rto_seconds: float | None
    rto_measured_in: int
    retention_runway_seconds: float | None
    last_drill_at: Moment | None
    gates: tuple[GateView, ...]
    gates_read_at: Moment | None


class GroupCountsView(Travelling):
    """How many groups have each grade; `ungraded` were not translated yet. `active_on_target` have members there."""

    grades: dict[str, int]
    ungraded: int
    active_on_target: int


class DriftView(Travelling):
    """One thing that is not as the configuration says."""

    kind: str
    name: str
    told: str


class FlowView(Travelling):
    """One flow, without its topics."""

    flow: str
    source: ClusterView
    target: ClusterView
    role: str
    state: str
    cause: str | None
    since: Moment
    lag: LagView
    objectives: ObjectivesView
    verdicts: tuple[VerdictView, ...]
    window_seconds: float | None
    connectors: tuple[ConnectorView, ...]
    connectors_observed_at: Moment | None
    active: str
    groups_observed: int | None
    groups_observed_at: Moment | None
    heartbeat_sent_at: Moment | None
    heartbeat_arrived_at: Moment | None = None
    recorded_at: Moment | None
    drift: tuple[DriftView, ...] | None = None
    drift_observed_at: Moment | None = None
    restarts: dict[str, int] = Field(default_factory=dict)
    operation_id: str | None = None
    readiness: ReadinessView | None = None
    forecast: ForecastView | None = None
    advice: AdviceView | None = None
    groups: GroupCountsView | None = None


class CollectorView(Travelling):
    """How one loop of the supervisor is doing."""

    name: str
    flow: str
    cluster: str | None
    period_seconds: float
    succeeded_at: Moment | None
    duration_seconds: float | None
    steps_total: int
    errors_total: int
    error: str | None
    error_code: str | None


class StatusView(Travelling):
    """All flows at one moment."""

    supervisor: str
    version: str
    started_at: Moment
    computed_at: Moment
    flows: tuple[FlowView, ...]
    collectors: tuple[CollectorView, ...] = ()
    is_standalone: bool = False

    def flow(self, name: str) -> FlowView | None:
        """Return one flow; None when there is none of this name."""
        return next((flow for flow in self.flows if flow.flow == name), None)


class ActiveView(Travelling):
    """Which cluster is active for a flow, and whether it is the one that was asked about."""

    flow: str
    active: str
    cluster: str
    is_active: bool


class HistoryPoint(Travelling):
    """A flow's lag at one moment; of several moments merged into one, the worst."""

    at: Moment
    state: str
    lag_seconds: float | None
    lag_records: int | None
    rate_in: float | None
    rate_out: float | None


class HistoryView(Travelling):
    """A flow's lag over time, oldest first. `step_seconds` is how far apart points are."""

    flow: str
    window_seconds: float
    step_seconds: float
    points: tuple[HistoryPoint, ...]


class TranslationView(Travelling):
    """Where on the target a group resumes in one partition, and how sure that is."""

    topic: str
    partition: int
    target_topic: str
    target_partition: int
    source_offset: int
    target_offset: int | None
    grade: str
    reread_records_max: int | None
    rule: str
    is_clamped: bool = False


class GroupView(Travelling):
    """One consumer group of a flow. `grade` null: not translated yet."""

    flow: str
    group: str
    state: str
    members: int | None
    observed_at: Moment
    partitions: int
    lag_records: int | None
    grade: str | None
    reread_records_max: int | None
    is_active_on_target: bool | None
    translations: tuple[TranslationView, ...] = ()


class StepView(Travelling):
    """One step of an operation's runbook. `state`: pending, running, done, already, blocked, failed or undone.

    `says` is the sentence an operator reads before it runs; `finding` is the step's evidence, or why it stands
    still, on one line.
    """

    name: str
    state: str
    says: str = ""
    started_at: Moment | None = None
    ended_at: Moment | None = None
    finding: str | None = None
    is_point_of_no_return: bool = False


class OperationView(Travelling):
    """One operation: a runbook from the journal, or an act that was asked for here.

    `steps` holds its whole runbook, those not begun included. `state`: running, halted, done,
    done_with_exceptions, aborted or failed. `reason` is why it stands still, or how it ended.
    """

    id: str
    flow: str
    kind: str
    source: str | None
    target: str | None
    state: str
    actor: str
    started_at: Moment
    ended_at: Moment | None
    step: str | None
    is_past_promote: bool = False
    reason: str | None = None
    hint: str | None = None
    steps: tuple[StepView, ...] = ()


class SnapshotView(Travelling):
    """One line of the catalog."""

    id: str
    created_at: Moment
    cluster: str
    flow: str | None
    topics: int
    records: int
    size_bytes: int
    new_bytes: int
    gaps: int
    missing_topics: int
    tags: tuple[str, ...] = ()
    verified_at: Moment | None = None
    is_sound: bool | None = None
    took_seconds: float | None = None


class ScheduleView(Travelling):
    """One schedule."""

    name: str
    flow: str
    cron: str
    timezone: str
    next_run_at: Moment | None
    last_run_at: Moment | None = None
    last_success_at: Moment | None = None
    last_duration_seconds: float | None = None
    missed_total: int = 0
    error: str | None = None
    is_running: bool = False
    is_queued: bool = False
    kind: str = "snapshot"
    misfire: str = "once"
    overlap: str = "skip"


class EventView(Travelling):
    """One fact. `id` grows within one life of the supervisor and is what a reader resumes from."""

    id: str
    at: Moment
    kind: str
    severity: str
    text: str
    flow: str | None = None
    cluster: str | None = None
    operation_id: str | None = None


class MissedView(Travelling):
    """The reader was away too long, or the supervisor is another: some events are gone. `count` null: nobody knows."""

    reason: str
    count: int | None


class SessionView(Travelling):
    """Who asks, and what may be asked for."""

    name: str
    role: str
    acts: tuple[str, ...]


class ActRequest(BaseModel):
    """What an act needs besides its name. `confirm` is the typed name of a severe act's flow.

    `idempotency_key`: the same key again answers the operation that it began. `restore`: what the act of that name
    brings back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str | None = Field(default=None, max_length=500)
    confirm: str | None = Field(default=None, max_length=249)
    accept: tuple[Literal["split-brain", "stale-groups", "loss"], ...] = Field(default=(), max_length=3)
    idempotency_key: str | None = Field(default=None, min_length=8, max_length=100)
    restore: RestoreOrder | None = None
