"""Holes in partitions filled by transactions: a marker takes one offset, aborted empty records the rest.

One transaction fills a hole of every partition that has one. Whatever goes wrong on the way, the transactional id is
taken up anew, which aborts what was open, and the partitions are asked how much of their hole is left: a marker
never takes more than the one offset that every hole has. So a filler that is killed goes on the same way.

Source: KIP-98; tried out on 4.3 brokers, where `EndTxn` answers before its markers are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count

from replicator.clock import Clock, Deadline
from replicator.errors import AccessDenied, DeadlineExceeded, OperationFailed, OperationHalted, Unreachable
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.wire.answers import Fault, ProducerIdentity
from replicator.wire.client import PAUSE_SECONDS, REQUEST_SECONDS, RawClient
from replicator.wire.exact.fillers import FILLER_RECORDS_MAX, encode_filler
from replicator.wire.exact.messages import (
    call_add_partitions,
    call_end_transaction,
    call_find_transaction_coordinator,
    call_init_transactions,
    call_produce_in_transaction,
)
from replicator.wire.format.records import ProducerStamp
from replicator.wire.messages import Answer, Call, classify, name_error
from replicator.wire.transport import Connection

TRANSACTION_SECONDS = 120
"""What a killed filler left open ends by itself after so long."""
MARKER_POLL_SECONDS = 0.002
_SOON = frozenset({14, 15, 16, 51})  # coordinator loading, not available, elsewhere; concurrent transactions
_FENCED = frozenset({47, 90})  # INVALID_PRODUCER_EPOCH, PRODUCER_FENCED
_SEQUENCES = 1 << 31


class _Again(Exception):
    """The attempt came to nothing; the transactional id is to be taken up anew."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets [start, stop) to be taken; empty records in it carry this time."""

    start: int
    stop: int
    timestamp_ms: int


class HoleFiller:
    """Fills holes at the ends of partitions that nobody else writes to. Not thread-safe; close it after use."""

    def __init__(
        self, client: RawClient, transactional_id: str, *, partitions: Iterable[TopicPartition], clock: Clock
    ) -> None:
        self._client = client
        self._id = transactional_id
        self._partitions = frozenset(partitions)
        self._clock = clock
        self._identity: ProducerIdentity | None = None
        self._sequences: dict[TopicPartition, int] = {}
        self._coordinator: Connection | None = None
        self._leaders: dict[int, Connection] = {}

    def close(self) -> None:
        """The connections are closed."""
        for connection in [*self._leaders.values(), *([self._coordinator] if self._coordinator else [])]:
            connection.close()
        self._leaders.clear()
        self._coordinator = None

    def begin(self, deadline: Deadline) -> None:
        """What an earlier holder of the transactional id left open is aborted; it can write no more.

        Raises: AccessDenied; DeadlineExceeded.
        """
        doing = f"cluster {self._client.access.name}: transactional id {self._id}"
        while True:
            try:
                self._take_up(deadline)
            except (_Again, Unreachable) as exc:
                self.close()
                if deadline.left <= PAUSE_SECONDS:
                    raise DeadlineExceeded(f"{doing}: not taken up in time: {exc}") from exc
                self._clock.sleep(PAUSE_SECONDS)
            else:
                return

    def fill(self, holes: Mapping[TopicPartition, Hole], *, deadline: Deadline) -> None:
        """Each partition, which ended where its hole starts, ends where it stops; nothing visible was added.

        Raises: OperationHalted when somebody else wrote to one; AccessDenied; OperationFailed; DeadlineExceeded.
        """
        left = dict(holes)
        while left:
            deadline.check(f"cluster {self._client.access.name}: filling holes")
            try:
                if self._identity is None:
                    self.begin(deadline)
                    left = self._look(left, deadline)
                    continue
                taken = {tp: min(hole.stop - hole.start, FILLER_RECORDS_MAX) for tp, hole in left.items()}
                self._run_transaction(self._identity, left, taken, deadline)
            except (_Again, Unreachable):
                self._identity = None
                self.close()
                self._clock.sleep(max(0.0, min(PAUSE_SECONDS, deadline.left)))
                continue
            left = {
                tp: Hole(hole.start + taken[tp], hole.stop, hole.timestamp_ms)
                for tp, hole in left.items()
                if hole.start + taken[tp] < hole.stop
            }

    def _take_up(self, deadline: Deadline) -> None:
        within = _capped(deadline)
        if self._coordinator is None:
            self._coordinator = self._find_coordinator(within)
        call = call_init_transactions(self._id, timeout_ms=TRANSACTION_SECONDS * 1000)
        identity: ProducerIdentity = self._coordinator.ask(call, deadline=within)
        self._check(identity.error_code, "its producer id")
        self._identity, self._sequences = identity, {}

    def _find_coordinator(self, deadline: Deadline) -> Connection:
        leader = min(self._client.find_leaders(self._partitions, deadline=deadline).values())
        connection = self._client.open_connection(leader, deadline=deadline)
        try:
            code, broker = connection.ask(call_find_transaction_coordinator(self._id), deadline=deadline)
        finally:
            connection.close()
        self._check(code, "its coordinator")
        return self._client.open_connection(broker, deadline=deadline)

    def _look(self, left: Mapping[TopicPartition, Hole], deadline: Deadline) -> dict[TopicPartition, Hole]:
        """Return what is left of the holes, once nothing of a transaction is open in them."""
        ends = self.wait_until_settled(left, deadline)
        rest = {}
        for tp, hole in left.items():
            at = ends[tp].end
            if not hole.start <= at <= hole.stop:
                raise self._foreign(tp, at, hole.stop)
            if at < hole.stop:
                rest[tp] = Hole(at, hole.stop, hole.timestamp_ms)
        return rest

    def wait_until_settled(
        self, partitions: Iterable[TopicPartition], deadline: Deadline
    ) -> dict[TopicPartition, PartitionEnds]:
        """Return the ends of partitions in which no transaction is open any more. Raises: DeadlineExceeded."""
        wanted = list(partitions)
        while True:
            ends = self._client.read_ends(wanted, deadline=deadline)
            open_ones = [tp for tp, one in ends.items() if one.last_stable < one.end]
            if not open_ones:
                return ends
            deadline.check(f"cluster {self._client.access.name}: a transaction is open in {open_ones[0]}")
            self._clock.sleep(min(PAUSE_SECONDS, deadline.left))

    def _run_transaction(
        self,
        identity: ProducerIdentity,
        holes: Mapping[TopicPartition, Hole],
        taken: Mapping[TopicPartition, int],
        deadline: Deadline,
    ) -> None:
        self._add(identity, list(holes), deadline)
        filled = {tp: taken[tp] - 1 for tp in holes if taken[tp] > 1}
        if filled:
            self._produce(identity, holes, filled, deadline)
        call = call_end_transaction(self._id, identity, is_committed=not filled)
        self._check(self._ask_coordinator(call, deadline), "the end of a transaction")
        self._wait_for_markers({tp: hole.start + taken[tp] for tp, hole in holes.items()}, deadline)

    def _add(self, identity: ProducerIdentity, partitions: list[TopicPartition], deadline: Deadline) -> None:
        """The partitions are in the transaction; asked again while the one before is being completed."""
        call = call_add_partitions(self._id, identity, partitions)
        for tries in count():
            codes = self._ask_coordinator(call, deadline)
            bad = next((code for code in codes.values() if code), 0)
            if bad not in _SOON or tries >= REQUEST_SECONDS / MARKER_POLL_SECONDS:
                break
            deadline.check(f"cluster {self._client.access.name}: partitions enter a transaction")
            self._clock.sleep(MARKER_POLL_SECONDS)
        self._check(bad, "a transaction")

    def _produce(
        self,
        identity: ProducerIdentity,
        holes: Mapping[TopicPartition, Hole],
        counts: Mapping[TopicPartition, int],
        deadline: Deadline,
    ) -> None:
        leaders = self._client.find_leaders(counts, deadline=deadline)
        asked: list[tuple[Connection, dict[TopicPartition, int]]] = []
        for broker in sorted(set(leaders.values())):
            own = {tp: counts[tp] for tp in counts if leaders[tp] == broker}
            batches = {tp: self._encode(identity, tp, number, holes[tp].timestamp_ms) for tp, number in own.items()}
            call = call_produce_in_transaction(self._id, batches, timeout_ms=int(REQUEST_SECONDS * 1000))
            connection = self._leader(broker, deadline)
            connection.send(call, deadline=_capped(deadline))
            asked.append((connection, own))
        for connection, own in asked:
            for produced in connection.receive(deadline=_capped(deadline)):
                tp = produced.partition
                if produced.error_code and classify(produced.error_code) is Fault.STALE_LEADER:
                    self._client.find_leaders(own, deadline=deadline, is_fresh=True)
                self._check(produced.error_code, f"empty records in {tp}")
                if produced.base_offset != holes[tp].start:
                    raise self._foreign(tp, produced.base_offset, holes[tp].start)
                self._sequences[tp] = (self._sequences.get(tp, 0) + own[tp]) % _SEQUENCES

    def _encode(self, identity: ProducerIdentity, tp: TopicPartition, number: int, timestamp_ms: int) -> bytes:
        stamp = ProducerStamp(identity.producer_id, identity.producer_epoch, self._sequences.get(tp, 0))
        return encode_filler(number, timestamp_ms=timestamp_ms, stamp=stamp, is_transactional=True)

    def _wait_for_markers(self, wanted: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        """The partitions end where they should: what is appended next must not take a marker's offset."""
        missing = dict(wanted)
        while True:
            ends = self._client.list_offsets(missing, at=-1, deadline=deadline)
            for tp, end in ends.items():
                if end > missing[tp]:
                    raise self._foreign(tp, end, missing[tp])
            missing = {tp: end for tp, end in missing.items() if ends[tp] < end}
            if not missing:
                return
            deadline.check(f"cluster {self._client.access.name}: {min(missing)} awaits a marker")
            self._clock.sleep(MARKER_POLL_SECONDS)

    def _ask_coordinator(self, call: Call[Answer], deadline: Deadline) -> Answer:
        if self._coordinator is None:
            raise _Again("no coordinator")
        return self._coordinator.ask(call, deadline=_capped(deadline))

    def _leader(self, broker: int, deadline: Deadline) -> Connection:
        if broker not in self._leaders:
            self._leaders[broker] = self._client.open_connection(broker, deadline=_capped(deadline))
        return self._leaders[broker]

    def _check(self, code: int, what: str) -> None:
        """Return for success. Raises: _Again for what may pass; AccessDenied, OperationFailed for what will not."""
        if not code:
            return
        told = f"cluster {self._client.access.name}: transactional id {self._id}: {what}: {name_error(code)}"
        fault = classify(code)
        if code in _SOON or fault in (Fault.RETRY, Fault.STALE_LEADER):
            raise _Again(told)
        if code in _FENCED:
            raise OperationHalted(
                f"{told}: another restore took it over, or it stood too long",
                hint="wait for the other restore to end, then run the same command again",
            )
        if fault is Fault.DENIED:
            raise AccessDenied(told, hint=f"grant WRITE and DESCRIBE on transactional id {self._id}")
        raise OperationFailed(told)

    def _foreign(self, tp: TopicPartition, at: int, due: int) -> OperationHalted:
        return OperationHalted(
            f"{tp} on cluster {self._client.access.name} is written to by somebody else: it ends at {at}, not {due}",
            hint="stop its other writers, delete the topic there and restore again",
        )


def _capped(deadline: Deadline) -> Deadline:
    return Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)
