"""States of a flow: the first that applies, with its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replicator.errors import PreflightBlocked
from replicator.flow import HealthFacts, check_pausable, decide_health, find_damage, lag_verdicts
from replicator.model.connectors import Connector, ConnectorState, TaskStatus
from replicator.model.flow import Flow, FlowState
from replicator.model.lag import FlowLag, TopicLag
from replicator.model.names import FlowName, OperationId, TopicName, TopicPartition
from replicator.model.objectives import Objectives
from replicator.model.observations import PartitionEnds

P0 = TopicPartition(TopicName("orders"), 0)
ORDERS = TopicLag(
    topic=P0.topic,
    lag_records=0,
    lag_seconds=0.0,
    rate_in=None,
    rate_out=None,
    eta_seconds=None,
    stalled_partitions=0,
    observed_at=None,
    partitions=(),
)


def lag(records: int | None = 0, seconds: float | None = 0.0, *, stalled: int | None = 0) -> FlowLag:
    """A flow's lag."""
    return FlowLag(
        flow=FlowName("shop"),
        lag_records=records,
        lag_seconds=seconds,
        rate_in=None,
        rate_out=None,
        eta_seconds=None,
        stalled_partitions=stalled,
        observed_at=None,
        topics=(ORDERS,),
    )


@pytest.fixture
def promised(flow_of: Callable[..., Flow]) -> Flow:
    """A flow that promises ten seconds."""
    return flow_of(objectives=Objectives(rpo_seconds=10, rpo_records=1000))


@pytest.fixture
def running(connector_of: Callable[..., Connector]) -> dict[str, Connector]:
    """Both connectors RUNNING."""
    return {name: connector_of(name, {}) for name in ("shop.source", "shop.checkpoint")}


def failed(connector: Connector) -> Connector:
    """The connector with one failed task."""
    assert connector.status is not None
    task = TaskStatus(id=1, state=ConnectorState.FAILED, worker="w", trace="Denied: orders\n\tat")
    return replace(connector, status=replace(connector.status, tasks=(*connector.status.tasks, task)))


@pytest.mark.parametrize(("seconds", "is_held"), [(3.0, None), (11.0, False)])
def test_a_lag_that_may_be_longer_keeps_no_promise(promised: Flow, seconds: float, is_held: bool | None) -> None:
    """At least three seconds may be an hour: unknown; at least eleven are more than ten whatever they are."""
    verdict, _ = lag_verdicts(promised, replace(lag(5, seconds), is_seconds_minimum=True))
    assert (verdict.objective, verdict.is_held) == ("rpo_seconds", is_held)


@pytest.mark.parametrize(
    ("changes", "state", "cause"),
    [
        ({}, FlowState.HEALTHY, "move"),
        ({"lag": lag(5, 11.0)}, FlowState.LAGGING, "rpo_seconds is broken: lag_seconds is 11, promised is 10"),
        ({"lag": lag(1001, 1.0)}, FlowState.LAGGING, "rpo_records"),
        ({"lag": lag(5, 11.0, stalled=1)}, FlowState.STALLED, "1 partition has"),
        ({"lag": lag(5, 1.0, stalled=1), "stall_cause": "READ denied"}, FlowState.STALLED, "READ denied"),
        ({"damage": ("orders: gap",), "lag": lag(5, 11.0)}, FlowState.DEGRADED, "orders: gap"),
        ({"source_cause": "east is away"}, FlowState.UNKNOWN, "east is away"),
        ({"source_cause": "east is away", "lag": lag(5, 1, stalled=2)}, FlowState.UNKNOWN, "east is away"),
        ({"target_cause": "west is away"}, FlowState.UNKNOWN, "west is away"),
        ({"connectors": None, "connect_cause": "no REST"}, FlowState.UNKNOWN, "no REST"),
        ({"lag": None}, FlowState.UNKNOWN, "not known yet"),
        ({"lag": replace(lag(), topics=())}, FlowState.HEALTHY, "no topic on east matches its selection yet"),
        ({"lag": lag(None, None, stalled=None)}, FlowState.UNKNOWN, "not known yet"),
        ({"lag": lag(None, None, stalled=None), "damage": ("truncated",)}, FlowState.DEGRADED, "truncated"),
        ({"is_failed_over": True, "source_cause": "east is away"}, FlowState.FAILED_OVER, "west is active"),
        ({"is_failed_over": True, "connectors": None}, FlowState.FAILED_OVER, "west is active"),
        ({"connectors": {}}, FlowState.STOPPED, "replicator apply shop"),
    ],
)
def test_states_by_table(
    promised: Flow, running: dict[str, Connector], changes: dict[str, Any], state: FlowState, cause: str
) -> None:
    """RUNNING connectors alone never make a flow HEALTHY."""
    facts = replace(HealthFacts(connectors=running, lag=lag()), **changes)
    found = decide_health(promised, facts)
    assert found.state is state
    assert cause in found.cause


def test_asked_states_come_first(promised: Flow, connector_of: Callable[..., Connector]) -> None:
    """What somebody asked for is no fault, whatever else is wrong."""
    for word, state in (("PAUSED", FlowState.PAUSED), ("STOPPED", FlowState.STOPPED)):
        connectors = {name: connector_of(name, {}, word) for name in ("shop.source", "shop.checkpoint")}
        facts = HealthFacts(connectors=connectors, source_cause="east is away", lag=lag(9, 99, stalled=3))
        assert decide_health(promised, facts).state is state


def test_a_failover_stops_connectors_but_the_flow_failed_over(
    promised: Flow, connector_of: Callable[..., Connector]
) -> None:
    """STOPPED by an operation reads FAILED_OVER; STOPPED by `flow stop` reads STOPPED even then."""
    connectors = {"shop.source": connector_of("shop.source", {}, "STOPPED")}
    facts = HealthFacts(connectors=connectors, is_failed_over=True)
    assert decide_health(promised, facts).state is FlowState.FAILED_OVER
    asked = {"shop.source": connector_of("shop.source", {"replicator.asked": "stopped"}, "STOPPED")}
    assert decide_health(promised, replace(facts, connectors=asked)).state is FlowState.STOPPED


def test_failed_tasks_are_failed_once_nobody_restarts_them(promised: Flow, running: dict[str, Connector]) -> None:
    """While the budget lasts a failed task is DEGRADED, then FAILED; its trace's first line is the cause."""
    running["shop.source"] = failed(running["shop.source"])
    facts = HealthFacts(connectors=running, lag=lag(), is_budget_spent=False)
    assert decide_health(promised, facts).state is FlowState.DEGRADED
    spent = decide_health(promised, replace(facts, is_budget_spent=True))
    assert (spent.state, spent.cause) == (FlowState.FAILED, "shop.source: Denied: orders")


def test_a_checkpoint_connector_that_does_not_run_degrades(
    promised: Flow, running: dict[str, Connector], connector_of: Callable[..., Connector]
) -> None:
    """Missing or stopped checkpoints are told."""
    missing = {"shop.source": running["shop.source"]}
    assert "missing" in decide_health(promised, HealthFacts(connectors=missing, lag=lag())).cause
    stopped = {**running, "shop.checkpoint": connector_of("shop.checkpoint", {}, "STOPPED")}
    assert decide_health(promised, HealthFacts(connectors=stopped, lag=lag())).state is FlowState.DEGRADED


def test_verdicts_are_unknown_when_lag_is(promised: Flow, running: dict[str, Connector]) -> None:
    """An objective nobody could check is neither held nor broken."""
    verdicts = decide_health(promised, HealthFacts(connectors=running, lag=None)).verdicts
    assert [verdict.is_held for verdict in verdicts] == [None, None]
    held = decide_health(promised, HealthFacts(connectors=running, lag=lag(3, 2.0))).verdicts
    assert [verdict.is_held for verdict in held] == [True, True]


@pytest.mark.parametrize(
    ("position", "log_start", "end", "topic_id", "told"),
    [
        (5, 0, 9, "a", None),
        (5, 5, 9, "a", None),
        (5, 7, 9, "a", "offsets 5 to 6 were deleted before they were mirrored"),
        (10, 0, 9, "a", "below the mirrored position 10"),
        (5, 0, 9, "b", "made again on the source"),
    ],
)
def test_damage_by_table(position: int, log_start: int, end: int, topic_id: str, told: str | None) -> None:
    """What MM2 passes over in silence is found by comparing offsets and topic ids."""
    damage = find_damage(
        ends={P0: PartitionEnds(partition=0, log_start=log_start, last_stable=end, end=end)},
        positions={P0: position},
        topic_ids={P0.topic: topic_id},
        known_ids={P0.topic: "a"},
    )
    assert len(damage) == (0 if told is None else 1)
    if told is not None:
        assert told in damage[0]


def test_a_flow_that_an_operation_stopped_says_which(promised: Flow, connector_of: Callable[..., Connector]) -> None:
    """While a runbook is open its id is the cause, not somebody unknown."""
    connectors = {"shop.source": connector_of("shop.source", {}, "STOPPED")}
    alone = decide_health(promised, HealthFacts(connectors=connectors))
    assert alone.cause == "stopped, though not by `flow stop`"
    found = decide_health(promised, HealthFacts(connectors=connectors, operation_id=OperationId("op-7")))
    assert (found.state, found.cause) == (FlowState.STOPPED, "stopped by operation op-7, which is open")


def test_one_partition_is_one(promised: Flow, running: dict[str, Connector]) -> None:
    """A stall of a single partition is told in the singular."""
    found = decide_health(promised, HealthFacts(connectors=running, lag=lag(9, 99, stalled=1)))
    assert found.cause == "1 partition has records to mirror and stands still"


@pytest.mark.parametrize(("state", "is_refused"), [("STOPPED", True), ("RUNNING", False), ("PAUSED", False)])
def test_a_stopped_flow_cannot_be_paused(
    promised: Flow, connector_of: Callable[..., Connector], state: str, is_refused: bool
) -> None:
    """Asked to pause what is stopped, we refuse: nothing would be paused, and done means done."""
    found = (connector_of("shop.source", {}, state), connector_of("shop.checkpoint", {}, state))
    if not is_refused:
        check_pausable(promised, found)
        return
    with pytest.raises(PreflightBlocked, match=r"shop\.source is STOPPED") as caught:
        check_pausable(promised, found)
    assert caught.value.hint == "replicator flow show shop"
