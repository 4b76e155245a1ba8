"""Batches walked, proven and decoded, against bytes made by Kafka's own classes (tests/data/batches)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from replicator.errors import DataCorrupt, PreflightBlocked
from replicator.wire.format.batches import (
    HEADER_BYTES,
    Batch,
    MarkerKind,
    is_batch_whole,
    prove_batch,
    read_marker,
    walk_batches,
    walk_headers,
)
from replicator.wire.format.records import ProducerStamp, RawRecord, decode_records, encode_batch, patch_batch

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "batches" / "golden.json").read_text())
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def named(name: str) -> dict[str, Any]:
    """One golden case."""
    return next(case for case in GOLDEN if case["name"] == name)


def to_batch(case: dict[str, Any]) -> Batch:
    """The batch of a golden case."""
    (batch,) = walk_batches(memoryview(base64.b64decode(case["batch"])))
    return batch


def maybe(text: str | None) -> bytes | None:
    """Bytes of a golden field."""
    return None if text is None else base64.b64decode(text)


def expected(case: dict[str, Any]) -> list[RawRecord]:
    """The records Kafka's own iterator saw."""
    return [
        RawRecord(
            row["offset"],
            row["timestamp_ms"],
            maybe(row["key"]),
            maybe(row["value"]),
            tuple(((maybe(name) or b"").decode(), maybe(value)) for name, value in row["headers"]),
        )
        for row in case["records"]
    ]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_header_says_what_kafka_says(case: dict[str, Any]) -> None:
    """Every field we use of a batch's head is what Kafka's class reads from the same bytes."""
    header = to_batch(case).header
    assert header.base_offset == case["base_offset"]
    assert header.next_offset == case["next_offset"]
    assert header.max_timestamp == case["max_timestamp"]
    assert header.producer_id == case["producer_id"]
    assert header.is_transactional == case["is_transactional"]
    assert header.is_control == case["is_control"]
    assert header.crc == case["crc"]
    assert header.leader_epoch == 7
    assert is_batch_whole(header, to_batch(case).data)


@pytest.mark.parametrize("case", [c for c in GOLDEN if not c["is_control"]], ids=lambda case: case["name"])
def test_records_decode_as_kafka_decodes_them(case: dict[str, Any]) -> None:
    """Offsets, times, null and empty keys, values and headers come out as Kafka's iterator gives them."""
    assert decode_records(to_batch(case)) == expected(case)


def test_sparse_and_append_time_batches_are_told_from_headers() -> None:
    """Holes and append times show without opening the batch."""
    assert not to_batch(named("sparse")).header.is_dense
    assert to_batch(named("none")).header.is_dense
    assert to_batch(named("append_time")).header.is_append_time
    assert not to_batch(named("none")).header.is_append_time


def test_markers_are_read() -> None:
    """Commit and abort markers are what Kafka wrote."""
    assert read_marker(to_batch(named("commit_marker"))) is MarkerKind.COMMIT
    assert read_marker(to_batch(named("abort_marker"))) is MarkerKind.ABORT


@pytest.mark.parametrize("name", CODECS)
def test_every_flipped_byte_of_a_batch_is_found(name: str) -> None:
    """A flipped bit anywhere the CRC covers is found; before it, the walk or the CRC itself is off."""
    original = base64.b64decode(named(name)["batch"])
    free = range(16)  # base offset, length and leader epoch are outside the CRC: a broker rewrites them
    for position in range(len(original)):
        if position in free:
            continue
        damaged = bytearray(original)
        damaged[position] ^= 0x01
        view = memoryview(damaged)
        try:
            found = list(walk_batches(view))
            is_found_whole = bool(found) and is_batch_whole(found[0].header, found[0].data)
        except (DataCorrupt, PreflightBlocked):
            is_found_whole = False
        assert not is_found_whole, position


def test_cut_off_batch_is_left_out() -> None:
    """Of two batches the second of which is cut anywhere, only the first is seen; whole, both are."""
    one = base64.b64decode(named("lz4")["batch"])
    for cut in range(len(one)):
        assert [at for at, _header in walk_headers(memoryview(one + one[:cut]))] == [0]
    assert [at for at, _header in walk_headers(memoryview(one + one))] == [0, len(one)]


def test_old_formats_are_refused_and_nonsense_is_corrupt() -> None:
    """Message formats before v2 are named as such; an unknown one or an impossible length is damage."""
    raw = bytearray(base64.b64decode(named("none")["batch"]))
    for magic, error in ((0, PreflightBlocked), (1, PreflightBlocked), (9, DataCorrupt)):
        raw[16] = magic
        with pytest.raises(error):
            list(walk_batches(memoryview(raw)))
    raw[16] = 2
    raw[8:12] = (10).to_bytes(4, "big")
    with pytest.raises(DataCorrupt, match="length"):
        list(walk_batches(memoryview(raw)))


def test_prove_batch_names_the_place() -> None:
    """A batch that does not match its CRC is named by partition and base offset."""
    raw = bytearray(base64.b64decode(named("none")["batch"]))
    raw[-1] ^= 1
    (batch,) = walk_batches(memoryview(raw))
    with pytest.raises(DataCorrupt, match=r"orders\[3\].*5000000000"):
        prove_batch(batch.header, batch.data, where="orders[3]")


@pytest.mark.parametrize("name", CODECS)
def test_patched_batch_keeps_its_records_byte_for_byte(name: str) -> None:
    """A batch made acceptable for a broker differs in its head alone, carries our stamp and a right CRC."""
    batch = to_batch(named(name))
    patched = memoryview(patch_batch(batch, stamp=ProducerStamp(99, 2, 1000)))
    (again,) = walk_batches(patched)
    assert again.data[HEADER_BYTES:] == batch.data[HEADER_BYTES:]
    assert is_batch_whole(again.header, again.data)
    header = again.header
    assert (header.base_offset, header.leader_epoch, header.producer_id) == (0, -1, 99)
    assert (header.producer_epoch, header.base_sequence) == (2, 1000)
    assert (header.base_timestamp, header.max_timestamp) == (batch.header.base_timestamp, batch.header.max_timestamp)


def test_patching_clears_what_a_broker_refuses_from_clients() -> None:
    """Transactional, control, append-time and delete-horizon bits are gone; the codec stays."""
    batch = to_batch(named("transactional"))
    marked = Batch(batch.header._replace(attributes=batch.header.attributes | 0x78 | 0x03), batch.data)
    (patched,) = walk_batches(memoryview(patch_batch(marked)))
    assert patched.header.attributes == 0x03
    assert patched.header.producer_id == -1


@pytest.mark.parametrize("codec", range(5), ids=CODECS)
@pytest.mark.parametrize("name", ["none", "sparse", "append_time"])
def test_rebuilt_batch_holds_the_same_records(name: str, codec: int) -> None:
    """A rebuilt batch is dense, CreateTime, and holds the same keys, values, headers and times."""
    records = decode_records(to_batch(named(name)))
    (rebuilt,) = walk_batches(memoryview(encode_batch(records, codec=codec)))
    assert is_batch_whole(rebuilt.header, rebuilt.data)
    assert rebuilt.header.is_dense
    assert not rebuilt.header.is_append_time
    assert rebuilt.header.max_timestamp == max(record.timestamp_ms for record in records)
    again = decode_records(rebuilt)
    assert [record.offset for record in again] == [0, 1, 2, 3, 4]
    assert [(r.timestamp_ms, r.key, r.value, r.headers) for r in again] == [
        (r.timestamp_ms, r.key, r.value, r.headers) for r in records
    ]


def test_our_uncompressed_batch_is_kafkas_byte_for_byte() -> None:
    """The same records encoded by us and by Kafka give the same bytes, offsets and epoch aside."""
    theirs = to_batch(named("none"))
    ours = encode_batch(decode_records(theirs))
    assert bytes(theirs.data[17:]) == ours[17:]


def test_records_that_lie_about_their_number_are_corrupt() -> None:
    """A batch whose head counts more or fewer records than it holds does not decode."""
    batch = to_batch(named("none"))
    for count in (4, 6):
        with pytest.raises(DataCorrupt):
            decode_records(Batch(batch.header._replace(record_count=count), batch.data))


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
def test_damaged_compression_is_corrupt_not_a_crash(name: str) -> None:
    """Compressed records that were cut or overwritten raise DataCorrupt."""
    raw = bytearray(base64.b64decode(named(name)["batch"]))
    header = to_batch(named(name)).header
    for payload in (raw[HEADER_BYTES:-7], b"\xff" * (len(raw) - HEADER_BYTES), b""):
        damaged = memoryview(bytes(raw[:HEADER_BYTES]) + bytes(payload))
        batch = Batch(header._replace(length=len(damaged) - 12), damaged)
        with pytest.raises(DataCorrupt):
            decode_records(batch)
