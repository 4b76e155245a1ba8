"""The stage of the offsets benchmark: one exactly-once flow on real brokers, its groups, and the truth.

Three topics of one partition: plain, transactional (every tenth transaction aborted), and compacted on both sides.
Every record carries an id; a ledger knows where each stands on the source.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from replicator.clock import Deadline
from replicator.connect import Checkpoint, ConnectClient, decode_checkpoint
from replicator.flow import (
    FlowHandles,
    FlowWiring,
    JournalFacts,
    Plan,
    apply_plan,
    plan_flow,
    read_facts,
    read_positions,
)
from replicator.journal import Observations
from replicator.jvm import Guardian
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, LabSpec
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import GroupTranslation
from replicator.offsets import OffsetHistory, survey_groups

PLAIN, BOOKED, PLANES = (TopicName(f"bench.{name}") for name in ("plain", "booked", "planes"))
TOPICS = (PLAIN, BOOKED, PLANES)
SECONDS_MAX = 180.0
TRANSACTION_RECORDS = 40
KEEP = {"retention.ms": "-1"}
COMPACT = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
}


def wait_until(is_reached: Callable[[], bool], what: str, *, seconds: float = SECONDS_MAX) -> bool:
    """Return whether it was reached in time; raises only when `what` is given."""
    deadline = Deadline.after(seconds)
    while not is_reached():
        if not what and deadline.is_over:
            return False
        if what:
            deadline.check(what)
        time.sleep(0.2)
    return True


@dataclass
class Side:
    """What a committed reader sees of one partition: offsets and, beside each, the record's id."""

    offsets: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


class Stage:
    """Brokers, worker, flow and ledger. A context manager; leaves nothing running."""

    def __init__(self, folder: Path, *, records: int) -> None:
        self._folder = folder
        self._records = records
        self._stack = ExitStack()
        self.flow = Flow(
            name=FlowName("bench"),
            source=ClusterName("east"),
            target=ClusterName("west"),
            topics=Selection(("bench.*",)),
            groups=Selection(("bench.*",)),
        )
        self.source_side: dict[TopicName, Side] = {}
        self.target_side: dict[TopicName, Side] = {}
        self.at_source: dict[str, int] = {}
        self.stood: dict[TopicName, list[int]] = {}

    def __enter__(self) -> Self:
        guardian = Guardian()
        self._stack.callback(guardian.close)
        self.lab = Lab.make(self._folder / "lab", LabSpec(), guardian=guardian, rng=random.Random())
        self._stack.callback(self.lab.down)
        self.lab.up(Deadline.after(120))
        self.handles = self._stack.enter_context(
            FlowHandles(
                source=KafkaCluster(self.lab.east),
                target=KafkaCluster(self.lab.west),
                connect=ConnectClient(self.lab.connect_url("west")),
                offsets_topic=TopicName(f"{self.lab.group_id('west')}.offsets"),
                opposite_configs_topic=TopicName(f"{self.lab.group_id('east')}.configs"),
            )
        )
        self.east, self.west = self.handles.source, self.handles.target
        specs = [TopicSpec(name=t, partitions=1, configs=COMPACT if t == PLANES else KEEP) for t in TOPICS]
        self.east.topics.create(specs, Deadline.after(60))
        self._apply()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _apply(self) -> None:
        wiring = FlowWiring(source=self.east.access, target=self.west.access)

        def plan() -> Plan:
            facts = read_facts(
                self.flow,
                handles=self.handles,
                wiring=wiring,
                journal=JournalFacts(),
                deadline=Deadline.after(SECONDS_MAX),
            )
            return plan_flow(self.flow, others=(self.flow,), facts=facts, wiring=wiring)

        apply_plan(plan(), handles=self.handles, replan=plan, deadline=Deadline.after(SECONDS_MAX))

    def fill(self) -> None:
        """Leave all three topics written, mirrored to their ends, and compacted on both sides."""
        self._write_plain(PLAIN, self._records, keys=1)
        self._write_booked()
        self._write_plain(PLANES, 2 * self._records, keys=int(1.3 * self._records))
        self._churn()
        for topic in TOPICS:
            self._wait_mirrored(topic)
        for topic in TOPICS:
            self.source_side[topic] = read_side(self.east, topic)
            self.target_side[topic] = side = read_side(self.west, topic)
            self.stood[topic] = [self.at_source[f"{topic}/{one}"] for one in side.ids]

    def _write_plain(self, topic: TopicName, count: int, *, keys: int) -> None:
        rng = random.Random(7)
        writer = self.east.writer("bench")
        for number in range(count):
            key = f"k{rng.randrange(keys)}".encode()
            writer.send(Outgoing(topic, key, str(number).encode(), partition=0), on_acked=self._noting(topic, number))
        writer.flush(Deadline.after(SECONDS_MAX))
        writer.close()

    def _write_booked(self) -> None:
        writer = self.east.transactional_writer("bench-bookings", Deadline.after(30))
        count = self._records * 10 // 9
        for number, start in enumerate(range(0, count, TRANSACTION_RECORDS)):
            values = range(start, start + TRANSACTION_RECORDS)
            batch = [Outgoing(BOOKED, b"b", str(value).encode(), partition=0) for value in values]
            if number % 10 == 9:
                writer.abandon(batch, Deadline.after(30))
                continue
            for value, offset in zip(values, writer.append(batch, Deadline.after(30)), strict=True):
                self.at_source[f"{BOOKED}/{value}"] = offset
        writer.close()

    def _noting(self, topic: TopicName, number: int) -> Callable[[TopicPartition, int], None]:
        """Return what enters an acknowledged record in the ledger."""

        def note(_partition: TopicPartition, offset: int) -> None:
            self.at_source[f"{topic}/{number}"] = offset

        return note

    def _churn(self) -> None:
        """Write on until the cleaner has taken records on both sides."""
        number = 2 * self._records

        def is_compacted() -> bool:
            nonlocal number
            writer = self.east.writer("bench-churn")
            for _ in range(20):
                record = Outgoing(PLANES, f"k{number % 100}".encode(), str(number).encode(), partition=0)
                writer.send(record, on_acked=self._noting(PLANES, number))
                number += 1
            writer.flush(Deadline.after(30))
            writer.close()
            time.sleep(2.0)
            return all(len(read_side(side, PLANES).ids) < 2 * self._records for side in (self.east, self.west))

        wait_until(is_compacted, "the cleaner did not run on both sides")

    def _wait_mirrored(self, topic: TopicName) -> None:
        tp = TopicPartition(topic, 0)
        last = read_side(self.east, topic).offsets[-1]
        name = self.flow.source_connector

        def is_mirrored() -> bool:
            found = read_positions(self.west, self.handles.offsets_topic, name, Deadline.after(30))
            return found.get(tp, 0) > last

        wait_until(is_mirrored, f"{topic} was not mirrored")

    def commit_groups(self, lags: Sequence[int]) -> list[GroupObservation]:
        """Leave one group for each lag, so many visible records behind on every topic; returns them as observed."""
        for lag in lags:
            positions = {TopicPartition(topic, 0): self._position(topic, lag) for topic in TOPICS}
            self.east.groups.commit(group_of(lag), positions, Deadline.after(30))
        return list(self.east.groups.committed([group_of(lag) for lag in lags], Deadline.after(30)).values())

    def _position(self, topic: TopicName, lag: int) -> int:
        offsets = self.source_side[topic].offsets
        return offsets[-1] + 1 if lag == 0 else offsets[max(0, len(offsets) - lag)]

    def sample(self, count: int) -> list[GroupObservation]:
        """Return made-up groups at random source offsets of every topic, holes included."""
        rng = random.Random(11)
        groups = self.east.groups.committed([group_of(0)], Deadline.after(30))
        at = next(iter(groups.values())).observed_at
        made = []
        for number in range(count):
            first_last = {t: (self.source_side[t].offsets[0], self.source_side[t].offsets[-1] + 1) for t in TOPICS}
            committed = {TopicPartition(t, 0): rng.randint(*ends) for t, ends in first_last.items()}
            made.append(
                GroupObservation(
                    cluster=ClusterName("east"),
                    group=GroupName(f"bench.sample.{number}"),
                    state=GroupState.EMPTY,
                    observed_at=at,
                    committed=committed,
                )
            )
        return made

    def wait_checkpoints(self, groups: Sequence[GroupObservation]) -> dict[tuple[GroupName, TopicName], Checkpoint]:
        """Return MM2's newest checkpoint of each group and topic, waited for as long as new ones may come."""
        wanted = {(g.group, tp.topic): at for g in groups for tp, at in g.committed.items()}
        found: dict[tuple[GroupName, TopicName], Checkpoint] = {}

        def is_complete() -> bool:
            tail = self.west.tail([self.flow.checkpoints_topic])
            for record in tail.poll_to_end(Deadline.after(30)):
                if record.key is not None and (one := decode_checkpoint(record.key, record.value)) is not None:
                    found[GroupName(one.group), one.partition.topic] = one
            tail.close()
            return all(key in found and found[key].source_offset == at for key, at in wanted.items())

        wait_until(is_complete, "", seconds=75.0)
        return {key: one for key, one in found.items() if key in wanted}

    def translate(self, groups: Sequence[GroupObservation], *, is_source_alive: bool) -> list[GroupTranslation]:
        """Return our translations, from both sides or from the target alone."""
        name = self.flow.source_connector
        answers = survey_groups(
            self.flow,
            groups,
            target=self.west,
            source=self.east if is_source_alive else None,
            read_map=OffsetHistory(self.west, self.flow).refresh,
            read_mirrored=lambda deadline: read_positions(self.west, self.handles.offsets_topic, name, deadline),
            deadline=Deadline.after(SECONDS_MAX),
        )
        return list(answers)

    def keep_proofs(self, proofs: Sequence[GroupTranslation]) -> None:
        """Leave the translations on the target, as the supervisor does."""
        observations = Observations(self.west)
        observations.ensure_topic(Deadline.after(60))
        observations.write(self.flow.name, proofs, Deadline.after(60))
        observations.close()

    def read_proofs(self) -> dict[GroupName, GroupTranslation]:
        """Return the translations that the target keeps."""
        return Observations(self.west).read(self.flow.name, Deadline.after(60)).translations

    def judge(self, topic: TopicName, source_offset: int, place: int) -> tuple[int, int]:
        """Return (records skipped, records read twice) of a group that resumes at `place`, by the ledger alone."""
        offsets, stood = self.target_side[topic].offsets, self.stood[topic]
        first = bisect_left(offsets, place)
        skipped = sum(at >= source_offset for at in stood[:first])
        return skipped, sum(at < source_offset for at in stood[first:])


def group_of(lag: int) -> GroupName:
    """Return the group that is so many records behind."""
    return GroupName(f"bench.behind.{lag}")


def read_side(cluster: KafkaCluster, topic: TopicName) -> Side:
    """Return every visible record of the topic's only partition."""
    tp = TopicPartition(topic, 0)
    ends = cluster.positions.ends([tp], Deadline.after(60))[tp]
    side = Side()
    position = ends.log_start
    while position < ends.last_stable:
        read = cluster.read_range(tp, position, ends.last_stable, deadline=Deadline.after(120), records_max=50_000)
        for record in read.records:
            side.offsets.append(record.offset)
            side.ids.append((record.value or b"").decode())
        position = ends.last_stable if read.is_complete else read.next_offset
    return side
