"""What unit tests share: a server on the loopback that answers from a script, for what real ones do by chance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Answer = Callable[[str, str, bytes], tuple[int, bytes]]


@dataclass
class Script:
    """`answer(method, path, body)` gives status and body; `asked` holds what was asked, with its headers."""

    answer: Answer
    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def calls(self, method: str) -> list[str]:
        """Paths asked with a method, in order."""
        return [path for verb, path, _ in self.asked if verb == method]


@contextmanager
def run_script(answer: Answer) -> Iterator[Script]:
    """Yield a running server; it is gone afterwards."""
    script = Script(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, dict(self.headers)))
            status, content = script.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@pytest.fixture
def scripted_server() -> Callable[[Answer], AbstractContextManager[Script]]:
    """A function that runs a server which answers as told, as a context manager."""
    return run_script
