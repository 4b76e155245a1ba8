"""A raw client of one cluster: finds leaders, asks them, and asks again when leadership moved."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import Self, TypeVar

from replicator import __version__
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import (
    AccessDenied,
    DataCorrupt,
    DeadlineExceeded,
    NotFound,
    OperationFailed,
    Unreachable,
    WrongCluster,
)
from replicator.model.cluster import ClusterAccess
from replicator.model.names import GroupName, TopicPartition
from replicator.model.observations import ListedGroup, PartitionEnds
from replicator.wire.answers import BrokerAddress, Fault, FetchedPartition, LeaderTable, ProducerIdentity
from replicator.wire.messages import (
    Call,
    FetchSpot,
    call_api_versions,
    call_fetch,
    call_find_coordinators,
    call_init_producer_id,
    call_list_groups,
    call_list_offsets,
    call_metadata,
    classify,
    name_error,
)
from replicator.wire.transport import Connection

Answer = TypeVar("Answer")
Value = TypeVar("Value")

AT_END = -1
AT_LOG_START = -2
REQUEST_SECONDS = 30.0
"""No single request waits longer; the caller's deadline may be shorter."""
PAUSE_SECONDS = 0.2
GONE_ROUNDS = 10
"""A topic made a moment ago may be missing from some brokers' metadata; after this many pauses it is gone."""
_ASK_AGAIN = (Fault.STALE_LEADER, Fault.RETRY)


class RawClient:
    """Raw access to one cluster. Calls are serialised; a stream of its own takes `open_connection`."""

    def __init__(
        self, access: ClusterAccess, *, client_id: str = "replicator-raw", clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.access = access
        self._client_id = client_id
        self._clock = clock
        self._lock = threading.RLock()
        self._connections: dict[int, Connection] = {}
        self._table = LeaderTable()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Every connection this client keeps is closed."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()

    def find_leaders(
        self, partitions: Iterable[TopicPartition], *, deadline: Deadline, is_fresh: bool = False
    ) -> dict[TopicPartition, int]:
        """Return the leader's id of every partition, asking the cluster for those not known.

        Raises: NotFound for a topic or partition that does not exist, Unreachable when one has no leader
        until the deadline.
        """
        wanted = set(partitions)
        with self._lock:
            if is_fresh or not wanted <= set(self._table.leaders):
                self._refresh(wanted, deadline)
            return {tp: self._table.leaders[tp] for tp in wanted}

    def read_versions(self, *, deadline: Deadline) -> Mapping[int, tuple[int, int]]:
        """Return the lowest and highest version of each API that a broker speaks, by API key."""
        return self._ask_any(call_api_versions(software_version=__version__), deadline).ranges

    def list_groups(self, deadline: Deadline) -> dict[GroupName, ListedGroup]:
        """Return every group we may see, of every kind; a broker that is just loading them is asked again.

        Raises: Unreachable when a broker does not answer: its groups would be missing. AccessDenied.
        """
        with self._lock:
            self._refresh(set(), deadline)
            found: dict[GroupName, ListedGroup] = {}
            for broker in sorted(self._table.brokers):
                found |= {one.group: one for one in self._list_groups_of(broker, deadline)}
            return found

    def _list_groups_of(self, broker: int, deadline: Deadline) -> tuple[ListedGroup, ...]:
        doing = f"cluster {self.access.name}: list the groups of broker {broker}"
        while True:
            with self._guard(broker):
                answer = self._connection(broker, deadline).ask(call_list_groups(), deadline=_capped(deadline))
            if answer.error_code == 0:
                return answer.groups
            if classify(answer.error_code) is Fault.DENIED:
                raise AccessDenied(f"{doing}: {name_error(answer.error_code)}")
            if classify(answer.error_code) not in _ASK_AGAIN:
                raise OperationFailed(f"{doing}: {name_error(answer.error_code)}")
            self._pause(doing, deadline)

    def find_coordinators(self, groups: Sequence[GroupName], *, deadline: Deadline) -> dict[GroupName, tuple[int, int]]:
        """Return an error code and the coordinator's broker id for each group; the brokers named can be reached."""
        with self._lock:
            told = self._ask_any(call_find_coordinators(groups), deadline)
            if any(broker not in self._table.brokers for code, broker in told.values() if code == 0):
                self._refresh(set(), deadline)
            return told

    def broker_address(self, broker: int) -> BrokerAddress:
        """Return where a broker listens. Raises: Unreachable for one that no metadata named."""
        try:
            return self._table.brokers[broker]
        except KeyError as exc:
            raise Unreachable(f"cluster {self.access.name}: broker {broker} is not in the metadata") from exc

    def open_connection(self, broker: int, *, deadline: Deadline) -> Connection:
        """Return a new connection to a broker for one caller alone; the caller closes it."""
        return Connection.open(
            self.broker_address(broker), self.access.security, client_id=self._client_id, deadline=deadline
        )

    def list_offsets(
        self, partitions: Iterable[TopicPartition], *, at: int, deadline: Deadline, is_committed_only: bool = False
    ) -> dict[TopicPartition, int]:
        """Return one offset per partition: `AT_LOG_START`, `AT_END` (the LSO when committed only) or by time."""

        def read(asked: Sequence[TopicPartition]) -> Call[dict[TopicPartition, tuple[int, int]]]:
            call = call_list_offsets(dict.fromkeys(asked, at), is_committed_only=is_committed_only)
            return _mapped(call, lambda answer: dict(answer.offsets))

        return self._ask_leaders(partitions, read, deadline=deadline)

    def read_ends(
        self, partitions: Iterable[TopicPartition], *, deadline: Deadline
    ) -> dict[TopicPartition, PartitionEnds]:
        """Return log start, last stable offset and end of every partition, in that order, in one sweep."""
        wanted = list(partitions)
        starts = self.list_offsets(wanted, at=AT_LOG_START, deadline=deadline)
        stable = self.list_offsets(wanted, at=AT_END, deadline=deadline, is_committed_only=True)
        ends = self.list_offsets(wanted, at=AT_END, deadline=deadline)
        return {
            tp: PartitionEnds(partition=tp.partition, log_start=starts[tp], last_stable=stable[tp], end=ends[tp])
            for tp in wanted
        }

    def fetch(
        self, partition: TopicPartition, offset: int, *, deadline: Deadline, max_bytes: int, max_wait_ms: int = 500
    ) -> FetchedPartition:
        """Return raw batches of one partition from `offset` up to its last stable offset.

        Raises: as `find_leaders`; OperationFailed when `offset` is outside the log.
        """

        def read(_asked: Sequence[TopicPartition]) -> Call[dict[TopicPartition, tuple[int, FetchedPartition]]]:
            spot = FetchSpot(partition, offset, max_bytes)
            call = call_fetch([spot], is_committed_only=True, max_bytes=max_bytes, max_wait_ms=max_wait_ms)
            return _mapped(
                call,
                lambda answer: {p.partition: (answer.error_code or p.error_code, p) for p in answer.partitions},
            )

        return self._ask_leaders([partition], read, deadline=deadline)[partition]

    def init_producer_id(self, *, deadline: Deadline) -> ProducerIdentity:
        """Return a fresh idempotent producer id; any broker may give one.

        Raises: AccessDenied, Unreachable.
        """
        while True:
            with self._lock:
                identity = self._ask_any(call_init_producer_id(), deadline)
            fault = classify(identity.error_code)
            if fault is None:
                return identity
            if fault is Fault.DENIED:
                raise AccessDenied(
                    f"cluster {self.access.name}: a producer id was refused: IDEMPOTENT_WRITE is missing"
                )
            self._pause(f"cluster {self.access.name}: a producer id ({name_error(identity.error_code)})", deadline)

    def _ask_leaders(
        self,
        partitions: Iterable[TopicPartition],
        make: Callable[[Sequence[TopicPartition]], Call[dict[TopicPartition, tuple[int, Value]]]],
        *,
        deadline: Deadline,
    ) -> dict[TopicPartition, Value]:
        waiting = set(partitions)
        done: dict[TopicPartition, Value] = {}
        is_fresh = False
        while waiting:
            with self._lock:
                leaders = self.find_leaders(waiting, deadline=deadline, is_fresh=is_fresh)
                answers = self._ask_each(leaders, make, deadline)
            for tp, (code, value) in answers.items():
                if self._must_ask_again(tp, code):
                    continue
                done[tp] = value
                waiting.discard(tp)
            is_fresh = True
            if waiting:
                self._pause(f"cluster {self.access.name}: the leader of {min(waiting)}", deadline)
        return done

    def _ask_each(
        self,
        leaders: Mapping[TopicPartition, int],
        make: Callable[[Sequence[TopicPartition]], Call[dict[TopicPartition, tuple[int, Value]]]],
        deadline: Deadline,
    ) -> dict[TopicPartition, tuple[int, Value]]:
        """Send to every leader first, then read: one sweep, not one after another."""
        asked: list[tuple[int, Connection]] = []
        answers: dict[TopicPartition, tuple[int, Value]] = {}
        for broker in sorted(set(leaders.values())):
            call = make([tp for tp, leader in leaders.items() if leader == broker])
            with contextlib.suppress(Unreachable), self._guard(broker):
                connection = self._connection(broker, deadline)
                connection.send(call, deadline=_capped(deadline))
                asked.append((broker, connection))
        for broker, connection in asked:
            with contextlib.suppress(Unreachable), self._guard(broker):
                answers |= connection.receive(deadline=_capped(deadline))
        return answers

    @contextlib.contextmanager
    def _guard(self, broker: int) -> Iterator[None]:
        """Drop the broker's connection when an act on it failed: what is in flight there is lost."""
        try:
            yield
        except (Unreachable, DataCorrupt):
            connection = self._connections.pop(broker, None)
            if connection is not None:
                connection.close()
            raise

    def _must_ask_again(self, partition: TopicPartition, code: int) -> bool:
        fault = classify(code)
        if fault is None:
            return False
        if fault in _ASK_AGAIN:
            return True
        raise refusal(self.access, partition, code)

    def _refresh(self, wanted: set[TopicPartition], deadline: Deadline) -> None:
        topics = {tp.topic for tp in wanted}
        for round_number in count():
            table = self._ask_any(call_metadata(topics), deadline)
            self._check_identity(table)
            self._table = replace(table, leaders={**self._table.leaders, **table.leaders})
            missing = wanted - table.partitions
            if missing and round_number >= GONE_ROUNDS:
                raise _missing(self.access, min(missing), table)
            leaderless = wanted - set(table.leaders)
            if not leaderless:
                return
            self._pause(f"cluster {self.access.name}: a leader for {min(leaderless)}", deadline)

    def _check_identity(self, table: LeaderTable) -> None:
        wanted = self.access.cluster_id
        if wanted is not None and table.cluster_id is not None and table.cluster_id != wanted:
            raise WrongCluster(
                f"cluster {self.access.name}: {self.access.bootstrap} is cluster {table.cluster_id}, not {wanted}",
                hint="replicator config show",
            )

    def _ask_any(self, call: Call[Answer], deadline: Deadline) -> Answer:
        """Ask the brokers we know, then the bootstrap addresses, until one answers."""
        error: Unreachable | None = None
        for broker in [*self._connections, *self._bootstrap_ids()]:
            try:
                with self._guard(broker):
                    return self._connection(broker, deadline).ask(call, deadline=_capped(deadline))
            except Unreachable as exc:
                error = exc
        raise Unreachable(
            f"cluster {self.access.name} ({self.access.bootstrap}): no broker answered: {error}",
            hint=f"replicator cluster ping {self.access.name}",
        ) from error

    def _bootstrap_ids(self) -> list[int]:
        """Bootstrap addresses stand in as brokers -1, -2, …, tried after the known ones."""
        return [-(index + 1) for index in range(len(parse_bootstrap(self.access.bootstrap)))]

    def _connection(self, broker: int, deadline: Deadline) -> Connection:
        connection = self._connections.get(broker)
        if connection is None:
            address = parse_bootstrap(self.access.bootstrap)[-broker - 1] if broker < 0 else self.broker_address(broker)
            connection = Connection.open(
                address, self.access.security, client_id=self._client_id, deadline=_capped(deadline)
            )
            self._connections[broker] = connection
        return connection

    def _pause(self, what: str, deadline: Deadline) -> None:
        if deadline.left <= PAUSE_SECONDS:
            raise DeadlineExceeded(f"{what}: no answer in time", hint=f"replicator cluster ping {self.access.name}")
        self._clock.sleep(PAUSE_SECONDS)


def parse_bootstrap(bootstrap: str) -> list[BrokerAddress]:
    """Return the addresses of a `host:port,host:port` list; IPv6 hosts stand in brackets."""
    addresses = []
    for index, item in enumerate(part.strip() for part in bootstrap.split(",") if part.strip()):
        host, _, port = item.rpartition(":")
        addresses.append(BrokerAddress(-(index + 1), host.strip("[]"), int(port)))
    return addresses


def _missing(access: ClusterAccess, partition: TopicPartition, table: LeaderTable) -> Exception:
    code = table.topic_errors.get(partition.topic, 0)
    if code:
        return refusal(access, partition, code)
    return NotFound(f"cluster {access.name}: partition {partition} does not exist")


def refusal(access: ClusterAccess, partition: TopicPartition, code: int) -> Exception:
    """Return the error for a code that asking again will not cure."""
    what = f"cluster {access.name}: {partition}: {name_error(code)}"
    fault = classify(code)
    if fault is Fault.GONE:
        return NotFound(f"cluster {access.name}: topic {partition.topic} does not exist")
    if fault is Fault.DENIED:
        return AccessDenied(what, hint=f"grant READ and DESCRIBE on topic {partition.topic}")
    return OperationFailed(what)


def _capped(deadline: Deadline) -> Deadline:
    return Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)


def _mapped(call: Call[Answer], change: Callable[[Answer], Value]) -> Call[Value]:
    return Call(
        call.name, call.api_key, call.min_version, call.max_version, call.build, call.response,
        lambda raw: change(call.read(raw)), call.decode_body,
    )  # fmt: skip
