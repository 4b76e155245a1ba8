"""What is on a target already, proven to be the snapshot's own: a beginning of it, or all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from replicator.clock import Deadline
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot.restore.batches import ReadyBatch, is_same
from replicator.wire import RawClient
from replicator.wire.format.batches import Batch, prove_batch, walk_batches
from replicator.wire.reading import Slice, Span, SpanReader


def skip_found(
    client: RawClient,
    partition: TopicPartition,
    ends: PartitionEnds,
    ready: Iterator[ReadyBatch],
    *,
    deadline: Deadline,
    on_step: Callable[[], None],
) -> int | None:
    """Advance `ready` over what the target partition holds; return how many records that were.

    `on_step` is called after each batch.
    Return None when the target holds anything else: another record, another order, one too many.
    Raises: as SpanReader.read; DataCorrupt.
    """
    found = 0
    for batch in _read_batches(client, partition, ends, deadline):
        expected = next(ready, None)
        if expected is None or not is_same(expected, batch):
            return None
        found += batch.header.record_count
        on_step()
    return found if found == ends.end - ends.log_start else None


def _read_batches(
    client: RawClient, partition: TopicPartition, ends: PartitionEnds, deadline: Deadline
) -> Iterator[Batch]:
    spans = [Span(partition, ends.log_start, ends.end)] if ends.log_start < ends.end else []
    while spans:
        leader = client.find_leaders([partition], deadline=deadline, is_fresh=True)[partition]
        reader = SpanReader(client, leader, spans)
        for piece in reader.read(deadline=deadline):
            if not isinstance(piece, Slice):
                return  # what is not there any more is not equal: the count tells
            for batch in walk_batches(piece.data):
                prove_batch(batch.header, batch.data, where=str(partition))
                yield batch
        spans = reader.left
