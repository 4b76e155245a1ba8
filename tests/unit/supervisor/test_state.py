"""The state of a flow: the first rule that applies, and the cause in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import Flow, FlowState
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName, FlowName
from replicator.model.objectives import Objectives
from replicator.model.observations import Reachability
from replicator.model.status import ClusterStatus
from replicator.supervisor.decide.state import Evidence, decide_state
from replicator.supervisor.decide.verdicts import judge_objectives

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S, C, R = FlowState, ConnectorState, Reachability
FLOW = Flow(
    name=FlowName("orders"),
    source=ClusterName("east"),
    target=ClusterName("west"),
    objectives=Objectives(rpo_seconds=30, rpo_records=1000, rto_seconds=60),
)


def lag(**changes: Any) -> FlowLag:
    base = FlowLag(
        flow=FLOW.name,
        lag_records=10,
        lag_seconds=0.5,
        rate_in=5.0,
        rate_out=5.0,
        eta_seconds=2.0,
        stalled_partitions=0,
        observed_at=NOW,
        topics=(),
    )
    return replace(base, **changes)


def cluster(name: str, reachability: Reachability = R.REACHABLE, cause: str | None = None) -> ClusterStatus:
    return ClusterStatus(
        cluster=ClusterName(name),
        cluster_id="id",
        reachability=reachability,
        observed_at=NOW,
        last_reached_at=NOW,
        unreachable_since=None,
        cause=cause,
    )


def connector(state: ConnectorState = C.RUNNING, *tasks: ConnectorState) -> ConnectorStatus:
    return ConnectorStatus(
        name="orders.source",
        state=state,
        worker="w",
        tasks=tuple(
            TaskStatus(id=n, state=task, worker="w", trace="Boom: denied\n at X" if task is C.FAILED else None)
            for n, task in enumerate(tasks)
        ),
    )


def evidence(**changes: Any) -> Evidence:
    base = Evidence(
        flow=FLOW,
        source=cluster("east"),
        target=cluster("west"),
        is_source_readable=True,
        is_target_readable=True,
        connectors=(connector(C.RUNNING, C.RUNNING, C.RUNNING),),
        connect_cause=None,
        active=ClusterName("east"),
        lag=lag(),
    )
    return replace(base, **changes)


UNREADABLE = {"is_source_readable": False, "source": cluster("east", R.SILENT)}


@pytest.mark.parametrize(
    ("changes", "state", "cause"),
    [
        ({}, S.HEALTHY, None),
        ({"connectors": (connector(C.STOPPED),)}, S.STOPPED, "orders.source is STOPPED"),
        ({"connectors": ()}, S.STOPPED, "replicator apply"),
        ({"connectors": (connector(C.PAUSED, C.PAUSED),)}, S.PAUSED, "PAUSED"),
        # Asked for comes first: a stopped flow on a silent source is stopped.
        ({"connectors": (connector(C.STOPPED),), **UNREADABLE}, S.STOPPED, "STOPPED"),
        # After a promotion the runbook stopped the flow; nobody asked.
        ({"connectors": (connector(C.STOPPED),), "active": ClusterName("west")}, S.FAILED_OVER, "west is active"),
        ({"active": ClusterName("west"), **UNREADABLE}, S.FAILED_OVER, "west is active"),
        (UNREADABLE, S.UNKNOWN, "source east does not answer"),
        (
            {"is_source_readable": False, "source": cluster("east", R.REFUSED)},
            S.UNKNOWN,
            "source east refuses every connection",
        ),
        (
            {"is_source_readable": False, "source": cluster("east", R.REACHABLE, "denied")},
            S.UNKNOWN,
            "source east answers but cannot be read: denied",
        ),
        ({"is_target_readable": False, "target": cluster("west", R.SILENT)}, S.UNKNOWN, "target west"),
        ({"connectors": None, "connect_cause": "refused"}, S.UNKNOWN, "Connect cannot be read: refused"),
        # A dead source beats a failed task: its failure is the outage's.
        ({"connectors": (connector(C.RUNNING, C.FAILED),), **UNREADABLE}, S.UNKNOWN, "source east"),
        ({"connectors": (connector(C.RUNNING, C.FAILED, C.FAILED),)}, S.FAILED, "Boom: denied"),
        ({"connectors": (connector(C.FAILED),)}, S.FAILED, "failed"),
        ({"connectors": (connector(C.RUNNING, C.RUNNING, C.FAILED),)}, S.DEGRADED, "1 of 2 tasks failed"),
        (
            {"connectors": (connector(C.RUNNING, C.RUNNING, C.FAILED),), "has_spent_restarts": True},
            S.FAILED,
            "Boom: denied",
        ),
        # RUNNING proves nothing: what does not move is stalled.
        ({"lag": lag(stalled_partitions=2), "stall_cause": "READ is denied"}, S.STALLED, "READ is denied"),
        ({"lag": lag(stalled_partitions=1)}, S.STALLED, "1 partition not mirrored"),
        ({"degradations": ("planes was re-created",)}, S.DEGRADED, "planes was re-created"),
        ({"lag": lag(lag_seconds=31.0)}, S.LAGGING, "31s behind, objective 30s"),
        ({"lag": lag(lag_records=1001)}, S.LAGGING, "1,001 records behind"),
        ({"lag": lag(lag_seconds=30.0, lag_records=1000)}, S.HEALTHY, None),
        # Unknown lag of a readable flow is not healthy by wishful thinking, but no breach either.
        ({"lag": lag(lag_seconds=None, lag_records=None, stalled_partitions=None)}, S.HEALTHY, None),
    ],
)
def test_the_first_rule_that_applies(changes: dict[str, Any], state: FlowState, cause: str | None) -> None:
    """States come in DESIGN's order, each with its cause."""
    found, told = decide_state(evidence(**changes))
    assert found is state
    assert (told is None) if cause is None else (told is not None and cause in told)


@pytest.mark.parametrize(
    ("changes", "objective", "held"),
    [
        ({}, "rpo_seconds", True),
        ({"lag_seconds": 31.0}, "rpo_seconds", False),
        ({"lag_seconds": None}, "rpo_seconds", None),
        ({"lag_records": 1001}, "rpo_records", False),
        ({"lag_records": None}, "rpo_records", None),
        ({}, "rto_seconds", None),
    ],
)
def test_verdicts(changes: dict[str, Any], objective: str, held: bool | None) -> None:
    """A promise holds, does not, or cannot be known; unknown is never held."""
    verdicts = {v.objective: v for v in judge_objectives(FLOW.objectives, lag=lag(**changes), window_seconds=12.0)}
    assert verdicts[objective].is_held is held
    assert verdicts[objective].evidence


def test_no_promise_no_verdict() -> None:
    """An objective that was not set is not judged."""
    assert judge_objectives(Objectives(), lag=lag(), window_seconds=0.0) == ()


def test_a_measured_move_judges_the_rto() -> None:
    """The recovery time is known from a move that was really made."""
    (verdict,) = judge_objectives(Objectives(rto_seconds=60), lag=lag(), window_seconds=0.0, last_rto_seconds=61.0)
    assert verdict.is_held is False
