"""What a failover would cost if it were ordered now: records, seconds, re-reads, time; and what stands in its way.

Decided from what the standby holds alone, as a failover would: a source that still answers is not asked for
more than its present shape, so that the forecast is what the day after will say.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from replicator.failover.facts import Cut, Survey
from replicator.failover.groups.moves import GroupMove
from replicator.failover.loss import SourceWatch, unknown_window_seconds
from replicator.failover.report import report_of
from replicator.failover.steps.survey import STALE_GROUPS_SECONDS
from replicator.journal import list_operations
from replicator.model.cluster import TopicDescription
from replicator.model.forms.figures import show_seconds
from replicator.model.names import FlowName, GroupName, TopicName
from replicator.model.objectives import Objectives
from replicator.model.observations import GroupObservation, GroupState, Reachability, TopicObservation
from replicator.model.offsets import Grade
from replicator.model.operations import JournalRecord, LossReport, Operation

FRESH_SECONDS_MAX = 30.0
"""Observations older than this are no longer what a supervisor that lives would have left."""
TIMES_KEPT = 5
LISTED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One condition of a failover that goes well. `fix` is the command or edit that mends a red one; `is_blocking`:
    a failover would stop at it."""

    name: str
    is_open: bool
    told: str
    fix: str | None = None
    is_blocking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupForecast:
    """Where one group would stand: how sure, what it would read twice at most, and what cannot be set."""

    group: GroupName
    grade: Grade
    reread_records_max: int | None
    unavailable_partitions: int
    observed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a failover of the flow would cost now. None is unknown.

    `lost_seconds_max` is the span in which records may be lost: since the source was last read, or since the
    oldest record known not to be mirrored was seen. `retention_runway_seconds` None: nothing waits to be
    mirrored, or the source cannot be asked. `expected_rto_seconds` is the median of this flow's last moves.
    """

    flow: FlowName
    computed_at: datetime
    loss: LossReport
    lost_seconds_max: float | None
    groups: tuple[GroupForecast, ...]
    expected_rto_seconds: float | None
    rto_measured_in: int
    retention_runway_seconds: float | None
    gates: tuple[Gate, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nothing would stop a failover."""
        return not any(gate.is_blocking and not gate.is_open for gate in self.gates)

    @property
    def groups_unavailable(self) -> tuple[GroupName, ...]:
        """The groups that could not be set on some partition."""
        return tuple(group.group for group in self.groups if group.unavailable_partitions)


def forecast_groups(moves: Iterable[GroupMove]) -> tuple[GroupForecast, ...]:
    """Return what each group's move would mean to it."""
    return tuple(
        GroupForecast(
            group=move.group,
            grade=move.translation.grade,
            reread_records_max=move.translation.reread_records_max,
            unavailable_partitions=len(move.unavailable),
            observed_at=move.observed_at,
        )
        for move in moves
    )


def window_if_lost_now(survey: Survey, *, now: datetime) -> float | None:
    """Return for how long the source could have written unseen if it were lost this moment."""
    watch = SourceWatch(observation=survey.observation, answer=survey.answer, answered_at=survey.answered_at)
    return unknown_window_seconds(watch, now=now)


def expected_rto(records: Sequence[JournalRecord], flow: FlowName) -> tuple[float | None, int]:
    """Return the median time of the flow's last moves from command to verified, and how many there were."""
    moved = [op for op in list_operations(records).values() if op.flow == flow and op.state.is_terminal]
    times = [seconds for op in moved if (seconds := _rto(op)) is not None][-TIMES_KEPT:]
    return (statistics.median(times), len(times)) if times else (None, 0)


def _rto(operation: Operation) -> float | None:
    return report_of(operation.records, objectives=Objectives()).rto_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """What the gates are decided from. Maps are by the source's topic; `on_source` None: the source cannot be asked.

    `running` are the flow's connectors that run with a task; None: Connect does not answer.
    """

    flow: FlowName
    target: str
    now: datetime
    survey: Survey
    open_operation: str | None
    is_active_already: bool
    cut: Cut
    observed: Mapping[TopicName, TopicObservation]
    copies: Mapping[TopicName, TopicDescription]
    on_source: Mapping[TopicName, TopicDescription] | None
    on_target_groups: Mapping[GroupName, GroupObservation]
    running: tuple[str, ...] | None


def decide_gates(facts: GateFacts) -> tuple[Gate, ...]:
    """Return every gate of the flow's failover, in the order in which they matter."""
    return (
        _gate_active(facts),
        _gate_operation(facts),
        _gate_mirrored(facts),
        _gate_groups_known(facts),
        _gate_observed(facts),
        _gate_flow(facts),
        _gate_copies(facts),
        _gate_partitions(facts),
        _gate_durability(facts),
        _gate_groups_free(facts),
    )


def _gate_active(facts: GateFacts) -> Gate:
    told = f"{facts.target} is active already" if facts.is_active_already else f"{facts.target} is the standby"
    return Gate(
        name="standby_is_free",
        is_open=not facts.is_active_already,
        told=told,
        fix=f"replicator failback {facts.flow}",
        is_blocking=True,
    )


def _gate_operation(facts: GateFacts) -> Gate:
    open_ = facts.open_operation
    return Gate(
        name="no_operation_is_open",
        is_open=open_ is None,
        told="none is open" if open_ is None else f"{open_} is not over",
        fix=f"replicator op resume {open_}",
        is_blocking=True,
    )


def _gate_mirrored(facts: GateFacts) -> Gate:
    count = facts.survey.partitions_mirrored
    return Gate(
        name="something_is_mirrored",
        is_open=count > 0 or facts.survey.topics_observed > 0,
        told=f"{count} partitions are mirrored",
        fix=f"replicator apply {facts.flow}",
        is_blocking=True,
    )


def _gate_groups_known(facts: GateFacts) -> Gate:
    window = window_if_lost_now(facts.survey, now=facts.now)
    is_known = window is not None and window <= STALE_GROUPS_SECONDS
    told = "groups were never observed" if window is None else f"groups were read {show_seconds(window)} ago"
    return Gate(name="groups_are_known", is_open=is_known, told=told, fix="replicator run", is_blocking=True)


def _gate_observed(facts: GateFacts) -> Gate:
    seen = facts.survey.observation
    age = None if seen is None or seen.last_reached_at is None else (facts.now - seen.last_reached_at).total_seconds()
    is_fresh = age is not None and (age <= FRESH_SECONDS_MAX or facts.survey.answer is not Reachability.REACHABLE)
    told = "the source was never read" if age is None else f"the source was read {show_seconds(age)} ago"
    return Gate(name="source_is_observed", is_open=is_fresh, told=told, fix="replicator run")


def _gate_flow(facts: GateFacts) -> Gate:
    if facts.running is None:
        return Gate(
            name="flow_runs",
            is_open=False,
            told="Connect does not answer: MirrorMaker would be fenced through Kafka alone",
            fix=f"replicator flow show {facts.flow}",
        )
    told = f"{', '.join(facts.running)} run" if facts.running else "no connector runs"
    return Gate(name="flow_runs", is_open=bool(facts.running), told=told, fix=f"replicator flow resume {facts.flow}")


def _gate_copies(facts: GateFacts) -> Gate:
    missing = sorted(set(facts.observed) - set(facts.copies))
    told = f"no copy of {_listed(missing)}" if missing else f"{len(facts.copies)} topics have a copy"
    return Gate(name="every_topic_has_a_copy", is_open=not missing, told=told, fix=f"replicator apply {facts.flow}")


def _gate_partitions(facts: GateFacts) -> Gate:
    fewer = sorted(
        name
        for name, seen in facts.observed.items()
        if name in facts.copies and len(facts.copies[name].partitions) < len(seen.partitions)
    )
    told = f"fewer partitions than on the source: {_listed(fewer)}" if fewer else "no copy lacks a partition"
    return Gate(name="partitions_match", is_open=not fewer, told=told, fix=f"replicator apply {facts.flow}")


def _gate_durability(facts: GateFacts) -> Gate:
    if facts.on_source is None:
        return Gate(name="durability_matches", is_open=True, told="the source cannot be asked")
    weaker = sorted(
        name
        for name, topic in facts.on_source.items()
        if name in facts.copies and facts.copies[name].replication_factor < topic.replication_factor
    )
    told = f"fewer replicas than on the source: {_listed(weaker)}" if weaker else "no copy has fewer replicas"
    return Gate(
        name="durability_matches",
        is_open=not weaker,
        told=told,
        fix=f"reassign the copies on {facts.target} with more replicas",
    )


def _gate_groups_free(facts: GateFacts) -> Gate:
    active = sorted(name for name, seen in facts.on_target_groups.items() if seen.state is GroupState.ACTIVE)
    told = f"members on {facts.target}: {_listed(active)}" if active else "no group has members there"
    return Gate(
        name="groups_are_free",
        is_open=not active,
        told=told,
        fix=f"stop the consumers of {_listed(active)} on {facts.target}",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(names[:LISTED_MAX]) + more
