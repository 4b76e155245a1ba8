"""What every request passes first, on the whole application: tokens, web pages, rate, size, depth; and the acts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from replicator.api.acting import Act, Order
from replicator.api.app import create_app
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import NotFound, OutcomeUnknown

VIEWER = {"Authorization": "Bearer viewer-token-0123456789"}
OPERATOR = {"Authorization": "Bearer operator-token-0123456789"}
PAUSE = "/v1/flows/orders/pause"


class Acts:
    """Acts that wait until a test lets them go, and note what they were asked."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.go = threading.Event()
        self.error: Exception | None = None

    def pause(self, order: Order, deadline: Deadline) -> str:
        """Wait, then end as the test wants it."""
        self.orders.append(order)
        assert self.go.wait(deadline.left)
        if self.error is not None:
            raise self.error
        return "both connectors are PAUSED"

    def table(self) -> dict[str, Act]:
        """Return a moderate and a severe act."""
        return {
            "pause": Act(name="pause", run=self.pause, budget_seconds=20),
            "failover": Act(name="failover", run=self.pause, is_severe=True, budget_seconds=20),
        }


@pytest.fixture
def acts() -> Iterator[Acts]:
    """Acts under the test's hand."""
    made = Acts()
    yield made
    made.go.set()


@pytest.fixture
def guarded(stage: Any, rules: Any, acts: Acts) -> Iterator[TestClient]:
    """The application with a viewer and an operator."""
    stage.app = create_app(stage, rules=rules, acts=acts.table(), clock=stage.clock)
    with TestClient(stage.app, base_url="http://127.0.0.1:9108", raise_server_exceptions=False) as client:
        yield client


def wait_until(is_true: Callable[[], bool]) -> None:
    """Return once it is true; fail after 10 seconds."""
    deadline = Deadline.after(10)
    while not is_true():
        assert not deadline.is_over, "it never became true"
        SYSTEM_CLOCK.sleep(0.01)


def end_of(client: TestClient, operation_id: str) -> dict[str, Any]:
    """Return the operation once it has ended."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(client.get(f"/v1/operations/{operation_id}", headers=OPERATOR).json()["item"])
        return found["state"] != "running"

    wait_until(has_ended)
    return found


@pytest.mark.security
@pytest.mark.parametrize("path", ["/v1/status", "/v1/events", "/metrics", "/openapi.json", "/v1/nothing", "/"])
def test_nothing_is_told_without_a_token(guarded: TestClient, path: str) -> None:
    """Where tokens are configured, only the probes answer without one; what exists is not told either."""
    response = guarded.get(path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/livez").status_code == 200
    assert guarded.get(path, headers=VIEWER).status_code in (200, 404)


@pytest.mark.security
def test_a_viewer_may_not_act(guarded: TestClient, acts: Acts) -> None:
    """A viewer's POST is refused before anything is looked at; so is one without a token."""
    assert guarded.post(PAUSE, headers=VIEWER).status_code == 403
    assert guarded.post(PAUSE).status_code == 401
    assert acts.orders == []
    assert guarded.get("/v1/session", headers=VIEWER).json()["item"]["acts"] == []


def test_an_operator_acts_and_gets_an_operation(guarded: TestClient, acts: Acts) -> None:
    """A POST answers the operation at once; asked again it is running, then done with what it found."""
    assert guarded.get("/v1/session", headers=OPERATOR).json()["item"]["acts"] == ["pause", "failover"]
    response = guarded.post(PAUSE, headers=OPERATOR, json={"reason": "maintenance"})
    assert response.status_code == 202
    begun = response.json()["item"]
    assert (begun["state"], begun["actor"], begun["kind"]) == ("running", "api:kim", "pause")
    acts.go.set()
    ended = end_of(guarded, begun["id"])
    assert (ended["state"], ended["reason"]) == ("done", "both connectors are PAUSED")
    assert acts.orders[0].reason == "maintenance"
    assert acts.orders[0].operation_id == begun["id"]


def test_an_order_to_restore_reaches_its_act_whole(guarded: TestClient, acts: Acts) -> None:
    """What a restore is to bring back arrives as it was asked for; what no restore holds is refused."""
    wanted = {"snapshot": "latest", "cluster": "west", "renames": {"a": "b"}, "is_dry_run": True}
    wanted |= {"offsets": "exact", "acls": "apply", "prefix": "p.", "until": "2026-11-20T08:00:00Z", "partitions": "0"}
    assert guarded.post(PAUSE, headers=OPERATOR, json={"restore": wanted | {"x": 1}}).status_code == 400
    assert guarded.post(PAUSE, headers=OPERATOR, json={"restore": wanted | {"topics": []}}).status_code == 400
    assert guarded.post(PAUSE, headers=OPERATOR, json={"restore": wanted | {"offsets": "about"}}).status_code == 400
    assert acts.orders == []
    assert guarded.post(PAUSE, headers=OPERATOR, json={"restore": wanted}).status_code == 202
    wait_until(lambda: len(acts.orders) == 1)
    assert acts.orders[0].restore is not None
    assert acts.orders[0].restore.model_dump(exclude_defaults=True) == wanted
    assert (acts.orders[0].restore.topics, acts.orders[0].restore.groups) == (("*",), ())
    acts.go.set()


def test_the_same_key_never_acts_twice(guarded: TestClient, acts: Acts) -> None:
    """A repeated POST with its key answers the same operation; another caller's key is its own."""
    body = {"idempotency_key": "11111111"}
    first = guarded.post(PAUSE, headers=OPERATOR, json=body).json()["item"]["id"]
    assert guarded.post(PAUSE, headers=OPERATOR, json=body).json()["item"]["id"] == first
    acts.go.set()
    end_of(guarded, first)
    assert guarded.post(PAUSE, headers=OPERATOR, json=body).json()["item"]["id"] == first
    assert len(acts.orders) == 1


def test_one_act_at_a_time_on_a_flow(guarded: TestClient) -> None:
    """While an act runs on a flow another is refused, and the refusal names the one that runs."""
    first = guarded.post(PAUSE, headers=OPERATOR).json()["item"]["id"]
    second = guarded.post(PAUSE, headers=OPERATOR)
    assert second.status_code == 409
    assert second.json()["reason"] == "lease.held"
    assert second.json()["operation_id"] == first


@pytest.mark.parametrize("confirm", [None, "", "order", "ORDERS", "orders "])
def test_a_severe_act_needs_its_typed_name(guarded: TestClient, acts: Acts, confirm: str | None) -> None:
    """Anything but the flow's exact name is refused before anything is begun."""
    body = {} if confirm is None else {"confirm": confirm}
    response = guarded.post("/v1/flows/orders/failover", headers=OPERATOR, json=body)
    assert (response.status_code, response.json()["reason"]) == (409, "confirmation.missing")
    assert acts.orders == []


def test_a_severe_act_with_its_name_begins(guarded: TestClient, acts: Acts) -> None:
    """The exact name begins it, with the risks that were accepted."""
    body = {"confirm": "orders", "accept": ["loss"]}
    assert guarded.post("/v1/flows/orders/failover", headers=OPERATOR, json=body).status_code == 202
    wait_until(lambda: len(acts.orders) == 1)
    assert acts.orders[0].accept == ("loss",)


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (
            NotFound("the flow was never applied", hint="replicator apply"),
            "failed",
            "not_found: the flow was never applied",
        ),
        (OutcomeUnknown("contact was lost"), "unknown", "contact was lost"),
        (RuntimeError("secret inside"), "failed", "unexpected RuntimeError"),
    ],
)
def test_an_act_that_fails_says_how(guarded: TestClient, acts: Acts, error: Exception, state: str, told: str) -> None:
    """What went wrong ends up in the operation: our errors with their code, a fault of ours without its inside."""
    acts.error = error
    acts.go.set()
    begun = guarded.post(PAUSE, headers=OPERATOR).json()["item"]
    ended = end_of(guarded, begun["id"])
    assert (ended["state"], ended["reason"]) == (state, told)


def test_acts_and_flows_that_do_not_exist(guarded: TestClient) -> None:
    """An act that is not offered and a flow that is not there are 404 with what there is."""
    assert "pause, failover" in guarded.post("/v1/flows/orders/erase", headers=OPERATOR).json()["hint"]
    assert guarded.post("/v1/flows/other/pause", headers=OPERATOR).status_code == 404


@pytest.mark.security
@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403)],
)
def test_browsers_led_here_are_refused(guarded: TestClient, acts: Acts, headers: dict[str, str], status: int) -> None:
    """A foreign Host is 421, an Origin is 403, with a good token too; no answer ever allows another origin."""
    for method in ("GET", "POST"):
        response = guarded.request(method, PAUSE if method == "POST" else "/v1/status", headers=OPERATOR | headers)
        assert response.status_code == status
        assert not any(name.startswith("access-control") for name in response.headers)
        assert "set-cookie" not in response.headers
    assert acts.orders == []


@pytest.mark.security
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 1_048_576, 413),
        (b'{"reason": "' + b"x" * 70_000 + b'"}', 413),
        (b"[" * 60_000, 400),
        (b'{"a":' * 12_000, 400),
        (b"not json", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"unknown": 1}', 400),
        (b'{"accept": ["everything"]}', 400),
        (b'{"idempotency_key": "short"}', 400),
    ],
)
def test_bodies_that_are_refused(guarded: TestClient, acts: Acts, body: bytes, status: int) -> None:
    """A body too large, too deep, no JSON object, or with a key we do not know begins nothing."""
    response = guarded.post(PAUSE, headers=OPERATOR | {"Content-Type": "application/json"}, content=body)
    assert response.status_code == status
    assert response.json()["kind"] == "Error"
    assert acts.orders == []


@pytest.mark.security
def test_a_body_without_a_length_is_measured_too(guarded: TestClient) -> None:
    """A body in pieces is cut off at the limit, whatever was announced."""
    pieces = (b"x" * 10_000 for _ in range(200))
    assert guarded.post(PAUSE, headers=OPERATOR, content=pieces).status_code == 413


@pytest.mark.security
def test_too_many_requests_are_refused_and_let_in_again(guarded: TestClient, stage: Any) -> None:
    """A hundred at once are answered, the next is not, and a second later a hundred more are."""
    answers = [guarded.get("/v1/session", headers=VIEWER).status_code for _ in range(101)]
    assert answers == [200] * 100 + [429]
    assert guarded.get("/v1/session", headers=OPERATOR).status_code == 200
    stage.clock.seconds += 1.0
    assert guarded.get("/v1/session", headers=VIEWER).status_code == 200


@pytest.mark.security
def test_guessing_is_slowed_down(guarded: TestClient) -> None:
    """Wrong tokens share one budget, so that guessing is not faster than asking."""
    answers = [guarded.get("/v1/session", headers={"Authorization": f"Bearer {n:030}"}).status_code for n in range(120)]
    assert answers[:100] == [401] * 100
    assert set(answers[100:]) == {429}


@pytest.mark.security
def test_no_token_appears_in_any_answer(guarded: TestClient) -> None:
    """Neither an answer nor a refusal repeats a token."""
    for headers in (VIEWER, OPERATOR, {"Authorization": "Bearer wrong-token-0123456789"}):
        for path in ("/v1/session", "/v1/status", "/metrics", "/openapi.json"):
            assert "token-0123456789" not in guarded.get(path, headers=headers).text
