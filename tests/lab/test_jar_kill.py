"""A download of jars that is killed midway."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.jvm.jarstore.fetch import provide_jars
from replicator.jvm.jarstore.jarlist import Jar, JarSet

pytestmark = pytest.mark.lab

CONTENT = {"till": b"till" * 50_000, "shelf": b"shelf" * 50_000}

_FETCHER = """
import sys
from pathlib import Path
from replicator.clock import Deadline
from replicator.jvm.jarstore.fetch import provide_jars
from replicator.jvm.jarstore.jarlist import Jar, JarSet

cache, url, *jars = sys.argv[1:]
wanted = JarSet("shop", tuple(Jar(*(text.split("|")[:2]), int(text.split("|")[2])) for text in jars))
provide_jars(wanted, cache_folder=Path(cache), repository_url=url, deadline=Deadline.after(60))
"""


class HalfwayRepository(ThreadingHTTPServer):
    """Sends the first half of `shelf`, says so, and the rest only when it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.is_halfway = threading.Event()
        self.may_finish = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: HalfwayRepository

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[1].removesuffix("-1.jar")
        content = CONTENT.get(name)
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if content:
            self.send_content(name, content)

    def send_content(self, name: str, content: bytes) -> None:
        """Send it, `shelf` in two halves."""
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.wfile.flush()
        if name == "shelf":
            self.server.is_halfway.set()
            self.server.may_finish.wait(30)
        self.wfile.write(content[half:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository() -> Iterator[HalfwayRepository]:
    """The repository, answering."""
    server = HalfwayRepository()
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the killed client's broken pipe is the test's own doing
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.may_finish.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_killed_download_never_poisons_the_cache(repository: HalfwayRepository, tmp_path: Path) -> None:
    """SIGKILL in mid jar: no set is in the cache, the lock is free, and the next fetch gives whole, proven jars."""
    url = f"http://127.0.0.1:{repository.server_port}"
    jars = [Jar(f"org.shop:{name}:1", hashlib.sha256(c).hexdigest(), len(c)) for name, c in CONTENT.items()]
    wanted = JarSet("shop", tuple(jars))
    arguments = [f"{jar.coordinate}|{jar.sha256}|{jar.size_bytes}" for jar in jars]
    fetcher = subprocess.Popen([sys.executable, "-c", _FETCHER, str(tmp_path), url, *arguments])
    assert repository.is_halfway.wait(30)
    partial = tmp_path / "jars" / f".partial-shop-{wanted.fingerprint}"
    wait_until_half_written(partial)
    fetcher.send_signal(signal.SIGKILL)
    assert fetcher.wait(timeout=10) == -signal.SIGKILL
    assert not (tmp_path / "jars" / f"shop-{wanted.fingerprint}").exists()
    repository.may_finish.set()
    paths = provide_jars(wanted, cache_folder=tmp_path, repository_url=url, deadline=Deadline.after(30))
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert not partial.exists()


def wait_until_half_written(partial: Path) -> None:
    """Return when a part of the jar is on the disk: the kill hits a download, not its preparation."""
    deadline = Deadline.after(10)
    while not any(0 < path.stat().st_size < len(CONTENT["shelf"]) for path in partial.rglob("shelf-1.jar")):
        deadline.check("nothing was written")
        deadline.clock.sleep(0.02)
