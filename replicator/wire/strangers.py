"""Whether somebody other than an exactly-once flow wrote a span of a copy: the flow writes transactions alone."""

from __future__ import annotations

from replicator.clock import Deadline
from replicator.model.names import TopicPartition
from replicator.wire.client import RawClient
from replicator.wire.format.batches import walk_headers

FETCH_BYTES = 1024 * 1024
EMPTY_ANSWERS = 2


def find_plain_batch(
    client: RawClient, partition: TopicPartition, *, from_offset: int, to_offset: int, deadline: Deadline
) -> int | None:
    """Return the offset of the first batch in [from_offset, to_offset) that belongs to no transaction; None for none.

    Headers alone are read, at most about a megabyte of batches: what lies beyond in the span is not looked at.

    Raises: as RawClient.fetch.
    """
    position, received, empty_answers = from_offset, 0, 0
    while position < to_offset and received < FETCH_BYTES and empty_answers < EMPTY_ANSWERS:
        answer = client.fetch(partition, position, deadline=deadline, max_bytes=FETCH_BYTES)
        received += len(answer.records)
        before = position
        for _, header in walk_headers(answer.records):
            is_inside = header.next_offset > from_offset and header.base_offset < to_offset
            if is_inside and not header.is_control and not header.is_transactional:
                return header.base_offset
            position = max(position, header.next_offset)
        empty_answers += position == before
    return None
