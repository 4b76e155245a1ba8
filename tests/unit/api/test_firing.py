"""The alerts as the supervisor itself follows them: pending, firing, over; and as its API tells of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from replicator.api.app import create_app
from replicator.model.flow import FlowState
from replicator.model.supervision.alerts import AlertState
from replicator.model.supervision.overview import Overview
from replicator.model.supervision.status import Restarted
from replicator.supervisor.metrics.alerts import ALERTS, firing_alerts
from replicator.supervisor.metrics.expressions import Scrape
from replicator.supervisor.metrics.firing import AlertWatch, scrape_of, seconds_of
from replicator.supervisor.metrics.render import render_metrics

NAMES = frozenset(name for alert in ALERTS for name in alert.condition.names())


def at_second(overview: Overview, second: float) -> Overview:
    """Return the overview as it would be computed so much later, its loops at work."""
    later = timedelta(seconds=second)
    status = overview.status
    loops = tuple(
        replace(one, succeeded_at=(one.succeeded_at or status.computed_at) + later) for one in status.collectors
    )
    flows = tuple(replace(flow, recorded_at=flow.recorded_at and flow.recorded_at + later) for flow in status.flows)
    return replace(
        overview, status=replace(status, computed_at=status.computed_at + later, collectors=loops, flows=flows)
    )


def look(watch: AlertWatch, overview: Overview, second: float) -> dict[str, AlertState]:
    """Return what is told after a look at an overview of that second."""
    moved = at_second(overview, second)
    return {one.name: one.state for one in watch.look(moved, now=moved.status.computed_at)}


def test_an_alert_is_pending_then_fires_then_is_over(make: Any) -> None:
    """It waits as long as its rule says, fires while the trouble lasts, and the next trouble waits again."""
    watch, stalled = AlertWatch(), make.overview(make.status(make.flow(state=FlowState.STALLED)))
    name = "ReplicatorFlowStalled"
    assert look(watch, make.overview(), 0) == {}
    assert look(watch, stalled, 1) == {name: AlertState.PENDING}
    assert look(watch, stalled, 60) == {name: AlertState.PENDING}
    assert look(watch, stalled, 61) == {name: AlertState.FIRING}
    assert look(watch, make.overview(), 62) == {}
    assert look(watch, stalled, 63) == {name: AlertState.PENDING}


def test_a_rise_is_told_for_its_window(make: Any) -> None:
    """A counter that is merely there tells nothing; a rise holds for the window of its rule, and no longer."""
    watch = AlertWatch()
    what = Restarted("orders.source", "task")
    restarts = [make.overview(make.status(make.flow(restarts={what: count}))) for count in (3, 4)]
    assert look(watch, restarts[0], 0) == {}
    assert look(watch, restarts[1], 10) == {"ReplicatorRestartLoop": AlertState.PENDING}
    assert look(watch, restarts[1], 10 + 15 * 60) == {"ReplicatorRestartLoop": AlertState.PENDING}
    assert look(watch, restarts[1], 11 + 15 * 60) == {}


def test_words_are_filled_in(make: Any) -> None:
    """Summary and next command name the flow, never a template."""
    watch = AlertWatch()
    overview = make.overview(make.status(make.flow(state=FlowState.FAILED)))
    (found,) = watch.look(overview, now=overview.status.computed_at)
    assert found.summary == "flow orders failed and its restarts are spent"
    assert "replicator flow restart orders" in found.description
    assert "$labels" not in found.description


@pytest.mark.parametrize("later_seconds", [1.0, 300.0])
def test_it_says_what_the_rules_say_of_a_scrape(make: Any, later_seconds: float) -> None:
    """The samples it reads are those a scrape holds, so that both come to the same alerts."""
    overview = make.overview(make.status(make.flow(source=make.lost("east"))))
    at = overview.status.computed_at.timestamp() + later_seconds
    ours = scrape_of(overview, names=NAMES, at=at)
    theirs = Scrape.parse(render_metrics(overview).decode(), at=at)
    assert firing_alerts(ours) == firing_alerts(theirs)
    assert {name: dict(theirs.samples[name]) for name in ours.samples} == {n: dict(v) for n, v in ours.samples.items()}


def test_every_waiting_time_of_the_rules_is_understood() -> None:
    """No rule waits in a unit that is not known here."""
    assert all(seconds_of(alert.lasting) >= 0 for alert in ALERTS)


def test_the_api_tells_of_them(stage: Any, make: Any) -> None:
    """Nothing is told before the first look; then each alert with its labels, words and state."""
    app = create_app(stage, clock=stage.clock)
    serving = app.state.serving
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.get("/v1/alerts").status_code == 404
    overview = make.overview(make.status(make.flow(state=FlowState.UNKNOWN)))
    serving.alerts.look(overview, now=overview.status.computed_at)
    (item,) = client.get("/v1/alerts").json()["items"]
    assert (item["name"], item["state"], item["labels"]["flow"]) == ("ReplicatorFlowUnknown", "pending", "orders")
    assert item["since"].endswith("Z")
