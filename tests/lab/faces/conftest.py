"""A supervisor in a process of its own over the shared lab, its API behind TLS and tokens, asked as people ask it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, free_address
from replicator.lab.security.certificates import CertificateFiles, make_certificates
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition

VIEWER, OPERATOR = "viewer-token-0123456789", "operator-token-0123456789"
RECORDS = 40
WAIT_SECONDS = 90.0
Value = TypeVar("Value")


def wait_until(ask: Callable[[], Value | None], *, what: str, seconds: float = WAIT_SECONDS) -> Value:
    """Return the first answer that is true, or fail."""
    deadline = Deadline.after(seconds)
    while not deadline.is_over:
        if answer := ask():
            return answer
        time.sleep(0.2)
    pytest.fail(f"{what} did not happen within {seconds:g} s")


@dataclass
class Face:
    """One configuration, the supervisor that runs on it, and a shell."""

    lab: Lab
    folder: Path
    flow: str
    topic: TopicName
    group: GroupName
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "replicator.yaml"

    def command(self, *words: str) -> list[str]:
        """Return a command line on the configuration."""
        return [sys.executable, "-m", "replicator", "-c", str(self.config), *words]

    def run(self, *words: str, status: int | None = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """Return how a command ended; with `status` it ended so."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env={**self.environ, **environ},
        )
        assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def answer(self, *words: str, status: int | None = 0, **environ: str) -> dict[str, Any]:
        """Return the envelope a command printed."""
        envelope: dict[str, Any] = json.loads(self.run(*words, "-o", "json", status=status, **environ).stdout)
        return envelope

    def start(self) -> None:
        """Let the supervisor run, and return once it answers with the flow's lag."""
        with (self.folder / "supervisor.log").open("ab") as log:
            self.process = subprocess.Popen(self.command("run"), env=self.environ, stdout=log, stderr=log)
        wait_until(self.is_live, what="a supervisor that answers")

    def is_live(self) -> bool:
        """Whether the supervisor itself answers, and knows the flow's lag."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "supervisor.log").read_text()
        item = self.answer("status", status=None)["item"]
        return item["is_standalone"] is False and item["flows"][0]["lag"]["lag_records"] == 0

    def stop(self) -> int:
        """Return how the supervisor ended when asked to."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def write_face(face: Face, **supervisor: Any) -> None:
    """Write the configuration: the lab's, one flow, a folder of snapshots, the API behind TLS and tokens."""
    files = CertificateFiles(ca=face.folder / "ca.pem", broker=face.folder / "api.pem")
    make_certificates(files)
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": [face.topic]},
        "groups": {"include": [face.group]},
        "objectives": {"rpo_seconds": 30},
        "connector": {"tasks.max": 1},
    }
    api = {
        "tokens": {"grafana": {"secret": "env:VIEWER"}, "ops": {"role": "operator", "secret": "env:OPERATOR"}},
        "certificate_file": "api.pem",
        "key_file": "api.pem",
        "client": {"token": "env:VIEWER", "ca_file": "ca.pem"},
    }
    text = face.lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps({face.flow: flow})}")
    sections = {
        "supervisor": {"id": face.flow[:60], "listen": free_address(), "api": api, **supervisor},
        "snapshots": {"store": "snapshots"},
    }
    face.config.write_text(text + "".join(f"{key}: {json.dumps(value)}\n" for key, value in sections.items()))


def use_own_worker(face: Face) -> None:
    """Let the Connect beside east be a local process of ours; the configuration was the lab's, which names its own."""
    external = f'    runtime: "external"\n    url: {json.dumps(face.lab.connect_url("east"))}\n'
    head, found, tail = face.config.read_text().partition(external)
    assert found
    group, _, rest = tail.partition("\n")
    rest = rest.partition("\n")[2]  # the lab's secrets folder: a worker of ours has its own
    worker = f'    runtime: process\n    url: "http://{free_address()}"\n    folder: worker\n    heap_mib: 512\n'
    face.config.write_text(f"{head}{worker}{group}\n{rest}")


def fill(face: Face) -> None:
    """Put records on the source and let the flow's group stand in the middle of them."""
    with KafkaCluster(face.lab.access("east", "app")) as east:
        east.topics.create([TopicSpec(name=face.topic, partitions=2)], Deadline.after(60))
        writer = east.writer("test")
        for number in range(RECORDS):
            writer.send(Outgoing(face.topic, b"k", str(number).encode(), partition=number % 2))
        writer.flush(Deadline.after(60))
        writer.close()
        half = {TopicPartition(face.topic, number): RECORDS // 4 for number in range(2)}
        east.groups.commit(face.group, half, Deadline.after(60))


def make_face(lab: Lab, folder: Path) -> Face:
    """Return a face with records, a group and a configuration; nothing of it runs yet."""
    prefix = f"face-{random.getrandbits(32):08x}"
    inherited = {key: value for key, value in os.environ.items() if "SUPERVISOR" not in key and "CONFIG" not in key}
    environ = {**inherited, "XDG_STATE_HOME": str(folder / "state"), "VIEWER": VIEWER, "OPERATOR": OPERATOR}
    face = Face(lab, folder, prefix, TopicName(f"{prefix}.orders"), GroupName(f"{prefix}.app"), environ)
    write_face(face)
    fill(face)
    return face


@pytest.fixture(scope="package")
def face(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A running supervisor over one applied flow of the shared lab."""
    made = make_face(lab, tmp_path_factory.mktemp("face"))
    made.run("repo", "init")
    made.run("apply")
    made.start()
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(timeout=30)
        made.run("flow", "stop", made.flow, "--yes", status=None)
