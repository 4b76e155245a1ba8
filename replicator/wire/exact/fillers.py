"""Batches of empty records: null key, null value, no headers, all of one time. They do nothing but take offsets."""

from __future__ import annotations

from functools import lru_cache

from crc32c import crc32c

from replicator.wire.format.batches import (
    CRC_AT,
    CRC_FROM,
    HEADER,
    HEADER_BYTES,
    LENGTH_PREFIX_BYTES,
    MAGIC_V2,
    TRANSACTIONAL_BIT,
    Batch,
    Codec,
)
from replicator.wire.format.compression import deflate, inflate
from replicator.wire.format.records import ProducerStamp

FILLER_RECORDS_MAX = 200_000
"""A broker makes an object of every record of a batch: 4 million are too much for a heap of 512 MB."""
_EMPTY = b"\x01\x01\x00"
"""Null key, null value, no headers."""


def encode_filler(count: int, *, timestamp_ms: int, stamp: ProducerStamp | None, is_transactional: bool) -> bytes:
    """Return one batch of `count` empty records that a broker accepts. Raises: ValueError beyond the bounds."""
    if not 0 < count <= FILLER_RECORDS_MAX:
        raise ValueError(f"a filler holds 1 to {FILLER_RECORDS_MAX} records, not {count}")
    payload = _payload(count)
    attributes = Codec.ZSTD | (TRANSACTIONAL_BIT if is_transactional else 0)
    fields = (-1, -1, -1) if stamp is None else (stamp.producer_id, stamp.producer_epoch, stamp.base_sequence)
    batch = bytearray(HEADER_BYTES)
    batch += payload
    length = len(batch) - LENGTH_PREFIX_BYTES
    times = (timestamp_ms, timestamp_ms)
    HEADER.pack_into(batch, 0, 0, length, -1, MAGIC_V2, 0, attributes, count - 1, *times, *fields, count)
    batch[CRC_AT:CRC_FROM] = crc32c(memoryview(batch)[CRC_FROM:]).to_bytes(4, "big")
    return bytes(batch)


def is_filler(batch: Batch) -> bool:
    """Whether a batch on a broker is one of ours: record for record what `encode_filler` makes of its count."""
    header = batch.header
    if header.is_control or not header.is_dense or header.codec != Codec.ZSTD:
        return False
    if not 0 < header.record_count <= FILLER_RECORDS_MAX:
        return False
    plain = inflate(header.codec, batch.data[HEADER_BYTES : header.size_bytes])
    return len(plain) == _size_of(header.record_count) and _all_records().startswith(bytes(plain))


@lru_cache(maxsize=64)
def _payload(count: int) -> bytes:
    return bytes(deflate(Codec.ZSTD, _all_records()[: _size_of(count)]))


@lru_cache(maxsize=1)
def _all_records() -> bytes:
    """Return the records of the largest filler; those of a smaller one are its beginning."""
    plain = bytearray()
    for index in range(FILLER_RECORDS_MAX):
        body = b"\x00\x00" + _varint(index) + _EMPTY  # attributes, time delta, offset delta
        plain += _varint(len(body))
        plain += body
    return bytes(plain)


def _size_of(count: int) -> int:
    """Return the bytes of the first `count` records: six, and the offset delta's one to three."""
    return 7 * count + max(0, count - 64) + max(0, count - 8192)


def _varint(value: int) -> bytes:
    """Return a number that is not negative as Kafka's zigzag varint."""
    value <<= 1
    out = bytearray()
    while value >= 0x80:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
