"""Jars on this disk: fetched by jgo, proven by our list, moved into place as a whole set.

    <cache>/replicator/jars/<set>-<fingerprint>/          complete: appears by one rename
    <cache>/replicator/jars/.partial-<set>-<fingerprint>/ being fetched, under a lock
    <cache>/replicator/jars/.lock-<set>-<fingerprint>     the lock

A killed fetch leaves the partial folder only; the next one keeps what it can prove and goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import IO

from replicator.clock import Deadline
from replicator.errors import DataCorrupt, ReplicatorError, Unreachable
from replicator.jvm.jarstore.jarlist import Jar, JarSet, find_jar_set

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) while jars are fetched; from several threads, one at a time."""

MAVEN_CENTRAL_URL = "https://repo.maven.apache.org/maven2"
FETCH_TIMEOUT_SECONDS = 600.0
_REQUEST_TIMEOUT_SECONDS = 20
_ATTEMPTS = 3
_THREADS = 6
_POLL_SECONDS = 0.1
_PAUSE_SECONDS = 0.5


def default_cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/replicator`, or `~/.cache/replicator`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "replicator"


def kafka_classpath(progress: Progress | None = None) -> str:
    """Return the class path of Kafka's broker, Connect, MirrorMaker 2 and tools.

    Raises: what `jars` raises.
    """
    return os.pathsep.join(str(path) for path in jars("kafka", progress=progress))


def jars(set_name: str, *, progress: Progress | None = None) -> tuple[Path, ...]:
    """Return the paths of a set's jars, each proven against its SHA-256; fetches what is missing.

    `REPLICATOR_MAVEN_URL` names another Maven repository (a mirror); the list of hashes stays ours.

    Raises: NotFound for an unknown set, Unreachable when the repository does not answer,
    DataCorrupt when a jar is not the one our list names.
    """
    return _jars_once(
        set_name, default_cache_folder(), os.environ.get("REPLICATOR_MAVEN_URL", MAVEN_CENTRAL_URL), progress
    )


@cache
def _jars_once(set_name: str, folder: Path, url: str, progress: Progress | None) -> tuple[Path, ...]:
    return provide_jars(
        find_jar_set(set_name),
        cache_folder=folder,
        repository_url=url,
        progress=progress,
        deadline=Deadline.after(FETCH_TIMEOUT_SECONDS),
    )


def provide_jars(
    jar_set: JarSet, *, cache_folder: Path, repository_url: str, deadline: Deadline, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Return the proven jars of `jar_set` under `cache_folder`, fetching the set if it is not there.

    Raises: Unreachable, DeadlineExceeded, DataCorrupt.
    """
    root = cache_folder / "jars"
    home = root / f"{jar_set.name}-{jar_set.fingerprint}"
    if not home.is_dir():
        _make_folder(root)
        with _locked(root / f".lock-{home.name}", deadline):
            if not home.is_dir():
                _fetch(jar_set, home, root / f".partial-{home.name}", repository_url, deadline, progress)
    for jar in jar_set.jars:
        _prove(jar, home / jar.file_name)
    return tuple(home / jar.file_name for jar in jar_set.jars)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ReplicatorError(
            f"cannot make the jar cache {path}: {exc.strerror}", hint="set XDG_CACHE_HOME to a folder you may write"
        ) from exc


@contextlib.contextmanager
def _locked(path: Path, deadline: Deadline) -> Iterator[None]:
    with path.open("w") as handle:
        while not _try_lock(handle):
            deadline.check(f"waiting for another process that fetches jars ({path})")
            deadline.clock.sleep(deadline.capped(_POLL_SECONDS))
        yield


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Tally:
    """Bytes done so far, summed over the threads."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._lock = threading.Lock()
        self._done = 0
        self._total = total
        self._progress = progress

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._progress is not None:
                self._progress(self._done, self._total)


def _fetch(jar_set: JarSet, home: Path, partial: Path, url: str, deadline: Deadline, progress: Progress | None) -> None:
    partial.mkdir(exist_ok=True)
    tally = _Tally(jar_set.size_bytes, progress)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="jars") as pool:
        futures = [pool.submit(_fetch_one, jar, partial, url, deadline, tally) for jar in jar_set.jars]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    shutil.rmtree(partial / "repository", ignore_errors=True)
    partial.rename(home)


def _fetch_one(jar: Jar, partial: Path, url: str, deadline: Deadline, tally: _Tally) -> None:
    place = partial / jar.file_name
    if place.exists() and _hash(place) == jar.sha256:
        tally.add(jar.size_bytes)
        return
    for attempt in range(1, _ATTEMPTS + 1):
        deadline.check(f"fetching {jar.coordinate}")
        try:
            _download(jar, partial / "repository", url).replace(place)
            _prove(jar, place)
        except (Unreachable, DataCorrupt):
            place.unlink(missing_ok=True)
            if attempt == _ATTEMPTS:
                raise
            deadline.clock.sleep(deadline.capped(_PAUSE_SECONDS * attempt))
        else:
            tally.add(jar.size_bytes)
            return


def _download(jar: Jar, repository: Path, url: str) -> Path:
    from jgo.maven import MavenContext, PythonResolver
    from requests import RequestException

    context = MavenContext(
        repo_cache=repository,
        resolver=PythonResolver(),
        remote_repos={"repository": url},
        timeout=_REQUEST_TIMEOUT_SECONDS,
    )
    group, name, version = jar.coordinate.split(":")
    artifact = context.project(group, name).at_version(version).artifact()
    if artifact.cached_path is not None:
        artifact.cached_path.unlink(missing_ok=True)  # jgo would take a half-written file for a whole one
    try:
        return Path(artifact.resolve())
    except (RequestException, RuntimeError, OSError) as exc:
        raise Unreachable(
            f"cannot fetch {jar.coordinate} from {url}: {_first_line(exc)}",
            hint="check the network (HTTPS_PROXY and REQUESTS_CA_BUNDLE are honoured), or name a mirror in"
            " REPLICATOR_MAVEN_URL; run again",
        ) from exc


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:200]


def _hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _prove(jar: Jar, path: Path) -> None:
    actual = _hash(path) if path.exists() else "missing"
    if actual != jar.sha256:
        raise DataCorrupt(
            f"{path} is not {jar.coordinate}: its SHA-256 is {actual[:12]}…, our list says {jar.sha256[:12]}…",
            hint=f"nothing was run from it; remove {path.parent} and run again",
        )
