"""The API of a live supervisor: who is let in, acts that really act, events that go on over a restart."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from replicator.api.client import ApiClient
from replicator.api.schema import ActRequest, OperationView, RestoreOrder
from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import AccessDenied, ConfirmationMissing, NotFound, Unreachable
from replicator.kafka import KafkaCluster
from replicator.model.cluster import Secret
from replicator.settings import load_settings

from .conftest import OPERATOR, RECORDS, VIEWER, Face, wait_until


def client_of(face: Face, token: str | None) -> ApiClient:
    """Return a client with a token, or without one."""
    reach = load_settings(face.config, face.environ).api_reach()
    secret = None if token is None else Secret("env:TEST", token)
    return ApiClient(reach.url, token=secret, ca_file=reach.ca_file, timeout_seconds=30)


def act(face: Face, name: str, **request: Any) -> OperationView:
    """Return how an act that was asked for has ended."""
    with client_of(face, OPERATOR) as client:
        begun = client.begin(name, flow=face.flow, request=ActRequest(**request))

        def ended() -> OperationView | None:
            found = client.operation(begun.id)
            return found if found.state != "running" else None

        return wait_until(ended, what=f"the end of {name}")


def states(face: Face) -> set[str]:
    """Return the states of the flow's connectors as Connect itself tells them."""
    with ConnectClient(face.lab.connect_url("west")) as connect:
        names = (f"{face.flow}.source", f"{face.flow}.checkpoint")
        return {connect.status(name, Deadline.after(30)).state.value for name in names}


def wait_for(face: Face, wanted: set[str]) -> None:
    """Return once the connectors are in this state: in a rebalance one may be UNASSIGNED for a moment."""
    wait_until(lambda: states(face) == wanted, what=f"connectors that are {wanted}")


@pytest.mark.security
def test_who_is_let_in(face: Face) -> None:
    """Without a token nobody reads, a viewer reads and does not act, and only who trusts the authority gets there."""
    with client_of(face, None) as nobody, pytest.raises(AccessDenied):
        nobody.status()
    with client_of(face, VIEWER) as viewer:
        assert viewer.session().role == "viewer"
        with pytest.raises(AccessDenied, match="403"):
            viewer.begin("pause", flow=face.flow, request=ActRequest())
    wait_for(face, {"RUNNING"})
    with client_of(face, OPERATOR) as operator:
        assert {"pause", "resume", "restart", "stop", "sync", "snapshot", "failover"} <= set(operator.session().acts)
        url = operator.url
    with ApiClient(url, token=Secret("env:TEST", VIEWER)) as distrustful, pytest.raises(Unreachable, match=r"(?i)cert"):
        distrustful.status()


@pytest.mark.security
def test_the_command_line_sends_its_token(face: Face) -> None:
    """By configuration, by option and by variable it asks the live supervisor; with a wrong token it says so and looks
    itself."""
    assert face.answer("status")["item"]["is_standalone"] is False
    assert face.answer("lag", "--token", "env:OPERATOR")["items"][0]["lag_records"] == 0
    wrong = face.run("status", "--token", "env:WRONG", "-o", "json", WRONG="not-the-token-0123456789")
    assert json.loads(wrong.stdout)["item"]["is_standalone"] is True
    assert "refuses us: 401" in wrong.stderr
    assert "not-the-token" not in wrong.stderr + wrong.stdout


def test_acts_really_act(face: Face) -> None:
    """Stop stops and resume resumes: asked of Connect itself; the act says what it saw."""
    stopped = act(face, "stop", reason="a test", idempotency_key="stop-it-once")
    assert stopped.state == "done", stopped.reason
    assert "STOPPED" in (stopped.reason or "")
    wait_for(face, {"STOPPED"})
    assert act(face, "stop", idempotency_key="stop-it-once").id == stopped.id
    assert act(face, "resume").state == "done"
    wait_for(face, {"RUNNING"})


def test_sync_and_snapshot_leave_what_they_say(face: Face) -> None:
    """The group stands on the target at or before its true place; the snapshot is in the repository, proven."""
    ended = act(face, "sync")
    assert ended.state == "done", ended.reason
    with KafkaCluster(face.lab.west) as west:
        found = west.groups.committed([face.group], Deadline.after(30))[face.group].committed
    assert len(found) == 2
    assert all(0 <= offset <= RECORDS // 4 for offset in found.values())
    taken = act(face, "snapshot")
    assert taken.state == "done", taken.reason
    (listed,) = face.answer("snapshot", "list")["items"]
    assert listed["id"] in (taken.reason or "")
    assert listed["records"] == RECORDS
    check_restore(face, listed["id"])


def check_restore(face: Face, snapshot: str) -> None:
    """A plan changes nothing, a restore under another name brings every record back, one onto records is refused."""
    again = f"{face.topic}.again"
    wanted = RestoreOrder(snapshot=snapshot, cluster="west", renames={face.topic: again}, is_dry_run=True)
    planned = act(face, "restore", restore=wanted)
    assert (planned.state, f"{RECORDS} records" in (planned.reason or "")) == ("done", True), planned.reason
    with KafkaCluster(face.lab.west) as west:
        assert again not in west.topics.names(Deadline.after(30))
        done = act(face, "restore", restore=wanted.model_copy(update={"is_dry_run": False}))
        assert done.state == "done", done.reason
        assert f"{RECORDS} written" in (done.reason or "")
        assert again in west.topics.names(Deadline.after(30))
    refused = act(face, "restore", restore=RestoreOrder(snapshot=snapshot, cluster="west"))
    assert refused.state == "failed"
    assert face.topic in (refused.reason or "")


def test_alerts_and_runbooks_are_told(face: Face) -> None:
    """A supervisor tells what holds by its own figures, and the steps of what can be asked for."""
    with client_of(face, VIEWER) as client:
        wait_until(lambda: is_looked_at(client), what="a first look at the alerts")
        assert {alert.state for alert in client.alerts()} <= {"pending", "firing"}
        assert {book.kind for book in client.runbooks()} == {"switchover", "failover", "failback", "drill"}


def is_looked_at(client: ApiClient) -> bool:
    """Whether the alerts were looked at."""
    try:
        client.alerts()
    except NotFound:
        return False
    return True


def test_a_failover_takes_the_typed_name(face: Face) -> None:
    """A severe act without the flow's name changes nothing; with it the runbook runs, and refuses a living source."""
    with client_of(face, OPERATOR) as client, pytest.raises(ConfirmationMissing):
        client.begin("failover", flow=face.flow, request=ActRequest())
    ended = act(face, "failover", confirm=face.flow)
    assert ended.state != "done"
    assert "east is alive" in (ended.reason or "")
    journaled = [one for one in face.answer("op", "list")["items"] if one["flow"] == face.flow]
    assert {one["id"] for one in journaled} <= {ended.id}
    for one in journaled:
        if one["state"] not in ("aborted", "done"):
            face.run("op", "abort", one["id"], "--yes", status=None)
    wait_for(face, {"RUNNING"})


def test_events_are_told_once_and_followed_over_a_restart(face: Face) -> None:
    """The list has what was followed; a reader whose supervisor is killed and comes back goes on, and is told what it
    cannot know."""
    listed = face.answer("events", "--limit", "2000")["items"]
    assert "supervisor_started" in {one["kind"] for one in listed}
    assert all(one["flow"] == face.flow for one in face.answer("events", "--flow", face.flow)["items"])
    command = face.command("events", "--follow", "--after", listed[-2]["id"], "-o", "jsonl", "--timeout", "180")
    reader = subprocess.Popen(command, env=face.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert reader.stdout is not None
        assert json.loads(reader.stdout.readline())["item"]["id"] == listed[-1]["id"], (
            "it begins after the one it named"
        )
        assert face.process is not None
        face.process.kill()
        face.process.wait(timeout=30)
        face.start()
        told = [json.loads(line)["item"] for line in _until(reader, "supervisor_started")]
    finally:
        reader.kill()
        _, complaints = reader.communicate(timeout=30)
    assert not {one["id"] for one in told} & {one["id"] for one in listed}, "no event is told twice"
    assert "asking again" in complaints
    assert "events were missed" in complaints


def _until(reader: subprocess.Popen[str], kind: str) -> list[str]:
    """Return the lines up to the first event of a kind; the reader's own time-out bounds the wait."""
    lines = []
    assert reader.stdout is not None
    for line in reader.stdout:
        lines.append(line)
        if json.loads(line)["item"]["kind"] == kind:
            return lines
    raise AssertionError(f"no {kind} was told: {lines}")


@pytest.mark.security
def test_an_api_that_others_see_is_refused_without_its_guard(face: Face) -> None:
    """`run` does not open an address of other machines without a token and TLS: exit 14, and it says what lacks."""
    for environ, lacking in (
        ({"REPLICATOR_SUPERVISOR__API__TOKENS": "{}"}, "a token"),
        (
            {"REPLICATOR_SUPERVISOR__API__CERTIFICATE_FILE": "null", "REPLICATOR_SUPERVISOR__API__KEY_FILE": "null"},
            "TLS",
        ),
    ):
        refused = face.run("run", status=14, REPLICATOR_SUPERVISOR__LISTEN="0.0.0.0:9108", **environ)
        assert "seen by other machines" in refused.stderr
        assert lacking in refused.stderr
