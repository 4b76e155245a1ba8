"""uvicorn in a named thread: bound before it is started, ended when asked, patient with nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from replicator.api.access import Refusal, check_exposure
from replicator.api.envelopes import refusal_response
from replicator.clock import Deadline
from replicator.errors import ConfigInvalid, DeadlineExceeded
from replicator.log import get_logger

HEADER_SECONDS_MAX = 10.0
HEADER_BYTES_MAX = 16 * 1024
CONNECTIONS_MAX = 256
START_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 5.0
_GRACE_SECONDS = 2
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of the server's own certificate chain and key, PEM."""

    certificate_file: str
    key_file: str


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits ten seconds for the head of a request, however slowly it trickles in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; while they are no whole head, the wait goes on."""
        super().data_received(data)
        is_inside_head = bool(self.conn.trailing_data[0]) and self.conn.their_state is h11.IDLE
        if is_inside_head and self._head_timer is None:
            self._await_head()
        elif not is_inside_head:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the one thing it says is what the envelope says
        """Answer what is no HTTP in the envelope of every other refusal, unless an answer is on its way already.

        An application that is still at the request is told that its caller has gone: its answer would come second.
        """
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = refusal_response(Refusal(400, "http.invalid", "the request is no valid HTTP"))
            headers = [*answer.raw_headers, (b"connection", b"close")]
            whole = (
                h11.Response(status_code=400, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            )
            for event in whole:
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEADER_SECONDS_MAX, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class ToStructlog(logging.Handler):
    """Passes uvicorn's own complaints on as events of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        log = get_logger(room="api")
        log.log(record.levelno, "server_told", text=record.getMessage(), exc_info=record.exc_info)


class ApiServer:
    """A server that answers. `url` is where."""

    def __init__(self, app: FastAPI, config: uvicorn.Config, bound: socket.socket) -> None:
        self._app = app
        self._socket = bound
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)
        host, port = bound.getsockname()[:2]
        self.port: int = port
        scheme = "https" if config.is_ssl else "http"
        self.url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self, deadline: Deadline) -> None:
        """Return once it answers.

        Raises:
            DeadlineExceeded: it did not come up.
        """
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive() or deadline.is_over:
                raise DeadlineExceeded(f"the API at {self.url} did not come up", hint="see the log")
            deadline.clock.sleep(deadline.capped(0.01))

    def stop(self, deadline: Deadline) -> bool:
        """Return whether it has ended in time: no new request is taken, readers are let go, answers finished."""
        self._app.state.serving.feed.close()
        self._server.should_exit = True
        self._thread.join(deadline.left)
        self._socket.close()
        return not self._thread.is_alive()


def _config(app: FastAPI, certificate: Certificate | None) -> uvicorn.Config:
    handler_names = ("uvicorn", "uvicorn.error")
    for name in handler_names:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [ToStructlog()] if name == "uvicorn" else [], name != "uvicorn"
        logger.setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        ssl_certfile=certificate.certificate_file if certificate else None,
        ssl_keyfile=certificate.key_file if certificate else None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as exc:
        raise ConfigInvalid(f"the API's certificate or key cannot be used: {exc}") from exc
    return config


def serve(
    app: FastAPI,
    listen: str,
    *,
    certificate: Certificate | None = None,
    deadline: Deadline | None = None,
) -> ApiServer:
    """Return a server that answers at `listen` (host:port; port 0 takes a free one) in a thread named `api`.

    Raises:
        ConfigInvalid: the address cannot be had, or is seen by other machines without a token and TLS.
        DeadlineExceeded: it did not come up.
    """
    host, port = split_address(listen)
    check_exposure(host, rules=app.state.serving.rules, has_tls=certificate is not None)
    config = _config(app, certificate)
    server = ApiServer(app, config, _bind(host, port))
    server.start(deadline or Deadline.after(START_SECONDS_MAX))
    return server


def split_address(listen: str) -> tuple[str, int]:
    """Return host and port; an IPv6 host stands in brackets.

    Raises:
        ConfigInvalid: it is no host:port.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigInvalid(f"supervisor.listen: {listen!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ConfigInvalid(f"supervisor.listen: {host} is no address of this machine: {exc.strerror}") from exc
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.setblocking(False)
    except OSError as exc:
        bound.close()
        raise ConfigInvalid(
            f"supervisor.listen: {host}:{port} cannot be had: {exc.strerror}",
            hint="another supervisor may run here: `replicator status` asks it",
        ) from exc
    return bound
