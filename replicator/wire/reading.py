"""Spans of many partitions read raw from one broker, with the next request always on its way.

The broker fills a request's partitions in the order given (KIP-74): the first one takes all the room it
can, the tails of the others share what is left. So bytes arrive partition after partition, and memory
stays bounded by the answers in flight, however many partitions there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.clock import Deadline
from replicator.errors import AccessDenied, Unreachable
from replicator.model.names import TopicPartition
from replicator.wire.answers import Fault, FetchAnswer, FetchedPartition
from replicator.wire.client import REQUEST_SECONDS, RawClient, refusal
from replicator.wire.format.batches import BatchHeader, walk_headers
from replicator.wire.format.transactions import AbortedTransaction
from replicator.wire.messages import FetchSpot, call_fetch, classify
from replicator.wire.transport import Connection

ANSWER_BYTES = 8 * 1024 * 1024
PARTITIONS_PER_REQUEST = 64
LANES = 2
"""Connections per broker: while one answer is worked on, the next one streams into its socket."""
WAIT_MS = 250
_MOVED = (Fault.STALE_LEADER, Fault.RETRY, Fault.GONE, Fault.OUT_OF_RANGE)
EMPTY_ANSWERS = 4
"""A leader that answers nothing this often below its last stable offset has no batch left there."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets [start, stop) of one partition."""

    partition: TopicPartition
    start: int
    stop: int


class MissKind(StrEnum):
    """Why offsets of a span were not read."""

    RETENTION = "retention"
    TRUNCATED = "truncated"
    GONE = "gone"
    NO_BATCH = "no_batch"


@dataclass(frozen=True, slots=True)
class Slice:
    """Whole batches covering [start, stop) of one partition, with their headers and byte positions.

    The first batch may begin below `start`, the last may end above the span; CRCs are not proven yet.
    """

    partition: TopicPartition
    start: int
    stop: int
    data: memoryview
    headers: tuple[tuple[int, BatchHeader], ...]
    aborted: tuple[AbortedTransaction, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """Offsets [start, stop) of one partition that the broker does not have any more."""

    partition: TopicPartition
    start: int
    stop: int
    kind: MissKind


@dataclass(slots=True)
class _Cursor:
    partition: TopicPartition
    position: int
    stop: int
    empty_answers: int = 0

    @property
    def is_done(self) -> bool:
        return self.position >= self.stop


@dataclass(slots=True)
class _Lane:
    connection: Connection
    asked: list[_Cursor] = field(default_factory=list)


class SpanReader:
    """Reads spans led by one broker. What had to be left because leadership moved is in `left`."""

    def __init__(self, client: RawClient, broker: int, spans: Iterator[Span] | list[Span]) -> None:
        self._client = client
        self._broker = broker
        self._waiting = [_Cursor(span.partition, span.start, span.stop) for span in spans if span.start < span.stop]
        self.left: list[Span] = []

    def read(self, *, deadline: Deadline) -> Generator[Slice | Miss, None, None]:
        """Yield slices and misses, each partition's in offset order, until every span is done or left.

        Raises: AccessDenied; Unreachable when the broker is lost before anything moved; DataCorrupt.
        """
        lanes: list[_Lane] = []
        try:
            for _ in range(min(LANES, len(self._waiting))):
                lane = _Lane(self._client.open_connection(self._broker, deadline=deadline))
                lanes.append(lane)
            for lane in lanes:
                self._ask(lane, deadline)
            for lane in itertools.cycle(lanes):
                if not any(other.asked for other in lanes):
                    break
                if lane.asked:
                    yield from self._turn(lane, deadline)
        except Unreachable:
            if deadline.is_over:
                raise
            self._leave_everything(lanes)
        finally:
            for lane in lanes:
                lane.connection.close()

    def _ask(self, lane: _Lane, deadline: Deadline) -> None:
        """Give the lane its next partitions and send; a lane without any stays idle."""
        lane.asked = [cursor for cursor in lane.asked if not cursor.is_done]
        room = PARTITIONS_PER_REQUEST - len(lane.asked)
        share = -(-len(self._waiting) // LANES) if len(self._waiting) > 1 else len(self._waiting)
        taken = self._waiting[: min(room, share)]
        self._waiting = self._waiting[len(taken) :]
        lane.asked += taken
        if not lane.asked:
            return
        spots = [FetchSpot(cursor.partition, cursor.position, ANSWER_BYTES) for cursor in lane.asked]
        call = call_fetch(spots, is_committed_only=True, max_bytes=ANSWER_BYTES, max_wait_ms=WAIT_MS)
        lane.connection.send(call, deadline=_capped(deadline))

    def _turn(self, lane: _Lane, deadline: Deadline) -> Iterator[Slice | Miss]:
        """Take one answer, send the next request at once, then hand out what came."""
        answer: FetchAnswer = lane.connection.receive(deadline=_capped(deadline))
        by_partition = {fetched.partition: fetched for fetched in answer.partitions}
        found: list[Slice | Miss] = []
        for index, cursor in enumerate(list(lane.asked)):
            fetched = by_partition.get(cursor.partition)
            if fetched is None or classify(answer.error_code or fetched.error_code) is not None:
                found += self._handle_fault(lane, cursor, fetched, answer.error_code, deadline)
            else:
                found += self._advance(cursor, fetched, is_first=index == 0)
        lost: Unreachable | None = None
        try:
            self._ask(lane, deadline)
        except Unreachable as exc:
            lost = exc
        yield from found
        if lost is not None:
            raise lost

    def _advance(self, cursor: _Cursor, fetched: FetchedPartition, *, is_first: bool) -> list[Slice | Miss]:
        headers = _wanted(fetched.records, cursor.position, cursor.stop)
        if not headers:
            return self._note_empty(cursor, fetched) if is_first else []
        cursor.empty_answers = 0
        start, first, (last_at, last) = cursor.position, headers[0][0], headers[-1]
        cursor.position = min(last.next_offset, cursor.stop)
        data = fetched.records[first : last_at + last.size_bytes]
        shifted = tuple((at - first, header) for at, header in headers) if first else headers
        return [Slice(cursor.partition, start, cursor.position, data, shifted, fetched.aborted)]

    def _note_empty(self, cursor: _Cursor, fetched: FetchedPartition) -> list[Slice | Miss]:
        """The first partition of a request always gets a batch if there is one; ask again before believing it."""
        cursor.empty_answers += 1
        if cursor.empty_answers < EMPTY_ANSWERS or fetched.last_stable < cursor.stop:
            return []
        return [self._give_up(cursor, cursor.stop, MissKind.NO_BATCH)]

    def _handle_fault(
        self, lane: _Lane, cursor: _Cursor, fetched: FetchedPartition | None, answer_code: int, deadline: Deadline
    ) -> list[Slice | Miss]:
        code = answer_code or (fetched.error_code if fetched else 0)
        fault = classify(code) if code else Fault.RETRY
        if fault is Fault.OUT_OF_RANGE and (miss := self._explain_out_of_range(cursor, deadline)):
            return [miss]
        if fault in _MOVED:
            lane.asked.remove(cursor)
            self.left.append(Span(cursor.partition, cursor.position, cursor.stop))
            return []
        if fault is Fault.DENIED:
            raise AccessDenied(
                f"cluster {self._client.access.name}: reading {cursor.partition} was refused",
                hint=f"grant READ on topic {cursor.partition.topic}",
            )
        raise refusal(self._client.access, cursor.partition, code)

    def _explain_out_of_range(self, cursor: _Cursor, deadline: Deadline) -> Miss | None:
        ends = self._client.read_ends([cursor.partition], deadline=deadline)[cursor.partition]
        if ends.log_start > cursor.position:
            return self._give_up(cursor, min(ends.log_start, cursor.stop), MissKind.RETENTION)
        if ends.end < cursor.position:
            return self._give_up(cursor, cursor.stop, MissKind.TRUNCATED)
        return None

    def _give_up(self, cursor: _Cursor, position: int, kind: MissKind) -> Miss:
        start, cursor.position = cursor.position, position
        return Miss(cursor.partition, start, position, kind)

    def _leave_everything(self, lanes: list[_Lane]) -> None:
        cursors = self._waiting + [cursor for lane in lanes for cursor in lane.asked]
        self.left += [Span(c.partition, c.position, c.stop) for c in cursors if not c.is_done]
        self._waiting = []


def _wanted(data: memoryview, position: int, stop: int) -> tuple[tuple[int, BatchHeader], ...]:
    """The batches that hold offsets of [position, stop)."""
    found = []
    for at, header in walk_headers(data):
        if header.base_offset >= stop:
            break
        if header.base_offset + header.last_offset_delta >= position:
            found.append((at, header))
    return tuple(found)


def _capped(deadline: Deadline) -> Deadline:
    return Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)
