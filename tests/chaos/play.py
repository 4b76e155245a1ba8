"""One flow under traffic, from its first record to its way home: what every fault of the matrix is played upon.

Applications write events, transactions (some aborted) and a compacted table; four groups stand at several lags, one of
them reads on. The ledger knows from outside which record was acknowledged and who was handed it.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from replicator.cli.demo.data import Booking, Row
from replicator.cli.demo.ledger import Fate, GroupTrace, Ledger
from replicator.cli.demo.shell import Answer, Shell, stop
from replicator.cli.demo.traffic import Application, LiveTraffic, Reader, read_until
from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import ReplicatorError
from replicator.journal import Observations, Observed
from replicator.jvm import ProcessState
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from tests.lab.stage import wait_until

EVENTS_LOADED, BOOKINGS_LOADED, KEYS = 6_000, 40, 50
EVENTS_PER_SECOND = 1_000
TABLE_EVERY = 10
SEATS = 4
WRITTEN_ON_WEST = 400
SESSION_SECONDS = 2
MEMBER_SECONDS = 6.0
AGED_SECONDS = 7200
"""The table's history is as old as this, so that the cleaner may take it; what is written live it leaves alone."""
TABLE_CONFIGS = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "segment.ms": "600000",
    "min.compaction.lag.ms": "3600000",
}
PATIENCE_SECONDS = 180.0
Value = TypeVar("Value")


@dataclass
class Play:
    """One fault's own flow, its applications and what is known of them."""

    name: str
    lab: Lab
    folder: Path
    shell: Shell
    east: KafkaCluster
    west: KafkaCluster
    ledger: Ledger
    replicas: int = -1
    """Replicas of the events; -1 is the broker's own number."""
    traces: dict[GroupName, GroupTrace] = field(default_factory=dict)
    supervisor: subprocess.Popen[bytes] | None = None
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """What else a fault has started."""
    application: Application | None = None
    traffic: LiveTraffic | None = None
    reader: Reader | None = None
    struck: dict[TopicName, set[int]] = field(default_factory=dict)
    """What was acknowledged when the fault had struck."""
    deleted: set[tuple[TopicName, int]] = field(default_factory=set)
    """What east itself had deleted by then: no group would have been handed it there."""
    found: dict[TopicName, set[int]] = field(default_factory=dict)
    """What west held when the move was judged."""
    verdict: dict[str, Any] = field(default_factory=dict)

    @property
    def flow(self) -> FlowName:
        """The flow's name."""
        return FlowName(self.name)

    @property
    def events(self) -> TopicName:
        """Plain records, three partitions."""
        return TopicName(f"{self.name}.events")

    @property
    def bookings(self) -> TopicName:
        """Records in transactions, every third of them aborted."""
        return TopicName(f"{self.name}.bookings")

    @property
    def table(self) -> TopicName:
        """The compacted topic."""
        return TopicName(f"{self.name}.table")

    @property
    def topics(self) -> tuple[TopicName, ...]:
        """All three."""
        return (self.events, self.bookings, self.table)

    def event_spec(self) -> TopicSpec:
        """How the events are made."""
        return TopicSpec(
            name=self.events, partitions=3, replication_factor=self.replicas, configs={"retention.ms": "-1"}
        )

    def group(self, name: str) -> GroupName:
        """A group of the flow."""
        return GroupName(f"{self.name}.{name}")

    def observed(self) -> Observed:
        """What the standby knows of the source."""
        return Observations(self.west).read(self.flow, Deadline.after(30))

    def position(self, tp: TopicPartition) -> int:
        """Where the supervisor has last seen the flow in a partition, 0 where it has not."""
        seen = self.observed().topics.get(tp.topic)
        return 0 if seen is None else seen.mirrored_positions.get(tp.partition, 0)

    def state(self) -> tuple[str, str]:
        """State and cause of the flow, as `status` tells them."""
        answer = self.shell.run("status", self.name, allowed=(0, 3))
        item = answer.item["flows"][0] if "item" in answer.envelope else answer.items[0]
        return str(item["state"]), str(item["cause"])

    def move(self, *words: str, allowed: tuple[int, ...] = (0,)) -> Answer:
        """Run a move of this flow as an operator would."""
        return self.shell.run(words[0], self.name, *words[1:], timeout_seconds=400, allowed=allowed)

    def start_supervisor(self, log: str = "supervisor.log") -> subprocess.Popen[bytes]:
        """Return a `replicator run` of its own."""
        return self.shell.spawn("run", log=log)

    def rows(self) -> Iterator[Row]:
        """Give events for ever, and a row of the table between them."""
        for number in itertools.count():
            yield Row(self.events, f"k{number % 97}".encode(), b"x" * 200, None)
            if number % TABLE_EVERY == 0:
                yield Row(self.table, f"t{number // TABLE_EVERY % KEYS}".encode(), b"y" * 100, None)

    def transactions(self) -> Iterator[Booking]:
        """Give transactions for ever; every third is aborted."""
        for number in itertools.count():
            rows = tuple(Row(self.bookings, f"b{number}-{seat}".encode(), b"z" * 100, None) for seat in range(SEATS))
            yield Booking(rows, is_cancelled=number % 3 == 2)

    def start_traffic(self) -> None:
        """Let applications write to east, and one group read there."""
        self.application = Application(self.east, self.ledger)
        self.traffic = LiveTraffic(
            self.application, rows=self.rows(), bookings=self.transactions(), rows_per_second=EVENTS_PER_SECOND
        )
        self.traffic.start()
        self.reader = Reader(self.east, self.traces[self.group("head")], session_seconds=MEMBER_SECONDS)
        self.reader.start()

    def stop_traffic(self) -> None:
        """Stop them; what was not acknowledged stays unknown."""
        for worker in (self.traffic, self.reader):
            if worker is not None:
                worker.stop()
        if self.application is not None:
            self.application.close()
        self.traffic = self.reader = self.application = None

    def acked(self) -> dict[TopicName, set[int]]:
        """Return what is acknowledged by now, by topic."""
        return {topic: numbers_with(self.ledger, topic, Fate.ACKED) for topic in self.topics}

    def note_strike(self) -> None:
        """Remember what was acknowledged when the fault had struck."""
        self.struck = self.acked()

    def write(self, cluster: KafkaCluster, *, events: int, bookings: int = 0) -> None:
        """Write so much and be acknowledged."""
        application = Application(cluster, self.ledger)
        application.load(itertools.islice(self.rows(), events), Deadline.after(90))
        for booking in itertools.islice(self.transactions(), bookings):
            application.book(booking, Deadline.after(60))
        application.close()

    def close(self) -> None:
        """Leave no process, no thread and no running connector of this play."""
        self.stop_traffic()
        for process in (self.supervisor, *self.others):
            if process is not None:
                process.send_signal(signal.SIGCONT)
                stop(process)
        for target in ("west/connect", "east", "west"):
            revive(self.lab, target)
        for cluster in ("west", "east"):
            if self.lab.is_ready(f"{cluster}/connect"):
                delete_connectors(self.lab, cluster, self.name)


def numbers_with(ledger: Ledger, topic: TopicName, fate: Fate) -> set[int]:
    """Return the numbers of a topic that have this fate."""
    return {number for number, found in enumerate(ledger.topics[topic].fates) if found == fate}


def revive(lab: Lab, target: str) -> None:
    """Leave what the target names running, whatever was done to it."""
    for member in lab.status():
        if member.member.startswith(target) and member.state is ProcessState.FROZEN:
            lab.thaw(member.member)
    lab.start(target, wait=Deadline.after(PATIENCE_SECONDS))


def delete_connectors(lab: Lab, cluster: str, flow: str) -> None:
    """Leave no connector of a flow beside a cluster."""
    with ConnectClient(lab.connect_url(cluster)) as connect:
        for name in connect.list(Deadline.after(30)):
            if name.startswith(flow):
                connect.delete(name, Deadline.after(60))


def write_config(lab: Lab, folder: Path, name: str, extra: dict[str, Any]) -> Path:
    """Return a configuration with this play's flow as its only one."""
    flow = {
        "source": "east",
        "target": "west",
        "topics": {"include": [f"{name}.*"]},
        "groups": {"include": [f"{name}.*"]},
        "objectives": {"rpo_seconds": 30, "rto_seconds": 300},
        "connector": {"tasks.max": 2},
    }
    text = lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps({name: flow})}")
    sections = {"supervisor": {"session_seconds": SESSION_SECONDS}, **extra}
    path = folder / "replicator.yaml"
    path.write_text(text + "\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in sections.items()))
    return path


@contextmanager
def open_play(lab: Lab, folder: Path, name: str, *, replicas: int = -1, **sections: Any) -> Iterator[Play]:
    """Yield a flow under traffic: history mirrored, groups observed, a peak rate known, applications at work."""
    folder.mkdir()
    config = write_config(lab, folder, name, sections)
    with KafkaCluster(lab.access("east", "admin")) as east, KafkaCluster(lab.access("west", "admin")) as west:
        topics = [TopicName(f"{name}.{kind}") for kind in ("events", "bookings", "table")]
        shell = Shell(config=config, folder=folder)
        ledger = Ledger.of(topics, compacted=frozenset(topics[2:]))
        made = Play(name, lab, folder, shell, east, west, ledger, replicas)
        try:
            load(made)
            let_groups_read(made)
            begin(made)
            yield made
        finally:
            made.close()


def load(play: Play) -> None:
    """Produce the past; the table's is old and written twice, so that compaction has work to do."""
    deadline = Deadline.after(PATIENCE_SECONDS)
    specs = [
        play.event_spec(),
        TopicSpec(name=play.bookings, partitions=2, configs={"retention.ms": "-1"}),
        TopicSpec(name=play.table, partitions=2, configs=TABLE_CONFIGS),
    ]
    play.east.topics.create(specs, deadline)
    application = Application(play.east, play.ledger)
    aged = int((time.time() - AGED_SECONDS) * 1000)
    for _ in range(2):
        application.load((Row(play.table, f"t{k}".encode(), b"old", aged) for k in range(KEYS)), deadline)
    application.load(
        (Row(play.events, f"k{n % 97}".encode(), b"x" * 200, None) for n in range(EVENTS_LOADED)), deadline
    )
    for booking in itertools.islice(play.transactions(), BOOKINGS_LOADED):
        application.book(booking, deadline)
    application.close()


def let_groups_read(play: Play) -> None:
    """Leave three groups committed where they stopped; the fourth, `head`, begins with the traffic."""
    wanted = {"behind": (play.events, 3), "slow": (play.bookings, 1), "table": (play.table, 1)}
    for name, (topic, partitions) in wanted.items():
        trace = play.traces[play.group(name)] = GroupTrace(play.group(name), (topic,))
        read_until(play.east, trace, has_enough=_has(partitions), deadline=Deadline.after(PATIENCE_SECONDS))
    play.traces[play.group("head")] = GroupTrace(play.group("head"), (play.events, play.bookings))


def _has(partitions: int) -> Callable[[GroupTrace], bool]:
    """Return whether a group was handed records of so many partitions."""
    return lambda trace: len({tp for tp, _ in trace.before.values()}) >= partitions


def begin(play: Play) -> None:
    """Apply the flow, let a supervisor watch and applications work, until the standby knows all that it can know."""
    play.shell.run("apply", play.name)
    play.supervisor = play.start_supervisor()
    play.start_traffic()
    wait_until(
        lambda: is_known(play), seconds=PATIENCE_SECONDS, what="the standby knows the flow", told=lambda: _tell(play)
    )


def is_known(play: Play) -> bool:
    """Whether rates, positions and groups are observed, and the flow has passed its history."""
    seen = play.observed()
    if set(play.topics) - seen.topics.keys() or any(seen.topics[t].peak_rate is None for t in play.topics):
        return False
    if sum(seen.topics[play.events].mirrored_positions.values()) < EVENTS_LOADED + EVENTS_PER_SECOND:
        return False
    for name, trace in play.traces.items():
        known = seen.groups.get(name)
        if known is None or not known.committed:
            return False
        if name != play.group("head") and dict(known.committed) != trace.committed:
            return False
    return True


def _tell(play: Play) -> str:
    log = (play.folder / "supervisor.log").read_text()[-1500:]
    try:
        return f"{play.observed()}\n{log}"
    except ReplicatorError as exc:
        return f"{exc}\n{log}"
