"""Records inside a batch: decoded, encoded, and batches rebuilt or patched for a broker to accept.

Source: Kafka's `DefaultRecord` (varints are zigzag, lengths of -1 mean null) and `LogValidator`
(what a broker refuses from a client: a base offset other than 0, holes, control batches, the
append-time bit).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crc32c import crc32c

from replicator.errors import DataCorrupt
from replicator.wire.format.batches import (
    CODEC_MASK,
    CRC_AT,
    CRC_FROM,
    HEADER,
    HEADER_BYTES,
    LENGTH_PREFIX_BYTES,
    MAGIC_V2,
    Batch,
    Codec,
)
from replicator.wire.format.compression import deflate, inflate

Header = tuple[str, bytes | None]

_CRC = struct.Struct(">I")
_NO_PRODUCER = (-1, -1, -1)
_NAME_ERRORS = "surrogateescape"
"""Header names are text by contract, but some clients write any bytes: kept byte for byte both ways."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as its producer meant it. `timestamp_ms` is the append time in LogAppendTime batches;
    null and empty keys, values and header values stay apart."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class ProducerStamp:
    """The idempotent identity written into a batch: a retry with the same stamp appends nothing."""

    producer_id: int
    producer_epoch: int
    base_sequence: int


def decode_records(batch: Batch) -> list[RawRecord]:
    """Return the records of one batch in order, offsets and times made absolute.

    Raises: DataCorrupt when the bytes do not decode, or decode to another number of records.
    """
    return list(walk_records(batch))


def walk_records(batch: Batch) -> Iterator[RawRecord]:
    """Yield what `decode_records` returns, one by one: small records by the million do not fill the memory.

    Raises: DataCorrupt, as `decode_records`; after the records before the first byte that does not decode.
    """
    header = batch.header
    plain = bytes(inflate(header.codec, batch.data[HEADER_BYTES : header.size_bytes]))
    append_time = header.max_timestamp if header.is_append_time else None
    position = 0
    for _ in range(header.record_count):
        try:
            record, position = _decode_record(plain, position, header.base_offset, header.base_timestamp, append_time)
        except (IndexError, ValueError) as exc:
            raise DataCorrupt(f"the record batch at offset {header.base_offset} does not decode: {exc}") from exc
        yield record
    if position != len(plain):
        raise DataCorrupt(f"the record batch at offset {header.base_offset} holds {len(plain) - position} stray bytes")


def _decode_record(
    data: bytes, position: int, base_offset: int, base_timestamp: int, append_time: int | None
) -> tuple[RawRecord, int]:
    length, position = _read_varint(data, position)
    end = position + length
    if length < 0 or end > len(data):
        raise ValueError("a record runs past its batch")
    timestamp_delta, position = _read_varint(data, position + 1)  # one byte of unused attributes
    offset_delta, position = _read_varint(data, position)
    key, position = _read_bytes(data, position, end)
    value, position = _read_bytes(data, position, end)
    header_count, position = _read_varint(data, position)
    headers: list[Header] = []
    for _ in range(header_count):
        name, position = _read_bytes(data, position, end)
        content, position = _read_bytes(data, position, end)
        headers.append(((name or b"").decode(errors=_NAME_ERRORS), content))
    if position != end:
        raise ValueError("a record's length does not match its fields")
    timestamp = base_timestamp + timestamp_delta if append_time is None else append_time
    return RawRecord(base_offset + offset_delta, timestamp, key, value, tuple(headers)), end


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    byte = data[position]
    position += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise ValueError("a varint is too long")


def _read_bytes(data: bytes, position: int, end: int) -> tuple[bytes | None, int]:
    length, position = _read_varint(data, position)
    if length < 0:
        return None, position
    if position + length > end:
        raise ValueError("a field runs past its record")
    return data[position : position + length], position + length


def encode_batch(records: Sequence[RawRecord], *, codec: int = Codec.NONE, stamp: ProducerStamp | None = None) -> bytes:
    """Return one batch that a broker accepts: offsets 0..n-1, CreateTime, the records' own times.

    Raises: ValueError for no records; an empty batch is refused by every broker.
    """
    if not records:
        raise ValueError("a batch needs at least one record")
    base_timestamp = records[0].timestamp_ms
    plain = bytearray()
    for index, record in enumerate(records):
        _append_record(plain, record, index, record.timestamp_ms - base_timestamp)
    payload = deflate(codec, plain)
    producer_id, producer_epoch, base_sequence = _stamp_fields(stamp)
    batch = bytearray(HEADER_BYTES)
    batch += payload
    HEADER.pack_into(
        batch, 0, 0, len(batch) - LENGTH_PREFIX_BYTES, -1, MAGIC_V2, 0, codec, len(records) - 1, base_timestamp,
        max(record.timestamp_ms for record in records), producer_id, producer_epoch, base_sequence, len(records),
    )  # fmt: skip
    _write_crc(batch)
    return bytes(batch)


def patch_batch(batch: Batch, *, stamp: ProducerStamp | None = None) -> bytearray:
    """Return a copy of a dense CreateTime batch that a broker accepts; its records stay byte for byte.

    Base offset 0, leader epoch -1, `stamp` (or none) as its producer, only the codec bits kept. With
    the delete-horizon bit cleared the record times stay right, for their deltas count from the field kept.
    """
    header = batch.header
    patched = bytearray(batch.data[: header.size_bytes])
    producer_id, producer_epoch, base_sequence = _stamp_fields(stamp)
    HEADER.pack_into(
        patched, 0, 0, header.length, -1, MAGIC_V2, 0, header.attributes & CODEC_MASK, header.last_offset_delta,
        header.base_timestamp, header.max_timestamp, producer_id, producer_epoch, base_sequence, header.record_count,
    )  # fmt: skip
    _write_crc(patched)
    return patched


def _stamp_fields(stamp: ProducerStamp | None) -> tuple[int, int, int]:
    return _NO_PRODUCER if stamp is None else (stamp.producer_id, stamp.producer_epoch, stamp.base_sequence)


def _write_crc(batch: bytearray) -> None:
    _CRC.pack_into(batch, CRC_AT, crc32c(memoryview(batch)[CRC_FROM:]))


def _append_record(plain: bytearray, record: RawRecord, offset_delta: int, timestamp_delta: int) -> None:
    body = bytearray(1)  # unused attributes
    _append_varint(body, timestamp_delta)
    _append_varint(body, offset_delta)
    _append_bytes(body, record.key)
    _append_bytes(body, record.value)
    _append_varint(body, len(record.headers))
    for name, content in record.headers:
        _append_bytes(body, name.encode(errors=_NAME_ERRORS))
        _append_bytes(body, content)
    _append_varint(plain, len(body))
    plain += body


def _append_varint(out: bytearray, value: int) -> None:
    value = (value << 1) ^ (value >> 63)
    while value >= 0x80:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def _append_bytes(out: bytearray, content: bytes | None) -> None:
    if content is None:
        out.append(1)  # zigzag of -1: null
        return
    _append_varint(out, len(content))
    out += content
