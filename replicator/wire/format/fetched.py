"""A Fetch answer read without copying its records: what is handed out are views of the frame they came in.

Versions 4 to 12. kafka-python's codec reads the same, but copies every partition's records; tests compare the two.
Source: Kafka's FetchResponse.json.
"""

from __future__ import annotations

import struct

from replicator.model.names import TopicName, TopicPartition
from replicator.wire.answers import FetchAnswer, FetchedPartition
from replicator.wire.format.flexible import read_uvarint, skip_tags
from replicator.wire.format.transactions import AbortedTransaction

FLEXIBLE_FROM = 12
_SESSION_FROM, _LOG_START_FROM, _READ_REPLICA_FROM = 7, 5, 11
_SHORT, _INT = struct.Struct(">h"), struct.Struct(">i")
_SESSION = struct.Struct(">hi")
_PARTITION = struct.Struct(">ihqq")
_LONG, _ABORTED = struct.Struct(">q"), struct.Struct(">qq")
SHARE_MIN = 4
"""Records that fill less than this part of their frame are copied: a few batches must not hold on to megabytes."""


def read_fetch(body: memoryview, version: int) -> FetchAnswer:
    """Return what a Fetch answer says, from behind its header; the records are read-only views of `body`.

    Raises: ValueError, IndexError, struct.error for bytes that are no such answer.
    """
    return _Reader(body.toreadonly(), version).read()


class _Reader:
    """Walks one answer from begin to end. Every step moves `_at` on."""

    def __init__(self, body: memoryview, version: int) -> None:
        self._body = body
        self._version = version
        self._is_flexible = version >= FLEXIBLE_FROM
        self._at = 0

    def read(self) -> FetchAnswer:
        (throttle_ms,) = self._unpack(_INT)
        error_code = self._unpack(_SESSION)[0] if self._version >= _SESSION_FROM else 0
        partitions: list[FetchedPartition] = []
        for _ in range(max(0, self._read_size(_INT))):
            topic = self._read_text()
            partitions += [self._read_partition(topic) for _ in range(max(0, self._read_size(_INT)))]
            self._skip_tags()
        self._skip_tags()
        return FetchAnswer(error_code=error_code, throttle_seconds=throttle_ms / 1000, partitions=tuple(partitions))

    def _read_partition(self, topic: TopicName) -> FetchedPartition:
        index, error_code, high_watermark, last_stable = self._unpack(_PARTITION)
        log_start = self._unpack(_LONG)[0] if self._version >= _LOG_START_FROM else -1
        aborted = [self._read_aborted() for _ in range(max(0, self._read_size(_INT)))]
        if self._version >= _READ_REPLICA_FROM:
            self._unpack(_INT)
        records = self._take(max(0, self._read_size(_INT)))
        self._skip_tags()
        is_small = len(records) * SHARE_MIN < len(self._body)
        return FetchedPartition(
            partition=TopicPartition(topic, index),
            error_code=error_code,
            log_start=log_start,
            last_stable=last_stable,
            end=high_watermark,
            aborted=tuple(aborted),
            records=memoryview(bytes(records)) if is_small else records,
        )

    def _read_aborted(self) -> AbortedTransaction:
        producer_id, first_offset = self._unpack(_ABORTED)
        self._skip_tags()
        return AbortedTransaction(producer_id, first_offset)

    def _read_text(self) -> TopicName:
        return TopicName(str(self._take(self._read_size(_SHORT)), "utf-8"))

    def _read_size(self, classic: struct.Struct) -> int:
        """Return a length; -1 stands for null."""
        if not self._is_flexible:
            return int(self._unpack(classic)[0])
        size, self._at = read_uvarint(self._body, self._at)
        return size - 1

    def _take(self, size: int) -> memoryview:
        piece = self._body[self._at : self._at + size]
        if size < 0 or len(piece) != size:
            raise ValueError(f"{size} bytes were announced, {len(piece)} are there")
        self._at += size
        return piece

    def _unpack(self, form: struct.Struct) -> tuple[int, ...]:
        values = form.unpack_from(self._body, self._at)
        self._at += form.size
        return values

    def _skip_tags(self) -> None:
        if self._is_flexible:
            self._at = skip_tags(self._body, self._at)
