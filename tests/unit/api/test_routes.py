"""Every route over a fixed overview: what it answers, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from replicator.api.app import create_app
from replicator.model.flow import FlowState
from replicator.model.names import ClusterName

GETS = (
    "/v1/session",
    "/v1/status",
    "/v1/flows",
    "/v1/flows/orders",
    "/v1/flows/orders/lag",
    "/v1/flows/orders/history",
    "/v1/groups",
    "/v1/flows/orders/groups/billing",
    "/v1/operations",
    "/v1/snapshots",
    "/v1/schedules",
    "/v1/events",
)


@pytest.mark.parametrize("path", GETS)
def test_every_answer_is_an_envelope(client: TestClient, path: str) -> None:
    """Each route answers the envelope of v1, and nobody may keep the answer."""
    response = client.get(path)
    assert response.status_code == 200
    body = response.json()
    assert body["apiVersion"] == "replicator/v1"
    assert ("item" in body) != ("items" in body)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/flows/nothing",
        "/v1/flows/nothing/lag",
        "/v1/flows/nothing/history",
        "/v1/groups?flow=nothing",
        "/v1/flows/orders/groups/nothing",
        "/v1/operations/nothing",
        "/v1/nothing",
        "/v1/flows/orders/active?cluster=north",
    ],
)
def test_what_is_not_there_is_404_in_our_words(client: TestClient, path: str) -> None:
    """A name that does not exist is answered with the error's reason and a hint."""
    response = client.get(path)
    body = response.json()
    assert (response.status_code, body["kind"], body["reason"]) == (404, "Error", "not_found")
    assert body["code"] == 10
    assert body["hint"]


@pytest.mark.parametrize(
    "path", ["/v1/groups?limit=0", "/v1/groups?limit=x", "/v1/flows/orders/history?window_seconds=1"]
)
def test_what_cannot_be_meant_is_400(client: TestClient, path: str) -> None:
    """A parameter out of its range is refused, by name."""
    response = client.get(path)
    assert (response.status_code, response.json()["reason"]) == (400, "usage")
    assert "query." in response.json()["message"]


@pytest.mark.parametrize(
    ("active", "cluster", "status"),
    [("east", "east", 200), ("east", "west", 503), ("west", "west", 200), ("west", "east", 503)],
)
def test_active_is_a_status_code(
    client: TestClient, stage: Any, make: Any, active: str, cluster: str, status: int
) -> None:
    """200 for the active cluster, 503 for the other: what a load balancer understands."""
    stage.set(make.status(make.flow(active=ClusterName(active))))
    stage.look()
    response = client.get(f"/v1/flows/orders/active?cluster={cluster}")
    assert response.status_code == status
    assert response.json()["item"]["active"] == active


def test_active_is_not_told_from_an_old_status(client: TestClient, stage: Any) -> None:
    """When the supervisor stands still nobody can say which cluster is active: 503 for both."""
    assert client.get("/v1/flows/orders/active?cluster=east").status_code == 200
    stage.clock.seconds += 31
    assert client.get("/v1/flows/orders/active?cluster=east").status_code == 503
    assert client.get("/v1/flows/orders/active?cluster=west").status_code == 503


def test_alive_means_a_fresh_status(client: TestClient, stage: Any) -> None:
    """A status that grows old makes the supervisor dead, whatever it says."""
    assert client.get("/livez").status_code == 200
    stage.clock.seconds += 11
    assert client.get("/livez").status_code == 503
    assert client.get("/readyz").status_code == 503


def test_alive_through_an_outage(client: TestClient, stage: Any, make: Any) -> None:
    """Neither probe asks whether Kafka answers: an outage must not restart what handles it."""
    stage.set(make.status(make.flow(source=make.lost("east"), target=make.lost("west"), state=FlowState.UNKNOWN)))
    stage.look()
    assert client.get("/v1/flows/orders").json()["item"]["state"] == "UNKNOWN"
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_ready_means_that_every_loop_has_run(stage: Any, make: Any) -> None:
    """Until each loop has run once the supervisor is alive and not ready, and says which loop is missing."""
    status = make.status()
    waiting = replace(status.collectors[0], steps_total=0)
    stage.now = make.overview(replace(status, collectors=(waiting,)))
    with TestClient(create_app(stage, clock=stage.clock), base_url="http://127.0.0.1") as client:
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "source:orders" in ready.json()["reason"]


def test_unknown_travels_as_null(client: TestClient, stage: Any, make: Any) -> None:
    """Lag that nobody read is null, never 0."""
    stage.set(make.status(make.flow(lag=make.lag(records=None, seconds=None))))
    stage.look()
    lag = client.get("/v1/flows/orders").json()["item"]["lag"]
    assert lag["lag_records"] is None
    assert lag["lag_seconds"] is None


def test_what_is_not_observed_is_said(client: TestClient, stage: Any) -> None:
    """A part that this supervisor does not observe is refused with the reason, never shown as empty."""
    stage.set(groups=None, snapshots=None, schedules=None)
    stage.look()
    for path in ("/v1/groups", "/v1/snapshots", "/v1/schedules"):
        assert client.get(path).status_code == 404
    assert client.get("/v1/status").json()["item"]["flows"][0]["groups"] is None


def test_lag_travels_with_partitions_only_when_asked(client: TestClient) -> None:
    """Ten thousand partitions travel to those who want them."""
    bare = client.get("/v1/flows/orders/lag").json()["item"]["topics"][0]
    whole = client.get("/v1/flows/orders/lag?partitions=true").json()["item"]["topics"][0]
    assert (bare["partitions"], bare["partitions_total"]) == ([], 1)
    assert whole["partitions"][0]["mirrored_position"] == 1000


def test_history_grows_with_time(client: TestClient, stage: Any) -> None:
    """Statuses become points that can be asked for."""
    for _ in range(12):
        stage.set()
        stage.look()
    points = client.get("/v1/flows/orders/history?window_seconds=60").json()["item"]["points"]
    assert len(points) == 3
    assert {point["lag_seconds"] for point in points} == {0.8}


def test_hostile_names_leave_as_plain_ascii(client: TestClient, stage: Any, make: Any) -> None:
    """Whatever a group is called, the answer holds no character a terminal obeys, and the name survives."""
    hostile = "\x1b]52;c;ZXZpbA==\x07[red]orders\u202e\n\x9b31m"
    stage.set(groups={"orders": (make.group(hostile),)})
    stage.look()
    response = client.get("/v1/groups?flow=orders")
    assert all(0x20 <= byte < 0x7F for byte in response.content)
    assert response.json()["items"][0]["group"] == hostile


def test_an_operation_is_its_whole_runbook(client: TestClient, stage: Any, make: Any) -> None:
    """Steps that were done, the one that runs, and those still to come are told with their findings."""
    records = [
        make.record("operation", "requested", number=0),
        make.record("hold_lease", "intent", number=1),
        make.record("hold_lease", "done", number=2, evidence={"epoch": 7}),
        make.record("survey", "intent", number=3),
    ]
    stage.set(operations=(make.operation(*records),))
    stage.look()
    item = client.get("/v1/operations/failover-1").json()["item"]
    states = {step["name"]: step["state"] for step in item["steps"]}
    assert list(states)[:3] == ["hold_lease", "survey", "fence_source"]
    assert (states["hold_lease"], states["survey"], states["promote"]) == ("done", "running", "pending")
    assert item["steps"][0]["finding"] == "epoch 7"
    assert [step["name"] for step in item["steps"] if step["is_point_of_no_return"]] == ["promote"]


def test_get_changes_nothing(client: TestClient) -> None:
    """No route that acts answers to GET, and no method but GET and POST is served."""
    assert client.get("/v1/flows/orders/pause").status_code in (404, 405)
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        assert client.request(method, "/v1/flows/orders").status_code == 405


def test_the_schema_is_served_and_no_page_is(client: TestClient) -> None:
    """OpenAPI is there for programs; nothing serves a page that loads somebody's scripts."""
    paths = client.get("/openapi.json").json()["paths"]
    assert "/v1/flows/{flow}/active" in paths
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_a_fault_of_ours_shows_no_inside(stage: Any) -> None:
    """An unexpected fault is answered in our words, without a traceback."""
    app = create_app(stage, clock=stage.clock)
    app.state.serving.feed.history.slice = None
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        response = client.get("/v1/flows/orders/history")
    assert response.status_code == 500
    assert response.json()["kind"] == "Error"
    assert "Traceback" not in response.text


def test_every_runbook_is_told_before_it_is_asked_for(stage: Any) -> None:
    """Each kind of operation has its steps with their words, and a move exactly one point of no return."""
    client = TestClient(create_app(stage, clock=stage.clock), base_url="http://127.0.0.1")
    told = {item["kind"]: item["steps"] for item in client.get("/v1/runbooks").json()["items"]}
    assert set(told) == {"switchover", "failover", "failback", "drill"}
    assert [step["name"] for step in told["failover"]][:2] == ["hold_lease", "survey"]
    assert all(step["says"] for steps in told.values() for step in steps)
    for kind in ("switchover", "failover", "failback"):
        assert [step["name"] for step in told[kind] if step["is_point_of_no_return"]] == ["promote"]


def test_answers_are_counted_by_route(client: TestClient) -> None:
    """Paths are anybody's words: what no route takes is one series, and a flow's name is none."""
    for path in ("/v1/flows/orders", "/v1/flows/orders", "/v1/flows/none", "/nowhere", "/nowhere/else"):
        client.get(path)
    served = client.get("/metrics").text
    assert 'replicator_http_requests_total{code="200",route="/v1/flows/{flow}"} 2.0' in served
    assert 'replicator_http_requests_total{code="404",route="/v1/flows/{flow}"} 1.0' in served
    assert 'replicator_http_requests_total{code="404",route="other"} 2.0' in served
    assert "nowhere" not in served
