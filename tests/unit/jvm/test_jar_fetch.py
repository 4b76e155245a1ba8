"""The fetch of jars, against a small Maven repository on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.errors import DataCorrupt, DeadlineExceeded, Unreachable
from replicator.jvm.jarstore import fetch
from replicator.jvm.jarstore.fetch import provide_jars
from replicator.jvm.jarstore.jarlist import Jar, JarSet


@dataclass
class Repository:
    """Serves `contents` by path and remembers what was asked."""

    contents: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, name: str, content: bytes, *, served: bytes | None = None) -> Jar:
        """Offer a jar; `served` is what the repository really sends."""
        self.contents[f"/org/shop/{name}/1/{name}-1.jar"] = content if served is None else served
        return Jar(f"org.shop:{name}:1", hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def repository() -> Iterator[Repository]:
    """A repository that answers on loopback."""
    shown = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.asked.append(self.path)
            content = shown.contents.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    shown.url = f"http://127.0.0.1:{server.server_port}"
    yield shown
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)


def provide(jars: list[Jar], repository: Repository, cache: Path, **more: object) -> tuple[Path, ...]:
    """Ask for a set of these jars."""
    return provide_jars(
        JarSet("shop", tuple(jars)),
        cache_folder=cache,
        repository_url=repository.url,
        deadline=Deadline.after(20),
        **more,  # type: ignore[arg-type]  # the progress callable, where a test gives one
    )


def jars_asked(repository: Repository) -> list[str]:
    """Return the jars the repository was asked for, without checksums."""
    return [path for path in repository.asked if path.endswith(".jar")]


def test_a_set_is_fetched_once(repository: Repository, tmp_path: Path) -> None:
    """The first call fetches each jar, the second asks nobody; progress ends at the whole size."""
    jars = [repository.add("till", b"till" * 1000), repository.add("shelf", b"shelf" * 1000)]
    seen: list[tuple[int, int]] = []
    paths = provide(jars, repository, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert [path.read_bytes() for path in paths] == [b"till" * 1000, b"shelf" * 1000]
    assert seen[-1] == (9000, 9000)
    asked = len(repository.asked)
    assert provide(jars, repository, tmp_path) == paths
    assert len(repository.asked) == asked


def test_a_jar_that_is_not_ours_is_refused(repository: Repository, tmp_path: Path) -> None:
    """A repository that sends other bytes gets no set into the cache, and the error names the jar."""
    good = repository.add("till", b"till")
    bad = repository.add("shelf", b"shelf", served=b"worm!")
    with pytest.raises(DataCorrupt, match=r"org\.shop:shelf:1"):
        provide([good, bad], repository, tmp_path)
    assert not list((tmp_path / "jars").glob("shop-*"))
    assert not list((tmp_path / "jars").rglob("shelf-1.jar"))


def test_a_jar_changed_in_the_cache_is_refused(repository: Repository, tmp_path: Path) -> None:
    """A jar that was changed after it was fetched is found out before it is run, with what to do."""
    jar = repository.add("till", b"till")
    (path,) = provide([jar], repository, tmp_path)
    path.write_bytes(b"worm")
    with pytest.raises(DataCorrupt, match=r"till-1\.jar") as caught:
        provide([jar], repository, tmp_path)
    assert str(path.parent) in (caught.value.hint or "")


def test_what_a_killed_fetch_left_is_used_or_replaced(repository: Repository, tmp_path: Path) -> None:
    """Whole jars of a fetch that was killed are kept, half ones are fetched again."""
    jars = [repository.add("till", b"till"), repository.add("shelf", b"shelf")]
    partial = tmp_path / "jars" / f".partial-shop-{JarSet('shop', tuple(jars)).fingerprint}"
    half = partial / "repository/org/shop/shelf/1"
    half.mkdir(parents=True)
    (half / "shelf-1.jar").write_bytes(b"she")
    (partial / "till-1.jar").write_bytes(b"till")
    paths = provide(jars, repository, tmp_path)
    assert [path.read_bytes() for path in paths] == [b"till", b"shelf"]
    assert jars_asked(repository) == ["/org/shop/shelf/1/shelf-1.jar"]
    assert not partial.exists()


def test_a_silent_network_is_told_in_one_line(tmp_path: Path) -> None:
    """With nobody at the address the error names jar and address, and the hint the next step."""
    nowhere = Repository(url="http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"org\.shop:till:1 from http://127\.0\.0\.1:1") as caught:
        provide([nowhere.add("till", b"till")], nowhere, tmp_path)
    assert "\n" not in caught.value.message
    assert "REPLICATOR_MAVEN_URL" in (caught.value.hint or "")


def test_a_missing_jar_is_told(repository: Repository, tmp_path: Path) -> None:
    """A repository that does not have the jar is named together with it."""
    with pytest.raises(Unreachable, match=r"org\.shop:till:1"):
        provide([Jar("org.shop:till:1", "0" * 64, 1)], repository, tmp_path)


def test_two_processes_do_not_fetch_at_once(repository: Repository, tmp_path: Path) -> None:
    """While another holds the lock we wait, and say so when our time is over."""
    jar = repository.add("till", b"till")
    root = tmp_path / "jars"
    root.mkdir()
    held = root / f".lock-shop-{JarSet('shop', (jar,)).fingerprint}"
    with (
        fetch._locked(held, Deadline.after(5)),
        pytest.raises(DeadlineExceeded, match="another process"),
    ):
        provide_jars(
            JarSet("shop", (jar,)), cache_folder=tmp_path, repository_url=repository.url, deadline=Deadline.after(0.3)
        )
    assert repository.asked == []
