"""A flow's status from samples: state, cause, window, verdicts, and since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.model.connectors import Connector, ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import Flow, FlowState
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName, FlowName
from replicator.model.objectives import Objectives
from replicator.model.observations import ClusterObservation, Reachability
from replicator.model.supervision.status import Role
from replicator.supervisor.decide.status import FlowView, decide_flow
from replicator.supervisor.samples import ConnectSample

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
S, R = FlowState, Reachability
FLOW = Flow(
    name=FlowName("shop"),
    source=ClusterName("east"),
    target=ClusterName("west"),
    objectives=Objectives(rpo_seconds=30, rto_seconds=60),
)
LAG = FlowLag(
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


def contact(name: str, reachability: Reachability = R.REACHABLE, *, age: float = 1.0) -> ClusterObservation:
    reached = NOW - timedelta(seconds=age)
    since = None if reachability is R.REACHABLE else reached + timedelta(seconds=1)
    return ClusterObservation(
        cluster=ClusterName(name),
        cluster_id="id",
        reachability=reachability,
        observed_at=NOW,
        last_reached_at=reached,
        unreachable_since=since,
    )


def connector(name: str, state: ConnectorState = ConnectorState.RUNNING) -> Connector:
    tasks = () if state is ConnectorState.STOPPED else (TaskStatus(id=0, state=state, worker="w"),)
    return Connector(name=name, status=ConnectorStatus(name=name, state=state, worker="w", tasks=tasks))


def connect(state: ConnectorState = ConnectorState.RUNNING, *, age: float = 1.0) -> ConnectSample:
    return ConnectSample(
        began_at=NOW - timedelta(seconds=age),
        connectors=(connector("shop.source", state), connector("shop.checkpoint", state)),
    )


def view(**changes: Any) -> FlowView:
    base = FlowView(
        flow=FLOW,
        role=Role.LEADER,
        source=contact("east"),
        source_cause=None,
        target=contact("west"),
        target_cause=None,
        connect=connect(),
        connect_cause=None,
        groups=None,
        active=ClusterName("east"),
        lag=LAG,
        heartbeat_sent_at=None,
        heartbeat_arrived_at=None,
        recorded_at=None,
    )
    return replace(base, **changes)


@pytest.mark.parametrize(
    ("changes", "state", "cause"),
    [
        ({}, S.HEALTHY, "records move"),
        ({"connect": connect(ConnectorState.STOPPED)}, S.STOPPED, "stopped"),
        ({"active": ClusterName("west"), "connect": connect(ConnectorState.STOPPED)}, S.FAILED_OVER, "west is active"),
        ({"source": contact("east", R.REFUSED, age=9)}, S.UNKNOWN, "source east refuses every connection"),
        (
            {"source": contact("east", R.SILENT, age=9), "source_cause": "timed out"},
            S.UNKNOWN,
            "source east does not answer: timed out",
        ),
        ({"source": contact("east", age=9), "source_cause": "denied"}, S.UNKNOWN, "cannot be read: denied"),
        ({"source": contact("east", age=9)}, S.UNKNOWN, "has not answered a whole read for 6 s"),
        ({"target": contact("west", R.REFUSED, age=9)}, S.UNKNOWN, "target west refuses"),
        ({"connect": connect(age=60), "connect_cause": "refused"}, S.UNKNOWN, "cannot be read: refused"),
        ({"connect": None}, S.UNKNOWN, "it has not answered yet"),
        ({"lag": replace(LAG, stalled_partitions=1), "stall_cause": "READ is denied"}, S.STALLED, "READ is denied"),
        ({"damage": ("planes was made again",)}, S.DEGRADED, "planes was made again"),
        ({"lag": replace(LAG, lag_seconds=31.0)}, S.LAGGING, "rpo_seconds"),
        ({"lag": replace(LAG, lag_records=None, lag_seconds=None)}, S.UNKNOWN, "lag is not known"),
    ],
)
def test_state_and_cause(changes: dict[str, Any], state: FlowState, cause: str) -> None:
    """The samples' ages and failures become the facts that the flow's health is decided from."""
    status = decide_flow(view(**changes), previous=None, now=NOW)
    assert status.state is state
    assert status.cause is not None
    assert cause in status.cause


def test_since_is_kept_while_the_state_lasts() -> None:
    """A flow is in its state since it entered it, not since the last look."""
    first = decide_flow(view(), previous=None, now=NOW)
    again = decide_flow(view(), previous=first, now=NOW + timedelta(seconds=1))
    assert again.since == NOW
    stalled = decide_flow(view(lag=replace(LAG, stalled_partitions=1)), previous=again, now=NOW + timedelta(seconds=2))
    assert stalled.since == NOW + timedelta(seconds=2)


@pytest.mark.parametrize(("measured", "held"), [(None, None), (59.0, True), (61.0, False)])
def test_only_a_move_that_was_made_proves_the_rto(measured: float | None, held: bool | None) -> None:
    """A promised time of recovery is unknown until a move was measured."""
    status = decide_flow(view(last_rto_seconds=measured), previous=None, now=NOW)
    verdict = next(verdict for verdict in status.verdicts if verdict.objective == "rto_seconds")
    assert verdict.is_held is held


def test_the_window_is_what_nobody_read() -> None:
    """The window ends where a refusing source can take no more, and runs on for a silent one."""
    refused = decide_flow(view(source=contact("east", R.REFUSED, age=9)), previous=None, now=NOW)
    silent = decide_flow(view(source=contact("east", R.SILENT, age=9)), previous=None, now=NOW)
    assert (refused.window_seconds, silent.window_seconds) == (1, 9)


def test_a_supervisor_that_stands_by_accuses_no_source_that_it_does_not_read() -> None:
    """The one that leads reads it: what is unknown here is no sign of anything, and no window grows."""
    seen = view(role=Role.STANDBY, source=replace(view().source, last_reached_at=None))
    status = decide_flow(seen, previous=None, now=NOW + timedelta(seconds=600))
    assert status.state is FlowState.UNKNOWN
    assert status.cause == "this supervisor stands by: the one that leads reads east"
    assert status.window_seconds is None
