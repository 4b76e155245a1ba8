"""A holder of the lease that was frozen and wakes up when another has gone on: it changes nothing, and says so.

Frozen in turn right before it makes a snapshot visible, before it tells Connect something, and before it runs a hook of
the operator: each time another process takes the operation over, and the one before wakes up behind it.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import LABEL_EPOCH, ConnectClient
from replicator.errors import Fenced, LockHeld, PartlyDone
from replicator.failover import reverse_of
from replicator.journal import Journal
from replicator.lab import Lab
from replicator.settings import load_settings
from tests.lab.failover.parted import FLOW, Scene, open_parted, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

COMMAND = ("failback", FLOW, "--confirm", FLOW, "-o", "json")
NOTE = "import os, sys; open(sys.argv[1], 'a').write(' '.join(os.environ[n] for n in ('OP', 'STEP', 'EPOCH')) + '\\n')"
WAKING_SECONDS = 120.0


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the operator's hook has written down, a line a call."""
    return tmp_path_factory.mktemp("hooks") / "notes"


@pytest.fixture(scope="module")
def scene(private_lab: Lab, notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Histories that have parted, with a hook at promote."""
    hooks = {"promote": [{"argv": [sys.executable, "-c", NOTE, str(notes)], "timeout_seconds": 60}]}
    with open_parted(private_lab, tmp_path_factory.mktemp("woken"), hooks=hooks) as made:
        yield made


class Frozen:
    """A real command that has stopped itself with SIGSTOP at a place."""

    def __init__(self, scene: Scene, folder: Path, place: str) -> None:
        self._log = folder / f"{place}.log"
        self._argv = [sys.executable, "-m", "replicator", "-c", str(scene.config), *COMMAND]
        self._environ = scene.environment(REPLICATOR_FREEZE_AT=place)
        self.process = self._start()
        wait_until(self.is_stopped, what=f"a process stopped at {place}", seconds=WAKING_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(self._argv, env=self._environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def is_stopped(self) -> bool:
        """Whether it stands still, alive. While the one before counts as a holder the same command is given again."""
        pid, status = os.waitpid(self.process.pid, os.WNOHANG | os.WUNTRACED)
        if pid != 0 and os.WIFEXITED(status) and os.WEXITSTATUS(status) == LockHeld.exit_status:
            self.process = self._start()
            return False
        assert pid == 0 or os.WIFSTOPPED(status), self._log.read_text()
        return pid != 0

    def wake(self) -> tuple[int, str]:
        """Return how it ended once it was woken up, and what it said."""
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait(timeout=WAKING_SECONDS), self._log.read_text()

    def close(self) -> None:
        """Leave no process."""
        self.process.kill()
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(timeout=60)


def objects(scene: Scene) -> dict[str, bytes]:
    """Return what the store holds, claims left out: who is at work renews them."""
    root = scene.config.parent / "store"
    files = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] != "claims"]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def connectors(scene: Scene, lab: Lab) -> dict[str, tuple[dict[str, str], str]]:
    """Return configuration and state of every connector of the way home."""
    back = reverse_of(load_settings(scene.config, {}).flow(FLOW))
    found = {}
    with ConnectClient(lab.connect_url("east")) as connect:
        for name in (back.source_connector, back.checkpoint_connector):
            connector = connect.find(name, Deadline.after(60))
            if connector is not None:
                found[name] = (dict(connector.config), connect.status(name, Deadline.after(60)).state.value)
    return found


def epochs(scene: Scene) -> list[int]:
    """Return the epochs of the failback's holders, oldest first."""
    records = Journal(scene.clusters["east"]).read(Deadline.after(60))
    return sorted({r.epoch for r in records if r.kind == "failback"})


def assert_fenced(woken: tuple[int, str]) -> None:
    """It has ended as one that may act no more, and named who goes on."""
    status, said = woken
    assert status == Fenced.exit_status, said
    assert "replicator op list" in said


def test_a_woken_holder_changes_nothing(scene: Scene, private_lab: Lab, notes: Path, tmp_path: Path) -> None:
    """At the store, at Connect and at a hook: what stands there after the other has gone on is what stands there when
    the woken one has ended; its exit status says that it was fenced."""
    frozen: list[Frozen] = []

    def freeze(place: str) -> Frozen:
        frozen.append(Frozen(scene, tmp_path, place))
        return frozen[-1]

    try:
        at_store = freeze("export_orphans.before_publish")
        assert not [name for name in objects(scene) if name.startswith("manifests/")]
        at_connect = freeze("seed_reverse.between_connectors")
        kept = objects(scene)
        assert len([name for name in kept if name.startswith("manifests/")]) == 1
        assert_fenced(at_store.wake())
        assert visible(objects(scene)) == visible(kept)

        called_before = notes.read_text()
        at_hook = freeze("promote.before_hooks")
        assert notes.read_text() == called_before
        standing = connectors(scene, private_lab)
        assert {config[LABEL_EPOCH] for config, _ in standing.values()} == {str(epochs(scene)[-1])}
        assert_fenced(at_connect.wake())
        assert connectors(scene, private_lab) == standing

        (manifest,) = (scene.config.parent / "store" / "manifests").iterdir()
        tags = snapshot_of(scene)["tags"]
        manifest.unlink()
        ended = scene.run(*COMMAND)
        assert ended.returncode == PartlyDone.exit_status, ended.stderr
        called = notes.read_text()
        mine = called.removeprefix(called_before).splitlines()
        assert [line.split()[1:] for line in mine] == [["promote", str(epochs(scene)[-1])]]
        assert_fenced(at_hook.wake())
        assert notes.read_text() == called
    finally:
        for one in frozen:
            one.close()
    assert len(epochs(scene)) == 4, "each holder had an epoch of its own"
    report = json.loads(ended.stdout)["item"]
    assert {"orphans", report["operation_id"], f"epoch-{epochs(scene)[1]}"} <= set(tags)
    assert_heads_kept(scene)
    assert_captured_as_told(scene, report, manifest.name)


def visible(kept: dict[str, bytes]) -> dict[str, bytes]:
    """Return what can be seen of a store: a capture that was given up leaves packs and notes that nothing names."""
    return {name: data for name, data in kept.items() if name.split("/")[0] not in ("packs", "states", "unfinished")}


def snapshot_of(scene: Scene) -> dict[str, Any]:
    """Return the only snapshot of the store."""
    listed = scene.run("snapshot", "list", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    (snapshot,) = json.loads(listed.stdout)["items"]
    return dict(snapshot)


def assert_heads_kept(scene: Scene) -> None:
    """The journals' ends are in the store, their holder's epoch in the key, and agree with the journals."""
    heads = [name for name in objects(scene) if name.startswith("heads/east/")]
    assert any(name.endswith(f"-{epochs(scene)[-1]}") for name in heads), heads
    proven = scene.run("audit", "verify", "-o", "json")
    assert proven.returncode == 0, proven.stderr
    assert all(one["witnesses"] >= 1 for one in json.loads(proven.stdout)["items"] if one["records"])


def assert_captured_as_told(scene: Scene, report: dict[str, Any], lost: str) -> None:
    """The snapshot of orphans that was deleted behind its export is told, and the told command takes it anew."""
    (told,) = report["exceptions"]
    assert lost in told
    assert "is gone from the store" in told
    words = shlex.split(told.split("`")[1])
    assert words[0] == "replicator"
    taken = scene.run(*words[1:])
    assert taken.returncode == 0, taken.stderr
    shown = scene.run("snapshot", "show", snapshot_of(scene)["id"], "-o", "json")
    assert shown.returncode == 0, shown.stderr
    topics = {topic["name"] for topic in json.loads(shown.stdout)["item"]["topics"]}
    assert topics == set(report["orphans"]["topics"])
