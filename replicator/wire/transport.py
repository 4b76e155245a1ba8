"""One blocking connection to one broker: own sockets, answers read straight into their buffer.

kafka-python's own transport reads 4 KiB at a time; `recv_into` a buffer of the answer's size is five
times faster. Socket buffers are left to the system, which tunes them better than a fixed size would.
Requests may be pipelined: answers come back in the order asked.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections import deque
from typing import Any, NamedTuple, TypeVar

from replicator import __version__
from replicator.clock import Deadline
from replicator.errors import AccessDenied, ConfigInvalid, DataCorrupt, DeadlineExceeded, Unreachable
from replicator.model.cluster import Security, SecurityProtocol
from replicator.wire.answers import BrokerAddress, VersionRanges
from replicator.wire.messages import UNSUPPORTED_VERSION, Call, call_api_versions, name_error
from replicator.wire.sasl import authenticate

Answer = TypeVar("Answer")

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""No honest answer is larger; a larger size means that this is no Kafka listener."""
CONNECT_SECONDS = 10.0
_SIZE = struct.Struct(">i")
_TLS_PROTOCOLS = (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)
_SASL_PROTOCOLS = (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)


class _Pending(NamedTuple):
    call: Call[Any]
    version: int
    correlation_id: int


class Connection:
    """A connection that has shaken hands: versions negotiated, TLS and SASL done. Not thread-safe."""

    def __init__(self, sock: socket.socket, address: BrokerAddress, *, client_id: str) -> None:
        self._socket = sock
        self.address = address
        self._client_id = client_id
        self._correlation_id = 0
        self._pending: deque[_Pending] = deque()
        self._versions: VersionRanges | None = None

    @classmethod
    def open(cls, address: BrokerAddress, security: Security, *, client_id: str, deadline: Deadline) -> Connection:
        """Return a ready connection. Raises: Unreachable, DeadlineExceeded, AccessDenied."""
        connection = cls(_open_socket(address, security, deadline), address, client_id=client_id)
        try:
            connection._negotiate(deadline)
            if security.protocol in _SASL_PROTOCOLS:
                authenticate(connection, security, who=str(address), deadline=deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def in_flight(self) -> int:
        """Requests sent whose answers were not read yet."""
        return len(self._pending)

    def ask(self, call: Call[Answer], *, deadline: Deadline) -> Answer:
        """Return the answer to `call`. Nothing else may be in flight."""
        self.send(call, deadline=deadline)
        answer: Answer = self.receive(deadline=deadline)
        return answer

    def send(self, call: Call[Any], *, deadline: Deadline) -> None:
        """The request is on its way; its answer must be read with `receive`."""
        version = self._pick_version(call)
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        frame = call.encode(version=version, correlation_id=self._correlation_id, client_id=self._client_id)
        self._arm(deadline, call.name)
        try:
            self._socket.sendall(frame)
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{self.address}: {call.name} could not be sent in time") from exc
        except OSError as exc:
            raise Unreachable(f"{self.address}: connection lost while sending {call.name}: {exc}") from exc
        self._pending.append(_Pending(call, version, self._correlation_id))

    def receive(self, *, deadline: Deadline) -> Any:
        """Return the answer to the oldest request in flight."""
        pending = self._pending.popleft()
        size_field = self._read(_SIZE.size, pending.call.name, deadline)
        (size,) = _SIZE.unpack(size_field)
        if not _SIZE.size <= size <= MAX_FRAME_BYTES:
            raise DataCorrupt(f"{self.address}: an answer of {size} bytes; is this a Kafka listener of that protocol?")
        frame = self._read(size, pending.call.name, deadline)
        return pending.call.decode(frame, version=pending.version, correlation_id=pending.correlation_id)

    def close(self) -> None:
        """The socket is closed; answers in flight are lost."""
        self._socket.close()

    def _read(self, size: int, what: str, deadline: Deadline) -> memoryview:
        view = memoryview(bytearray(size))
        filled = 0
        try:
            while filled < size:
                self._arm(deadline, what)
                count = self._socket.recv_into(view[filled:])
                if count == 0:
                    raise Unreachable(f"{self.address}: closed the connection before answering {what}")
                filled += count
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{self.address}: no answer to {what} in time") from exc
        except OSError as exc:
            raise Unreachable(f"{self.address}: connection lost while waiting for {what}: {exc}") from exc
        return view

    def _arm(self, deadline: Deadline, what: str) -> None:
        deadline.check(f"{self.address}: {what}")
        self._socket.settimeout(max(0.001, deadline.left))

    def _negotiate(self, deadline: Deadline) -> None:
        call = call_api_versions(software_version=__version__)
        answer = self._ask_version(call, call.max_version, deadline)
        if answer.error_code == UNSUPPORTED_VERSION:
            answer = self._ask_version(call, 0, deadline)
        if answer.error_code:
            raise Unreachable(f"{self.address}: ApiVersions refused: {name_error(answer.error_code)}")
        self._versions = answer

    def _ask_version(self, call: Call[VersionRanges], version: int, deadline: Deadline) -> VersionRanges:
        self._versions = VersionRanges(0, {call.api_key: (version, version)})
        return self.ask(call, deadline=deadline)

    def _pick_version(self, call: Call[Any]) -> int:
        ranges = self._versions.ranges if self._versions else {}
        lowest, highest = ranges.get(call.api_key, (0, -1))
        version = min(call.max_version, highest)
        if version < max(call.min_version, lowest):
            raise Unreachable(
                f"{self.address}: speaks {call.name} v{lowest}..v{highest}, "
                f"we speak v{call.min_version}..v{call.max_version}"
            )
        return version


def _open_socket(address: BrokerAddress, security: Security, deadline: Deadline) -> socket.socket:
    try:
        sock = socket.create_connection((address.host, address.port), timeout=deadline.capped(CONNECT_SECONDS) or 0.001)
    except TimeoutError as exc:
        raise DeadlineExceeded(f"{address}: no TCP connection in time") from exc
    except OSError as exc:
        raise Unreachable(f"{address}: cannot connect: {exc.strerror or exc}") from exc
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if security.protocol not in _TLS_PROTOCOLS:
        return sock
    return _wrap_tls(sock, address, security)


def _wrap_tls(sock: socket.socket, address: BrokerAddress, security: Security) -> socket.socket:
    context = make_tls_context(security)
    try:
        return context.wrap_socket(sock, server_hostname=address.host)
    except ssl.SSLCertVerificationError as exc:
        sock.close()
        raise AccessDenied(
            f"{address}: its certificate is not trusted: {exc.verify_message}", hint="set security.ca_file"
        ) from exc
    except TimeoutError as exc:
        sock.close()
        raise DeadlineExceeded(f"{address}: no TLS handshake in time") from exc
    except OSError as exc:
        sock.close()
        raise Unreachable(f"{address}: TLS handshake failed: {exc}", hint="is this a TLS listener?") from exc


def make_tls_context(security: Security) -> ssl.SSLContext:
    """Return a verifying TLS context for these files. Raises: ConfigInvalid when one cannot be used."""
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.certificate_file:
            password = security.key_password.value if security.key_password else None
            context.load_cert_chain(security.certificate_file, security.key_file, password)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigInvalid(f"TLS files cannot be used: {exc}") from exc
    return context
