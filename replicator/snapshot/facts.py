"""What a batch is worth within the offsets a chunk covers; counted at capture, checked at verify, obeyed at restore."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from replicator.model.archive.snapshots import ChunkFacts
from replicator.wire.counting import count_span
from replicator.wire.format.batches import (
    APPEND_TIME_BIT,
    CODEC_MASK,
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    LENGTH_PREFIX_BYTES,
    TRANSACTIONAL_BIT,
    Batch,
    BatchHeader,
    Codec,
)

_NOT_PLAIN = APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT | DELETE_HORIZON_BIT
AbortedRange = tuple[int, int, int]
"""(producer id, from, to): that producer's data batches with a base offset in [from, to) were aborted."""


class Treatment(StrEnum):
    """What a restore does with a batch."""

    RAW = "raw"
    REBUILD = "rebuild"
    MARKER = "marker"
    ABORTED = "aborted"
    EMPTY = "empty"


def treat_batch(header: BatchHeader, *, start: int, stop: int, is_aborted: bool) -> Treatment:
    """Return what to do with a batch of a chunk covering [start, stop).

    Only a dense CreateTime batch that lies inside may go as it is: brokers refuse holes and the
    append-time bit, and its other times would be the producer's instead of those readers saw.
    """
    if header.is_control:
        return Treatment.MARKER
    if is_aborted:
        return Treatment.ABORTED
    if header.record_count == 0 or header.next_offset <= start or header.base_offset >= stop:
        return Treatment.EMPTY
    is_inside = header.base_offset >= start and header.next_offset <= stop
    return Treatment.RAW if is_inside and header.is_dense and not header.is_append_time else Treatment.REBUILD


def is_plain(header: BatchHeader, *, start: int, stop: int) -> bool:
    """Whether its header alone says that a batch goes as it is: no transaction, no hole, inside [start, stop).

    True for nearly every batch of ordinary topics, and sooner told than its treatment.
    """
    base, count = header.base_offset, header.record_count
    is_dense = count == header.last_offset_delta + 1 and count > 0
    return is_dense and not header.attributes & _NOT_PLAIN and base >= start and base + count <= stop


def is_in_ranges(header: BatchHeader, ranges: Sequence[AbortedRange]) -> bool:
    """Whether a data batch was aborted, as its chunk's `aborted` says."""
    if not ranges or not header.is_transactional or header.is_control:
        return False
    return any(pid == header.producer_id and low <= header.base_offset < high for pid, low, high in ranges)


class FactsBuilder:
    """Adds batches up to a chunk's facts. Where a count cannot come from the header, the batch is opened."""

    def __init__(self, *, start: int, stop: int) -> None:
        self._start, self._stop = start, stop
        self._codecs: Counter[int] = Counter()
        self._batches = self._records = self._markers = self._rebuilds = self._largest = 0
        self._min_base: int | None = None
        self._max: int | None = None

    def add(self, batch: Batch, *, is_aborted: bool) -> Treatment:
        """Count one batch, whose CRC was proven, and return its treatment."""
        header = batch.header
        treatment = treat_batch(header, start=self._start, stop=self._stop, is_aborted=is_aborted)
        if treatment is Treatment.MARKER:
            self._markers += 1
        if treatment not in (Treatment.RAW, Treatment.REBUILD):
            return treatment
        visible = header.record_count if treatment is Treatment.RAW else count_span(batch, self._start, self._stop)
        if not visible:
            return Treatment.EMPTY
        self._batches += 1
        self._records += visible
        self._rebuilds += treatment is Treatment.REBUILD
        self._codecs[header.codec] += 1
        self._largest = max(self._largest, header.size_bytes)
        self._note_times(header)
        return treatment

    def add_plain(self, headers: Sequence[BatchHeader]) -> None:
        """Count batches that `is_plain` holds for, proven, all at once: column by column instead of one by one."""
        if not headers:
            return
        _, lengths, _, _, _, attributes, _, bases, latest, _, _, _, records = zip(*headers, strict=True)
        self._batches += len(headers)
        self._records += sum(records)
        for bits, count in Counter(attributes).items():
            self._codecs[bits & CODEC_MASK] += count
        self._largest = max(self._largest, max(lengths) + LENGTH_PREFIX_BYTES)
        self._widen_times(min(bases), max(latest))

    def _note_times(self, header: BatchHeader) -> None:
        base = header.max_timestamp if header.is_append_time else header.base_timestamp
        self._widen_times(base, header.max_timestamp)

    def _widen_times(self, base: int, latest: int) -> None:
        self._min_base = base if self._min_base is None else min(base, self._min_base)
        self._max = latest if self._max is None else max(latest, self._max)

    def build(self) -> ChunkFacts:
        """Return the facts of the batches added so far."""
        return ChunkFacts(
            batches=self._batches,
            records=self._records,
            markers=self._markers,
            rebuilds=self._rebuilds,
            codecs={name_codec(codec): count for codec, count in sorted(self._codecs.items())},
            largest_batch_bytes=self._largest,
            min_base_timestamp_ms=self._min_base,
            max_timestamp_ms=self._max,
        )


def name_codec(codec: int) -> str:
    """Return a codec's name in lower case; `unknown-N` for one that Kafka may invent."""
    return Codec(codec).name.lower() if codec in Codec.__members__.values() else f"unknown-{codec}"
