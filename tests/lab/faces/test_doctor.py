"""doctor over a sound lab and over several that are not: what it names, what mends it, and that it always ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.lab import free_address

from .conftest import Face, wait_until

BUDGET_SECONDS = 30.0
"""A cluster that accepts and says nothing costs doctor some six seconds, on a slow machine a few more."""


def test_a_sound_lab_has_no_complaint(face: Face) -> None:
    """Exit 0, with every check made: clusters, ids, versions, plugins, exactly once, syncs, converters, durability,
    clocks by our own heartbeats, the store."""

    def sound() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = face.answer("doctor")["items"]
        return items if ("clock", "ok") in {(one["check"], one["severity"]) for one in items} else None

    found = wait_until(sound, what="the first heartbeat on west")
    checks = {one["check"]: one["severity"] for one in found if one["subject"] != "connect.east"}
    wanted = {"config", "reachability", "cluster-id", "versions", "plugins", "exactly-once", "offset-syncs"}
    assert {name: checks[name] for name in wanted} == dict.fromkeys(wanted, "ok")
    assert {checks["converters"], checks["durability"], checks["clock"], checks["plan"], checks["store"]} == {"ok"}
    assert checks["rights"] == "skipped", "the plain lab checks no rights"


def test_a_connector_changed_by_hand_is_named_and_mended_by_its_fix(face: Face) -> None:
    """A header converter that would change records blocks; the fix it names brings the flow back."""
    name = f"{face.flow}.source"
    with ConnectClient(face.lab.connect_url("west")) as connect:
        made = connect.find(name, Deadline.after(30))
        assert made is not None
        wrong = {"header.converter": "org.apache.kafka.connect.storage.SimpleHeaderConverter"}
        connect.configure(name, {**made.config, **wrong}, Deadline.after(30))
    found = face.answer("doctor", "--only-issues", status=4)["items"]
    (blocked,) = [one for one in found if one["check"] == "converters"]
    assert blocked["severity"] == "blocked"
    assert "SimpleHeaderConverter" in blocked["what"]
    program, *words = blocked["fix"].split()
    assert program == "replicator"
    face.run(*words)
    face.run("doctor")


@pytest.fixture
def mute() -> Iterator[str]:
    """An address that accepts every connection and never says a word, as a frozen broker does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def elsewhere(face: Face, folder: Path, change: Callable[[str], str]) -> Face:
    """Return the same face over a configuration that differs."""
    text = change(face.config.read_text())
    assert text != face.config.read_text()
    for name in ("ca.pem", "api.pem"):
        (folder / name).write_bytes((face.folder / name).read_bytes())
        (folder / name).chmod(0o600)
    (folder / "replicator.yaml").write_text(text)
    return Face(face.lab, folder, face.flow, face.topic, face.group, face.environ)


def severities(found: list[dict[str, Any]], subject: str) -> dict[str, str]:
    """Return how grave each check of one subject is."""
    return {one["check"]: one["severity"] for one in found if subject in one["subject"]}


def test_a_mute_cluster_is_said_to_be_and_what_it_hides_is_unknown(face: Face, tmp_path: Path, mute: str) -> None:
    """It ends in bounded time and exits 4; no check of the flow counts as passed, west's own are made all the same."""
    began = time.monotonic()
    bent = elsewhere(face, tmp_path, lambda text: text.replace(face.lab.east.bootstrap, mute))
    found = bent.answer("doctor", status=4)["items"]
    assert time.monotonic() - began < BUDGET_SECONDS
    assert severities(found, "clusters.east") == {"reachability": "blocked"}
    assert set(severities(found, f"flow {face.flow}").values()) == {"unknown"}
    assert severities(found, "clusters.west")["reachability"] == "ok"
    assert severities(found, "connect.west")["plugins"] == "ok"


def test_two_names_for_the_wrong_cluster(face: Face, tmp_path: Path) -> None:
    """A cluster that answers as another blocks, with both ids and the key to correct."""
    wrong = "AAAAAAAAAAAAAAAAAAAAAA"
    bent = elsewhere(face, tmp_path, lambda text: text.replace(str(face.lab.west.cluster_id), wrong))
    (found,) = bent.answer("doctor", "--cluster", "west", "--only-issues", status=4)["items"]
    assert found["check"] == "cluster-id"
    assert wrong in found["what"]
    assert f"clusters.west.cluster_id: {face.lab.west.cluster_id}" in found["fix"]


def test_a_dead_worker_and_a_missing_repository(face: Face, tmp_path: Path) -> None:
    """The Connect that a flow needs blocks when it is gone; a store without a repository warns with the verb to run."""
    url = face.lab.connect_url("west")
    bent = elsewhere(face, tmp_path, lambda text: text.replace(url, f"http://{free_address()}"))
    found = bent.answer("doctor", "--only-issues", status=4)["items"]
    assert severities(found, "connect.west") == {"connect": "blocked"}
    assert [one["fix"] for one in found if one["check"] == "store"] == ["replicator repo init"]
