"""A real S3 server for tests, and a proxy before it that fails the way networks and services do."""

from __future__ import annotations

import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from replicator.clock import Deadline
from replicator.jvm import Guardian, JvmCommand, JvmProcess, JvmProfile, jars, render_properties
from replicator.lab import free_address

KEY, SECRET = "tests", "tests-secret"
"""Credentials that open nothing else."""
READY_SECONDS = 60.0
_QUIET = '<configuration><root level="WARN"/></configuration>'


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that keeps its buckets as folders below `data`."""

    port: int
    data: Path

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> str:
        """Return the URL of an empty bucket."""
        (self.data / name).mkdir()
        return f"s3://{name}"


def environment_for(endpoint: str) -> dict[str, str]:
    """The environment by which a client finds the server."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def s3_server(folder: Path, guardian: Guardian) -> Iterator[S3Server]:
    """A server that answers; it is gone afterwards."""
    port = int(free_address().rpartition(":")[2])
    data = folder / "data"
    data.mkdir(parents=True)
    log_config = folder / "logback.xml"
    log_config.write_text(_QUIET, encoding="ascii")
    properties = folder / "s3.properties"
    settings = {
        "s3proxy.endpoint": f"http://127.0.0.1:{port}",
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": KEY,
        "s3proxy.credential": SECRET,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(data),
    }
    properties.write_text(render_properties(settings), encoding="utf-8")
    flags = JvmProfile(heap_mib=256, is_quick=True, extra=(f"-Dlogback.configurationFile={log_config}",))
    process = JvmProcess.start(
        JvmCommand(
            name="S3 server",
            main_class="org.gaul.s3proxy.Main",
            arguments=("--properties", str(properties)),
            flags=flags.flags(log4j_file=log_config),
            classpath=os.pathsep.join(str(path) for path in jars("s3proxy")),
            log_file=folder / "s3.log",
        ),
        guardian=guardian,
    )
    try:
        _wait_ready(process, port)
        yield S3Server(port, data)
    finally:
        process.kill(Deadline.after(20))


def _wait_ready(process: JvmProcess, port: int) -> None:
    deadline = Deadline.after(READY_SECONDS)
    while True:
        process.check_alive()
        deadline.check("the S3 server is not ready")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


@dataclass
class Faults:
    """What the proxy does to requests, drawn for each; `met` counts what was really done."""

    unavailable: float = 0.0
    slow_down: float = 0.0
    cut_before: float = 0.0
    cut_after: float = 0.0
    delay_seconds: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    met: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self) -> str:
        """The fate of one request."""
        with self.lock:
            at = self.rng.random()
            for name in ("unavailable", "slow_down", "cut_before", "cut_after"):
                at -= getattr(self, name)
                if at < 0:
                    self.met[name] = self.met.get(name, 0) + 1
                    return name
            return "pass"


@contextmanager
def fault_proxy(upstream: S3Server, faults: Faults) -> Iterator[str]:
    """The endpoint of a proxy before the server: 503, SlowDown, connections cut before or after the act."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(faults.delay_seconds)
            fate = faults.draw()
            if fate in ("unavailable", "slow_down"):
                self._refuse("SlowDown" if fate == "slow_down" else "ServiceUnavailable")
                return
            if fate != "cut_before":
                answer = _forward(upstream.port, self.command, self.path, self.headers.items(), body)
            if fate in ("cut_before", "cut_after"):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, content = answer
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _refuse(self, code: str) -> None:
            text = f"<Error><Code>{code}</Code><Message>try later</Message></Error>".encode()
            self.send_response_only(503)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler._serve)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _forward(
    port: int, method: str, path: str, headers: object, body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:  # type: ignore[attr-defined]
            if name.lower() != "connection":
                connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        content = response.read()
        kept = [(n, v) for n, v in response.getheaders() if n.lower() not in ("transfer-encoding", "connection")]
        if method != "HEAD" and not any(name.lower() == "content-length" for name, _ in kept):
            kept.append(("Content-Length", str(len(content))))
        return response.status, kept, content
    finally:
        connection.close()
