"""Batches, slices and whole small snapshots made in memory, without a cluster."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from replicator.model.archive.snapshots import (
    CapturedCluster,
    CapturedPartition,
    CapturedTopic,
    Chunk,
    Consistency,
    Manifest,
    Totals,
)
from replicator.model.names import ClusterName, SnapshotId, TopicName, TopicPartition
from replicator.snapshot.capture.chunks import ChunkBuilder
from replicator.snapshot.capture.packing import Compression, PackWriter
from replicator.snapshot.keeping import begin_encryption
from replicator.snapshot.repository import Keys, Repository
from replicator.storage.remote import RemoteStore, open_memory
from replicator.wire.format.batches import walk_headers
from replicator.wire.format.records import ProducerStamp, RawRecord, encode_batch
from replicator.wire.format.transactions import AbortedTransaction
from replicator.wire.reading import Slice

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TP = TopicPartition(TopicName("orders"), 0)


class FixedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """The one moment there is."""
        return NOW

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Return at once."""


def make_batch(
    offset: int, values: Sequence[bytes | None], *, producer: int = -1, attributes: int = 0, codec: int = 0
) -> bytes:
    """A batch as a broker would keep it, at `offset`; `attributes` adds bits such as transactional."""
    from crc32c import crc32c

    records = [RawRecord(0, 1000 + n, b"k%d" % n, value) for n, value in enumerate(values)]
    raw = bytearray(encode_batch(records, codec=codec, stamp=ProducerStamp(producer, 0, 0)))
    struct.pack_into(">q", raw, 0, offset)
    struct.pack_into(">h", raw, 21, codec | attributes)
    struct.pack_into(">I", raw, 17, crc32c(bytes(raw[21:])))
    return bytes(raw)


def make_slice(raw: bytes, *, start: int, stop: int, aborted: Sequence[tuple[int, int]] = ()) -> Slice:
    """What the reader hands out for these bytes."""
    data = memoryview(raw)
    headers = tuple(walk_headers(data))
    return Slice(TP, start, stop, data, headers, tuple(AbortedTransaction(*one) for one in aborted))


@dataclass
class Workshop:
    """Makes snapshots in a memory store."""

    store: RemoteStore
    repository: Repository

    def take(
        self,
        snapshot_id: str,
        slices: Sequence[Slice],
        *,
        stop: int,
        change: Callable[[Manifest], Manifest] = lambda manifest: manifest,
        chunk_bytes: int = 1 << 20,
        compression: Compression = Compression.NONE,
        tp: TopicPartition = TP,
    ) -> Manifest:
        """Publish a snapshot of one partition made of these slices."""
        self.repository.vault.make_topic_keys([tp.topic])
        builder = ChunkBuilder(tp, start=slices[0].start, stop=stop, chunk_bytes=chunk_bytes)
        raw = [chunk for piece in slices for chunk in builder.add(piece)]
        raw += list(builder.finish())
        writer = PackWriter(self.repository, {}, compression)
        try:
            tickets = [writer.add(chunk) for chunk in raw]
            writer.finish()
        finally:
            writer.close()
        chunks = []
        for chunk, ticket in zip(raw, tickets, strict=True):
            place = writer.place(ticket.result())
            chunks.append(
                Chunk(
                    start=chunk.start, stop=chunk.stop, stored=place.stored, pack=place.pack, offset=place.offset,
                    facts=chunk.facts, aborted=chunk.aborted,
                )
            )  # fmt: skip
        manifest = change(self.describe(snapshot_id, chunks, writer, slices[0].start, stop, tp))
        self.repository.publish(manifest)
        return manifest

    def describe(
        self, snapshot_id: str, chunks: list[Chunk], writer: PackWriter, start: int, stop: int, tp: TopicPartition
    ) -> Manifest:
        """The manifest of these chunks."""
        partition = CapturedPartition(
            partition=0, start=start, end=stop, high_watermark=stop, leader_epoch=0, chunks=tuple(chunks)
        )
        topic = CapturedTopic(
            name=tp.topic, topic_id="T", replication_factor=1, is_compacted=False, partitions=(partition,),
            key=self.repository.vault.topic_key(tp.topic),
        )  # fmt: skip
        states = {
            "configs": self.repository.put_state("configs", {"topics": {tp.topic: {"retention.ms": "-1"}}}),
            "groups": self.repository.put_state("groups", {"groups": []}),
        }
        return Manifest(
            id=SnapshotId(snapshot_id), repository=self.repository.id, parent=None, created_at=NOW, tool="test",
            tags=("a",), cluster=CapturedCluster(name=ClusterName("east"), id="E", brokers=1), flow=None,
            include=("*",), exclude=(),
            consistency=Consistency(groups_read_at=NOW, cut_at=NOW, cut_skew_ms=1, finished_at=NOW), states=states,
            topics=(topic,), pack_sizes=writer.pack_sizes, missing=(), warnings=(), not_captured=(),
            totals=Totals(
                records=topic.records, bytes=topic.plain_bytes, stored_bytes=writer.new_stored_bytes,
                chunks=len(chunks), new_bytes=writer.new_bytes, new_stored_bytes=writer.new_stored_bytes,
                new_chunks=writer.new_chunks, new_packs=len(writer.pack_sizes),
            ),
            encryption=self.repository.vault.key,
        )  # fmt: skip

    def reopen(self, keys: Keys | None = None) -> Repository:
        """The repository as another process with these keys opens it."""
        return Repository.open(self.store, keys=keys)

    def keys_of(self, folder: str = "") -> list[str]:
        """Keys of all objects below a folder."""
        return sorted(entry.key for entry in self.store.list(folder))


def make_workshop(keys: Keys | None = None) -> Workshop:
    """A workshop with an empty repository, encrypted where the keys say so."""
    store = open_memory()
    repository, _is_new = Repository.init(store, clock=FixedClock(), tool="test", keys=keys)
    if keys is not None and keys.unlock.is_given:
        begin_encryption(repository, clock=FixedClock())
    return Workshop(store, repository)


@pytest.fixture
def workshop() -> Workshop:
    """A workshop whose repository signs nothing."""
    return make_workshop()


@pytest.fixture
def tools() -> dict[str, Callable]:
    """The helpers above, for tests that cannot import them."""
    return {"batch": make_batch, "slice": make_slice, "workshop": make_workshop, "clock": FixedClock()}
