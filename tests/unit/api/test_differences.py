"""What happened between two overviews, by table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from replicator.api.live import find_events
from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import FlowState
from replicator.model.names import ClusterName
from replicator.model.objectives import Verdict
from replicator.model.observations import Reachability
from replicator.model.supervision.events import Event, Severity
from replicator.model.supervision.outages import Advice, OutagePhase
from replicator.model.supervision.overview import Answer, Overview
from replicator.model.supervision.status import Drift, Restarted, Role

Made = Callable[..., Any]


@pytest.fixture
def kinds(make: Any) -> Callable[..., dict[str, Event]]:
    """Return the events between the usual overview and one whose flow has changed so."""

    def between(**changes: Any) -> dict[str, Event]:
        before = make.overview()
        after = make.overview(make.status(make.flow(**changes)))
        return {event.kind: event for event in find_events(before, after)}

    return between


def test_nothing_happened(make: Any) -> None:
    """Between two equal overviews nothing happened, whatever the time."""
    before = make.overview()
    later = make.overview(make.status(at=before.status.computed_at + timedelta(seconds=1)))
    assert find_events(before, later) == []


def test_the_first_overview_tells_the_state_found(make: Any) -> None:
    """Before the first overview there is the start, and the state each flow is found in."""
    found = [event.kind for event in find_events(None, make.overview())]
    assert found == ["supervisor_started", "flow_state_changed"]


def test_what_was_not_asked_yet_is_no_outage(make: Any) -> None:
    """A supervisor that has just started has read nobody: that is told calmly, and the first read is no recovery."""
    read = make.overview()
    start = read.status.started_at
    for last in (None, start - timedelta(hours=1)):
        unread = [
            replace(make.cluster(name, reachability=Reachability.SILENT), cause=None, last_reached_at=last)
            for name in ("east", "west")
        ]
        flow = make.flow(source=unread[0], target=unread[1], state=FlowState.UNKNOWN, cause="not read yet")
        begun = make.overview(make.status(flow))
        first = find_events(None, begun)
        assert {event.kind for event in first} == {"supervisor_started", "flow_state_changed"}
        assert {event.severity for event in first} == {Severity.INFO}
        assert [event.kind for event in find_events(begun, read)] == ["flow_state_changed"]
        silent = make.flow(
            source=make.cluster("east", reachability=Reachability.SILENT), target=unread[1], state=FlowState.UNKNOWN
        )
        (event,) = find_events(begun, make.overview(make.status(silent)))
        assert (event.severity, event.text) == (Severity.CRITICAL, "east does not answer: connection refused")


def test_another_life_is_told(make: Any) -> None:
    """A supervisor that was started again says so."""
    before = make.overview()
    after = make.overview(make.status(started_at=before.status.started_at + timedelta(minutes=1)))
    assert [event.kind for event in find_events(before, after)] == ["supervisor_started"]


def test_a_state_comes_with_its_cause_and_severity(kinds: Callable[..., dict[str, Event]]) -> None:
    """A flow that stalls is critical, and the event carries the cause."""
    event = kinds(state=FlowState.STALLED, cause="READ denied on orders")["flow_state_changed"]
    assert event.severity is Severity.CRITICAL
    assert event.text == "STALLED (was HEALTHY): READ denied on orders"


@pytest.mark.parametrize(
    ("changes", "kind", "severity"),
    [
        ({"active": ClusterName("west")}, "active_changed", Severity.WARNING),
        ({"role": Role.UNKNOWN}, "role_changed", Severity.WARNING),
        ({"role": Role.STANDBY}, "role_changed", Severity.INFO),
        ({"verdicts": (Verdict("rpo_seconds", False, "40s behind"),)}, "objective_changed", Severity.WARNING),
        ({"verdicts": (Verdict("rpo_seconds", None, "unknown"),)}, "objective_changed", Severity.WARNING),
    ],
)
def test_each_change_is_one_event(
    kinds: Callable[..., dict[str, Event]], changes: dict[str, Any], kind: str, severity: Severity
) -> None:
    """One change of a flow is one event of its kind and severity."""
    events = kinds(**changes)
    assert list(events) == [kind]
    assert events[kind].severity is severity


def test_a_failed_task_is_told_with_its_first_line(kinds: Callable[..., dict[str, Event]]) -> None:
    """A task that failed is critical and says why in one line."""
    task = TaskStatus(id=0, state=ConnectorState.FAILED, worker="w", trace="TopicAuthorizationException: no\n\tat x")
    connector = ConnectorStatus(name="orders.source", state=ConnectorState.RUNNING, worker="w", tasks=(task,))
    event = kinds(connectors=(connector,))["connector_changed"]
    assert event.severity is Severity.CRITICAL
    assert event.text == "orders.source is RUNNING, 1 of 1 tasks failed: TopicAuthorizationException: no"


def test_a_lost_cluster_is_told_before_the_state(make: Any) -> None:
    """The cause stands before its effect."""
    before = make.overview()
    lost = make.flow(source=make.lost("east"), state=FlowState.UNKNOWN, cause="east refuses")
    after = make.overview(make.status(lost))
    assert [event.kind for event in find_events(before, after)] == [
        "cluster_reachability_changed",
        "flow_state_changed",
    ]
    back = [event for event in find_events(after, before) if event.kind == "cluster_reachability_changed"]
    assert back[0].severity is Severity.INFO


def test_a_blind_collector_is_told_once(make: Any) -> None:
    """A loop that fails, goes on failing and recovers makes two events."""
    status = make.status()
    failing = replace(status.collectors[0], error="no", error_code="access.denied", errors={"access.denied": 2})
    worse = replace(failing, errors={"access.denied": 3})
    series = [make.overview(replace(status, collectors=(one,))) for one in (status.collectors[0], failing, worse)]
    series.append(series[0])
    found = [event.kind for before, after in pairwise(series) for event in find_events(before, after)]
    assert found == ["collector_failed", "collector_recovered"]


def test_new_journal_records_are_told_once(make: Any) -> None:
    """Of an operation only the records that are new since the last look make events; facts make none."""
    first = make.record("operation", "requested", number=0)
    halted = [
        first,
        make.record("survey", "done", number=1),
        make.record("cut", "fact", number=2),
        make.record("drain", "blocked", number=3, reason="lag does not fall"),
    ]
    before: Overview = make.overview(operations=(make.operation(first),))
    after: Overview = make.overview(operations=(make.operation(*halted),))
    found = find_events(before, after)
    assert [event.kind for event in found] == ["step_done", "step_blocked"]
    assert found[1].text == "drain blocked: lag does not fall"
    assert found[1].operation_id == "failover-1"
    assert find_events(after, after) == []


def test_old_operations_are_no_news(make: Any) -> None:
    """What stood in the journal when we looked first is history."""
    after = make.overview(operations=(make.operation(make.record("operation", "requested", number=0)),))
    assert not any(event.kind.startswith("operation") for event in find_events(None, after))
    assert not any(event.kind.startswith("operation") for event in find_events(make.overview(operations=None), after))


def test_a_changed_answer_says_why(make: Any) -> None:
    """When a failover no longer works the event says why not."""
    before = make.overview()
    readiness = {
        flow: replace(one, answer=Answer.NO, reasons=("the standby west refuses connections",))
        for flow, one in before.readiness.items()
    }
    events = find_events(before, replace(before, readiness=readiness))
    assert [event.text for event in events] == ["cannot fail over: the standby west refuses connections"]


def test_snapshots_taken_and_verified_are_told(make: Any) -> None:
    """A new snapshot and a new verification are one event each; a damaged one is critical."""
    after = make.overview()
    bad = replace(after.snapshots[0], is_sound=False, verified_at=after.snapshots[0].created_at)
    taken = find_events(replace(after, snapshots=()), after)
    verified = find_events(after, replace(after, snapshots=(bad,)))
    assert [event.kind for event in taken + verified] == ["snapshot_taken", "snapshot_verified"]
    assert verified[0].severity is Severity.CRITICAL


def test_drift_is_told_once_and_its_end_too(make: Any) -> None:
    """A new drift is one event, the same drift none, its end one; an unknown drift says nothing."""
    drift = Drift(kind="topic", name="orders", told="retention.ms is 1, should be 2")
    series = [
        make.overview(make.status(make.flow(drift=found))) for found in ((), (drift,), (drift,), None, (drift,), ())
    ]
    found = [event.kind for before, after in pairwise(series) for event in find_events(before, after)]
    assert found == ["drift_found", "drift_gone"]


def test_a_restart_is_told(kinds: Callable[..., dict[str, Event]]) -> None:
    """A connector that healing restarted makes an event that says how often."""
    told = kinds(restarts={Restarted("orders.source", "task"): 2})["connector_restarted"].text
    assert told == "orders.source was restarted: a task had failed (2 times since the supervisor started)"


def test_an_outage_is_told_with_its_signs_and_the_command(make: Any) -> None:
    """Each change of the phase is one fact, critical once confirmed; what did not change is told once."""
    flow = make.flow().flow
    usual = make.overview()

    def seen(phase: OutagePhase, command: str | None = None) -> Overview:
        advice = Advice(flow=flow, phase=phase, since=None, signs=("every listener refuses",), command=command)
        return replace(usual, advice={flow: advice})

    lost = seen(OutagePhase.CONFIRMED, "replicator failover orders --confirm orders")
    story = [usual, seen(OutagePhase.SUSPECTED), seen(OutagePhase.SUSPECTED), lost, seen(OutagePhase.NONE)]
    told = [[event for event in find_events(a, b) if event.kind.startswith("outage")] for a, b in pairwise(story)]
    assert [[event.kind for event in events] for events in told] == [
        ["outage_suspected"],
        [],
        ["outage_confirmed"],
        ["outage_over"],
    ]
    (event,) = told[2]
    assert event.severity is Severity.CRITICAL
    assert event.text == "every listener refuses: replicator failover orders --confirm orders"
