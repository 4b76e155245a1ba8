"""What of a snapshot can be read, and the records of a proven chunk as a consumer of committed data sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replicator.errors import NotFound
from replicator.model.archive.snapshots import CapturedPartition, Chunk, Manifest
from replicator.model.names import TopicName
from replicator.snapshot.facts import Treatment, is_in_ranges, treat_batch
from replicator.snapshot.repository import Repository
from replicator.wire.format.batches import Batch, prove_batch, walk_batches
from replicator.wire.format.records import RawRecord, walk_records


def visible_records(data: memoryview, chunk: Chunk) -> Iterator[RawRecord]:
    """Yield the records of a chunk that were committed and lie inside it, each batch proven by its CRC.

    Raises: DataCorrupt.
    """
    for batch, _treatment in _visible_batches(data, chunk):
        yield from _inside(batch, chunk)


def visible_timed(data: memoryview, chunk: Chunk) -> Iterator[tuple[RawRecord, bool]]:
    """Yield the same records, each with whether its time is that of its append.

    Raises: DataCorrupt.
    """
    for batch, _treatment in _visible_batches(data, chunk):
        yield from ((record, batch.header.is_append_time) for record in _inside(batch, chunk))


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
    return (record for record in walk_records(batch) if chunk.start <= record.offset < chunk.stop)


def leave_out_shredded(
    repository: Repository, manifest: Manifest, targets: Mapping[TopicName, TopicName]
) -> tuple[dict[TopicName, TopicName], tuple[str, ...]]:
    """Return the topics that can be read, and a warning for each whose key was destroyed.

    Raises: NotFound when none is left, or a key was lost.
    """
    shredded = repository.find_shredded(manifest)
    for topic in manifest.topics:
        if topic.name in targets and topic.key is not None:
            repository.vault.check_present(topic.key)
    gone = [shredded[name] for name in targets if name in shredded]
    kept = {name: target for name, target in targets.items() if name not in shredded}
    told = tuple(f"topic {one.topic} is left out: it was shredded at {one.at:%Y-%m-%dT%H:%M:%SZ}" for one in gone)
    if gone and not kept:
        raise NotFound(f"snapshot {manifest.id}: {told[0]}", detail="\n".join(told))
    return kept, told
