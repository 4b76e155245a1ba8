"""What happened between two overviews: values to a list of facts, the same for whoever looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.flow import FlowState
from replicator.model.observations import Reachability
from replicator.model.operations import JournalRecord, Operation, OperationState, StepPhase
from replicator.model.supervision.events import Event, Severity
from replicator.model.supervision.outages import OutagePhase
from replicator.model.supervision.overview import Answer, Overview
from replicator.model.supervision.status import ClusterStatus, CollectorStatus, FlowStatus, Role, Status

_SEVERITY_OF_STATE = {
    FlowState.HEALTHY: Severity.INFO,
    FlowState.STOPPED: Severity.INFO,
    FlowState.PAUSED: Severity.INFO,
    FlowState.FAILED_OVER: Severity.WARNING,
    FlowState.LAGGING: Severity.WARNING,
    FlowState.DEGRADED: Severity.WARNING,
    FlowState.UNKNOWN: Severity.CRITICAL,
    FlowState.FAILED: Severity.CRITICAL,
    FlowState.STALLED: Severity.CRITICAL,
}
_SEVERITY_OF_ANSWER = {
    Answer.YES: Severity.INFO,
    Answer.AT_A_COST: Severity.WARNING,
    Answer.NO: Severity.CRITICAL,
}
_SEVERITY_OF_PHASE = {StepPhase.BLOCKED: Severity.WARNING, StepPhase.FAILED: Severity.CRITICAL}


_OUTAGES = {
    OutagePhase.NONE: ("outage_over", Severity.INFO),
    OutagePhase.SUSPECTED: ("outage_suspected", Severity.WARNING),
    OutagePhase.CONFIRMED: ("outage_confirmed", Severity.CRITICAL),
}


def find_events(before: Overview | None, after: Overview) -> list[Event]:
    """Return what happened between two overviews, oldest cause first; before the first one, what is found."""
    status = after.status
    earlier = before.status if before is not None else None
    events: list[Event] = []
    if earlier is None or earlier.started_at != status.started_at:
        events.append(_started(status))
    events += _flow_events(earlier, status)
    events += _collector_events(earlier, status)
    events += _readiness_events(before, after)
    events += _outage_events(before, after)
    events += _operation_events(before, after)
    events += _snapshot_events(before, after)
    return events


def _started(status: Status) -> Event:
    text = f"supervisor {status.supervisor} {status.version} answers"
    return Event(at=status.computed_at, kind="supervisor_started", severity=Severity.INFO, text=text)


def _outage_events(before: Overview | None, after: Overview) -> Iterator[Event]:
    """Tell each change of an outage's phase, with what every probe sees and the command that is advised."""
    for flow, advice in after.advice.items():
        earlier = before.advice.get(flow) if before is not None else None
        was = OutagePhase.NONE if earlier is None else earlier.phase
        if advice.phase is was:
            continue
        kind, severity = _OUTAGES[advice.phase]
        told = "; ".join(advice.signs)
        text = f"{told}: {advice.command}" if advice.command else told
        yield Event(at=after.status.computed_at, kind=kind, severity=severity, text=text, flow=flow)


def _flow_events(before: Status | None, after: Status) -> Iterator[Event]:
    at = after.computed_at
    for flow in after.flows:
        yield from _changes_of(before.flow(flow.flow) if before is not None else None, flow, after)
    for gone in before.flows if before is not None else ():
        if after.flow(gone.flow) is None:
            text = f"flow {gone.flow} is configured no more"
            yield Event(at=at, kind="flow_removed", severity=Severity.WARNING, text=text, flow=gone.flow)


def _changes_of(before: FlowStatus | None, flow: FlowStatus, status: Status) -> Iterator[Event]:
    at = status.computed_at
    yield from _reachability(before.source if before else None, flow.source, flow, status)
    yield from _reachability(before.target if before else None, flow.target, flow, status)
    if before is None or before.state is not flow.state:
        was = f" (was {before.state.value})" if before else ""
        text = f"{flow.state.value}{was}: {flow.cause}" if flow.cause else f"{flow.state.value}{was}"
        severity = _SEVERITY_OF_STATE[flow.state]
        if flow.state is FlowState.UNKNOWN and any(_is_unread(one, status) for one in (flow.source, flow.target)):
            severity = Severity.INFO
        yield Event(at=at, kind="flow_state_changed", severity=severity, text=text, flow=flow.flow)
    if before is None:
        return
    if before.active != flow.active:
        text = f"{flow.active} is active now (was {before.active})"
        yield Event(
            at=at, kind="active_changed", severity=Severity.WARNING, text=text, flow=flow.flow, cluster=flow.active
        )
    if before.role is not flow.role:
        severity = Severity.WARNING if flow.role is Role.UNKNOWN else Severity.INFO
        text = f"this supervisor is {flow.role.value} now (was {before.role.value})"
        yield Event(at=at, kind="role_changed", severity=severity, text=text, flow=flow.flow)
    yield from _verdicts(before, flow, at)
    yield from _connectors(before, flow, at)
    yield from _drift(before, flow, at)
    yield from _restarts(before, flow, at)


def _is_unread(cluster: ClusterStatus, status: Status) -> bool:
    """Whether nobody has read the cluster since this supervisor started, and no read of it failed either."""
    was_read = cluster.last_reached_at is not None and cluster.last_reached_at >= status.started_at
    return cluster.reachability is Reachability.SILENT and cluster.cause is None and not was_read


def _answer(cluster: ClusterStatus | None, status: Status) -> Reachability | None:
    """Return what the cluster is known to answer; None before it was asked."""
    return None if cluster is None or _is_unread(cluster, status) else cluster.reachability


def _reachability(
    before: ClusterStatus | None, now: ClusterStatus, flow: FlowStatus, status: Status
) -> Iterator[Event]:
    earlier, answer = _answer(before, status), _answer(now, status)
    if answer in (earlier, None) or (earlier is None and answer is Reachability.REACHABLE):
        return
    answers = {
        Reachability.REACHABLE: "answers again",
        Reachability.REFUSED: "refuses connections",
        Reachability.SILENT: "does not answer",
    }
    severity = Severity.INFO if now.reachability is Reachability.REACHABLE else Severity.CRITICAL
    text = f"{now.cluster} {answers[now.reachability]}" + (f": {now.cause}" if now.cause else "")
    yield Event(
        at=status.computed_at,
        kind="cluster_reachability_changed",
        severity=severity,
        text=text,
        flow=flow.flow,
        cluster=now.cluster,
    )


def _verdicts(before: FlowStatus, flow: FlowStatus, at: datetime) -> Iterator[Event]:
    earlier = {verdict.objective: verdict.is_held for verdict in before.verdicts}
    for verdict in flow.verdicts:
        if verdict.objective in earlier and earlier[verdict.objective] is not verdict.is_held:
            word = {True: "holds", False: "does not hold", None: "cannot be known"}[verdict.is_held]
            severity = Severity.INFO if verdict.is_held else Severity.WARNING
            text = f"{verdict.objective} {word}: {verdict.evidence}"
            yield Event(at=at, kind="objective_changed", severity=severity, text=text, flow=flow.flow)


def _connectors(before: FlowStatus, flow: FlowStatus, at: datetime) -> Iterator[Event]:
    earlier = {connector.name: _condition(connector) for connector in before.connectors}
    for connector in flow.connectors:
        condition = _condition(connector)
        if connector.name not in earlier or earlier[connector.name] == condition:
            continue
        has_failed = bool(connector.failed_tasks) or connector.state is ConnectorState.FAILED
        failure = connector.first_failure()
        text = f"{connector.name} is {condition}" + (f": {failure}" if failure else "")
        severity = Severity.CRITICAL if has_failed else Severity.INFO
        yield Event(at=at, kind="connector_changed", severity=severity, text=text, flow=flow.flow)


def _drift(before: FlowStatus, flow: FlowStatus, at: datetime) -> Iterator[Event]:
    """Tell each drift that is new, and that all of it is gone; an unknown one says nothing either way."""
    if before.drift is None or flow.drift is None:
        return
    known = set(before.drift)
    for drift in flow.drift:
        if drift not in known:
            text = f"{drift.kind} {drift.name} is not as configured: {drift.told}"
            yield Event(at=at, kind="drift_found", severity=Severity.WARNING, text=text, flow=flow.flow)
    if before.drift and not flow.drift:
        text = "everything is as configured again"
        yield Event(at=at, kind="drift_gone", severity=Severity.INFO, text=text, flow=flow.flow)


def _restarts(before: FlowStatus, flow: FlowStatus, at: datetime) -> Iterator[Event]:
    for what, count in flow.restarts.items():
        if count > before.restarts.get(what, 0):
            failed = "it" if what.reason == "connector" else "a task"
            text = f"{what.connector} was restarted: {failed} had failed ({count} times since the supervisor started)"
            yield Event(at=at, kind="connector_restarted", severity=Severity.WARNING, text=text, flow=flow.flow)


def _condition(connector: ConnectorStatus) -> str:
    failed = len(connector.failed_tasks)
    return connector.state.value + (f", {failed} of {len(connector.tasks)} tasks failed" if failed else "")


def _collector_events(before: Status | None, after: Status) -> Iterator[Event]:
    earlier = {} if before is None else {collector.name: collector for collector in before.collectors}
    for collector in after.collectors:
        yield from _collector(earlier.get(collector.name), collector, after.computed_at)


def _collector(before: CollectorStatus | None, now: CollectorStatus, at: datetime) -> Iterator[Event]:
    was = before.error_code if before is not None else None
    if was == now.error_code:
        return
    if now.error_code is not None:
        text = f"{now.name} cannot observe: {now.error}"
        yield Event(
            at=at, kind="collector_failed", severity=Severity.WARNING, text=text, flow=now.flow, cluster=now.cluster
        )
    else:
        text = f"{now.name} observes again"
        yield Event(
            at=at, kind="collector_recovered", severity=Severity.INFO, text=text, flow=now.flow, cluster=now.cluster
        )


def _readiness_events(before: Overview | None, after: Overview) -> Iterator[Event]:
    for flow, readiness in after.readiness.items():
        earlier = before.readiness_of(flow) if before is not None else None
        if earlier is None or earlier.answer is readiness.answer:
            continue
        words = {
            Answer.YES: "can fail over",
            Answer.AT_A_COST: "can fail over, at a cost",
            Answer.NO: "cannot fail over",
        }
        why = f": {readiness.reasons[0]}" if readiness.reasons else ""
        severity = _SEVERITY_OF_ANSWER[readiness.answer]
        text = f"{words[readiness.answer]}{why}"
        yield Event(at=after.status.computed_at, kind="readiness_changed", severity=severity, text=text, flow=flow)


def _operation_events(before: Overview | None, after: Overview) -> Iterator[Event]:
    """Tell the records that are new. What stood in the journal before we looked first is history."""
    if before is None or before.operations is None:
        return
    earlier = {operation.id: operation for operation in before.operations}
    for operation in after.operations or ():
        known = earlier.get(operation.id)
        for record in operation.records[len(known.records) if known else 0 :]:
            yield from _record_event(operation, record)


def _record_event(operation: Operation, record: JournalRecord) -> Iterator[Event]:
    if record.phase == StepPhase.FACT:
        return
    is_whole = record.step == "operation"
    what = operation.kind.value if is_whole else record.step
    told = record.body.get("reason") or record.body.get("error") or record.body.get("state")
    text = f"{what} {record.phase}" + (f": {told}" if told else "")
    yield Event(
        at=record.written_at,
        kind=f"operation_{record.phase}" if is_whole else f"step_{record.phase}",
        severity=_severity_of(record, operation, is_whole=is_whole),
        text=text,
        flow=operation.flow,
        operation_id=operation.id,
    )


def _severity_of(record: JournalRecord, operation: Operation, *, is_whole: bool) -> Severity:
    if is_whole:
        return Severity.CRITICAL if operation.state is OperationState.HALTED else Severity.INFO
    try:
        return _SEVERITY_OF_PHASE.get(StepPhase(record.phase), Severity.INFO)
    except ValueError:
        return Severity.INFO


def _snapshot_events(before: Overview | None, after: Overview) -> Iterable[Event]:
    if before is None or before.snapshots is None:
        return
    earlier = {entry.id: entry for entry in before.snapshots}
    at = after.status.computed_at
    for entry in after.snapshots or ():
        known = earlier.get(entry.id)
        if known is None:
            text = f"snapshot {entry.id} of {entry.cluster} taken, {entry.gaps} gaps"
            severity = Severity.WARNING if entry.gaps or entry.missing_topics else Severity.INFO
            yield Event(at=at, kind="snapshot_taken", severity=severity, text=text, flow=entry.flow)
        elif known.verified_at != entry.verified_at:
            severity = Severity.INFO if entry.is_sound else Severity.CRITICAL
            text = f"snapshot {entry.id} verified: {'sound' if entry.is_sound else 'DAMAGED'}"
            yield Event(at=at, kind="snapshot_verified", severity=severity, text=text, flow=entry.flow)
