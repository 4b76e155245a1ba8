"""If the flow failed over now: what would be lost, read again, and how long it would take. Values to a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from replicator.failover import GateFacts, MissingRight, Sides, decide_gates
from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.names import TopicName
from replicator.model.observations import Reachability
from replicator.model.operations import LossReport
from replicator.model.supervision.forecasts import FlowForecast
from replicator.model.supervision.overview import GroupStatus
from replicator.model.supervision.status import FlowStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFacts:
    """What a forecast needs beside the flow's status. `observed` are the partitions of the flow's topics on the
    source; `sides` None: both clusters were not asked yet."""

    observed: Mapping[TopicName, int]
    partitions_mirrored: int
    sides: Sides | None
    missing_rights: tuple[MissingRight, ...] | None
    expected_rto_seconds: float | None
    rto_measured_in: int
    last_drill_at: datetime | None


def decide_forecast(
    flow: FlowStatus,
    *,
    loss: LossReport | None,
    groups: Sequence[GroupStatus] | None,
    facts: ForecastFacts,
    now: datetime,
) -> FlowForecast | None:
    """Return what a failover would cost by what is known at this moment; None once the flow has moved."""
    if flow.active == flow.target.cluster:
        return None
    graded = [group.translation for group in groups or () if group.translation is not None]
    rereads = [translation.reread_records_max for translation in graded]
    is_whole = groups is not None and len(graded) == len(groups) and None not in rereads
    return FlowForecast(
        flow=flow.flow,
        computed_at=now,
        loss=loss,
        lost_seconds_max=None if loss is None else loss.lost_seconds_max,
        groups=None if groups is None else len(groups),
        groups_unavailable=tuple(one.group for one in graded if any(t.target_offset is None for t in one.translations)),
        reread_records_max=sum(count for count in rereads if count is not None) if is_whole else None,
        expected_rto_seconds=facts.expected_rto_seconds,
        rto_measured_in=facts.rto_measured_in,
        retention_runway_seconds=None if facts.sides is None else facts.sides.retention_runway_seconds,
        last_drill_at=facts.last_drill_at,
        gates=decide_gates(_gate_facts(flow, groups, facts, now)),
        gates_read_at=None if facts.sides is None else facts.sides.read_at,
    )


def _gate_facts(
    flow: FlowStatus, groups: Sequence[GroupStatus] | None, facts: ForecastFacts, now: datetime
) -> GateFacts:
    return GateFacts(
        flow=flow.flow,
        target=flow.target.cluster,
        now=now,
        window_seconds=flow.window_seconds,
        source_read_at=flow.source.last_reached_at,
        is_source_answering=flow.source.reachability is Reachability.REACHABLE,
        partitions_mirrored=facts.partitions_mirrored,
        observed=facts.observed,
        groups_read_at=min((group.observation.observed_at for group in groups or ()), default=None),
        open_operation=flow.operation_id,
        is_active_already=False,
        running=_running(flow.connectors) if flow.connectors_observed_at is not None else None,
        last_drill_at=facts.last_drill_at,
        sides=facts.sides,
        missing_rights=facts.missing_rights,
    )


def _running(connectors: Sequence[ConnectorStatus]) -> tuple[str, ...]:
    return tuple(
        one.name
        for one in connectors
        if one.is_wholly(ConnectorState.RUNNING) and (one.tasks or one.name.endswith(".checkpoint"))
    )
