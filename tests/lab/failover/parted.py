"""Two histories that have parted: mirrored, then the old active alone written, then the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition

FLOW = "home"
PLAIN, TABLE, WHOLE = (TopicName(f"home.{name}") for name in ("plain", "table", "whole"))
READERS = GroupName("home.readers")
LOADED, ORPHANS, SINCE = 60, 7, 11


@dataclass
class Scene:
    """Two clusters after a failover: the old active has orphans, the new one has gone on."""

    config: Path
    clusters: dict[str, KafkaCluster]
    written: dict[tuple[str, TopicName], list[str]] = field(default_factory=dict)
    orphans: dict[TopicName, list[str]] = field(default_factory=dict)

    def run(self, *arguments: str, crash_at: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return how a fresh process ended."""
        command = [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments]
        environ = self.environment() if crash_at is None else self.environment(REPLICATOR_CRASH_AT=crash_at)
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environ)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of a machine that knows nothing of ours but `extra`."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {"HOME": str(self.config.parent), **kept, **extra}

    def write(self, cluster: str, topic: TopicName, rows: list[tuple[str | None, str | None]]) -> None:
        """Write rows of key and value; None is a tombstone."""
        writer = self.clusters[cluster].writer("test")
        for key, value in rows:
            writer.send(Outgoing(topic, _bytes(key), _bytes(value), partition=0))
        writer.flush(Deadline.after(60))
        writer.close()

    def rows(self, cluster: str, topic: TopicName) -> list[tuple[str | None, str | None]]:
        """Return key and value of every visible record, in order."""
        tp, door = TopicPartition(topic, 0), self.clusters[cluster]
        end = door.positions.ends([tp], Deadline.after(30))[tp]
        read = door.read_range(tp, end.log_start, end.last_stable, deadline=Deadline.after(60), records_max=10**6)
        return [(_text(record.key), _text(record.value)) for record in read.records]

    def values(self, cluster: str, topic: TopicName) -> list[str | None]:
        """Return the values alone."""
        return [value for _, value in self.rows(cluster, topic)]

    def table(self, cluster: str) -> dict[str | None, str]:
        """Return what somebody who reads the whole table ends up with."""
        latest = dict(self.rows(cluster, TABLE))
        return {key: value for key, value in latest.items() if value is not None}

    def topic_id(self, cluster: str, topic: TopicName) -> str:
        """Return the id of a topic."""
        return self.clusters[cluster].topics.describe([topic], Deadline.after(30))[topic].topic_id

    def ahead(self, cluster: str, topic: TopicName) -> list[str | None]:
        """Return the values that the group would be handed next."""
        tp, door = TopicPartition(topic, 0), self.clusters[cluster]
        at = door.groups.committed([READERS], Deadline.after(30))[READERS].committed[tp]
        end = door.positions.ends([tp], Deadline.after(30))[tp]
        read = door.read_range(tp, at, end.last_stable, deadline=Deadline.after(60), records_max=10**6)
        return [_text(record.value) for record in read.records]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def wait_until(is_reached: Callable[[], Any], *, what: str, seconds: float = 180) -> None:
    """Return once it is so."""
    deadline = Deadline.after(seconds)
    while not is_reached():
        deadline.check(what)
        time.sleep(0.2)


def numbered(word: str, count: int) -> list[tuple[str | None, str | None]]:
    """Return rows without keys, told apart by a word and a number."""
    return [(None, f"{word}-{number}") for number in range(count)]


@contextmanager
def open_parted(lab: Lab, folder: Path, **failover: Any) -> Iterator[Scene]:
    """Mirrored, then east alone is written, then west takes over and is written: the histories have parted.

    `failover` are settings of that section.
    """
    config = folder / "replicator.yaml"
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": ["home.*"]},
        "groups": {"include": ["home.*"]},
        "connector": {"tasks.max": 1},
    }
    sections = {
        "flows": {FLOW: flow},
        "snapshots": {"store": str(folder / "store")},
        "failover": {"fence": "attested", **failover},
        "supervisor": {"session_seconds": 2},
    }
    text = lab.config_path.read_text().replace("flows: {}\n", "")
    config.write_text(text + "".join(f"{name}: {json.dumps(section)}\n" for name, section in sections.items()))
    with KafkaCluster(lab.east) as east, KafkaCluster(lab.west) as west:
        made = Scene(config, {"east": east, "west": west})
        specs = [TopicSpec(name=name, partitions=1, configs={"retention.ms": "-1"}) for name in (PLAIN, WHOLE)]
        table = TopicSpec(name=TABLE, partitions=1, configs={"cleanup.policy": "compact"})
        east.topics.create([*specs, table], Deadline.after(30))
        made.write("east", PLAIN, numbered("loaded", LOADED))
        made.write("east", WHOLE, numbered("loaded", LOADED))
        made.write("east", TABLE, [(key, "loaded") for key in ("kept", "changed", "dropped")])
        east.groups.commit(READERS, {TopicPartition(WHOLE, 0): LOADED // 2}, Deadline.after(30))
        lab.start("east/connect", wait=Deadline.after(120))
        assert_ready(made.run("repo", "init"))
        assert_ready(made.run("apply", FLOW))
        wait_until(
            lambda: (
                len(made.rows("west", PLAIN)) == len(made.rows("west", WHOLE)) == LOADED
                and len(made.rows("west", TABLE)) == 3
            ),
            what="the load is mirrored",
        )
        _part(made)
        yield made


def assert_ready(ended: subprocess.CompletedProcess[str]) -> None:
    assert ended.returncode == 0, ended.stderr


def _part(scene: Scene) -> None:
    """Let east be written unseen, move to west, and write there."""
    assert_ready(scene.run("flow", "stop", FLOW, "--yes"))
    for topic in (PLAIN, WHOLE):
        scene.write("east", topic, numbered("orphan", ORPHANS))
    rows: list[tuple[str | None, str | None]] = [(key, "orphan") for key in ("kept", "changed", "dropped", "unknown")]
    scene.write("east", TABLE, rows)
    scene.orphans = {
        PLAIN: [f"orphan-{n}" for n in range(ORPHANS)],
        WHOLE: [f"orphan-{n}" for n in range(ORPHANS)],
        TABLE: ["orphan"] * len(rows),
    }
    moved = scene.run("failover", FLOW, "--confirm", FLOW, "--accept", "split-brain,stale-groups")
    assert moved.returncode in (0, 3), moved.stderr
    for topic in (PLAIN, WHOLE):
        scene.write("west", topic, numbered("since", SINCE))
    scene.write("west", TABLE, [("changed", "since"), ("dropped", None), ("new", "since")])
    at = LOADED + SINCE // 2
    rows_on_west = scene.rows("west", WHOLE)
    west = scene.clusters["west"]
    tp = TopicPartition(WHOLE, 0)
    end = west.positions.ends([tp], Deadline.after(30))[tp]
    read = west.read_range(tp, end.log_start, end.last_stable, deadline=Deadline.after(30))
    assert len(rows_on_west) == LOADED + SINCE
    west.groups.commit(READERS, {tp: read.records[at].offset}, Deadline.after(30))
