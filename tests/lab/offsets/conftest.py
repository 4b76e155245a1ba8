"""One exactly-once flow for a folder of tests: plain, transactional and compacted topics, and groups behind.

The ledger knows every record by an id in its value: where it stands on east, and whether it was committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.flow import read_positions
from replicator.journal import Observations
from replicator.kafka import KafkaCluster, Outgoing, Record
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.model.offsets import GroupTranslation
from replicator.offsets import OffsetHistory, survey_groups
from tests.lab.flows.conftest import OpenFlow, open_flow_on, wait_until

PLAIN, BOOKED, PLANES = (TopicName(f"offsets.{name}") for name in ("plain", "booked", "planes"))
TOPICS = (PLAIN, BOOKED, PLANES)
BEHIND = {"head": 0, "one": 1, "ten": 10, "hundred": 100, "thousand": 1000, "all": 10**9}
RECORDS = 3000
KEYS = 40
KEEP = {"retention.ms": "-1"}
COMPACT = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
}


@dataclass
class Ledger:
    """The truth: source offset by record id, and each group's committed positions on east."""

    opened: OpenFlow
    config_path: Path
    source_offset: dict[str, int] = field(default_factory=dict)
    committed: dict[GroupName, dict[TopicPartition, int]] = field(default_factory=dict)

    @property
    def flow(self) -> Flow:
        """The flow."""
        return self.opened.flow

    @property
    def east(self) -> KafkaCluster:
        """The source."""
        return self.opened.handles.source

    @property
    def west(self) -> KafkaCluster:
        """The target."""
        return self.opened.handles.target

    def group(self, name: str) -> GroupName:
        """Return a group of this folder."""
        return GroupName(f"offsets.{name}")

    def observe(self) -> list[GroupObservation]:
        """Return the groups as they stand on east now."""
        return list(self.east.groups.committed(sorted(self.committed), Deadline.after(30)).values())

    def observe_from_west(self) -> list[GroupObservation]:
        """Return the groups as west keeps them for the time when east is gone."""
        return list(Observations(self.west).read(self.flow.name, Deadline.after(30)).groups.values())

    def translate(self, seen: list[GroupObservation], *, is_source_alive: bool) -> dict[GroupName, GroupTranslation]:
        """Return the groups' translations from what both sides, or west alone, hold now."""
        handles = self.opened.handles
        answers = survey_groups(
            self.flow,
            seen,
            target=self.west,
            source=self.east if is_source_alive else None,
            read_map=OffsetHistory(self.west, self.flow).refresh,
            read_mirrored=lambda deadline: read_positions(
                self.west, handles.offsets_topic, self.flow.source_connector, deadline
            ),
            deadline=Deadline.after(60),
        )
        return {answer.group: answer for answer in answers}

    def visible_on_west(self, tp: TopicPartition) -> tuple[Record, ...]:
        """Return every record a committed reader sees on west."""
        return read_all(self.west, tp)


def read_all(cluster: KafkaCluster, tp: TopicPartition) -> tuple[Record, ...]:
    """Return every visible record of a partition."""
    ends = cluster.positions.ends([tp], Deadline.after(30))[tp]
    return cluster.read_range(tp, ends.log_start, ends.last_stable, deadline=Deadline.after(30)).records


def id_of(record: Record) -> str:
    """Return the ledger's id of a record."""
    return (record.value or b"").decode()


def _write(east: KafkaCluster) -> None:
    writer = east.writer("offsets-test")
    for number in range(RECORDS):
        writer.send(Outgoing(PLAIN, b"k", f"plain-{number}".encode(), partition=0))
    for number in range(RECORDS):
        key = f"plane-{number % KEYS}".encode()
        writer.send(Outgoing(PLANES, key, f"plane-{number}".encode(), partition=0))
    writer.flush(Deadline.after(60))
    writer.close()
    booking = east.transactional_writer("offsets-test-bookings", Deadline.after(30))
    for start in range(0, 1500, 5):
        batch = [Outgoing(BOOKED, b"b", f"booked-{start + i}".encode(), partition=0) for i in range(5)]
        (booking.abandon if start % 15 == 0 else booking.append)(batch, Deadline.after(30))
    booking.close()


def _churn_until_compacted(ledger: Ledger) -> None:
    """Write on until the cleaner has taken records on both sides: a test without holes would prove nothing."""
    planes = TopicPartition(PLANES, 0)
    written = RECORDS

    def is_compacted() -> bool:
        nonlocal written
        writer = ledger.east.writer("offsets-test-churn")
        for _ in range(5):
            key = f"plane-{written % KEYS}".encode()
            writer.send(Outgoing(PLANES, key, f"plane-{written}".encode(), partition=0))
            written += 1
        writer.flush(Deadline.after(30))
        writer.close()
        return all(len(read_all(cluster, planes)) < RECORDS for cluster in (ledger.east, ledger.west))

    wait_until(is_compacted, seconds=90, what="the cleaner did not run on both sides")


def _commit_groups(ledger: Ledger) -> None:
    for topic in TOPICS:
        tp = TopicPartition(topic, 0)
        seen = [record.offset for record in read_all(ledger.east, tp)]
        end = ledger.east.positions.ends([tp], Deadline.after(30))[tp].end
        for name, behind in BEHIND.items():
            at = end if behind == 0 else seen[max(0, len(seen) - behind)]
            ledger.committed.setdefault(ledger.group(name), {})[tp] = at
    for group, positions in ledger.committed.items():
        ledger.east.groups.commit(group, positions, Deadline.after(30))


def _wait_mirrored(ledger: Ledger) -> None:
    for topic in TOPICS:
        tp = TopicPartition(topic, 0)
        last = read_all(ledger.east, tp)[-1].offset
        ledger.opened.wait_mirrored(topic, last + 1)
        wait_until(lambda tp=tp, last=last: _newest(ledger, tp) == id_at(ledger, tp, last), what=f"{tp} is not visible")


def _newest(ledger: Ledger, tp: TopicPartition) -> str:
    return id_of(ledger.visible_on_west(tp)[-1])


def id_at(ledger: Ledger, tp: TopicPartition, offset: int) -> str:
    """Return the id of the source record at an offset."""
    return id_of(ledger.east.read_range(tp, offset, offset + 1, deadline=Deadline.after(30)).records[0])


def _config(private_lab: Lab, flow: Flow, folder: Path) -> Path:
    flows = {
        flow.name: {
            "source": flow.source,
            "target": flow.target,
            "topics": {"include": list(flow.topics.include)},
            "groups": {"include": list(flow.groups.include)},
        }
    }
    text = private_lab.config_path.read_text(encoding="utf-8")
    path = folder / "replicator.yaml"
    path.write_text(text.replace("flows: {}", f"flows: {json.dumps(flows)}"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ledger(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """The flow, mirrored to its end, compacted on both sides, with its groups."""
    flow = Flow(
        name=FlowName("offsets-flow"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection(("offsets.*",)),
        groups=Selection(("offsets.*",)),
    )
    with open_flow_on(private_lab, flow) as opened:
        made = Ledger(opened, _config(private_lab, flow, tmp_path_factory.mktemp("offsets")))
        specs = [TopicSpec(name=t, partitions=1, configs=COMPACT if t == PLANES else KEEP) for t in TOPICS]
        made.east.topics.create(specs, Deadline.after(30))
        opened.apply()
        _write(made.east)
        _churn_until_compacted(made)
        _wait_mirrored(made)
        for topic in TOPICS:
            for record in read_all(made.east, TopicPartition(topic, 0)):
                made.source_offset[id_of(record)] = record.offset
        _commit_groups(made)
        yield made
