"""Reads what a forecast is decided from. Nothing is changed, and the source is asked for its shape alone."""

from __future__ import annotations

from replicator.errors import ReplicatorError
from replicator.failover.copies import copies_of, describe_copies, take_cut
from replicator.failover.facts import Cut, Survey
from replicator.failover.forecasting.gates import (
    Forecast,
    GateFacts,
    decide_gates,
    expected_rto,
    forecast_groups,
    window_if_lost_now,
)
from replicator.failover.groups.known import selected_groups
from replicator.failover.groups.translating import translate_groups
from replicator.failover.loss import account_loss
from replicator.failover.steps.stop_flow import ask_connect
from replicator.failover.steps.survey import take_survey
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, READ_SECONDS, World
from replicator.journal import Journal, active_cluster, merge_records, open_operation
from replicator.model.cluster import TopicDescription
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Delivery
from replicator.model.names import TopicName, TopicPartition
from replicator.model.operations import JournalRecord, LossReport


def forecast_failover(world: World) -> Forecast:
    """Return what a failover would cost now, and what stands in its way.

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
    return Forecast(
        flow=world.name,
        computed_at=now,
        loss=loss,
        lost_seconds_max=window_if_lost_now(survey, now=now) if loss.known_lost == 0 else None,
        groups=forecast_groups(moves),
        expected_rto_seconds=seconds,
        rto_measured_in=measured,
        retention_runway_seconds=_runway_seconds(world, cut) if survey.is_answering else None,
        gates=decide_gates(_gate_facts(world, survey, cut, records)),
    )


def _read_records(world: World) -> tuple[JournalRecord, ...]:
    own = Journal(world.target, world.identity.topic_prefix, clock=world.clock).read(world.deadline(READ_SECONDS))
    return merge_records([own, world.peer_records])


def _loss(world: World, survey: Survey, cut: Cut) -> LossReport:
    return account_loss(
        {name: seen for name, seen in world.observed.topics.items() if world.flow.carries_topic(name)},
        cut.mirrored,
        window_seconds=window_if_lost_now(survey, now=cut.taken_at),
        is_exactly_once=world.flow.delivery is Delivery.EXACTLY_ONCE,
    )


def _gate_facts(world: World, survey: Survey, cut: Cut, records: tuple[JournalRecord, ...]) -> GateFacts:
    open_ = open_operation(records, world.name)
    sources = copies_of(world)
    described = {sources[copy]: topic for copy, topic in describe_copies(world).items()}
    names = selected_groups(world)
    return GateFacts(
        flow=world.name,
        target=world.flow.target,
        now=world.now(),
        survey=survey,
        open_operation=open_.id if open_ else None,
        is_active_already=active_cluster(records, world.name) == world.flow.target,
        cut=cut,
        observed={name: seen for name, seen in world.observed.topics.items() if world.flow.carries_topic(name)},
        copies=described,
        on_source=_ask_source(world, list(described)) if survey.is_answering else None,
        on_target_groups=world.target.groups.committed(names, world.deadline(ACT_SECONDS)),
        running=_running(world),
    )


def _ask_source(world: World, names: list[TopicName]) -> dict[TopicName, TopicDescription] | None:
    try:
        return world.source.topics.describe(names, world.deadline(ASK_SECONDS))
    except ReplicatorError:
        return None


def _running(world: World) -> tuple[str, ...] | None:
    statuses = ask_connect(world)
    if statuses is None:
        return None
    return tuple(
        name
        for name, status in sorted(statuses.items())
        if status is not None and status.is_wholly(ConnectorState.RUNNING) and (status.tasks or "checkpoint" in name)
    )


def _runway_seconds(world: World, cut: Cut) -> float | None:
    """Return in how many seconds the oldest record that is not mirrored yet is deleted by its retention.

    None: nothing waits, or what waits is kept for ever. Topics kept by size alone are left out.
    """
    waiting = {row.source: row.mirrored for row in cut.partitions if row.mirrored is not None}
    found = [left for tp, at in waiting.items() if (left := _left_seconds(world, tp, at)) is not None]
    return min(found, default=None)


def _left_seconds(world: World, tp: TopicPartition, mirrored: int) -> float | None:
    try:
        ends = world.source.positions.ends([tp], world.deadline(ASK_SECONDS))[tp]
        start = max(mirrored, ends.log_start)
        if start >= ends.last_stable:
            return None
        read = world.source.read_range(tp, start, ends.last_stable, deadline=world.deadline(ASK_SECONDS), records_max=1)
        retention = world.source.topics.configs([tp.topic], world.deadline(ASK_SECONDS))[tp.topic]["retention.ms"].value
    except (ReplicatorError, KeyError):
        return None
    if not read.records or retention is None or int(retention) < 0:
        return None
    age = world.now().timestamp() - read.records[0].timestamp_ms / 1000
    return max(0.0, int(retention) / 1000 - age)
