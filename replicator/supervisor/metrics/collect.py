"""Samples of every series from an overview. What is unknown yields none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from replicator.errors import AccessDenied, DeadlineExceeded, OperationFailed, Unreachable
from replicator.failover import rto_told
from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.flow import FlowState
from replicator.model.lag import PartitionLag, TopicLag
from replicator.model.names import FlowName
from replicator.model.observations import Reachability
from replicator.model.offsets import Grade
from replicator.model.operations import Operation, OperationKind, OperationState
from replicator.model.supervision.forecasts import FlowForecast
from replicator.model.supervision.outages import Advice, OutagePhase
from replicator.model.supervision.overview import Answer, GroupStatus, Overview, ScheduleStatus, SnapshotEntry
from replicator.model.supervision.status import (
    RESTART_REASONS,
    CollectorStatus,
    FlowStatus,
    Restarted,
    Role,
    Status,
)

DRIFT_KINDS = ("topic", "connector", "refusal")
USUAL_ERRORS = tuple(error.code for error in (Unreachable, DeadlineExceeded, AccessDenied, OperationFailed))

Answers = Mapping[tuple[str, int], int]


class Granularity(StrEnum):
    """How finely lag and progress are published: by flow alone, by topic, or by partition."""

    FLOW = "flow"
    TOPIC = "topic"
    PARTITION = "partition"


class Sample(NamedTuple):
    """One value of one family; labels in the family's order."""

    family: str
    labels: tuple[str, ...]
    value: float | None


def collect(
    overview: Overview, *, answers: Answers = MappingProxyType({}), granularity: Granularity = Granularity.TOPIC
) -> Iterator[Sample]:
    """Yield every sample that has a value. `answers` counts the API's answers by route and HTTP status."""
    return (sample for sample in _all(overview, answers, granularity) if sample.value is not None)


def _all(overview: Overview, answers: Answers, granularity: Granularity) -> Iterator[Sample]:
    yield from _process(overview.status)
    for flow in overview.status.flows:
        yield from _flow(flow)
        yield _sample("last_replicated_timestamp_seconds", flow.flow, value=_replicated_until(flow, overview.status))
        yield from _exposure(flow, overview)
        yield from _forecast(overview.forecasts.get(flow.flow))
        yield from _outage(overview.advice.get(flow.flow))
        yield from _clusters(flow)
        for connector in flow.connectors:
            yield from _connector(flow, connector)
        yield from _upkeep(flow)
        yield from _groups(flow, overview.groups_of(flow.flow))
        yield from _topics(flow, granularity)
    for collector in overview.status.collectors:
        yield from _collector(collector)
    yield from _beside(overview)
    for (route, code), count in answers.items():
        yield _sample("http_requests_total", route, str(code), value=count)


def _beside(overview: Overview) -> Iterator[Sample]:
    """What is not of one flow's loops: operations, the repository, schedules."""
    if overview.operations is not None:
        told = {flow.flow for flow in overview.status.flows if flow.target.cluster in overview.journals_read}
        yield from _operations([one for one in overview.operations if one.flow in told], flows=sorted(told))
    if overview.snapshots is not None:
        yield from _snapshots(overview.snapshots)
    for schedule in overview.schedules or ():
        yield from _schedule(schedule)
    for name, moment in _verified(overview).items():
        yield _sample("snapshot_last_verify_timestamp_seconds", name, value=moment)
    if overview.repository_errors is not None:
        for reason, count in _by_reason(overview.repository_errors):
            yield _sample("repository_errors_total", reason, value=count)


def _sample(name: str, *labels: str, value: float | None) -> Sample:
    return Sample(f"replicator_{name}", labels, value)


def _moment(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _process(status: Status) -> Iterator[Sample]:
    yield _sample("build_info", status.version, status.supervisor, value=1)
    yield _sample("start_timestamp_seconds", value=_moment(status.started_at))
    yield _sample("status_timestamp_seconds", value=_moment(status.computed_at))


def _flow(flow: FlowStatus) -> Iterator[Sample]:
    name, lag = flow.flow, flow.lag
    yield _sample("flow_info", name, flow.source.cluster, flow.target.cluster, value=1)
    for state in FlowState:
        yield _sample("flow_state", name, state.value, value=flow.state is state)
    for role in Role:
        yield _sample("flow_role", name, role.value, value=flow.role is role)
    for cluster in (flow.source.cluster, flow.target.cluster):
        yield _sample("active_cluster", name, cluster, value=flow.active == cluster)
    yield _sample("flow_lag_seconds", name, value=lag.lag_seconds)
    yield _sample("flow_lag_records", name, value=lag.lag_records)
    yield _sample("flow_rate_in_records_per_second", name, value=lag.rate_in)
    yield _sample("flow_rate_out_records_per_second", name, value=lag.rate_out)
    yield _sample("stalled_partitions", name, value=lag.stalled_partitions)
    yield _sample("heartbeat_sent_timestamp_seconds", name, value=_moment(flow.heartbeat_sent_at))
    yield _sample("heartbeat_timestamp_seconds", name, value=_moment(flow.heartbeat_arrived_at))
    yield _sample("recorded_timestamp_seconds", name, value=_moment(flow.recorded_at))


def _replicated_until(flow: FlowStatus, status: Status) -> float | None:
    """Return a moment all of whose records are mirrored: the last look, or longer ago by the lag."""
    lag = flow.lag
    if lag.lag_seconds is None or lag.observed_at is None:
        return None
    return min(lag.observed_at.timestamp(), status.computed_at.timestamp() - lag.lag_seconds)


def _exposure(flow: FlowStatus, overview: Overview) -> Iterator[Sample]:
    name, lag = flow.flow, flow.lag
    yield _sample("rpo_target_seconds", name, value=flow.objectives.rpo_seconds)
    estimate = lag.lag_seconds if lag.lag_seconds is not None else flow.window_seconds
    yield _sample("rpo_estimate_seconds", name, value=estimate)
    for verdict in flow.verdicts:
        yield _sample("objective_held", name, verdict.objective, value=verdict.is_held)
    yield _sample("unknown_window_seconds", name, value=flow.window_seconds)
    readiness = overview.readiness_of(name)
    if readiness is None:
        return
    yield _sample("failover_ready", name, value=readiness.answer is not Answer.NO)
    for check, is_ok in readiness.checks.items():
        yield _sample("check_ok", name, check, value=is_ok)
    if readiness.loss is not None:
        yield _sample("failover_known_lost_records", name, value=readiness.loss.known_lost)
        yield _sample("failover_possible_lost_records_max", name, value=readiness.loss.possible_lost_max)


def _forecast(forecast: FlowForecast | None) -> Iterator[Sample]:
    if forecast is None:
        return
    name = forecast.flow
    yield _sample("failover_lost_seconds_max", name, value=forecast.lost_seconds_max)
    yield _sample("failover_replay_records_max", name, value=forecast.reread_records_max)
    yield _sample("failover_groups_unavailable", name, value=len(forecast.groups_unavailable))
    yield _sample("failover_expected_rto_seconds", name, value=forecast.expected_rto_seconds)
    yield _sample("retention_runway_seconds", name, value=forecast.retention_runway_seconds)
    for gate in forecast.gates:
        yield _sample("failover_gate_open", name, gate.name, value=gate.is_open)


def _outage(advice: Advice | None) -> Iterator[Sample]:
    if advice is not None:
        for phase in OutagePhase:
            yield _sample("outage_phase", advice.flow, phase.value, value=advice.phase is phase)


def _clusters(flow: FlowStatus) -> Iterator[Sample]:
    for seen in (flow.source, flow.target):
        is_reachable = seen.reachability is Reachability.REACHABLE
        yield _sample("cluster_reachable", flow.flow, seen.cluster, value=is_reachable)
        reached = _moment(seen.last_reached_at)
        yield _sample("cluster_last_reached_timestamp_seconds", flow.flow, seen.cluster, value=reached)


def _connector(flow: FlowStatus, connector: ConnectorStatus) -> Iterator[Sample]:
    for state in ConnectorState:
        is_in = connector.state is state
        yield _sample("connector_state", flow.flow, connector.name, state.value, value=is_in)
        count = sum(task.state is state for task in connector.tasks)
        yield _sample("connector_tasks", flow.flow, connector.name, state.value, value=count)


def _upkeep(flow: FlowStatus) -> Iterator[Sample]:
    never = {Restarted(connector.name, reason): 0 for connector in flow.connectors for reason in RESTART_REASONS}
    for what, count in (never | dict(flow.restarts)).items():
        yield _sample("connector_restarts_total", flow.flow, what.connector, what.reason, value=count)
    if flow.drift is not None:
        for kind in DRIFT_KINDS:
            yield _sample("config_drift", flow.flow, kind, value=sum(one.kind == kind for one in flow.drift))


def _groups(flow: FlowStatus, groups: tuple[GroupStatus, ...] | None) -> Iterator[Sample]:
    if groups is None:
        return
    graded = [group.translation.grade for group in groups if group.translation is not None]
    for grade in Grade:
        yield _sample("groups", flow.flow, grade.value, value=graded.count(grade))
    active = sum(group.is_active_on_target is True for group in groups)
    yield _sample("groups", flow.flow, "active_on_target", value=active)
    for group in groups:
        yield _sample("group_lag_records", flow.flow, group.group, value=group.lag_records)
        replay = group.translation.reread_records_max if group.translation is not None else None
        yield _sample("group_replay_records", flow.flow, group.group, value=replay)
        yield _sample("checkpoint_timestamp_seconds", flow.flow, group.group, value=_translated_as_of(group))


def _translated_as_of(group: GroupStatus) -> float | None:
    """Return the oldest of the moments at which the positions were read that its translation speaks of."""
    found = () if group.translation is None else group.translation.translations
    return min((one.observed_at.timestamp() for one in found if one.observed_at is not None), default=None)


def _topics(flow: FlowStatus, granularity: Granularity) -> Iterator[Sample]:
    topics = flow.lag.topics
    counts = {
        "carried": len(topics),
        "stalled": sum(bool(topic.stalled_partitions) for topic in topics),
        "unknown": sum(topic.lag_records is None for topic in topics),
    }
    for status, count in counts.items():
        yield _sample("topics", flow.flow, status, value=count)
    if flow.drift is not None:
        drifted = {one.name for one in flow.drift if one.kind == "topic"}
        yield _sample("topics", flow.flow, "drifted", value=len(drifted))
    for topic in topics:
        if granularity is Granularity.TOPIC:
            labels = (flow.flow, topic.topic, "")
            yield _sample("replicated_records_total", *labels, value=_mirrored(topic.partitions))
            yield _sample("lag_seconds", *labels, value=topic.lag_seconds)
            yield _sample("lag_records", *labels, value=topic.lag_records)
        elif granularity is Granularity.PARTITION:
            yield from _partitions(flow.flow, topic)


def _partitions(flow: FlowName, topic: TopicLag) -> Iterator[Sample]:
    for one in topic.partitions:
        labels = (flow, topic.topic, str(one.partition.partition))
        yield _sample("replicated_records_total", *labels, value=_mirrored((one,)))
        yield _sample("lag_seconds", *labels, value=one.lag_seconds)
        yield _sample("lag_records", *labels, value=one.lag_records)


def _mirrored(partitions: Sequence[PartitionLag]) -> int | None:
    """Return how many offsets of these were mirrored; None where one position is unknown."""
    positions = [one.mirrored_position for one in partitions if one.lag_records is not None]
    return sum(position or 0 for position in positions) if len(positions) == len(partitions) else None


def _collector(collector: CollectorStatus) -> Iterator[Sample]:
    labels = (collector.name.partition(":")[0], collector.flow, collector.cluster or "")
    yield _sample("collect_period_seconds", *labels, value=collector.period_seconds)
    yield _sample("collect_last_success_timestamp_seconds", *labels, value=_moment(collector.succeeded_at))
    yield _sample("collect_duration_seconds", *labels, value=collector.duration_seconds)
    for reason, count in _by_reason(collector.errors):
        yield _sample("collect_errors_total", *labels, reason, value=count)


def _by_reason(errors: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """Errors by code; the usual ones begin at 0: a counter that appears with its first event shows no rise."""
    return (dict.fromkeys(USUAL_ERRORS, 0) | dict(errors)).items()


def _operations(operations: Iterable[Operation], *, flows: Iterable[FlowName]) -> Iterator[Sample]:
    """Begin every count of these flows at 0: a counter that appears with its first event shows no rise.

    Their journals have been read: a count that begins before would rise by what happened long ago.
    """
    kinds = [(flow, kind.value) for flow in flows for kind in OperationKind]
    counts = {(flow, kind, state): 0 for flow, kind in kinds for state in OperationState}
    drills: dict[str, Operation] = {}
    for operation in operations:
        key = (operation.flow, operation.kind.value, operation.state)
        counts[key] = counts.get(key, 0) + 1
        if operation.kind is OperationKind.DRILL and operation.state is OperationState.DONE and operation.ended_at:
            drills[operation.flow] = operation
    for (flow, kind, state), count in counts.items():
        match state:
            case OperationState.RUNNING:
                yield _sample("operation_in_progress", flow, kind, value=count)
            case OperationState.HALTED:
                yield _sample("operation_halted", flow, kind, value=count)
            case _:
                yield _sample("operations_total", flow, kind, state.value, value=count)
    for name, drill in drills.items():
        yield _sample("drill_last_success_timestamp_seconds", name, value=_moment(drill.ended_at))
        yield _sample("drill_rto_seconds", name, value=rto_told(drill.records))


def _snapshots(entries: tuple[SnapshotEntry, ...]) -> Iterator[Sample]:
    yield _sample("snapshots", value=len(entries))
    yield _sample("repository_bytes", value=sum(entry.new_bytes for entry in entries))
    newest: dict[str, SnapshotEntry] = {}
    for entry in sorted(entries, key=lambda one: one.created_at):
        newest[entry.flow or ""] = entry
    for flow, entry in newest.items():
        yield _sample("snapshot_last_success_timestamp_seconds", flow, value=_moment(entry.created_at))
        yield _sample("snapshot_duration_seconds", flow, value=entry.took_seconds)
        yield _sample("snapshot_bytes", flow, value=entry.size_bytes)
        yield _sample("snapshot_gaps", flow, value=entry.gaps)


def _verified(overview: Overview) -> dict[str, float]:
    """Return when a snapshot of each flow was last found sound: by a look at it, or by the schedule that took it."""
    sound = [(one.flow or "", one.verified_at) for one in overview.snapshots or () if one.is_sound]
    sound += [(one.flow, one.last_success_at) for one in overview.schedules or () if one.kind == "snapshot"]
    found: dict[str, float] = {}
    for flow, moment in sound:
        if moment is not None:
            found[flow] = max(found.get(flow, 0.0), moment.timestamp())
    return found


def _schedule(schedule: ScheduleStatus) -> Iterator[Sample]:
    labels = (schedule.name, schedule.flow)
    yield _sample("schedule_next_run_timestamp_seconds", *labels, value=_moment(schedule.next_run_at))
    yield _sample("schedule_last_success_timestamp_seconds", *labels, value=_moment(schedule.last_success_at))
    yield _sample("schedule_duration_seconds", *labels, value=schedule.last_duration_seconds)
    yield _sample("schedule_missed_total", *labels, value=schedule.missed_total)
