"""What a target partition holds, proven to be the captured records at their own offsets, and nothing a reader sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from replicator.clock import Deadline
from replicator.model.names import TopicPartition
from replicator.snapshot.restore.batches import is_same
from replicator.snapshot.restore.exact.lines import ExactLine
from replicator.wire import RawClient
from replicator.wire.exact import is_filler
from replicator.wire.format.batches import Batch, prove_batch, read_marker, walk_batches
from replicator.wire.format.transactions import AbortTracker
from replicator.wire.reading import Slice, Span, SpanReader


def follow_found(client: RawClient, line: ExactLine, *, deadline: Deadline, on_step: Callable[[], None]) -> bool:
    """Advance the line over what its target partition holds; return whether that is ours, record for record.

    Below the captured log start only empty records of ours may stand. No transaction may be open in it. `on_step` is
    called after each batch.
    Raises: as SpanReader.read; DataCorrupt.
    """
    ends, start = line.ends, line.captured.start
    if ends.log_start > start or ends.end > line.captured.end:
        return False
    if ends.log_start < start:
        return ends.end <= start and _is_burned(client, line, deadline, on_step)
    line.position = start
    if ends.end == start:
        return True
    for batch in _visible_batches(client, line.partition, ends.log_start, ends.end, deadline):
        head = line.look()
        if head is None or batch.header.base_offset != head.first_offset or not is_same(head, batch):
            return False
        line.take()
        line.found_records += batch.header.record_count
        on_step()
    is_in_hole = line.position <= ends.end <= line.next_offset
    line.position = ends.end
    return is_in_hole


def _is_burned(client: RawClient, line: ExactLine, deadline: Deadline, on_step: Callable[[], None]) -> bool:
    """Whether everything below the captured log start is ours."""
    batches = _visible_batches(client, line.partition, line.ends.log_start, line.ends.end, deadline)
    for batch in batches:
        if not is_filler(batch):
            return False
        on_step()
    return True


def _visible_batches(
    client: RawClient, partition: TopicPartition, start: int, stop: int, deadline: Deadline
) -> Iterator[Batch]:
    """Yield the batches that a reader of committed data sees, each proven by its CRC."""
    tracker = AbortTracker()
    spans = [Span(partition, start, stop)] if start < stop else []
    while spans:
        leader = client.find_leaders([partition], deadline=deadline, is_fresh=True)[partition]
        reader = SpanReader(client, leader, spans)
        for piece in reader.read(deadline=deadline):
            if not isinstance(piece, Slice):
                continue  # without a batch there: what is missing shows as the next one out of place
            tracker.learn(piece.aborted)
            for batch in walk_batches(piece.data):
                header = batch.header
                prove_batch(header, batch.data, where=str(partition))
                if header.is_control:
                    tracker.pass_marker(header, read_marker(batch))
                elif not (header.is_transactional and tracker.is_aborted(header)):
                    yield batch
        spans = reader.left
