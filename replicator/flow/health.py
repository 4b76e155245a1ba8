"""Which state a flow is in, and why: measured progress decides, a connector's status alone never. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replicator.flow.planning.decide import ASKED_STOPPED, LABEL_ASKED
from replicator.model.connectors import Connector, ConnectorState
from replicator.model.flow import Flow, FlowState
from replicator.model.forms.figures import show_items
from replicator.model.lag import FlowLag
from replicator.model.names import OperationId, TopicName, TopicPartition
from replicator.model.objectives import Verdict
from replicator.model.observations import PartitionEnds


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """What is known when the state is decided.

    `connectors` are the flow's that exist, None when Connect cannot be read. The causes say why a cluster
    cannot be read (None: it can). `damage` lists what replication cannot mend: gaps, truncated or re-created
    topics, missing durability. `stall_cause` is what a probe found. `is_budget_spent`: nobody will restart
    failed tasks any more. `operation_id` is the flow's open operation.
    """

    connectors: Mapping[str, Connector] | None
    source_cause: str | None = None
    target_cause: str | None = None
    connect_cause: str | None = None
    is_failed_over: bool = False
    is_budget_spent: bool = True
    lag: FlowLag | None = None
    damage: tuple[str, ...] = ()
    stall_cause: str | None = None
    operation_id: OperationId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowHealth:
    """The state of a flow, why it is in it, and whether each objective holds."""

    state: FlowState
    cause: str
    verdicts: tuple[Verdict, ...] = ()


def decide_health(flow: Flow, facts: HealthFacts) -> FlowHealth:
    """Return the first state that applies, in the order of FlowState, with its cause."""
    verdicts = lag_verdicts(flow, facts.lag)
    state, cause = next(_states(flow, facts, verdicts))
    return FlowHealth(state=state, cause=cause, verdicts=verdicts)


def _states(flow: Flow, facts: HealthFacts, verdicts: tuple[Verdict, ...]) -> Iterator[tuple[FlowState, str]]:
    source = (facts.connectors or {}).get(flow.source_connector)
    yield from _asked(flow, facts, source)
    for cause in (facts.source_cause, facts.target_cause, facts.connect_cause):
        if cause is not None:
            yield FlowState.UNKNOWN, cause
    if facts.connectors is None:
        yield FlowState.UNKNOWN, f"Connect beside {flow.target} was not read"
    failure = _failure(source)
    if failure is not None and facts.is_budget_spent:
        yield FlowState.FAILED, failure
    if facts.lag is not None and facts.lag.stalled_partitions:
        yield FlowState.STALLED, _stall(facts)
    for cause in (*facts.damage, *_weakness(flow, facts, failure)):
        yield FlowState.DEGRADED, cause
    if facts.lag is None or facts.lag.lag_records is None:
        yield FlowState.UNKNOWN, "lag is not known yet"
    for verdict in verdicts:
        if verdict.is_held is False:
            yield FlowState.LAGGING, f"{verdict.objective} is broken: {verdict.evidence}"
    yield FlowState.HEALTHY, _calm(flow, facts.lag)


def _asked(flow: Flow, facts: HealthFacts, source: Connector | None) -> Iterator[tuple[FlowState, str]]:
    if facts.connectors is not None and source is None and not facts.is_failed_over:
        yield FlowState.STOPPED, f"it has no connectors; `replicator apply {flow.name}` makes them"
    state = source.status.state if source is not None and source.status is not None else None
    is_asked = source is not None and source.config.get(LABEL_ASKED) == ASKED_STOPPED
    if state is ConnectorState.STOPPED and (is_asked or not facts.is_failed_over):
        yield FlowState.STOPPED, _who_stopped(facts, is_asked=is_asked)
    if state is ConnectorState.PAUSED:
        yield FlowState.PAUSED, "paused on request"
    if facts.is_failed_over:
        yield FlowState.FAILED_OVER, f"{flow.target} is active"


def _who_stopped(facts: HealthFacts, *, is_asked: bool) -> str:
    if is_asked:
        return "stopped on request"
    if facts.operation_id is not None:
        return f"stopped by operation {facts.operation_id}, which is open"
    return "stopped, though not by `flow stop`"


def _failure(source: Connector | None) -> str | None:
    if source is None or source.status is None:
        return None
    failure = source.status.first_failure()
    return None if failure is None else f"{source.name}: {failure}"


def _stall(facts: HealthFacts) -> str:
    count = facts.lag.stalled_partitions if facts.lag is not None else None
    told = "1 partition has records to mirror and stands still"
    if count != 1:
        told = f"{show_items(count, 'partition')} have records to mirror and stand still"
    return f"{told}: {facts.stall_cause}" if facts.stall_cause else told


def _calm(flow: Flow, lag: FlowLag | None) -> str:
    if lag is not None and lag.lag_records == 0 and not lag.topics:
        told = f"no topic on {flow.source} matches its selection yet, so there is nothing to mirror"
        return f"{told}; if there should be, see flows.{flow.name}.topics"
    return "records move"


def _weakness(flow: Flow, facts: HealthFacts, failure: str | None) -> Iterator[str]:
    if failure is not None:
        yield failure
    checkpoint = (facts.connectors or {}).get(flow.checkpoint_connector)
    status = checkpoint.status if checkpoint is not None else None
    if status is None or status.state is not ConnectorState.RUNNING or status.failed_tasks:
        told = "missing" if status is None else status.first_failure() or status.state.value
        yield f"{flow.checkpoint_connector}: {told}"


def lag_verdicts(flow: Flow, lag: FlowLag | None) -> tuple[Verdict, ...]:
    """Return whether each objective about lag holds; unknown lag gives an unknown verdict."""
    objectives = flow.objectives
    found = []
    if objectives.rpo_seconds is not None:
        found.append(_seconds_verdict(objectives.rpo_seconds, lag))
    if objectives.rpo_records is not None:
        found.append(_verdict("rpo_records", objectives.rpo_records, lag.lag_records if lag else None, "lag_records"))
    return tuple(found)


def _seconds_verdict(promised: float, lag: FlowLag | None) -> Verdict:
    measured = lag.lag_seconds if lag is not None else None
    if lag is None or measured is None or measured > promised or not lag.is_seconds_minimum:
        return _verdict("rpo_seconds", promised, measured, "lag_seconds")
    told = f"lag_seconds is at least {round(measured, 1):g}, since before anybody watched; promised is {promised:g}"
    return Verdict("rpo_seconds", None, told)


def _verdict(objective: str, promised: float, measured: float | None, name: str) -> Verdict:
    if measured is None:
        return Verdict(objective, None, f"{name} is unknown, promised is {promised:g}")
    return Verdict(objective, measured <= promised, f"{name} is {round(measured, 1):g}, promised is {promised:g}")


def find_damage(
    *,
    ends: Mapping[TopicPartition, PartitionEnds],
    positions: Mapping[TopicPartition, int],
    topic_ids: Mapping[TopicName, str],
    known_ids: Mapping[TopicName, str],
) -> tuple[str, ...]:
    """Return what replication cannot mend by itself; MM2 passes over all of it in silence.

    `topic_ids` are the source's now, `known_ids` those under which the flow began to mirror each topic.
    """
    recreated = {name for name, known in known_ids.items() if topic_ids.get(name, known) != known}
    found = [f"topic {name} was deleted and made again on the source" for name in sorted(recreated)]
    for partition, position in sorted(positions.items()):
        seen = ends.get(partition)
        if seen is None or partition.topic in recreated:
            continue
        if position < seen.log_start:
            found.append(
                f"{partition}: offsets {position} to {seen.log_start - 1} were deleted before they were mirrored"
            )
        elif position > seen.end:
            found.append(
                f"{partition}: ends at {seen.end}, below the mirrored position {position}: truncated or made again"
            )
    return tuple(found)
