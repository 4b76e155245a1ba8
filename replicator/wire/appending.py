"""Batches appended raw, idempotently and in order, many partitions and several requests at a time.

A broker takes one batch per partition and request, so speed comes from partitions side by side and from
requests in flight. Every batch carries our producer id, epoch and sequence: sending it again after a lost
answer appends nothing. Every answer's base offset is compared with the one expected: one foreign record
in the partition is noticed at the next batch.

Source: KIP-98 (sequences), ProducerStateManager (the last five batches of a producer are recognised).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from replicator.clock import Clock, Deadline
from replicator.errors import AccessDenied, OperationFailed, OperationHalted, Unreachable
from replicator.model.names import TopicPartition
from replicator.wire.answers import Fault, ProducedPartition, ProducerIdentity
from replicator.wire.client import PAUSE_SECONDS, REQUEST_SECONDS, RawClient
from replicator.wire.format.records import ProducerStamp
from replicator.wire.messages import call_produce, classify, name_error
from replicator.wire.transport import Connection

MAX_IN_FLIGHT = 5
LANES = 2
"""Connections per broker: it works on one request of a connection at a time. A partition keeps to its lane."""
REQUEST_BYTES = 8 * 1024 * 1024
QUEUE_BYTES = 16 * 1024 * 1024
_SEQUENCES = 1 << 31
_Route = tuple[int, int]
"""Broker and lane."""

MakeBatch = Callable[[ProducerStamp | None], bytes | bytearray]


@dataclass(slots=True, eq=False)
class _Entry:
    data: bytes | bytearray
    base_offset: int
    is_sent: bool = False


@dataclass(slots=True)
class _Line:
    """The batches of one partition that are not acknowledged yet, oldest first."""

    next_offset: int
    next_sequence: int = 0
    entries: deque[_Entry] = field(default_factory=deque)
    in_flight: int = 0
    must_rewind: bool = False


@dataclass(slots=True)
class _Channel:
    connection: Connection
    requests: deque[dict[TopicPartition, _Entry]] = field(default_factory=deque)


class Appender:
    """Appends to partitions of one cluster that nobody else writes to. Not thread-safe.

    `next_offsets` says where each partition ends now. Call `flush` before believing anything is there.
    """

    def __init__(
        self, client: RawClient, identity: ProducerIdentity, *, next_offsets: Mapping[TopicPartition, int], clock: Clock
    ) -> None:
        self._client = client
        self._identity = identity
        self._clock = clock
        self._lines = {partition: _Line(offset) for partition, offset in next_offsets.items()}
        self._channels: dict[_Route, _Channel] = {}
        self._leaders: dict[TopicPartition, int] = {}
        self._queued_bytes = 0
        self.appended_bytes = 0

    def append(self, partition: TopicPartition, make: MakeBatch, *, record_count: int, deadline: Deadline) -> None:
        """The batch that `make` stamps is queued behind the partition's others; sends when the queue is full.

        Raises: as `flush`.
        """
        line = self._lines[partition]
        stamp = ProducerStamp(self._identity.producer_id, self._identity.producer_epoch, line.next_sequence)
        entry = _Entry(make(stamp), line.next_offset)
        line.entries.append(entry)
        line.next_offset += record_count
        line.next_sequence = (line.next_sequence + record_count) % _SEQUENCES
        self._queued_bytes += len(entry.data)
        while self._queued_bytes > QUEUE_BYTES:
            self._pump(deadline)

    def flush(self, *, deadline: Deadline) -> None:
        """Everything queued is acknowledged by all in-sync replicas, at the offsets expected.

        Raises: OperationHalted when somebody else wrote to a partition; AccessDenied; OperationFailed when a
        broker refuses a batch; DeadlineExceeded.
        """
        while self._queued_bytes:
            self._pump(deadline)

    def skip_to(self, partition: TopicPartition, offset: int) -> None:
        """The next batch of the partition, of which nothing is queued, is due at `offset`: those before are taken.

        Raises: ValueError when something of it is queued still.
        """
        line = self._lines[partition]
        if line.entries:
            raise ValueError(f"{partition}: {len(line.entries)} batches are queued; flush first")
        line.next_offset = offset

    def close(self) -> None:
        """The connections are closed; what was not flushed is unknown."""
        for channel in self._channels.values():
            channel.connection.close()
        self._channels.clear()

    def _pump(self, deadline: Deadline) -> None:
        """Send what may be sent, then take at least one answer."""
        deadline.check(f"cluster {self._client.access.name}: appending batches")
        self._leaders = self._leaders or self._client.find_leaders(self._lines, deadline=deadline)
        try:
            for route in sorted({self._route(partition) for partition in self._lines}):
                self._send_along(route, deadline)
            busy = [channel for channel in self._channels.values() if channel.requests]
            for channel in busy:
                self._take_answer(channel, deadline)
        except Unreachable:
            if deadline.is_over:
                raise
            self._start_over(deadline)

    def _route(self, partition: TopicPartition) -> _Route:
        return self._leaders[partition], partition.partition % LANES

    def _send_along(self, route: _Route, deadline: Deadline) -> None:
        own = [p for p in self._lines if self._route(p) == route and self._sendable(p)]
        if not own:
            return
        if route not in self._channels:
            self._channels[route] = _Channel(self._client.open_connection(route[0], deadline=deadline))
        channel = self._channels[route]
        while len(channel.requests) < MAX_IN_FLIGHT and (request := self._compose(own)):
            for partition, entry in request.items():
                entry.is_sent = True
                self._lines[partition].in_flight += 1
            channel.requests.append(request)
            call = call_produce(
                {partition: entry.data for partition, entry in request.items()}, timeout_ms=int(REQUEST_SECONDS * 1000)
            )
            channel.connection.send(call, deadline=_capped(deadline))

    def _compose(self, partitions: list[TopicPartition]) -> dict[TopicPartition, _Entry]:
        """One batch of each partition, as many as fit a request; the longest lines go first."""
        request: dict[TopicPartition, _Entry] = {}
        room = REQUEST_BYTES
        for partition in sorted(partitions, key=lambda p: -len(self._lines[p].entries)):
            entry = self._sendable(partition)
            if entry is not None and (not request or len(entry.data) <= room):
                request[partition] = entry
                room -= len(entry.data)
        return request

    def _sendable(self, partition: TopicPartition) -> _Entry | None:
        line = self._lines[partition]
        if line.must_rewind or line.in_flight >= MAX_IN_FLIGHT:
            return None
        return next((entry for entry in line.entries if not entry.is_sent), None)

    def _take_answer(self, channel: _Channel, deadline: Deadline) -> None:
        answer: tuple[ProducedPartition, ...] = channel.connection.receive(deadline=_capped(deadline))
        request = channel.requests.popleft()
        needs_leaders = False
        for produced in answer:
            needs_leaders |= self._settle(produced, request[produced.partition])
        self._end_rewinds()
        if needs_leaders:
            self._clock.sleep(min(PAUSE_SECONDS, deadline.left))
            self._leaders = self._client.find_leaders(self._lines, deadline=deadline, is_fresh=True)

    def _settle(self, produced: ProducedPartition, entry: _Entry) -> bool:
        """Take one partition's answer in; return whether its leader must be looked up again."""
        line = self._lines[produced.partition]
        entry.is_sent = False
        line.in_flight -= 1
        fault = classify(produced.error_code)
        if fault is None or fault is Fault.DUPLICATE:
            self._acknowledge(produced, line, entry)
            return False
        if fault in (Fault.STALE_LEADER, Fault.RETRY, Fault.GONE):
            line.must_rewind = True
            return True
        if fault is Fault.OUT_OF_ORDER and entry is not line.entries[0]:
            line.must_rewind = True
            return False
        raise self._refusal(produced, fault)

    def _acknowledge(self, produced: ProducedPartition, line: _Line, entry: _Entry) -> None:
        if produced.base_offset not in (-1, entry.base_offset):
            raise OperationHalted(
                f"{produced.partition} on cluster {self._client.access.name} is written to by somebody else: "
                f"offset {produced.base_offset} where {entry.base_offset} was due",
                hint="stop its other writers, delete the topic there and restore again",
            )
        line.entries.remove(entry)
        self._queued_bytes -= len(entry.data)
        self.appended_bytes += len(entry.data)

    def _end_rewinds(self) -> None:
        """A partition that failed sends again from its oldest batch, once nothing of it is in flight."""
        for line in self._lines.values():
            if line.must_rewind and not line.in_flight:
                line.must_rewind = False

    def _start_over(self, deadline: Deadline) -> None:
        """A broker was lost: what was in flight may or may not be there, so it is sent again."""
        self.close()
        for line in self._lines.values():
            line.must_rewind, line.in_flight = False, 0
            for entry in line.entries:
                entry.is_sent = False
        self._clock.sleep(min(PAUSE_SECONDS, deadline.left))
        self._leaders = self._client.find_leaders(self._lines, deadline=deadline, is_fresh=True)

    def _refusal(self, produced: ProducedPartition, fault: Fault) -> Exception:
        where = f"cluster {self._client.access.name}: {produced.partition}"
        what = f"{where}: the broker refused a batch: {name_error(produced.error_code)}"
        if fault is Fault.DENIED:
            return AccessDenied(what, hint=f"grant WRITE on topic {produced.partition.topic}")
        return OperationFailed(what, detail=produced.error_message)


def _capped(deadline: Deadline) -> Deadline:
    return Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)
