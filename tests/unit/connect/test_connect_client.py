"""The Connect client waits out what passes, and believes nothing it has not read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import DeadlineExceeded, NotFound, OperationFailed, PreflightBlocked
from replicator.model.connectors import ConnectorState
from replicator.model.names import TopicName, TopicPartition

Serve = Callable[[Callable[[str, str, bytes], tuple[int, bytes]]], AbstractContextManager[Any]]
ORDERS = TopicPartition(TopicName("orders"), 0)


def status_body(state: str, *tasks: str) -> bytes:
    """A status as Connect tells it."""
    told = [
        {"id": number, "state": task, "worker_id": "w", "trace": "Boom: why\n\tat" if task == "FAILED" else None}
        for number, task in enumerate(tasks)
    ]
    return json.dumps({"name": "c", "connector": {"state": state, "worker_id": "w"}, "tasks": told}).encode()


def test_a_rebalance_is_waited_out(scripted_server: Serve) -> None:
    """409 means later, not no: the call is repeated until it is taken."""
    answers = iter([(409, b'{"message": "rebalance"}'), (409, b'{"message": "rebalance"}'), (204, b"")])

    def answer(verb: str, path: str, _body: bytes) -> tuple[int, bytes]:
        return next(answers) if verb == "PUT" else (200, status_body("STOPPED"))

    with scripted_server(answer) as script, ConnectClient(script.url) as client:
        assert client.stop("c", Deadline.after(20)).is_stopped
    assert script.calls("PUT") == ["/connectors/c/stop"] * 3


def test_a_rebalance_without_end_ends_with_the_deadline(scripted_server: Serve) -> None:
    """The wait is bounded and says what kept it."""
    with (
        scripted_server(lambda *_: (409, b'{"message": "stale configuration"}')) as script,
        ConnectClient(script.url) as client,
        pytest.raises(DeadlineExceeded, match="stale configuration"),
    ):
        client.pause("c", Deadline.after(0.5))


def test_stop_returns_only_when_no_task_is_left(scripted_server: Serve) -> None:
    """204 is a promise, an empty list of tasks is the proof."""
    seen = iter([("RUNNING", "RUNNING"), ("STOPPED", "RUNNING"), ("STOPPED",)])

    def answer(verb: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        return (204, b"") if verb == "PUT" else (200, status_body(*next(seen)))

    with scripted_server(answer) as script, ConnectClient(script.url) as client:
        assert client.stop("c", Deadline.after(20)).is_stopped
    assert len(script.calls("GET")) == 3


def test_resume_waits_for_tasks(scripted_server: Serve) -> None:
    """RUNNING without tasks, and tasks not RUNNING yet, are not resumed."""
    seen = iter([("RUNNING",), ("RUNNING", "UNASSIGNED"), ("RUNNING", "RUNNING")])

    def answer(verb: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        return (202, b"") if verb == "PUT" else (200, status_body(*next(seen)))

    with scripted_server(answer) as script, ConnectClient(script.url) as client:
        status = client.resume("c", Deadline.after(20), tasks_min=1)
    assert status.is_wholly(ConnectorState.RUNNING)
    assert len(script.calls("GET")) == 3


def test_a_failed_task_is_told_with_its_reason(scripted_server: Serve) -> None:
    """Waiting for RUNNING ends at once when a task has failed."""

    def answer(verb: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        return (202, b"") if verb == "PUT" else (200, status_body("RUNNING", "RUNNING", "FAILED"))

    with (
        scripted_server(answer) as script,
        ConnectClient(script.url) as client,
        pytest.raises(OperationFailed, match="Boom: why") as error,
    ):
        client.resume("c", Deadline.after(20))
    assert "\tat" in (error.value.detail or "")


def test_positions_move_only_while_stopped(scripted_server: Serve) -> None:
    """Connect would refuse as well; we refuse before anything is sent."""
    with (
        scripted_server(lambda *_: (200, status_body("PAUSED", "PAUSED"))) as script,
        ConnectClient(script.url) as client,
        pytest.raises(PreflightBlocked, match="must be STOPPED"),
    ):
        client.set_positions("c", source_alias="east", positions={ORDERS: 5}, deadline=Deadline.after(5))
    assert script.calls("PATCH") == []


@pytest.mark.parametrize(("position", "stored"), [(42, {"offset": 41}), (1, {"offset": 0}), (0, None)])
def test_position_x_is_stored_as_x_minus_one(
    scripted_server: Serve, position: int, stored: dict[str, int] | None
) -> None:
    """Connect keeps the last mirrored offset; nothing is kept for position 0. The write is read back."""
    kept: list[dict[str, Any]] = []

    def answer(verb: str, path: str, body: bytes) -> tuple[int, bytes]:
        if verb == "PATCH":
            kept.extend(json.loads(body)["offsets"])
            return 200, b"{}"
        if path.endswith("/offsets"):
            return 200, json.dumps({"offsets": [entry for entry in kept if entry["offset"]]}).encode()
        return 200, status_body("STOPPED")

    with scripted_server(answer) as script, ConnectClient(script.url) as client:
        client.set_positions("c", source_alias="east", positions={ORDERS: position}, deadline=Deadline.after(5))
    assert kept == [{"partition": {"cluster": "east", "topic": "orders", "partition": 0}, "offset": stored}]


def test_a_position_that_reads_back_differently_is_an_error(scripted_server: Serve) -> None:
    """200 is not believed: the positions are read again."""

    def answer(_verb: str, path: str, _body: bytes) -> tuple[int, bytes]:
        return (200, b'{"offsets": []}') if path.endswith("/offsets") else (200, status_body("STOPPED"))

    with (
        scripted_server(answer) as script,
        ConnectClient(script.url) as client,
        pytest.raises(OperationFailed, match="wanted 7, reads 0"),
    ):
        client.set_positions("c", source_alias="east", positions={ORDERS: 7}, deadline=Deadline.after(5))


def test_creating_what_exists_is_refused_without_waiting(scripted_server: Serve) -> None:
    """A 409 because of the name is told apart from a 409 because of a rebalance."""

    def answer(verb: str, path: str, _body: bytes) -> tuple[int, bytes]:
        if verb == "POST":
            return 409, b'{"message": "Connector c already exists"}'
        return (200, b"{}") if path.endswith("/config") else (200, status_body("RUNNING"))

    with (
        scripted_server(answer) as script,
        ConnectClient(script.url) as client,
        pytest.raises(PreflightBlocked, match="exists already"),
    ):
        client.create("c", {"connector.class": "x"}, deadline=Deadline.after(20))
    assert len(script.calls("POST")) == 1


def test_names_cannot_leave_their_path(scripted_server: Serve) -> None:
    """A connector's name is quoted whole: it never becomes another path or query."""
    with (
        scripted_server(lambda *_: (404, b'{"message": "no"}')) as script,
        ConnectClient(script.url) as client,
        pytest.raises(NotFound),
    ):
        client.status("a/../b?x#y", Deadline.after(5))
    assert script.calls("GET") == ["/connectors/a%2F..%2Fb%3Fx%23y/status"]


def test_deleting_twice_is_no_error(scripted_server: Serve) -> None:
    """What is gone is gone."""
    with scripted_server(lambda *_: (404, b"{}")) as script, ConnectClient(script.url) as client:
        client.delete("c", Deadline.after(5))
    assert script.calls("DELETE") == ["/connectors/c"]


def test_a_restart_that_fails_again_is_told(scripted_server: Serve) -> None:
    """RUNNING for a moment is no proof: a task that falls over right afterwards fails the restart."""
    seen = iter([("RUNNING", "FAILED"), ("RUNNING", "RUNNING"), ("RUNNING", "RUNNING")])

    def answer(verb: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        return (202, b"{}") if verb == "POST" else (200, status_body(*next(seen, ("RUNNING", "FAILED"))))

    with (
        scripted_server(answer) as script,
        ConnectClient(script.url) as client,
        pytest.raises(OperationFailed, match="Boom: why"),
    ):
        client.restart_failed("c", Deadline.after(20))
    assert script.calls("POST") == ["/connectors/c/restart?includeTasks=true&onlyFailed=true"]
