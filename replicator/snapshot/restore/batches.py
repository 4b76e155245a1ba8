"""From a chunk to batches a broker accepts: as they are where they may be, rebuilt where they must."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import Chunk
from replicator.snapshot.facts import Treatment, is_in_ranges, treat_batch
from replicator.wire.appending import MakeBatch
from replicator.wire.format.batches import HEADER_BYTES, Batch, BatchHeader, prove_batch, walk_batches
from replicator.wire.format.records import ProducerStamp, RawRecord, decode_records, encode_batch, patch_batch

LoadChunk = Callable[[Chunk], memoryview]


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """A batch to append: `make` stamps it. `origin` is the batch it goes as; None when it was rebuilt.

    `first_offset` is the captured offset of its first record, `max_timestamp_ms` the latest time in it.
    """

    make: MakeBatch
    record_count: int
    origin: Batch | None
    first_offset: int
    max_timestamp_ms: int


def ready_batches(
    chunks: Iterable[Chunk], load: LoadChunk, *, where: str, is_exact: bool = False
) -> Iterator[ReadyBatch]:
    """Yield the visible records of a partition's chunks as batches, in order.

    A chunk's bytes are proven by `load` before the first of its batches is yielded, and each batch by its CRC.
    Raises: DataCorrupt, NotFound.
    """
    for chunk in chunks:
        data = load(chunk)
        yield from ready_chunk(data, chunk, where=where, is_exact=is_exact)


def ready_chunk(data: memoryview, chunk: Chunk, *, where: str, is_exact: bool = False) -> Iterator[ReadyBatch]:
    """Yield the visible records of one chunk as batches; exact ones hold records of offsets in a row only.

    Raises: DataCorrupt when they are not those counted.
    """
    records = 0
    for batch in walk_batches(data):
        prove_batch(batch.header, batch.data, where=where)
        for ready in ready_batch(batch, chunk, is_exact=is_exact):
            records += ready.record_count
            yield ready
    if records != chunk.facts.records:
        raise DataCorrupt(
            f"{where}: chunk {chunk.stored.id} held {records} records, the manifest counted {chunk.facts.records}"
        )


def ready_batch(batch: Batch, chunk: Chunk, *, is_exact: bool = False) -> Iterator[ReadyBatch]:
    """Yield one batch ready to append; nothing for markers, aborted data and what lies outside the chunk.

    An exact one with holes becomes as many batches as it has runs of offsets.
    """
    header = batch.header
    treatment = treat_batch(header, start=chunk.start, stop=chunk.stop, is_aborted=is_in_ranges(header, chunk.aborted))
    if treatment is Treatment.RAW:
        patch = partial(_patch, batch)
        yield ReadyBatch(patch, header.record_count, batch, header.base_offset, header.max_timestamp)
    elif treatment is Treatment.REBUILD:
        kept = [record for record in decode_records(batch) if chunk.start <= record.offset < chunk.stop]
        for run in split_runs(kept) if is_exact else [kept] if kept else []:
            latest = max(record.timestamp_ms for record in run)
            yield ReadyBatch(partial(_encode, run, header.codec), len(run), None, run[0].offset, latest)


def split_runs(records: Sequence[RawRecord]) -> Iterator[list[RawRecord]]:
    """Yield the records in runs of offsets without a hole."""
    run: list[RawRecord] = []
    for record in records:
        if run and record.offset != run[-1].offset + 1:
            yield run
            run = []
        run.append(record)
    if run:
        yield run


def _patch(batch: Batch, stamp: ProducerStamp | None) -> bytearray:
    return patch_batch(batch, stamp=stamp)


def _encode(records: Sequence[RawRecord], codec: int, stamp: ProducerStamp | None) -> bytes:
    return encode_batch(records, codec=codec, stamp=stamp)


def is_same(ready: ReadyBatch, there: Batch) -> bool:
    """Whether a batch on the target holds just these records. Bytes first; decoded only where they differ."""
    if ready.record_count != there.header.record_count or there.header.is_control:
        return False
    origin = ready.origin
    if origin is not None and _same_fields(origin.header, there.header):
        size = there.header.size_bytes
        if bytes(origin.data[HEADER_BYTES:size]) == bytes(there.data[HEADER_BYTES:size]):
            return True
    return _contents(_as_batch(ready)) == _contents(there)


def _same_fields(left: BatchHeader, right: BatchHeader) -> bool:
    return (left.codec, left.base_timestamp, left.max_timestamp, right.is_append_time) == (
        right.codec, right.base_timestamp, right.max_timestamp, False,
    )  # fmt: skip


def _as_batch(ready: ReadyBatch) -> Batch:
    return next(walk_batches(memoryview(ready.make(None))))


def _contents(batch: Batch) -> list[tuple[int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]]:
    return [(r.timestamp_ms, r.key, r.value, r.headers) for r in decode_records(batch)]
