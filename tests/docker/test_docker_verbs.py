"""The verbs of `replicator worker` with runtime docker: each as a person types it, each proven by the engine."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replicator.lab import Lab
from replicator.lab.ports import choose_ports
from replicator.worker.container import LABEL_WORKER
from tests.conftest import Names

pytestmark = pytest.mark.docker
VERB_SECONDS = 400
CONFIG = """\
apiVersion: replicator/v1
clusters:
  west: {{bootstrap: "{west}", security: {{insecure: true}}}}
connect:
  west: {{runtime: docker, url: "http://127.0.0.1:{port}", group_id: "{group}", image: "{image}",
         heap_mib: {heap}, folder: "{folder}"}}
flows: {{}}
"""


class Desk:
    """One configuration with a worker in a container, and a shell before it."""

    def __init__(self, lab: Lab, image: str, folder: Path, group: str) -> None:
        (port,) = choose_ports(1, rng=random.Random())
        self.label = f"{LABEL_WORKER}={group}@{port}"
        self._config = folder / "replicator.yaml"
        self._values = {
            "west": lab.west.bootstrap,
            "port": port,
            "group": group,
            "image": image,
            "folder": folder / "worker",
        }
        self.write(heap=256)

    def write(self, *, heap: int) -> None:
        """Leave the configuration with this heap."""
        self._config.write_text(CONFIG.format(**self._values, heap=heap))

    def run(self, *words: str, status: int = 0) -> str:
        """Return what a verb printed, once it ended with the status."""
        argv = [sys.executable, "-m", "replicator", "-c", str(self._config), "worker", *words, "--timeout", "300"]
        done = subprocess.run([*argv, "-o", "json"], capture_output=True, text=True, check=False, timeout=VERB_SECONDS)
        assert done.returncode == status, done.stderr[-3000:]
        return done.stdout

    def item(self, *words: str) -> dict[str, Any]:
        """Return the worker a verb told of."""
        found: dict[str, Any] = json.loads(self.run(*words))["item"]
        return found


@pytest.fixture
def desk(kafka_image: str, lab: Lab, tmp_path: Path, names: Names, engine: Any) -> Iterator[Desk]:
    """A desk whose container is gone afterwards."""
    made = Desk(lab, kafka_image, tmp_path, names.group("verbs"))
    try:
        yield made
    finally:
        for container in engine.containers.list(all=True, filters={"label": made.label}):
            container.remove(force=True)


def test_the_verbs_start_replace_and_stop_a_container(desk: Desk, engine: Any) -> None:
    """start runs one that answers, again changes nothing; replace gives it the new heap; stop ends it."""

    def containers() -> list[Any]:
        found: list[Any] = engine.containers.list(filters={"label": desk.label})
        return found

    (before,) = json.loads(desk.run("list"))["items"]
    assert (before["runtime"], before["state"], before["problem"]) == ("docker", "gone", None)
    assert desk.item("start", "west")["state"] == "running"
    (first,) = containers()
    assert desk.item("start", "west")["state"] == "running"
    assert [one.id for one in containers()] == [first.id], "a worker that runs is left as it is"
    desk.run("stop", "west", "--no-input", status=6)
    assert [one.id for one in containers()] == [first.id], "nobody said yes"
    desk.write(heap=300)
    assert desk.item("replace", "west", "--yes")["state"] == "running"
    (second,) = containers()
    assert second.id != first.id
    assert second.attrs["HostConfig"]["Memory"] > first.attrs["HostConfig"]["Memory"]
    assert desk.item("stop", "west", "--yes")["state"] == "gone"
    assert containers() == []
