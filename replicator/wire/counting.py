"""What lies in a span of offsets, by headers alone: how many records a committed-only reader sees, and whether somebody
other than an exactly-once flow wrote there, for that writes transactions alone."""

from __future__ import annotations

from replicator.clock import Deadline
from replicator.model.names import TopicPartition
from replicator.model.observations import TailCount
from replicator.wire.client import RawClient
from replicator.wire.format.batches import Batch, prove_batch, read_marker, walk_batches, walk_headers
from replicator.wire.format.records import decode_records
from replicator.wire.format.transactions import AbortTracker

FETCH_BYTES = 4 * 1024 * 1024
EMPTY_ANSWERS = 3
"""A broker that answers nothing this often below its last stable offset has nothing there."""
LOOK_BYTES = 1024 * 1024
EMPTY_LOOKS = 2


def count_visible(
    client: RawClient,
    partition: TopicPartition,
    *,
    from_offset: int,
    to_offset: int,
    deadline: Deadline,
    max_bytes: int = 64 * 1024 * 1024,
) -> TailCount:
    """Return the number of visible records in [from_offset, to_offset): markers and aborted data left out.

    Reads at most about `max_bytes` and never past the last stable offset: the answer's `to_offset` says
    how far it counted. Counts come from headers; a batch that sticks out of the span is opened only when
    compaction made holes in it.

    Raises: as RawClient.fetch; DataCorrupt for a batch that does not match its CRC.
    """
    tracker = AbortTracker()
    position, visible, received, empty_answers = from_offset, 0, 0, 0
    while position < to_offset and received < max_bytes and empty_answers < EMPTY_ANSWERS:
        answer = client.fetch(partition, position, deadline=deadline, max_bytes=FETCH_BYTES)
        tracker.learn(answer.aborted)
        received += len(answer.records)
        before = position
        for batch in walk_batches(answer.records):
            if batch.header.next_offset <= position:
                continue
            visible += _visible_in(batch, tracker, position, to_offset, where=str(partition))
            position = min(batch.header.next_offset, to_offset)
            if position >= to_offset:
                break
        if position == before:
            empty_answers += 1
            if answer.last_stable <= position:
                break
    if empty_answers >= EMPTY_ANSWERS and position < to_offset:
        position = min(to_offset, answer.last_stable)
    return TailCount(
        partition=partition.partition, from_offset=from_offset, to_offset=position, visible_records=visible
    )


def _visible_in(batch: Batch, tracker: AbortTracker, from_offset: int, to_offset: int, *, where: str) -> int:
    header = batch.header
    if header.is_control:
        tracker.pass_marker(header, read_marker(batch))
        return 0
    if header.is_transactional and tracker.is_aborted(header):
        return 0
    return count_span(batch, from_offset, to_offset, where=where)


def count_span(batch: Batch, start: int, stop: int, *, where: str = "a partition") -> int:
    """Return how many records of a data batch have offsets in [start, stop).

    Raises: DataCorrupt when it must be opened and does not match its CRC.
    """
    header = batch.header
    if start <= header.base_offset and stop >= header.next_offset:
        return header.record_count
    if header.is_dense:
        return max(0, min(stop, header.next_offset) - max(start, header.base_offset))
    prove_batch(header, batch.data, where=where)
    return sum(start <= record.offset < stop for record in decode_records(batch))


def find_plain_batch(
    client: RawClient, partition: TopicPartition, *, from_offset: int, to_offset: int, deadline: Deadline
) -> int | None:
    """Return the offset of the first batch in [from_offset, to_offset) that belongs to no transaction; None for none.

    Headers alone are read, at most about a megabyte of batches: what lies beyond in the span is not looked at.

    Raises: as RawClient.fetch.
    """
    position, received, empty_answers = from_offset, 0, 0
    while position < to_offset and received < LOOK_BYTES and empty_answers < EMPTY_LOOKS:
        answer = client.fetch(partition, position, deadline=deadline, max_bytes=LOOK_BYTES)
        received += len(answer.records)
        before = position
        for _, header in walk_headers(answer.records):
            is_inside = header.next_offset > from_offset and header.base_offset < to_offset
            if is_inside and not header.is_control and not header.is_transactional:
                return header.base_offset
            position = max(position, header.next_offset)
        empty_answers += position == before
    return None
