"""The server itself on loopback, asked by our own client: streams, resuming, slow callers, TLS, the end."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from replicator.api import server as server_module
from replicator.api.access import AccessRules
from replicator.api.acting import Act
from replicator.api.app import create_app
from replicator.api.client import ApiClient, Told
from replicator.api.schema import ActRequest, EventView, MissedView, OperationView, StatusView
from replicator.api.server import ApiServer, Certificate, serve
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import AccessDenied, ConfigInvalid, ConfirmationMissing, DataCorrupt, NotFound, Unreachable
from replicator.model.cluster import Secret
from replicator.model.flow import FlowState

ANY_PORT = "127.0.0.1:0"
OPERATOR = Secret("env:O", "operator-token-0123456789")

Started = Callable[..., ApiServer]


@pytest.fixture
def start(stage: Any) -> Iterator[Started]:
    """Starts servers over the stage; all have ended when the test has."""
    running: list[ApiServer] = []

    def start_one(*, certificate: Certificate | None = None, listen: str = ANY_PORT, **options: Any) -> ApiServer:
        app = create_app(stage, clock=stage.clock, **options)
        stage.app = app
        running.append(serve(app, listen, certificate=certificate))
        return running[-1]

    yield start_one
    assert all(server.stop(Deadline.after(5)) for server in running)


def take(told: Iterator[Told], *, until: Callable[[Told], bool], at_most: int = 50) -> list[Told]:
    """Return what is told up to the first that is meant."""
    taken: list[Told] = []
    for one in told:
        taken.append(one)
        if until(one):
            return taken
        assert len(taken) < at_most, taken
    raise AssertionError("the stream ended")


def is_state(state: FlowState) -> Callable[[Told], bool]:
    """Whether it is a status in which the flow is in this state."""
    return lambda told: isinstance(told, StatusView) and told.flows[0].state == state.value


def test_a_reader_is_told_what_happens(start: Started, stage: Any, make: Any) -> None:
    """A new reader gets what is kept and the status, and then each change as it comes."""
    client = ApiClient(start().url)
    with client.follow() as told:
        first = take(told, until=is_state(FlowState.HEALTHY))
        assert [one.kind for one in first if isinstance(one, EventView)] == ["supervisor_started", "flow_state_changed"]
        stage.set(make.status(make.flow(state=FlowState.STALLED, cause="READ denied")))
        then = take(told, until=is_state(FlowState.STALLED))
    assert [one.text for one in then if isinstance(one, EventView)] == ["STALLED (was HEALTHY): READ denied"]


def test_a_reader_resumes_without_loss_or_repeat(start: Started, stage: Any, make: Any) -> None:
    """A reader that comes back with its last id gets exactly the facts it was not told of."""
    client = ApiClient(start(life="aa").url)
    with client.follow() as told:
        seen = [one for one in take(told, until=is_state(FlowState.HEALTHY)) if isinstance(one, EventView)]
    for state in (FlowState.LAGGING, FlowState.STALLED):
        stage.set(make.status(make.flow(state=state)))
        stage.look()
    with client.follow(last_event_id=seen[-1].id) as told:
        missed = [one for one in take(told, until=is_state(FlowState.STALLED)) if isinstance(one, EventView)]
    assert [one.id for one in missed] == ["aa-3", "aa-4"]
    assert [one.text for one in missed] == ["LAGGING (was HEALTHY)", "STALLED (was LAGGING)"]


def test_a_reader_of_another_life_is_told_so(start: Started) -> None:
    """Whoever resumes from a supervisor that is gone is told that some facts are gone, before anything else."""
    client = ApiClient(start().url)
    with client.follow(last_event_id="zz-7") as told:
        first = next(told)
    assert isinstance(first, MissedView)
    assert first.count is None


def test_a_running_operation_is_told_step_by_step(start: Started, stage: Any, make: Any) -> None:
    """Each journaled step reaches the reader as the whole operation."""
    client = ApiClient(start().url)
    records = [make.record("operation", "requested", number=0), make.record("survey", "intent", number=1)]
    with client.follow() as told:
        take(told, until=is_state(FlowState.HEALTHY))
        for count in (1, 2):
            stage.set(operations=(make.operation(*records[:count]),))
            found = take(told, until=lambda one: isinstance(one, OperationView))[-1]
            assert isinstance(found, OperationView)
            begun = [step.name for step in found.steps if step.state == "running"]
            assert begun == ["survey"][: count - 1]


def test_the_end_of_the_server_ends_its_readers(stage: Any) -> None:
    """A server that stops lets its readers go at once, and is gone in seconds."""
    running = serve(create_app(stage, clock=stage.clock), ANY_PORT)
    with ApiClient(running.url).follow() as told:
        take(told, until=is_state(FlowState.HEALTHY))
        assert running.stop(Deadline.after(3))
        with pytest.raises(Unreachable):
            take(told, until=lambda _: False)
    assert "api" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(Unreachable):
        ApiClient(running.url).status()


def test_the_client_reads_every_part(start: Started, stage: Any, make: Any) -> None:
    """Every call of the client returns the values the overview holds."""
    stage.set(operations=(make.operation(make.record("operation", "requested", number=0)),))
    with ApiClient(start().url) as client:
        assert client.session().role == "viewer"
        assert client.status().flow("orders") == client.flow("orders")
        assert client.lag("orders", has_partitions=True).topics[0].partitions[0].source_end == 1012
        assert client.history("orders").points[0].lag_records == 12
        assert client.is_active("orders", cluster="east") is True
        assert client.is_active("orders", cluster="west") is False
        assert client.groups("orders")[0].group == "billing"
        assert client.group("orders", "billing").translations[0].target_offset == 890
        assert client.operations(flow="orders")[0] == client.operation("failover-1")
        assert client.snapshots()[0].size_bytes == 2**20
        assert client.schedules()[0].cron == "0 * * * *"
        assert client.events(limit=1)[0].kind == "flow_state_changed"


def test_names_that_need_quoting_are_found(start: Started, stage: Any, make: Any) -> None:
    """A group may be called anything, slashes and question marks included."""
    name = "a/b?c=d#e%20 \x1bü"
    stage.set(groups={"orders": (make.group(name),)})
    assert ApiClient(start().url).group("orders", name).group == name


def test_refusals_come_back_as_our_errors(start: Started) -> None:
    """What the server refuses is raised as the error it names, hint included."""
    client = ApiClient(start().url)
    with pytest.raises(NotFound, match="there is no flow 'nothing'") as caught:
        client.flow("nothing")
    assert caught.value.hint == "known: orders"
    with pytest.raises(NotFound):
        client.is_active("orders", cluster="north")
    with pytest.raises(AccessDenied):
        client.begin("pause", flow="orders", request=ActRequest())


def test_acts_through_the_client(start: Started, rules: AccessRules) -> None:
    """An operator's client begins an act; a severe one without its name is refused as in the command line."""
    acts = {
        "pause": Act(name="pause", run=lambda _order, _deadline: "PAUSED"),
        "failover": Act(name="failover", run=lambda _order, _deadline: "never", is_severe=True),
    }
    running = start(rules=rules, acts=acts)
    with pytest.raises(AccessDenied):
        ApiClient(running.url).status()
    with pytest.raises(AccessDenied), ApiClient(running.url).follow():
        pass
    client = ApiClient(running.url, token=OPERATOR)
    with pytest.raises(ConfirmationMissing):
        client.begin("failover", flow="orders", request=ActRequest())
    assert client.begin("pause", flow="orders", request=ActRequest(reason="x")).kind == "pause"


def test_an_older_client_reads_a_newer_server(start: Started) -> None:
    """Fields and words that this client does not know leave it unmoved: they only grow within v1."""
    view = ApiClient(start().url).status()
    plain = view.model_dump(mode="json") | {"new_field": 1}
    plain["flows"][0] |= {"state": "SLEEPING", "another": {"deep": []}}
    assert StatusView.model_validate(plain).flows[0].state == "SLEEPING"


def test_another_program_at_the_address_is_noticed() -> None:
    """An answer that is no JSON of ours is no status."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        thread = threading.Thread(target=answer_once, args=(stranger, b"HTTP/1.1 200 OK\r\n\r\nhello"))
        thread.start()
        with pytest.raises(DataCorrupt), ApiClient(f"http://127.0.0.1:{stranger.getsockname()[1]}") as client:
            client.status()
        thread.join(5)


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Answer one connection and close it."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)


def closed_after(connection: socket.socket, *, seconds: float) -> bool:
    """Whether the other side closes the connection within `seconds`."""
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.mark.security
@pytest.mark.parametrize("sent", [b"", b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_slow_head_is_cut_off(start: Started, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """A connection whose request head does not come, or trickles in, is closed; others are served meanwhile."""
    monkeypatch.setattr(server_module, "HEADER_SECONDS_MAX", 0.5)
    running = start()
    with socket.create_connection(("127.0.0.1", running.port)) as slow:
        slow.sendall(sent)
        trickle = threading.Thread(target=drip, args=(slow,), daemon=True)
        trickle.start()
        assert ApiClient(running.url).session().role == "viewer"
        assert closed_after(slow, seconds=5)
    trickle.join(5)


def drip(connection: socket.socket) -> None:
    """Send a byte of a head now and then until the other side has enough."""
    deadline = Deadline.after(4)
    while not deadline.is_over:
        try:
            connection.sendall(b"x")
        except OSError:
            return
        SYSTEM_CLOCK.sleep(0.1)


@pytest.mark.security
def test_a_slow_second_head_is_cut_off_too(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection gets no more patience for its next request than for its first."""
    monkeypatch.setattr(server_module, "HEADER_SECONDS_MAX", 0.5)
    running = start()
    with socket.create_connection(("127.0.0.1", running.port)) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in slow.recv(65_536)
        slow.sendall(b"GET /livez HTT")
        assert closed_after(slow, seconds=5)


@pytest.mark.security
def test_a_huge_head_is_refused(start: Started) -> None:
    """A head beyond 16 KiB is answered 400 and the connection closed."""
    with socket.create_connection(("127.0.0.1", start().port)) as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 70_000)
        assert closed_after(greedy, seconds=5)


NO_HTTP = {
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no length": b"POST /v1/flows/orders/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    "bad chunk": b"POST /v1/flows/orders/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
}


@pytest.mark.security
@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http_is_refused_in_the_envelope(
    start: Started, sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exactly one answer, JSON as every other refusal; no request of a caller who has gone crashes behind it."""
    running = start()
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as asking:
        asking.sendall(sent)
        answer = b"".join(iter(lambda: asking.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    told = json.loads(body)
    assert (told["kind"], told["reason"]) == ("Error", "http.invalid")
    assert ApiClient(running.url).session().role == "viewer"
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.security
def test_a_slow_body_is_cut_off(start: Started, rules: AccessRules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is answered 408, in bounded time."""
    monkeypatch.setattr("replicator.api.guard.BODY_SECONDS_MAX", 0.3)
    head = (
        b"POST /v1/flows/orders/pause HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Authorization: Bearer operator-token-0123456789\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", start(rules=rules).port)) as slow:
        slow.sendall(head)
        slow.settimeout(5)
        assert b" 408 " in slow.recv(65_536)


@pytest.mark.security
def test_a_websocket_is_refused(start: Started) -> None:
    """No protocol but HTTP is spoken."""
    with socket.create_connection(("127.0.0.1", start().port)) as asking:
        asking.sendall(
            b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        asking.settimeout(5)
        assert b"101 Switching" not in asking.recv(65_536)


def test_a_taken_address_is_said(start: Started, stage: Any) -> None:
    """An address that somebody else has is a configuration error that names it, and nothing is left running."""
    running = start()
    with pytest.raises(ConfigInvalid, match=rf"127\.0\.0\.1:{running.port} cannot be had"):
        serve(create_app(stage), f"127.0.0.1:{running.port}")


@pytest.mark.parametrize("listen", ["", "nohost", ":80", "127.0.0.1:port", "127.0.0.1:70000", "no.such.host.invalid:1"])
def test_an_address_that_is_none_is_said(stage: Any, listen: str) -> None:
    """What is no host:port, or no address of this machine, is refused by name."""
    with pytest.raises(ConfigInvalid, match=r"supervisor\.listen"):
        serve(create_app(stage), listen)


@pytest.mark.security
def test_nothing_is_bound_beyond_this_machine_without_token_and_tls(stage: Any, rules: AccessRules) -> None:
    """A bind to all addresses is refused without a token, and without TLS."""
    everywhere = "0.0.0.0:0"
    with pytest.raises(ConfigInvalid, match="a token and TLS"):
        serve(create_app(stage), everywhere)
    with pytest.raises(ConfigInvalid, match="lacks TLS"):
        serve(create_app(stage, rules=rules), everywhere)


def make_certificate(folder: Path) -> Certificate:
    """Write a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "replicator")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificate(str(folder / "tls.pem"), str(folder / "tls.key"))


@pytest.mark.security
def test_tls_with_a_token_from_end_to_end(start: Started, rules: AccessRules, tmp_path: Path) -> None:
    """Over TLS the client trusts the given CA alone, the token is asked for, and streams flow."""
    certificate = make_certificate(tmp_path)
    running = start(certificate=certificate, rules=rules)
    assert running.url.startswith("https://")
    client = ApiClient(running.url, token=OPERATOR, ca_file=certificate.certificate_file)
    assert client.session().name == "kim"
    with client.follow() as told:
        assert take(told, until=is_state(FlowState.HEALTHY))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        ApiClient(running.url, token=OPERATOR).status()
    with pytest.raises(Unreachable):
        ApiClient(running.url.replace("https", "http"), token=OPERATOR).status()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificate.certificate_file)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", running.port)) as raw,
        old.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        assert tls.version() == "TLSv1.2"


def test_a_missing_certificate_is_said(stage: Any, rules: AccessRules, tmp_path: Path) -> None:
    """A certificate that cannot be read is a configuration error; nothing is left running."""
    missing = Certificate(str(tmp_path / "no.pem"), str(tmp_path / "no.key"))
    with pytest.raises(ConfigInvalid, match="certificate"):
        serve(create_app(stage, rules=rules), ANY_PORT, certificate=missing)
    assert "api" not in {thread.name for thread in threading.enumerate()}


def test_readers_are_bounded(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """More readers than are served are refused, and one that goes makes place for another."""
    monkeypatch.setattr("replicator.api.routes.events.READERS_MAX", 1)
    client = ApiClient(start().url)
    with client.follow() as told:
        next(told)
        with pytest.raises(Unreachable, match="status 503"), client.follow():
            pass
    deadline = Deadline.after(10)
    while not is_served(client):
        deadline.check("a place for another reader")


def is_served(client: ApiClient) -> bool:
    """Whether the stream tells something."""
    try:
        with client.follow() as told:
            next(told)
    except Unreachable:
        return False
    return True


def test_a_large_status_reaches_the_reader(start: Started, stage: Any, make: Any) -> None:
    """Two hundred flows with their connectors travel whole."""
    flows = tuple(make.flow(flow=f"flow-{n}") for n in range(200))
    stage.set(replace(make.status(), flows=flows))
    client = ApiClient(start().url)
    assert len(client.status().flows) == 200
    with client.follow() as told:
        whole = take(told, until=lambda one: isinstance(one, StatusView), at_most=500)[-1]
    assert isinstance(whole, StatusView)
    assert len(whole.flows) == 200
