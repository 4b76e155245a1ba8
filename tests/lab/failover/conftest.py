"""One outage for a folder of tests: flows between real clusters, a supervisor, live traffic; then every east
process and the supervisor are killed. Each test fails its own flow over, from the standby alone.

What is true is known from the outside: which record was acknowledged where, and what each group was handed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient, StoredConnector, fold_connectors
from replicator.errors import ReplicatorError
from replicator.journal import Observations, Observed
from replicator.kafka import KafkaCluster, Outgoing, probe_listeners
from replicator.lab import Lab, free_address
from replicator.model.cluster import TopicSpec
from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import Reachability
from replicator.settings import load_settings

PARTITIONS = 2
RECORDS = 600
BEHIND = 150
MORE = 120
"""Records written while the supervisor watches, so that it knows a rate; no group has read them."""
SESSION_SECONDS = 2
FLOWS = ("live", "dry", "killed", "undone", "limited", "blind", "deaf", "watched", "planned", "recalled")
PLANNED = ("planned", "recalled")
"""Flows that were on their planned way when the outage struck."""


@dataclass
class Ledger:
    """The truth about one flow: where each acknowledged record stands on east, and what groups were handed."""

    flow: str
    acked: dict[int, tuple[TopicPartition, int]] = field(default_factory=dict)
    sent: int = 0
    commits: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)

    @property
    def topic(self) -> TopicName:
        """The flow's topic."""
        return TopicName(f"{self.flow}.data")

    def group(self, name: str) -> GroupName:
        """A group of the flow."""
        return GroupName(f"{self.flow}.{name}")

    @property
    def partitions(self) -> list[TopicPartition]:
        """The topic's partitions."""
        return [TopicPartition(self.topic, n) for n in range(PARTITIONS)]


@dataclass
class Stage:
    """The scene after the outage."""

    lab: Lab
    config: Path
    home: Path
    west: KafkaCluster
    ledgers: dict[str, Ledger]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a fresh process."""
        return [sys.executable, "-m", "replicator", "-c", str(self.config), *arguments]

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of a machine that knows nothing: an empty home, no variable of ours."""
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **extra}

    def run(
        self, *arguments: str, crash_at: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Return how a fresh process ended; with `crash_at` it kills itself there."""
        extra = {"REPLICATOR_CRASH_AT": crash_at} if crash_at else {}
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=self.environment(**extra),
        )

    def answer(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Return the item of a JSON answer, the exit status being the expected one."""
        ended = self.run(*arguments, "-o", "json")
        assert ended.returncode == status, ended.stderr
        item: dict[str, Any] = json.loads(ended.stdout)["item"]
        return item

    def operations(self, flow: str) -> list[dict[str, Any]]:
        """Return the operations of a flow as `op list` tells them."""
        ended = self.run("op", "list", "-o", "json")
        assert ended.returncode == 0, ended.stderr
        return [entry for entry in json.loads(ended.stdout)["items"] if entry["flow"] == flow]

    def committed(self, flow: str) -> dict[str, dict[TopicPartition, int]]:
        """Return where the flow's groups stand on west."""
        ledger = self.ledgers[flow]
        names = [ledger.group("head"), ledger.group("behind")]
        found = self.west.groups.committed(names, Deadline.after(20))
        return {name: dict(found[name].committed) for name in names}

    def copies(self, flow: str) -> dict[TopicPartition, list[tuple[int, int]]]:
        """Return offset and number of every visible record on west, by partition."""
        ends = self.west.positions.ends(self.ledgers[flow].partitions, Deadline.after(20))
        found = {}
        for tp, end in ends.items():
            read = self.west.read_range(
                tp, end.log_start, end.last_stable, deadline=Deadline.after(30), records_max=1_000_000
            )
            assert read.is_complete
            found[tp] = [(record.offset, int(record.value or b"")) for record in read.records]
        return found

    def wait_stopped(self, flow: str) -> None:
        """Return once no task of the flow is left and Connect has stored that none is to run.

        What REST calls the connector may be RUNNING for a minute longer: its thread hangs on the dead source.
        """
        names = (f"{flow}.source", f"{flow}.checkpoint")
        deadline = Deadline.after(90)
        with ConnectClient(self.lab.connect_url("west")) as connect:
            while any(connect.status(name, deadline).tasks for name in names):
                deadline.check(f"{flow} still has tasks")
                time.sleep(0.5)
        stored = self.stored_connectors()
        assert all(stored[name].is_stopped for name in names)

    def stored_connectors(self) -> dict[str, StoredConnector]:
        """Return the connectors as Connect keeps them on west."""
        tail = self.west.tail([TopicName(f"{self.lab.group_id('west')}.configs")])
        try:
            return fold_connectors((record.key, record.value) for record in tail.poll_to_end(Deadline.after(20)))
        finally:
            tail.close()

    def connector_states(self, flow: str) -> dict[str, str]:
        """Return the states of the flow's connectors."""
        with ConnectClient(self.lab.connect_url("west")) as connect:
            names = (f"{flow}.source", f"{flow}.checkpoint")
            return {name: connect.status(name, Deadline.after(20)).state.value for name in names}

    def journal_end(self) -> int:
        """Return the end of the journal, 0 where none was begun."""
        tp = TopicPartition(TopicName("__replicator.journal"), 0)
        if not self.west.topics.describe([tp.topic], Deadline.after(20)):
            return 0
        return self.west.positions.ends([tp], Deadline.after(20))[tp].end


def write_config(lab: Lab, path: Path) -> None:
    """Write a configuration with one flow for each test."""
    flows = {
        name: {
            "source": "east",
            "target": "west",
            "topics": {"include": [f"{name}.*"]},
            "groups": {"include": [f"{name}.*"]},
            "objectives": {"rto_seconds": 120, "rpo_records": 100_000},
            "connector": {"tasks.max": 1},
        }
        for name in FLOWS
    }
    text = lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps(flows)}")
    supervisor = {"session_seconds": SESSION_SECONDS, "listen": free_address()}
    path.write_text(f"{text}\nsupervisor: {json.dumps(supervisor)}\n")
    load_settings(path, {})


def produce(cluster: KafkaCluster, ledger: Ledger, count: int) -> None:
    """Write numbered records; the ledger learns where each was acknowledged."""
    writer = cluster.writer(f"test-{ledger.flow}")
    for number in range(ledger.sent, ledger.sent + count):
        writer.send(
            _record(ledger, number), on_acked=lambda tp, offset, n=number: ledger.acked.update({n: (tp, offset)})
        )
    ledger.sent += count
    writer.flush(Deadline.after(30))


def _record(ledger: Ledger, number: int) -> Outgoing:
    return Outgoing(ledger.topic, f"k{number % 7}".encode(), str(number).encode(), partition=number % PARTITIONS)


def consume(cluster: KafkaCluster, ledger: Ledger, name: str, *, count: int) -> None:
    """Let a group read so many records and commit; the ledger keeps where it stands."""
    deadline = Deadline.after(30)
    with cluster.subscribe(ledger.group(name), [ledger.topic]) as member:
        handed = 0
        while handed < count:
            deadline.check(f"{ledger.group(name)} was handed {handed} of {count}")
            handed += len(member.poll(timeout_seconds=0.5, records_max=count - handed))
        ledger.commits[name] = member.commit()


class Traffic:
    """Producer and consumer that go on until the cluster is gone."""

    def __init__(self, cluster: KafkaCluster, ledger: Ledger) -> None:
        self._ledger = ledger
        self._writer = cluster.writer("test-live", delivery_timeout_ms=4_000)
        self._member = cluster.subscribe(ledger.group("head"), [ledger.topic])
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        while not self._is_over.is_set():
            for _ in range(20):
                number = self._ledger.sent
                self._ledger.sent += 1
                self._writer.send(
                    _record(self._ledger, number),
                    on_acked=lambda tp, offset, n=number: self._ledger.acked.update({n: (tp, offset)}),
                )
            time.sleep(0.04)

    def _read(self) -> None:
        with suppress(ReplicatorError):  # the cluster was killed under it: what it had committed counts
            while not self._is_over.is_set():
                if self._member.poll(timeout_seconds=0.2):
                    self._ledger.commits["head"] |= self._member.commit()

    def stop(self) -> None:
        """Stop; calls into the dead cluster end with their own time-outs."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=4)
        self._writer.close()


def wait_until_known(west: KafkaCluster, ledgers: Iterable[Ledger]) -> None:
    """Return once west holds and the observations know all that was produced and committed."""
    deadline = Deadline.after(90)
    for ledger in ledgers:
        while not _is_known(Observations(west).read(FlowName(ledger.flow), deadline), ledger):
            deadline.check(f"observations of {ledger.flow}")
            time.sleep(0.3)


def _is_known(observed: Observed, ledger: Ledger) -> bool:
    topic = observed.topics.get(ledger.topic)
    if topic is None or sum(topic.mirrored_positions.values()) < len(ledger.acked):
        return False
    groups = {name: observed.groups.get(ledger.group(name)) for name in ("head", "behind")}
    return all(seen is not None and dict(seen.committed) == ledger.commits[name] for name, seen in groups.items())


@pytest.fixture(scope="module")
def stage(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The scene: everything mirrored and observed, then east and the supervisor killed mid-traffic."""
    folder = tmp_path_factory.mktemp("failover")
    config, home = folder / "replicator.yaml", folder / "home"
    home.mkdir()
    write_config(private_lab, config)
    ledgers = {name: Ledger(name) for name in FLOWS}
    with KafkaCluster(private_lab.east) as east, KafkaCluster(private_lab.west) as west:
        made = Stage(private_lab, config, home, west, ledgers)
        specs = [TopicSpec(name=ledger.topic, partitions=PARTITIONS) for ledger in ledgers.values()]
        east.topics.create(specs, Deadline.after(30))
        for ledger in ledgers.values():
            produce(east, ledger, RECORDS)
            consume(east, ledger, "head", count=RECORDS)
            consume(east, ledger, "behind", count=BEHIND)
        applied = made.run("apply")
        assert applied.returncode == 0, applied.stderr
        with (folder / "supervisor.log").open("w") as log:
            supervisor = subprocess.Popen(made.command("run"), stdout=log, stderr=log, env=made.environment())
        try:
            wait_until_known(west, ledgers.values())
            for ledger in ledgers.values():
                produce(east, ledger, MORE)
            wait_until_known(west, ledgers.values())
            for name in PLANNED:
                held = made.run(
                    "switchover", name, "--confirm", name, "--fence", "attested", "--hold-before", "promote"
                )
                assert held.returncode == 9, held.stderr
            _strike(private_lab, east, ledgers["live"], supervisor)
        finally:
            supervisor.kill()
            supervisor.wait(timeout=10)
        yield made


def _strike(lab: Lab, east: KafkaCluster, ledger: Ledger, supervisor: subprocess.Popen[bytes]) -> None:
    """Kill every east process and the supervisor while records are being written, and prove it."""
    traffic = Traffic(east, ledger)
    traffic.start()
    deadline = Deadline.after(60)
    while len(ledger.acked) < RECORDS + MORE + 1500:
        deadline.check("live traffic")
        time.sleep(0.1)
    lab.kill("east")
    supervisor.kill()
    traffic.stop()
    assert supervisor.wait(timeout=10) == -signal.SIGKILL
    assert probe_listeners(lab.east.bootstrap.split(",")) is Reachability.REFUSED
    assert ledger.sent > len(ledger.acked), "the outage struck in the middle of traffic"
