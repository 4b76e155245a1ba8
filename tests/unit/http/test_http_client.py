"""The HTTP client: every request ends, by an answer or by one of our errors."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from replicator.errors import AccessDenied, ConfigInvalid, DataCorrupt, DeadlineExceeded, Unreachable
from replicator.http import HttpClient
from replicator.model.cluster import Secret

Serve = Callable[[Callable[[str, str, bytes], tuple[int, bytes]]], AbstractContextManager[Any]]


def test_an_answer_comes_whole(scripted_server: Serve) -> None:
    """Status, JSON and text are those of the server, and JSON bodies reach it."""
    with (
        scripted_server(lambda _verb, _path, body: (201, b'{"got": ' + body + b"}")) as script,
        HttpClient(script.url, timeout_seconds=5) as client,
    ):
        answer = client.request("POST", "/x?y=1", json={"a": None})
    assert answer.status == 201
    assert answer.is_success
    assert answer.json() == {"got": {"a": None}}
    assert script.calls("POST") == ["/x?y=1"]


def test_credentials_are_sent_and_stay_out_of_errors(scripted_server: Serve) -> None:
    """Token and password reach the server; the refusal's text holds neither."""
    with scripted_server(lambda *_: (401, b"who?")) as script:
        token = HttpClient(script.url, timeout_seconds=5, token=Secret("env:T", "canary-token"))
        login = HttpClient(script.url, timeout_seconds=5, username="u", password=Secret("env:P", "canary-pass"))
        for client in (token, login):
            with pytest.raises(AccessDenied) as error:
                client.request("GET", "/")
            assert "canary" not in f"{error.value!r} {error.value.message}"
            client.close()
    sent = [headers["Authorization"] for _, _, headers in script.asked]
    assert sent == ["Bearer canary-token", "Basic " + base64.b64encode(b"u:canary-pass").decode()]


def test_a_closed_port_is_unreachable() -> None:
    """Nobody listening is told as such, with the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with HttpClient(f"http://127.0.0.1:{port}", timeout_seconds=5) as client, pytest.raises(Unreachable) as error:
        client.request("GET", "/status")
    assert f"127.0.0.1:{port}/status" in error.value.message


def test_a_silent_server_ends_with_the_deadline() -> None:
    """A server that accepts and says nothing cannot hold us."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with HttpClient(url, timeout_seconds=30) as client, pytest.raises(DeadlineExceeded):
            client.request("GET", "/", timeout_seconds=0.2)


def test_a_dripping_server_ends_with_the_deadline() -> None:
    """One byte now and then resets no clock: the deadline is for the whole answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with HttpClient(url, timeout_seconds=0.4) as client, pytest.raises(DeadlineExceeded):
        client.request("GET", "/")
    assert time.monotonic() - began < 20
    stop.set()
    thread.join(timeout=5)
    listener.close()


def test_a_server_that_closed_a_kept_connection_is_asked_again_for_reads_only() -> None:
    """A GET on a connection the server dropped is asked once more; a POST may have acted and is not."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(1)
            with connection:
                connection.recv(65536)
                if len(accepted) % 2 == 0:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with HttpClient(url, timeout_seconds=5) as client:
        assert client.request("GET", "/").text() == "ok"
        with pytest.raises(Unreachable):
            client.request("POST", "/")
    assert len(accepted) == 3
    listener.close()
    thread.join(timeout=5)


def test_no_json_is_data_of_another_program(scripted_server: Serve) -> None:
    """An HTML page where JSON is expected raises with the address."""
    with (
        scripted_server(lambda *_: (200, b"<html>")) as script,
        HttpClient(script.url, timeout_seconds=5) as client,
        pytest.raises(DataCorrupt, match="no JSON"),
    ):
        client.request("GET", "/").json()


def test_a_bad_ca_file_is_a_configuration_error(tmp_path: Any) -> None:
    """An unreadable CA file is told before anything is asked."""
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    with pytest.raises(ConfigInvalid, match="CA certificates"):
        HttpClient("https://127.0.0.1:1", timeout_seconds=1, ca_file=str(bad))


def test_a_refusal_is_told_in_words() -> None:
    """The number that the operating system gives an error is not shown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with HttpClient(f"http://127.0.0.1:{port}", timeout_seconds=30) as client, pytest.raises(Unreachable) as caught:
        client.request("GET", "/x")
    assert caught.value.message == f"GET http://127.0.0.1:{port}/x: Connection refused"


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"\xff", b"", b"[" * 100_000])
def test_an_answer_of_another_program_is_named_with_a_way_on(scripted_server: Serve, body: bytes) -> None:
    """What is no JSON, or is nested so deep that nobody reads it, is an error of ours that says what to do."""
    with (
        scripted_server(lambda *_: (200, body)) as script,
        HttpClient(script.url, timeout_seconds=5) as client,
        pytest.raises(DataCorrupt, match="is no JSON") as error,
    ):
        client.request("GET", "/").json()
    assert error.value.hint is not None
    assert "replicator doctor" in error.value.hint
