"""Records of a proven chunk as a consumer of committed data sees them: yielded, or counted up to an offset."""

from __future__ import annotations

from collections.abc import Iterator

from replicator.model.archive.snapshots import CapturedPartition, Chunk
from replicator.snapshot.facts import Treatment, is_in_ranges, treat_batch
from replicator.snapshot.repository import Repository
from replicator.wire.format.batches import Batch, prove_batch, walk_batches
from replicator.wire.format.records import RawRecord, decode_records


def visible_records(data: memoryview, chunk: Chunk) -> Iterator[RawRecord]:
    """Yield the records of a chunk that were committed and lie inside it, each batch proven by its CRC.

    Raises: DataCorrupt.
    """
    for batch, _treatment in _visible_batches(data, chunk):
        yield from _inside(batch, chunk)


def count_below(repository: Repository, partition: CapturedPartition, offset: int) -> int:
    """Return how many visible records of a captured partition lie below `offset`; reads one chunk at most.

    Raises: NotFound, DataCorrupt.
    """
    count = 0
    for chunk in partition.chunks:
        if chunk.stop <= offset:
            count += chunk.facts.records
        elif chunk.start < offset and chunk.facts.records:
            count += _count_in_chunk(repository.read_chunk(chunk), chunk, offset)
    return count


def _count_in_chunk(data: memoryview, chunk: Chunk, offset: int) -> int:
    count = 0
    for batch, treatment in _visible_batches(data, chunk):
        if batch.header.base_offset >= offset:
            break
        if treatment is Treatment.RAW and batch.header.next_offset <= offset:
            count += batch.header.record_count
        else:
            count += sum(record.offset < offset for record in _inside(batch, chunk))
    return count


def _visible_batches(data: memoryview, chunk: Chunk) -> Iterator[tuple[Batch, Treatment]]:
    for batch in walk_batches(data):
        header = batch.header
        prove_batch(header, batch.data, where=f"chunk {chunk.stored.id}")
        is_aborted = is_in_ranges(header, chunk.aborted)
        treatment = treat_batch(header, start=chunk.start, stop=chunk.stop, is_aborted=is_aborted)
        if treatment in (Treatment.RAW, Treatment.REBUILD):
            yield batch, treatment


def _inside(batch: Batch, chunk: Chunk) -> Iterator[RawRecord]:
    return (record for record in decode_records(batch) if chunk.start <= record.offset < chunk.stop)
