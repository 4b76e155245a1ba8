"""Record batches of format v2 as the broker keeps them: walked by their headers, proven by their CRC.

Nothing here decodes a record. A batch is 61 bytes of header and an opaque rest; the CRC32C covers
everything from `attributes` on, so that base offset and leader epoch may change without a new one.

Source: Kafka's `DefaultRecordBatch` (layout, attribute bits) and `ControlRecordType`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from crc32c import crc32c

from replicator.errors import DataCorrupt, PreflightBlocked

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES = HEADER.size
LENGTH_PREFIX_BYTES = 12
"""Base offset and length; `length` counts what follows them."""
MAGIC_AT = 16
CRC_AT = 17
CRC_FROM = 21
"""The CRC covers the batch from `attributes` to its end."""
MAGIC_V2 = 2

CODEC_MASK = 0x07
APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40

_CONTROL_KEY = struct.Struct(">hh")


class Codec(IntEnum):
    """How the records of a batch are compressed; the number is the one in `attributes`."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class BatchHeader(NamedTuple):
    """The fixed head of one batch, field by field as it travels."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole batch, header included."""
        return LENGTH_PREFIX_BYTES + self.length

    @property
    def next_offset(self) -> int:
        """The offset after this batch. Progress follows this, never the last record: compaction makes holes."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> int:
        """The codec's number; `Codec(header.codec)` names it."""
        return self.attributes & CODEC_MASK

    @property
    def is_append_time(self) -> bool:
        """Whether `max_timestamp` is the time of every record in it (LogAppendTime)."""
        return bool(self.attributes & APPEND_TIME_BIT)

    @property
    def is_transactional(self) -> bool:
        """Whether it belongs to a transaction."""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        """Whether it holds a transaction marker instead of data."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def is_dense(self) -> bool:
        """Whether every offset it spans holds a record; compaction makes batches that do not."""
        return self.record_count == self.last_offset_delta + 1


class Batch(NamedTuple):
    """One batch: its header and all its bytes."""

    header: BatchHeader
    data: memoryview


class MarkerKind(IntEnum):
    """What a control batch says of its producer's transaction."""

    ABORT = 0
    COMMIT = 1
    OTHER = 2


def walk_headers(data: memoryview) -> Iterator[tuple[int, BatchHeader]]:
    """Yield (position, header) of every whole batch; a cut-off batch at the end is left out.

    Raises: DataCorrupt when a length cannot be; PreflightBlocked for message formats before v2.
    """
    position, end = 0, len(data)
    unpack, make = HEADER.unpack_from, tuple.__new__  # namedtuple's own _make costs more than the unpacking
    while position + HEADER_BYTES <= end:
        header = make(BatchHeader, unpack(data, position))
        if header.magic != MAGIC_V2:
            raise _old_or_broken(header, position)
        if header.length < HEADER_BYTES - LENGTH_PREFIX_BYTES:
            raise DataCorrupt(f"record batch at byte {position}: impossible length {header.length}")
        size = LENGTH_PREFIX_BYTES + header.length
        if position + size > end:
            return
        yield position, header
        position += size


def walk_batches(data: memoryview) -> Iterator[Batch]:
    """Yield every whole batch with its bytes; a cut-off batch at the end is left out. Proves nothing."""
    for position, header in walk_headers(data):
        yield Batch(header, data[position : position + header.size_bytes])


def is_batch_whole(header: BatchHeader, data: memoryview, at: int = 0) -> bool:
    """Whether the bytes of the batch that begins `at` a byte of `data` match its CRC32C."""
    return crc32c(data[at + CRC_FROM : at + LENGTH_PREFIX_BYTES + header.length]) == header.crc


def prove_batch(header: BatchHeader, data: memoryview, *, where: str, at: int = 0) -> None:
    """Return if the batch that begins `at` a byte of `data` matches its CRC32C.

    Raises: DataCorrupt naming `where` and the base offset.
    """
    if not is_batch_whole(header, data, at):
        raise DataCorrupt(f"{where}: the record batch at offset {header.base_offset} does not match its CRC32C")


def read_marker(batch: Batch) -> MarkerKind:
    """Return what a control batch decides. Source: a control record's key is (version, type), 16 bits each."""
    from replicator.wire.format.records import decode_records

    records = decode_records(batch)
    if not records or records[0].key is None or len(records[0].key) < _CONTROL_KEY.size:
        return MarkerKind.OTHER
    _version, kind = _CONTROL_KEY.unpack_from(records[0].key)
    return MarkerKind(kind) if kind in (MarkerKind.ABORT, MarkerKind.COMMIT) else MarkerKind.OTHER


def _old_or_broken(header: BatchHeader, position: int) -> Exception:
    if header.magic in (0, 1):
        return PreflightBlocked(
            f"records at offset {header.base_offset} are in message format v{header.magic}, older than 0.11",
            hint="mirror or rewrite the topic once; brokers since 3.0 write format v2 only",
        )
    return DataCorrupt(f"record batch at byte {position}: unknown format {header.magic}")
