"""Slices become chunks: cut on batch bounds, aborted data marked, facts that verification finds again."""

from __future__ import annotations

import hashlib
import random

import pytest

from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import Chunk, ChunkEncoding, StoredChunk
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.capture.chunks import ChunkBuilder, RawChunk
from replicator.snapshot.restore.batches import ready_chunk
from replicator.snapshot.verify import examine_chunk
from replicator.wire.format.batches import walk_batches
from replicator.wire.format.records import decode_records

TP = TopicPartition(TopicName("orders"), 0)
TRANSACTIONAL, CONTROL, APPEND_TIME = 0x10, 0x20, 0x08


def build(tools, pieces, *, start: int, stop: int, cuts=(), chunk_bytes: int = 1 << 20) -> list[RawChunk]:
    """Feed slices to a builder; return all its chunks."""
    builder = ChunkBuilder(TP, start=start, stop=stop, cuts=cuts, chunk_bytes=chunk_bytes)
    return [chunk for piece in pieces for chunk in builder.add(piece)] + list(builder.finish())


def to_chunk(raw: RawChunk) -> tuple[bytes, Chunk]:
    """A built chunk as a manifest would name it, with its bytes."""
    data = b"".join(raw.parts)
    digest = hashlib.sha256(data).hexdigest()
    stored = StoredChunk(
        id=digest, encoding=ChunkEncoding.NONE, plain_bytes=len(data), stored_bytes=len(data), stored_sha256=digest
    )
    return data, Chunk(
        start=raw.start, stop=raw.stop, stored=stored, pack="p", offset=0, facts=raw.facts, aborted=raw.aborted
    )


def restored_values(raws: list[RawChunk]) -> list[bytes | None]:
    """The values a restore of these chunks would produce, in order."""
    values: list[bytes | None] = []
    for raw in raws:
        data, chunk = to_chunk(raw)
        for ready in ready_chunk(memoryview(data), chunk, where="test"):
            (batch,) = walk_batches(memoryview(ready.make(None)))
            values += [record.value for record in decode_records(batch)]
    return values


def log_of(tools, count: int) -> tuple[bytes, int]:
    """A log of batches of one to five records; its bytes and its end."""
    rng = random.Random(1)
    raw, offset = b"", 0
    for _ in range(count):
        values = [b"%d" % (offset + n) for n in range(rng.randrange(1, 6))]
        raw += tools["batch"](offset, values)
        offset += len(values)
    return raw, offset


def test_chunks_tile_the_span_and_keep_every_byte(tools) -> None:
    """Whatever the chunk size: no byte is lost or added, offsets tile, facts are those of a second look."""
    raw, end = log_of(tools, 60)
    for chunk_bytes in (1, 200, 1000, 1 << 20):
        chunks = build(tools, [tools["slice"](raw, start=0, stop=end)], start=0, stop=end, chunk_bytes=chunk_bytes)
        assert b"".join(part for chunk in chunks for part in chunk.parts) == raw
        assert [chunk.start for chunk in chunks] == [0, *[chunk.stop for chunk in chunks[:-1]]]
        assert chunks[-1].stop == end
        for chunk in chunks:
            data, named = to_chunk(chunk)
            assert examine_chunk(memoryview(data), named, where="test") == chunk.facts
        assert restored_values(chunks) == [b"%d" % n for n in range(end)]


def test_slices_may_be_cut_anywhere_between_batches(tools) -> None:
    """However the answers were cut, the chunks are the same."""
    raw, end = log_of(tools, 30)
    whole = build(tools, [tools["slice"](raw, start=0, stop=end)], start=0, stop=end, chunk_bytes=400)
    heads = tools["slice"](raw, start=0, stop=end).headers
    pieces = []
    for (at, header), (after, _next) in zip(heads, [*heads[1:], (len(raw), None)], strict=True):
        pieces.append(tools["slice"](raw[at:after], start=header.base_offset, stop=header.next_offset))
    singles = build(tools, pieces, start=0, stop=end, chunk_bytes=400)
    assert [to_chunk(c)[1].stored.id for c in singles] == [to_chunk(c)[1].stored.id for c in whole]


def test_cuts_of_the_base_are_met_again(tools) -> None:
    """A full reading cuts where the base did, so unchanged data has the same names; what follows is cut by size."""
    raw, end = log_of(tools, 60)
    piece = tools["slice"](raw, start=0, stop=end)
    first = build(tools, [piece], start=0, stop=end, chunk_bytes=300)
    cuts = [chunk.stop for chunk in first[:5]]
    again = build(tools, [piece], start=0, stop=end, cuts=cuts, chunk_bytes=1 << 20)
    assert [to_chunk(c)[1].stored.id for c in again[:5]] == [to_chunk(c)[1].stored.id for c in first[:5]]
    assert len(again) == 6


def test_aborted_batches_are_named_by_range(tools) -> None:
    """Aborted data is kept in the bytes, named per producer, and never restored; so are markers."""
    batch = tools["batch"]
    raw = b"".join(
        [
            batch(0, [b"kept-0"]),
            batch(1, [b"dropped"], producer=7, attributes=TRANSACTIONAL),
            batch(2, [b"kept-2"], producer=8, attributes=TRANSACTIONAL),
            batch(3, [b"dropped"] * 2, producer=7, attributes=TRANSACTIONAL),
            marker(tools, 5, producer=7, kind=0),
            batch(6, [b"kept-6"], producer=7, attributes=TRANSACTIONAL),
            marker(tools, 7, producer=7, kind=1),
            marker(tools, 8, producer=8, kind=1),
        ]
    )
    piece = tools["slice"](raw, start=0, stop=9, aborted=[(7, 1)])
    for chunk_bytes in (1, 1 << 20):
        chunks = build(tools, [piece], start=0, stop=9, chunk_bytes=chunk_bytes)
        assert restored_values(chunks) == [b"kept-0", b"kept-2", b"kept-6"]
        assert sum(chunk.facts.records for chunk in chunks) == 3
        assert sum(chunk.facts.markers for chunk in chunks) == 3
    assert chunks[0].aborted == ((7, 1, 4),)


def marker(tools, offset: int, *, producer: int, kind: int) -> bytes:
    """A control batch: its record's key is the version and the kind, 16 bits each."""
    import struct

    from crc32c import crc32c

    from replicator.wire.format.records import ProducerStamp, RawRecord, encode_batch

    record = RawRecord(0, 1000, struct.pack(">hh", 0, kind), struct.pack(">hi", 0, 1))
    raw = bytearray(encode_batch([record], stamp=ProducerStamp(producer, 0, -1)))
    struct.pack_into(">q", raw, 0, offset)
    struct.pack_into(">h", raw, 21, TRANSACTIONAL | CONTROL)
    struct.pack_into(">I", raw, 17, crc32c(bytes(raw[21:])))
    return bytes(raw)


def test_batches_that_stick_out_are_trimmed(tools) -> None:
    """A log start or a cut inside a batch: bytes are kept whole, records outside are neither counted nor restored."""
    raw = tools["batch"](0, [b"%d" % n for n in range(10)]) + tools["batch"](10, [b"%d" % n for n in range(10, 20)])
    chunks = build(tools, [tools["slice"](raw, start=4, stop=13)], start=4, stop=13)
    assert len(chunks) == 1
    assert (chunks[0].start, chunks[0].stop, chunks[0].facts.records, chunks[0].facts.rebuilds) == (4, 13, 9, 2)
    assert restored_values(chunks) == [b"%d" % n for n in range(4, 13)]


def test_append_time_batches_are_rebuilt_with_their_times(tools) -> None:
    """A LogAppendTime batch is restored with the broker's time as every record's time."""
    raw = tools["batch"](0, [b"a", b"b"], attributes=APPEND_TIME)
    chunks = build(tools, [tools["slice"](raw, start=0, stop=2)], start=0, stop=2)
    data, chunk = to_chunk(chunks[0])
    (ready,) = ready_chunk(memoryview(data), chunk, where="test")
    (batch,) = walk_batches(memoryview(ready.make(None)))
    assert ready.origin is None
    assert [record.timestamp_ms for record in decode_records(batch)] == [1001, 1001]
    assert chunks[0].facts.min_base_timestamp_ms == chunks[0].facts.max_timestamp_ms == 1001


def test_gap_in_the_middle_ends_a_chunk(tools) -> None:
    """Offsets the broker lost are in no chunk: one ends before them, the next begins behind."""
    builder = ChunkBuilder(TP, start=0, stop=30)
    before = tools["slice"](tools["batch"](0, [b"x"] * 10), start=0, stop=10)
    behind = tools["slice"](tools["batch"](20, [b"y"] * 10), start=20, stop=30)
    chunks = [*builder.add(before), *builder.finish(10)]
    builder.skip_to(20)
    chunks += [*builder.add(behind), *builder.finish()]
    assert [(chunk.start, chunk.stop, chunk.facts.records) for chunk in chunks] == [(0, 10, 10), (20, 30, 10)]


def test_damaged_batch_is_not_captured(tools) -> None:
    """A batch that does not match its CRC stops the capture, named by partition and offset."""
    raw = bytearray(tools["batch"](0, [b"x"]) + tools["batch"](1, [b"y"]))
    raw[-1] ^= 1
    with pytest.raises(DataCorrupt, match=r"orders\[0\].*offset 1"):
        build(tools, [tools["slice"](bytes(raw), start=0, stop=2)], start=0, stop=2)


def test_chunk_that_is_not_what_was_counted_is_refused(tools) -> None:
    """Bytes that hold other records than the manifest counted are not restored as if they were right."""
    raw, end = log_of(tools, 5)
    (chunk,) = build(tools, [tools["slice"](raw, start=0, stop=end)], start=0, stop=end)
    _data, named = to_chunk(chunk)
    fewer = memoryview(raw[: tools["slice"](raw, start=0, stop=end).headers[-1][0]])
    with pytest.raises(DataCorrupt, match="counted"):
        list(ready_chunk(fewer, named, where="test"))
