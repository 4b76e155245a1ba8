"""Reads what a forecast is decided from. Nothing is changed, and the source is asked for its shape alone."""

from __future__ import annotations

from replicator.failover.copies import take_cut
from replicator.failover.facts import Cut, Survey
from replicator.failover.forecasting.forecast import (
    Forecast,
    expected_rto,
    forecast_groups,
    last_drill,
    window_if_lost_now,
)
from replicator.failover.forecasting.gates import GateFacts, MissingRight, Sides, decide_gates
from replicator.failover.forecasting.sides import Asking, ask_sides
from replicator.failover.groups.known import observed_groups, selected_groups
from replicator.failover.groups.translating import translate_groups
from replicator.failover.loss import account_loss
from replicator.failover.steps.stop_flow import ask_connect
from replicator.failover.steps.survey import take_survey
from replicator.failover.world import READ_SECONDS, World
from replicator.journal import Journal, active_cluster, merge_records, open_operation
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Delivery
from replicator.model.operations import JournalRecord, LossReport


def forecast_failover(world: World, *, missing_rights: tuple[MissingRight, ...] | None = None) -> Forecast:
    """Return what a failover would cost now, and what stands in its way. Who lacks which right is told by the caller.

    Raises:
        Unreachable, WrongCluster, AccessDenied: the standby does not answer as itself.
    """
    survey = take_survey(world)
    cut = take_cut(world)
    now = world.now()
    records = _read_records(world)
    seconds, measured = expected_rto(records, world.name)
    moves = [move for batch in translate_groups(world, cut, selected_groups(world)) for move in batch]
    loss = _loss(world, survey, cut)
    sides = _ask_sides(world, survey, cut)
    return Forecast(
        flow=world.name,
        computed_at=now,
        loss=loss,
        lost_seconds_max=loss.lost_seconds_max,
        groups=forecast_groups(moves),
        expected_rto_seconds=seconds,
        rto_measured_in=measured,
        retention_runway_seconds=sides.retention_runway_seconds,
        last_drill_at=last_drill(records, world.name),
        gates=decide_gates(_gate_facts(world, survey, records, sides, missing_rights)),
    )


def _read_records(world: World) -> tuple[JournalRecord, ...]:
    own = Journal(world.target, world.identity.topic_prefix, clock=world.clock).read(world.deadline(READ_SECONDS))
    return merge_records([own, world.peer_records])


def _loss(world: World, survey: Survey, cut: Cut) -> LossReport:
    return account_loss(
        {name: seen for name, seen in world.observed.topics.items() if world.flow.carries_topic(name)},
        cut.mirrored,
        window_seconds=window_if_lost_now(survey, now=cut.taken_at),
        read_at=survey.observation.last_reached_at if survey.observation is not None else None,
        is_exactly_once=world.flow.delivery is Delivery.EXACTLY_ONCE,
    )


def _ask_sides(world: World, survey: Survey, cut: Cut) -> Sides:
    known = {
        *(name for name in world.observed.topics if world.flow.carries_topic(name)),
        *(t.topic for t in cut.mirrored),
    }
    asking = Asking(
        flow=world.flow,
        source=world.source if survey.is_answering else None,
        target=world.target,
        topics=sorted(known),
        groups=sorted(selected_groups(world)),
        mirrored=cut.mirrored,
    )
    return ask_sides(asking, clock=world.clock, deadline=world.deadline(READ_SECONDS))


def _gate_facts(
    world: World,
    survey: Survey,
    records: tuple[JournalRecord, ...],
    sides: Sides,
    missing_rights: tuple[MissingRight, ...] | None,
) -> GateFacts:
    open_ = open_operation(records, world.name)
    carried = {name: len(t.partitions) for name, t in world.observed.topics.items() if world.flow.carries_topic(name)}
    return GateFacts(
        flow=world.name,
        target=world.flow.target,
        now=world.now(),
        window_seconds=window_if_lost_now(survey, now=world.now()),
        source_read_at=None if survey.observation is None else survey.observation.last_reached_at,
        is_source_answering=survey.is_answering,
        partitions_mirrored=survey.partitions_mirrored,
        observed=carried,
        groups_read_at=min((seen.observed_at for seen in observed_groups(world).values()), default=None),
        open_operation=open_.id if open_ else None,
        is_active_already=active_cluster(records, world.name) == world.flow.target,
        running=_running(world),
        last_drill_at=last_drill(records, world.name),
        sides=sides,
        missing_rights=missing_rights,
    )


def _running(world: World) -> tuple[str, ...] | None:
    statuses = ask_connect(world)
    if statuses is None:
        return None
    return tuple(
        name
        for name, status in sorted(statuses.items())
        if status is not None and status.is_wholly(ConnectorState.RUNNING) and (status.tasks or "checkpoint" in name)
    )
