"""A connection against a scripted listener: what a broken or hostile peer sends ends in one of our errors, in time."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from replicator.clock import Deadline
from replicator.errors import DataCorrupt, DeadlineExceeded, ReplicatorError, Unreachable
from replicator.model.cluster import Security
from replicator.wire.answers import BrokerAddress
from replicator.wire.client import parse_bootstrap
from replicator.wire.messages import call_init_producer_id, call_metadata
from replicator.wire.transport import MAX_FRAME_BYTES, Connection

Script = Callable[[socket.socket], None]


@contextmanager
def listener(script: Script) -> Iterator[BrokerAddress]:
    """A listener on the loopback that plays a script to its one client."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)

    def serve() -> None:
        try:
            client, _peer = server.accept()
        except OSError:
            return
        with client:
            client.settimeout(10)
            script(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield BrokerAddress(1, "127.0.0.1", server.getsockname()[1])
    finally:
        server.close()
        thread.join(10)


def read_request(client: socket.socket) -> tuple[int, int, int]:
    """Return API key, version and correlation id of the next request."""
    (size,) = struct.unpack(">i", receive(client, 4))
    body = receive(client, size)
    return struct.unpack_from(">hhi", body)


def receive(client: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes."""
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise ConnectionError("the client went away")
        data += piece
    return data


def frame(correlation_id: int, body: bytes) -> bytes:
    """An answer on the wire."""
    return struct.pack(">ii", len(body) + 4, correlation_id) + body


def answer_versions(client: socket.socket, ranges: dict[int, tuple[int, int]]) -> None:
    """Answer ApiVersions v3 with what this broker speaks."""
    _key, _version, correlation_id = read_request(client)
    rows = b"".join(struct.pack(">hhh", key, low, high) + b"\x00" for key, (low, high) in ranges.items())
    client.sendall(frame(correlation_id, struct.pack(">hB", 0, len(ranges) + 1) + rows + struct.pack(">iB", 0, 0)))


def connect(address: BrokerAddress, seconds: float = 5.0) -> Connection:
    """Open a plain connection."""
    return Connection.open(address, Security(), client_id="test", deadline=Deadline.after(seconds))


def test_versions_are_negotiated_down_and_up() -> None:
    """The highest version both sides speak is used, never above our cap."""
    seen: list[tuple[int, int]] = []

    def script(client: socket.socket) -> None:
        answer_versions(client, {18: (0, 4), 22: (0, 99), 3: (0, 5)})
        for _ in range(2):
            key, version, _correlation_id = read_request(client)
            seen.append((key, version))

    with listener(script) as address:
        connection = connect(address)
        connection.send(call_init_producer_id(), deadline=Deadline.after(5))
        connection.send(call_metadata([]), deadline=Deadline.after(5))
        assert connection.in_flight == 2
        with pytest.raises(Unreachable):
            connection.receive(deadline=Deadline.after(5))
        connection.close()
    assert seen == [(22, 4), (3, 5)]


def test_old_broker_is_asked_again_in_its_own_version() -> None:
    """A broker that does not know our ApiVersions says so, and is asked in version 0."""
    versions: list[int] = []

    def script(client: socket.socket) -> None:
        _key, version, correlation_id = read_request(client)
        versions.append(version)
        client.sendall(frame(correlation_id, struct.pack(">hi", 35, 0)))
        _key, version, correlation_id = read_request(client)
        versions.append(version)
        client.sendall(frame(correlation_id, struct.pack(">hi", 0, 1) + struct.pack(">hhh", 18, 0, 2)))

    with listener(script) as address:
        connect(address).close()
    assert versions == [3, 0]


def test_broker_without_a_common_version_is_told() -> None:
    """An API of which no version is common is an error that names both ranges."""

    def script(client: socket.socket) -> None:
        answer_versions(client, {18: (0, 4), 3: (50, 60)})

    with listener(script) as address:
        connection = connect(address)
        with pytest.raises(Unreachable, match=r"v50\.\.v60"):
            connection.ask(call_metadata([]), deadline=Deadline.after(5))
        connection.close()


HOSTILE: list[tuple[str, bytes, type[ReplicatorError]]] = [
    ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n", DataCorrupt),
    ("huge frame", struct.pack(">i", MAX_FRAME_BYTES + 1), DataCorrupt),
    ("negative frame", struct.pack(">i", -5), DataCorrupt),
    ("tiny frame", struct.pack(">i", 2) + b"xx", DataCorrupt),
    ("wrong correlation", frame(99999, b"\x00" * 20), DataCorrupt),
    ("cut in the size", b"\x00\x00", Unreachable),
    ("cut in the body", struct.pack(">i", 100) + b"x" * 50, Unreachable),
    ("nothing", b"", Unreachable),
    ("rubbish body", frame(1, b"\x00\x00\xff\xff\xff\xff\x7f"), DataCorrupt),
]


@pytest.mark.parametrize(("sent", "error"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_broken_peers_end_in_our_errors(sent: bytes, error: type[ReplicatorError]) -> None:
    """Whatever a peer sends instead of an answer, one of our errors says which peer."""

    def script(client: socket.socket) -> None:
        read_request(client)
        client.sendall(sent)

    with listener(script) as address, pytest.raises(error) as caught:
        connect(address)
    assert type(caught.value) is error


def test_silent_peer_ends_at_the_deadline() -> None:
    """A peer that accepts and says nothing costs no more than the deadline."""
    done = threading.Event()

    def script(client: socket.socket) -> None:
        done.wait(10)

    with listener(script) as address:
        with pytest.raises(DeadlineExceeded):
            connect(address, seconds=0.3)
        done.set()


def test_refused_port_is_unreachable() -> None:
    """A port nobody listens on is told at once, with its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match=str(port)):
        connect(BrokerAddress(1, "127.0.0.1", port))


def test_bootstrap_lists_are_read() -> None:
    """Several addresses, blanks and IPv6 in brackets; each stands in as a negative broker id."""
    found = parse_bootstrap("one:9092, two:9093,[::1]:9094,")
    assert [(b.id, b.host, b.port) for b in found] == [(-1, "one", 9092), (-2, "two", 9093), (-3, "::1", 9094)]
