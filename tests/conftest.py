"""Labs for tests, each on real brokers, and names that no other test uses.

`lab` is shared by the whole run: leave its members alone and keep to your own `names`. A test that
kills, freezes or reconfigures takes `private_lab`; one that needs ACLs takes `secure_lab`. All
of them die with pytest, however it ends.

`docker_engine` is for tests that run containers, `kafka_image` for those that need Kafka in one. Where no
engine answers they are skipped and say why; REPLICATOR_REQUIRE_DOCKER=1 makes that a failure.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from replicator.clock import Deadline
from replicator.jvm import Guardian, kafka_classpath, show_download
from replicator.lab import Lab, LabSpec
from replicator.model.names import GroupName, TopicName
from tests.s3 import S3Server, environment_for, s3_server

ROOT = Path(__file__).parents[1]
# A run in the background may have been started with Ctrl-C ignored, which children would inherit: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# In CI the same examples every time, so that a change is judged by itself; elsewhere new ones, which find new faults.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

UP_SECONDS = 120.0
BUILD_SECONDS = 300.0
_MARKS_BY_FIXTURE = {
    "lab": pytest.mark.lab,
    "private_lab": pytest.mark.lab,
    "secure_lab": pytest.mark.lab,
    "docker_engine": pytest.mark.docker,
}


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one test: `prefix` begins them all and is unique in the run."""

    prefix: str

    def topic(self, name: str) -> TopicName:
        """Return a topic of this test alone."""
        return TopicName(f"{self.prefix}.{name}")

    def group(self, name: str) -> GroupName:
        """Return a consumer group of this test alone."""
        return GroupName(f"{self.prefix}.{name}")

    def flow(self, name: str = "flow") -> str:
        """Return a flow of this test alone; its connectors are named after it."""
        return f"{self.prefix}-{name}"


@pytest.hookimpl(tryfirst=True)  # before the group becomes part of a test's name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by the fixtures it takes: labs, containers; and by what must stay in one process with it.

    Two processes may share the work (`-n 2 --dist loadgroup`): a module is never divided, and all modules
    that use a shared lab go to the same process, so that there is one of it a run.
    """
    fixtures_of = {item: frozenset(getattr(item, "fixturenames", ())) for item in items}
    shared = {item.path: name for name in ("secure_lab", "lab") for item, names in fixtures_of.items() if name in names}
    for item, names in fixtures_of.items():
        for name, mark in _MARKS_BY_FIXTURE.items():
            if name in names:
                item.add_marker(mark)
        group = shared.get(item.path) or item.path.relative_to(ROOT).as_posix()
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Names:
    """Names for this test alone."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[5:35].strip("-")
    return Names(f"{stem}-{random.getrandbits(32):08x}")


@pytest.fixture(scope="session")
def _guardian() -> Iterator[Guardian]:
    guardian = Guardian()
    yield guardian
    guardian.close()


@pytest.fixture(scope="session")
def _jars() -> None:
    with show_download() as progress:
        kafka_classpath(progress)


def run_lab(folder: Path, spec: LabSpec, guardian: Guardian) -> Iterator[Lab]:
    """Yield a lab that is up, and leave nothing of it running."""
    made = Lab.make(folder, spec, guardian=guardian, rng=random.Random())
    made.up(Deadline.after(UP_SECONDS))
    try:
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """Clusters east and west and a worker beside west, shared by the whole run."""
    yield from run_lab(tmp_path_factory.mktemp("lab"), LabSpec(), _guardian)


@pytest.fixture(scope="module")
def private_lab(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """The same for one module alone, to be killed and frozen at will; leave it as you want to find it."""
    yield from run_lab(tmp_path_factory.mktemp("private-lab"), LabSpec(), _guardian)


@pytest.fixture(scope="session")
def secure_lab(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """The same with SASL_SSL, SCRAM and ACLs, shared by the whole run."""
    yield from run_lab(tmp_path_factory.mktemp("secure-lab"), LabSpec(is_secure=True), _guardian)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian) -> Iterator[S3Server]:
    """A real S3 server, shared by the whole run; each test makes buckets of its own."""
    with s3_server(tmp_path_factory.mktemp("s3"), _guardian) as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, with the environment that opens it."""
    for name, value in environment_for(s3.endpoint).items():
        monkeypatch.setenv(name, value)
    return s3.make_bucket(f"bucket-{random.getrandbits(48):012x}")


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """A Docker engine that answers."""
    docker = pytest.importorskip("docker")
    try:
        engine = docker.from_env(timeout=20)
        engine.ping()
        engine.close()
    except docker.errors.DockerException as exc:
        _lack(f"no Docker engine answers: {str(exc)[:120]}")


def _build_image(name: str) -> str:
    """Return one of the project's own images, built on this machine from this machine's files."""
    argv = [sys.executable, "-m", "compose.image.build", name]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    if done.returncode:
        _lack(f"the image {name} cannot be built: {done.stderr[-800:]}")
    return done.stdout.split()[-1]


def _lack(what: str) -> NoReturn:
    if os.environ.get("REPLICATOR_REQUIRE_DOCKER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def build_image(docker_engine: None) -> Callable[[str], str]:
    """A function that builds one of the project's own images, each once in a run, and returns its name."""
    return cache(_build_image)


@pytest.fixture(scope="session")
def kafka_image(build_image: Callable[[str], str]) -> str:
    """An image with Kafka and Connect on the paths of the official one."""
    return build_image("kafka")
