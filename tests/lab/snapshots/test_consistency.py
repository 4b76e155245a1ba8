"""What a cut promises, on real brokers: no transaction split, and a flow held still maps the cut to its source."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from confluent_kafka import Producer

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.flow import hold_flow
from replicator.kafka import Outgoing
from replicator.model.archive.consistency import Level, LevelEvidence
from replicator.model.archive.snapshots import Manifest
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.snapshot import MirrorSource, SnapshotRequest, create_snapshot, verify_snapshot
from replicator.snapshot.facts import is_in_ranges
from replicator.snapshot.reading import visible_records
from replicator.wire.format.batches import walk_batches
from tests.lab.flows.conftest import OpenFlow, open_flow_on

pytestmark = pytest.mark.lab

SHARES = 4
SNAPSHOTS = 6


def weigh(manifest: Manifest) -> dict[Level, LevelEvidence]:
    """The evidence of each level."""
    return {one.level: one for one in manifest.consistency.evidence}


def run_transactions(bootstrap: str, name: str, topics: tuple[TopicName, ...], stop: threading.Event) -> None:
    """Write transactions of one record to each partition of each topic until told to stop; every fifth is aborted."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "linger.ms": 0})
    producer.init_transactions(30)
    number = 0
    while not stop.is_set():
        producer.begin_transaction()
        for topic in topics:
            for partition in range(SHARES // len(topics)):
                producer.produce(topic, value=f"{name}/{number}", partition=partition)
        producer.flush(30)
        if number % 5:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        number += 1


def count_shares(desk, manifest: Manifest) -> Counter[bytes | None]:
    """How many records of each transaction a snapshot holds."""
    return Counter(
        record.value
        for _partition, chunk in manifest.chunks()
        for record in visible_records(desk.repository.read_chunk(chunk), chunk)
    )


def test_what_one_epoch_cannot_tell_apart_is_said(desk, names) -> None:
    """librdkafka's transactions keep their epoch: where they can be told apart none is split, else that is said."""
    topics = (desk.make_topic(names.topic("a")), desk.make_topic(names.topic("b")))
    bootstrap = desk.cluster().access.bootstrap
    stop = threading.Event()
    writer = threading.Thread(target=run_transactions, args=(bootstrap, names.prefix, topics, stop))
    writer.start()
    try:
        manifests: list[Manifest] = []
        deadline = Deadline.after(120)
        while len(manifests) < SNAPSHOTS:
            deadline.check("snapshots of running transactions")
            manifest = desk.create(*topics)
            if manifest.totals.records:
                manifests.append(manifest)
    finally:
        stop.set()
        writer.join()
    manifests.append(desk.create(*topics))
    for manifest in manifests:
        held = weigh(manifest)[Level.TRANSACTION_ATOMIC]
        assert manifest.consistency.transactions == ("atomic" if held.is_held else "per_partition")
        if held.is_held:
            assert set(count_shares(desk, manifest).values()) == {SHARES}
        else:
            assert "transaction version 1" in held.evidence
    assert weigh(manifests[-1])[Level.TRANSACTION_ATOMIC].is_held, "at rest nothing is open"
    assert verify_snapshot(desk.repository, manifests[-1].id, clock=SYSTEM_CLOCK).is_ok


def test_a_transaction_that_stays_open_is_said(desk, names) -> None:
    """An open transaction does not keep a snapshot away: its level is lower, and the evidence names the partition."""
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"k", b"v", partition=0)])
    producer = Producer({"bootstrap.servers": desk.cluster().access.bootstrap, "transactional.id": names.prefix})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value=b"open", partition=0)
    producer.flush(30)
    manifest = desk.create(topic)
    producer.abort_transaction(30)
    held = weigh(manifest)[Level.TRANSACTION_ATOMIC]
    assert not held.is_held
    assert held.evidence.startswith(f"{TopicPartition(topic, 0)}: a transaction open at offset 1")
    assert (manifest.consistency.level, manifest.consistency.transactions) == ("prefix", "per_partition")
    assert manifest.totals.records == 1


def transactions_in(desk, manifest: Manifest) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """The batches of each transaction (producer id and epoch) that a snapshot holds: partition and base offset."""
    found: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    for tp, chunk in manifest.chunks():
        for header in (batch.header for batch in walk_batches(desk.repository.read_chunk(chunk))):
            is_inside = header.is_transactional and not header.is_control and header.base_offset < chunk.stop
            if is_inside and not is_in_ranges(header, chunk.aborted):
                found[header.producer_id, header.producer_epoch].add((tp.partition, header.base_offset))
    return found


def take(
    desk, opened: OpenFlow, topic: TopicName, *, is_quiescent: bool = True, meanwhile: Callable[[], None] = lambda: None
) -> Manifest:
    """A snapshot of the flow's target, with the flow held still; `meanwhile` happens each time its position is read."""
    flow = opened.flow

    def hold(deadline: Deadline) -> AbstractContextManager[None]:
        return hold_flow(flow, opened.handles.connect, deadline)

    def read(_deadline: Deadline) -> dict[TopicPartition, int]:
        meanwhile()
        return opened.positions()

    mirror = MirrorSource(
        connector=flow.source_connector,
        source=flow.source,
        delivery=flow.delivery,
        read_positions=read,
        hold=hold,
    )
    request = SnapshotRequest(topics=Selection((topic,)), flow=flow.name, mirror=mirror, is_quiescent=is_quiescent)
    return create_snapshot(
        *desk.doors["west"], desk.repository, request, clock=SYSTEM_CLOCK, deadline=Deadline.after(120)
    )


def check_unsplit(desk, running: list[Manifest], whole: Manifest) -> None:
    """Of each of MirrorMaker's transactions the earlier snapshots hold all or nothing, on the edge of some too."""
    known = transactions_in(desk, whole)
    assert max(len({partition for partition, _ in batches}) for batches in known.values()) > 1
    told = [weigh(manifest)[Level.TRANSACTION_ATOMIC] for manifest in running]
    slow = [one.evidence for one in told if not one.is_held]
    assert all("did not end within" in evidence for evidence in slow), slow
    assert len(slow) < len(told), slow
    for manifest, held in zip(running, told, strict=True):
        if not held.is_held:
            continue
        assert manifest.consistency.level == "transaction_atomic"
        assert weigh(manifest)[Level.QUIESCENT].evidence.startswith("not asked for")
        for transaction, batches in transactions_in(desk, manifest).items():
            assert batches == known[transaction], transaction


def test_a_flow_held_still_maps_the_cut_to_its_source(lab, desk, names) -> None:
    """Under load, quiescent: as many records as the source position says, exactly, and the flow runs again; with a
    stranger writing it is told and the level is lower."""
    topic = desk.make_topic(names.topic("t"), 8)
    flow = Flow(
        name=FlowName(names.flow()), source=ClusterName("east"), target=ClusterName("west"), topics=Selection((topic,))
    )
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            desk.write([Outgoing(topic, b"k", b"v" * 100, partition=n % 8) for n in range(80)])

    with open_flow_on(lab, flow) as opened:
        desk.write([Outgoing(topic, b"k", b"v", partition=n % 8) for n in range(800)])
        opened.apply()
        for partition in range(8):
            opened.wait_mirrored(topic, 100, partition=partition)
        writing = threading.Thread(target=write)
        writing.start()
        try:
            opened.wait_mirrored(topic, 101)
            running = [take(desk, opened, topic, is_quiescent=False) for _ in range(SNAPSHOTS)]
            manifest = take(desk, opened, topic)
            seen = opened.positions()[TopicPartition(topic, 0)]
            opened.wait_mirrored(topic, seen + 1)
        finally:
            stop.set()
            writing.join()
        found = opened.handles.connect.find(flow.source_connector, Deadline.after(30))
        assert found is not None
        assert found.status is not None
        assert found.status.is_wholly(ConnectorState.RUNNING)
        check_unsplit(desk, running, manifest)
        told = weigh(manifest)[Level.QUIESCENT]
        assert told.is_held, told.evidence
        assert manifest.consistency.level == "quiescent"
        positions = desk.repository.read_state(manifest, "mirror")["positions"]
        counts = {partition.partition: partition.records for partition in manifest.topics[0].partitions}
        assert {p: (before, after) for name, p, before, after in positions if name == topic} == {
            number: (count, count) for number, count in counts.items()
        }
        assert counts[0] > 100
        stranger = [Outgoing(topic, b"k", b"v", partition=3)]
        disturbed = take(desk, opened, topic, meanwhile=lambda: desk.write(stranger, on="west"))
    assert disturbed.consistency.level != "quiescent"
    assert "was written to while the flow was paused" in weigh(disturbed)[Level.QUIESCENT].evidence
    assert any("not quiescent" in warning for warning in disturbed.warnings)
