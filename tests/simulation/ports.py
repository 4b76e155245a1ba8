"""The doors of `replicator.kafka` upon a cluster in memory, every request of theirs over a wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar
from zlib import crc32

from replicator.clock import Deadline
from replicator.errors import Fenced, OperationFailed, PreflightBlocked, ReplicatorError, Unreachable
from replicator.kafka import KafkaCluster, Outgoing, RangeRead, Record
from replicator.kafka.groups import GroupListing
from replicator.model.acls import AclBinding
from replicator.model.cluster import (
    Broker as BrokerAddress,
)
from replicator.model.cluster import (
    ClusterAccess,
    ClusterDescription,
    ConfigValue,
    PartitionDescription,
    TopicDescription,
    TopicSpec,
)
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState, PartitionEnds, TailCount
from tests.simulation.brokers import Broker
from tests.simulation.wires import Process, SimClock

T = TypeVar("T")
Appended = Callable[[TopicName, Sequence[bytes], Process], None]


class Line:
    """One process's connection to one cluster."""

    def __init__(self, broker: Broker, process: Process, clock: SimClock, on_append: Appended) -> None:
        self.broker = broker
        self.process = process
        self.clock = clock
        self.on_append = on_append

    def ask(self, what: str, act: Callable[[], T], **how: bool) -> T:
        """Return what the cluster answers."""
        return self.process.call(f"{self.broker.name}: {what}", lambda: self._answer(act), **how)

    def _answer(self, act: Callable[[], T]) -> T:
        if self.broker.is_down:
            self.clock.sleep(0.5)
            raise Unreachable(f"cluster {self.broker.name} does not answer")
        return act()


class SimCluster(KafkaCluster):
    """`KafkaCluster`, in memory."""

    def __init__(self, line: Line) -> None:
        self.access = ClusterAccess(name=ClusterName(line.broker.name), bootstrap=f"{line.broker.name}:9092")
        self._line = line
        self.topics = SimTopics(line)  # type: ignore[assignment]
        self.positions = SimPositions(line)  # type: ignore[assignment]
        self.groups = SimGroups(line)  # type: ignore[assignment]
        self.acls = SimAcls(line)  # type: ignore[assignment]

    def describe(self, deadline: Deadline) -> ClusterDescription:  # noqa: ARG002
        broker = self._line.broker
        answer = ClusterDescription(broker.cluster_id, (BrokerAddress(0, broker.name, 9092),))
        return self._line.ask("describe", lambda: answer)

    def verify_identity(self, deadline: Deadline) -> ClusterDescription:
        return self.describe(deadline)

    def read_range(
        self,
        tp: TopicPartition,
        from_offset: int,
        to_offset: int,
        *,
        deadline: Deadline,  # noqa: ARG002
        records_max: int = 10_000,
        is_committed_only: bool = True,
    ) -> RangeRead:
        if from_offset >= to_offset:
            return RangeRead((), from_offset, is_complete=True)
        return self._line.ask(
            f"read {tp} {from_offset}-{to_offset}",
            lambda: _read(self._line.broker, tp, from_offset, to_offset, records_max, is_committed_only),
        )

    def read_ranges(
        self, ranges: Mapping[TopicPartition, tuple[int, int]], *, deadline: Deadline, records_max: int = 10_000
    ) -> dict[TopicPartition, RangeRead]:
        return {
            tp: self.read_range(tp, start, stop, deadline=deadline, records_max=records_max)
            for tp, (start, stop) in ranges.items()
            if start < stop
        }

    def tail(self, topics: Iterable[TopicName], *, is_committed_only: bool = True) -> Any:
        return SimTail(self._line, tuple(topics), is_committed_only)

    def writer(self, client_id: str, **properties: Any) -> Any:  # noqa: ARG002
        return SimWriter(self._line)

    def transactional_writer(self, transactional_id: str, deadline: Deadline) -> Any:  # noqa: ARG002
        line = self._line
        generation = line.ask(
            f"own {transactional_id}", lambda: line.broker.own(transactional_id), changes=True, once=True
        )
        return SimTransactionalWriter(line, transactional_id, generation)

    def fence_transactional_ids(self, ids: Iterable[str], deadline: Deadline) -> None:
        with self._line.process.one_act():
            for transactional_id in ids:
                self.transactional_writer(transactional_id, deadline)

    def elect(self, group: str, *, topic: TopicName, session_seconds: float = 10.0) -> Any:  # noqa: ARG002
        return SimLease(self._line, group, session_seconds)

    def close(self) -> None:
        """Nothing is held."""


def _record(broker: Broker, tp: TopicPartition, offset: int) -> Record:
    entry = broker.log(tp).entries[offset]
    written_ms = crc32(entry.value or b"")  # a copy keeps the time of its record, as MirrorMaker's do
    return Record(tp, offset, written_ms, False, entry.key, entry.value, ())


def _read(broker: Broker, tp: TopicPartition, start: int, stop: int, count: int, is_committed_only: bool) -> RangeRead:
    log = broker.log(tp)
    if start < log.log_start or start > log.end:
        raise OperationFailed(f"cluster {broker.name}: {tp}: offset {start} is out of range")
    found = log.visible(start, stop, is_committed_only=is_committed_only)
    kept = tuple(_record(broker, tp, offset) for offset in found[:count])
    if len(found) > count:
        return RangeRead(kept, found[count - 1] + 1 if count else start, is_complete=False)
    return RangeRead(kept, min(stop, log.last_stable if is_committed_only else log.end), is_complete=True)


class SimTopics:
    """`Topics`, in memory."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def names(self, deadline: Deadline) -> set[TopicName]:
        return set(self.list(deadline))

    def list(self, deadline: Deadline) -> dict[TopicName, TopicDescription]:
        return self.describe(list(self._line.broker.topics), deadline)

    def describe(self, names: Iterable[TopicName], deadline: Deadline) -> dict[TopicName, TopicDescription]:  # noqa: ARG002
        wanted = list(names)

        def act() -> dict[TopicName, TopicDescription]:
            known = self._line.broker.topics
            return {
                name: _describe(name, known[name].topic_id, len(known[name].logs)) for name in wanted if name in known
            }

        return self._line.ask("describe topics", act) if wanted else {}

    def create(self, specs: Sequence[TopicSpec], deadline: Deadline) -> set[TopicName]:  # noqa: ARG002
        broker = self._line.broker

        def act() -> set[TopicName]:
            return {spec.name for spec in specs if broker.create(spec.name, spec.partitions, dict(spec.configs))}

        return self._line.ask("create topics", act, changes=True)

    def delete(self, names: Sequence[TopicName], deadline: Deadline) -> None:  # noqa: ARG002
        known = self._line.broker.topics

        def act() -> None:
            for name in names:
                known.pop(name, None)

        self._line.ask("delete topics", act, changes=True)

    def configs(self, names: Sequence[TopicName], deadline: Deadline) -> dict[TopicName, dict[str, ConfigValue]]:  # noqa: ARG002
        known = self._line.broker.topics

        def act() -> dict[TopicName, dict[str, ConfigValue]]:
            return {n: {key: ConfigValue(value, False) for key, value in known[n].configs.items()} for n in names}

        return self._line.ask("configs", act)


def _describe(name: TopicName, topic_id: str, partitions: int) -> TopicDescription:
    return TopicDescription(name, topic_id, tuple(PartitionDescription(n, 0, (0,), (0,)) for n in range(partitions)))


class SimPositions:
    """`Positions`, in memory."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def ends(self, partitions: Iterable[TopicPartition], deadline: Deadline) -> dict[TopicPartition, PartitionEnds]:  # noqa: ARG002
        wanted = list(partitions)
        return self._line.ask("list offsets", lambda: {tp: self._line.broker.ends(tp) for tp in wanted})


class SimGroups:
    """`Groups`, in memory: the broker refuses to set a group that has members, as a coordinator does."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def list(self, deadline: Deadline) -> dict[GroupName, GroupListing]:  # noqa: ARG002
        def act() -> dict[GroupName, GroupListing]:
            known = self._line.broker.groups
            return {n: GroupListing(n, _state(self._line.broker, n), "classic", False) for n in known}

        return self._line.ask("list groups", act)

    def committed(self, groups: Iterable[GroupName], deadline: Deadline) -> dict[GroupName, GroupObservation]:  # noqa: ARG002
        wanted = list(groups)
        return self._line.ask("read groups", lambda: {name: self._observe(name) for name in wanted})

    def _observe(self, name: GroupName) -> GroupObservation:
        group = self._line.broker.groups.get(name)
        return GroupObservation(
            cluster=ClusterName(self._line.broker.name),
            group=name,
            state=_state(self._line.broker, name),
            members=group.members if group else 0,
            observed_at=self._line.clock.now(),
            committed=dict(group.committed) if group else {},
        )

    def commit(self, group: GroupName, offsets: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        if not offsets:
            return
        with self._line.process.one_act():
            self._commit(group, offsets, deadline)

    def commit_all(
        self,
        wanted: Mapping[GroupName, Mapping[TopicPartition, int]],
        deadline: Deadline,
        *,
        before_each: Callable[[], None] = lambda: None,
    ) -> dict[GroupName, ReplicatorError]:
        refused: dict[GroupName, ReplicatorError] = {}
        for group, offsets in wanted.items():
            if offsets:
                before_each()
            try:
                self.commit(group, offsets, deadline)
            except (Unreachable, Fenced):
                raise
            except ReplicatorError as error:
                refused[group] = error
        return refused

    def _commit(self, group: GroupName, offsets: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        if self.committed([group], deadline)[group].state is GroupState.ACTIVE:
            raise PreflightBlocked(f"cluster {self._line.broker.name}: group {group} has members")
        self.alter(group, offsets)
        seen = self.committed([group], deadline)[group].committed
        if any(seen.get(tp) != offset for tp, offset in offsets.items()):
            raise OperationFailed(f"cluster {self._line.broker.name}: group {group} reads back otherwise")

    def alter(self, group: GroupName, offsets: Mapping[TopicPartition, int]) -> None:
        """Ask the coordinator to set the group, and ask nothing else."""
        line = self._line
        line.ask(f"set {group}", lambda: line.broker.set_group(group, dict(offsets)), changes=True)

    def delete(self, groups: Iterable[GroupName], deadline: Deadline) -> None:  # noqa: ARG002
        wanted = list(groups)

        def act() -> None:
            for name in wanted:
                self._line.broker.groups.pop(name, None)

        if wanted:
            self._line.ask("delete groups", act, changes=True)


def _state(broker: Broker, name: GroupName) -> GroupState:
    group = broker.groups.get(name)
    if group is None:
        return GroupState.DEAD
    return GroupState.ACTIVE if group.members else GroupState.EMPTY


class SimAcls:
    """`Acls`, in memory."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def has_authorizer(self, deadline: Deadline) -> bool:  # noqa: ARG002
        return self._line.ask("has an authorizer", lambda: self._line.broker.has_authorizer)

    def list(self, deadline: Deadline, *, principal: str | None = None) -> tuple[AclBinding, ...]:  # noqa: ARG002
        def act() -> tuple[AclBinding, ...]:
            return tuple(sorted(rule for rule in self._line.broker.rules if principal in (None, rule.principal)))

        return self._line.ask("list rules", act)

    def _rules(self) -> set[AclBinding]:
        broker = self._line.broker
        if not broker.has_authorizer:
            raise OperationFailed(f"cluster {broker.name}: no authorizer is configured")
        return broker.rules

    def create(self, bindings: Iterable[AclBinding], deadline: Deadline) -> None:  # noqa: ARG002
        if wanted := set(bindings):
            self._line.ask("create rules", lambda: self._rules().update(wanted), changes=True)

    def delete(self, bindings: Iterable[AclBinding], deadline: Deadline) -> set[AclBinding]:  # noqa: ARG002
        wanted = set(bindings)
        if not wanted:
            return set()

        def act() -> set[AclBinding]:
            gone = self._rules() & wanted
            self._line.broker.rules -= wanted
            return gone

        return self._line.ask("delete rules", act, changes=True)


class SimTail:
    """`Tail`, in memory."""

    def __init__(self, line: Line, topics: tuple[TopicName, ...], is_committed_only: bool) -> None:
        self._line = line
        self._topics = topics
        self._is_committed_only = is_committed_only
        self._next: dict[TopicPartition, int] = {}

    def poll_to_end(self, deadline: Deadline) -> list[Record]:  # noqa: ARG002
        return self._line.ask(f"tail {self._topics[0]}", self._poll)

    def _poll(self) -> list[Record]:
        broker, records = self._line.broker, []
        for name in self._topics:
            topic = broker.topics.get(name)
            for number, log in enumerate(topic.logs if topic else ()):
                tp = TopicPartition(name, number)
                end = log.last_stable if self._is_committed_only else log.end
                found = log.visible(self._next.get(tp, 0), end, is_committed_only=self._is_committed_only)
                records += [_record(broker, tp, offset) for offset in found]
                self._next[tp] = end
        return records

    def close(self) -> None:
        """Nothing is held."""


class SimWriter:
    """`Writer`, in memory: what was sent is written by `flush`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._sent: list[Outgoing] = []

    def send(self, record: Outgoing) -> None:
        self._sent.append(record)

    def flush(self, deadline: Deadline) -> dict[TopicPartition, int]:  # noqa: ARG002
        sent, self._sent = self._sent, []
        if not sent:
            return {}

        def act() -> dict[TopicPartition, int]:
            write = self._line.broker.write
            tps = [(TopicPartition(record.topic, record.partition or 0), record) for record in sent]
            return {tp: write(tp, record.key, record.value) for tp, record in tps}

        return self._line.ask(f"write {sent[0].topic}", act, changes=True, once=True)

    def close(self) -> None:
        """Nothing is held."""


class SimTransactionalWriter:
    """`TransactionalWriter`, in memory; a lost answer is an unknown outcome."""

    def __init__(self, line: Line, transactional_id: str, generation: int) -> None:
        self._line = line
        self._id = transactional_id
        self._generation = generation

    def append(self, records: Sequence[Outgoing], deadline: Deadline) -> list[int]:  # noqa: ARG002
        line = self._line
        topic = records[0].topic
        rows = [(TopicPartition(record.topic, record.partition or 0), record.key, record.value) for record in records]

        def act() -> list[int]:
            offsets = line.broker.transact(self._id, self._generation, rows)
            line.on_append(topic, [record.value or b"" for record in records], line.process)
            return offsets

        return line.ask(f"append to {topic}", act, once=True, is_append=True)

    def abandon(self, records: Sequence[Outgoing], deadline: Deadline) -> None:  # noqa: ARG002
        broker = self._line.broker
        broker.begin(self._id, self._generation)
        rows = [(TopicPartition(record.topic, record.partition or 0), record.key, record.value) for record in records]
        broker.write_in(self._id, rows)
        broker.end(self._id, is_committed=False)

    def close(self) -> None:
        """Nothing is held."""


class SimLease:
    """`Lease`, in memory: a holder that died or froze is waited for until its session is over."""

    def __init__(self, line: Line, group: str, session_seconds: float) -> None:
        self._line = line
        self._group = group
        self._session_seconds = session_seconds
        self.was_answered = False
        self.tenure = 0

    @property
    def is_held(self) -> bool:
        return self._line.broker.holders.get(self._group) is self

    def wait_for_answer(self, deadline: Deadline) -> bool:  # noqa: ARG002
        return self._line.ask(f"join {self._group}", self._join)

    def _join(self) -> bool:
        holders = self._line.broker.holders
        holder = holders.get(self._group)
        self.was_answered = True
        if isinstance(holder, SimLease) and holder is not self:
            if not holder.can_be_replaced:
                return False
            self._line.clock.sleep(self._session_seconds)
        holders[self._group] = self
        self.tenure += 1
        return True

    @property
    def can_be_replaced(self) -> bool:
        """Whether the process behind it is gone, or stands still."""
        return self._line.process.is_dead or self._line.process.is_frozen

    def release(self) -> None:
        if self.is_held and not self._line.process.is_dead:
            del self._line.broker.holders[self._group]


class SimRaw:
    """`RawClient` as far as records are counted through it."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


def count_visible(
    client: SimRaw,
    partition: TopicPartition,
    *,
    from_offset: int,
    to_offset: int,
    deadline: Deadline,
) -> TailCount:
    """Return what `replicator.wire.count_visible` does: records seen by a reader of committed ones, and how far."""

    def act() -> TailCount:
        log = client.line.broker.log(partition)
        if not log.log_start <= from_offset <= log.end:
            raise OperationFailed(f"cluster {client.line.broker.name}: {partition}: {from_offset} is out of range")
        end = min(to_offset, log.last_stable)
        count = len(log.visible(from_offset, end))
        return TailCount(
            partition=partition.partition,
            from_offset=from_offset,
            to_offset=max(from_offset, end),
            visible_records=count,
        )

    return client.line.ask(f"count {partition} {from_offset}-{to_offset}", act)
