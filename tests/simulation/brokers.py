"""A cluster's memory: logs with transactions and markers, groups, rules, owners of transactional ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from replicator.errors import Fenced, NotFound, OperationFailed
from replicator.model.acls import AclBinding
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.operations import JournalRecord

Row = tuple[TopicPartition, bytes | None, bytes | None]
DEFAULT_CONFIGS = {"cleanup.policy": "delete", "message.timestamp.type": "CreateTime"}


@dataclass(slots=True)
class Transaction:
    """One transaction of one producer. `is_committed` None while it is open."""

    is_committed: bool | None = None


@dataclass(slots=True)
class Entry:
    """What stands at one offset: a record, or the marker that ends a transaction."""

    key: bytes | None
    value: bytes | None
    transaction: Transaction | None = None
    is_marker: bool = False


@dataclass(slots=True)
class Log:
    """One partition; the offset of an entry is its place."""

    entries: list[Entry] = field(default_factory=list)
    log_start: int = 0

    @property
    def end(self) -> int:
        """The next offset."""
        return len(self.entries)

    @property
    def last_stable(self) -> int:
        """The first offset of an open transaction, or the end."""
        for offset in range(self.log_start, len(self.entries)):
            transaction = self.entries[offset].transaction
            if transaction is not None and transaction.is_committed is None:
                return offset
        return len(self.entries)

    def append(self, entry: Entry) -> int:
        """Return the offset that the entry was given."""
        self.entries.append(entry)
        return len(self.entries) - 1

    def visible(self, start: int, stop: int, *, is_committed_only: bool = True) -> list[int]:
        """Return the offsets of the records that a consumer is handed in [start, stop)."""
        end = self.last_stable if is_committed_only else self.end
        found = []
        for offset in range(max(start, self.log_start), min(stop, end)):
            entry = self.entries[offset]
            is_aborted = entry.transaction is not None and entry.transaction.is_committed is False
            if not entry.is_marker and not (is_committed_only and is_aborted):
                found.append(offset)
        return found

    def values_below(self, stop: int) -> set[bytes | None]:
        """Return the values of all records that ever were visible below an offset, those that are deleted too."""
        stable = min(stop, self.last_stable)
        rows = (entry for entry in self.entries[:stable] if not entry.is_marker)
        return {row.value for row in rows if row.transaction is None or row.transaction.is_committed}


@dataclass(slots=True)
class Topic:
    """One topic."""

    topic_id: str
    logs: list[Log]
    configs: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_CONFIGS))


@dataclass(slots=True)
class Group:
    """One consumer group: positions, and members that are there now."""

    committed: dict[TopicPartition, int] = field(default_factory=dict)
    members: int = 0


@dataclass(slots=True)
class Owner:
    """Who owns a transactional id: the newest generation, and the transaction it has open, with where it wrote, and
    when the broker ends it."""

    generation: int = 0
    transaction: Transaction | None = None
    logs: list[Log] = field(default_factory=list)
    expires_at: float | None = None


class Broker:
    """One cluster."""

    def __init__(self, name: str, *, has_authorizer: bool) -> None:
        self.name = name
        self.cluster_id = f"{name}-id"
        self.has_authorizer = has_authorizer
        self.is_down = False
        self.topics: dict[TopicName, Topic] = {}
        self.topics_made = 0
        self.groups: dict[GroupName, Group] = {}
        self.rules: set[AclBinding] = set()
        self.owners: dict[str, Owner] = {}
        self.holders: dict[str, object] = {}
        self.proven: tuple[int, tuple[JournalRecord, ...]] = (0, ())

    def create(self, name: TopicName, partitions: int, configs: dict[str, str] | None = None) -> bool:
        """Whether the topic was made now."""
        if name in self.topics:
            return False
        topic = Topic(f"{self.name}-{self.topics_made}", [Log() for _ in range(partitions)])
        topic.configs |= configs or {}
        self.topics[name] = topic
        self.topics_made += 1
        return True

    def forget_proofs(self) -> None:
        """Have the journal proven anew when it is asked for next."""
        self.proven = (0, ())

    def log(self, tp: TopicPartition) -> Log:
        """Return one partition."""
        topic = self.topics.get(tp.topic)
        if topic is None or tp.partition >= len(topic.logs):
            raise NotFound(f"cluster {self.name}: {tp} does not exist")
        return topic.logs[tp.partition]

    def ends(self, tp: TopicPartition) -> PartitionEnds:
        """Return where a partition begins and ends."""
        log = self.log(tp)
        return PartitionEnds(partition=tp.partition, log_start=log.log_start, last_stable=log.last_stable, end=log.end)

    def write(self, tp: TopicPartition, key: bytes | None, value: bytes | None) -> int:
        """Return the offset of a record that was written without a transaction."""
        return self.log(tp).append(Entry(key, value))

    def own(self, transactional_id: str) -> int:
        """Return a new generation of the id: the older owner is fenced, what it had open is aborted."""
        owner = self.owners.setdefault(transactional_id, Owner())
        self._end(owner, is_committed=False)
        owner.generation += 1
        return owner.generation

    def begin(self, transactional_id: str, generation: int, *, expires_at: float | None = None) -> None:
        """Open a transaction; at `expires_at` the broker aborts it and fences its owner.

        Raises:
            Fenced: the generation is not the newest.
        """
        owner = self.owners[transactional_id]
        if owner.generation != generation:
            raise Fenced(f"cluster {self.name}: {transactional_id} has a newer owner")
        owner.transaction, owner.expires_at = Transaction(), expires_at

    def write_in(self, transactional_id: str, records: Iterable[Row]) -> list[int]:
        """Return the offsets of records written in the open transaction."""
        owner = self.owners[transactional_id]
        offsets = []
        for tp, key, value in records:
            log = self.log(tp)
            if not any(log is known for known in owner.logs):
                owner.logs.append(log)
            offsets.append(log.append(Entry(key, value, owner.transaction)))
        return offsets

    def end(self, transactional_id: str, *, is_committed: bool) -> None:
        """End what is open."""
        self._end(self.owners[transactional_id], is_committed=is_committed)

    def expire(self, now: float) -> None:
        """End the transactions whose owners have let their time pass, as a coordinator does."""
        for owner in self.owners.values():
            if owner.transaction is not None and owner.expires_at is not None and owner.expires_at <= now:
                owner.generation += 1
                self._end(owner, is_committed=False)

    def _end(self, owner: Owner, *, is_committed: bool) -> None:
        if owner.transaction is None:
            return
        owner.transaction.is_committed = is_committed
        for log in owner.logs:
            log.append(Entry(None, None, owner.transaction, is_marker=True))
        owner.transaction, owner.logs = None, []

    def transact(
        self,
        transactional_id: str,
        generation: int,
        records: Sequence[Row],
    ) -> list[int]:
        """Return the offsets of records written in one transaction, committed."""
        self.begin(transactional_id, generation)
        offsets = self.write_in(transactional_id, records)
        self.end(transactional_id, is_committed=True)
        return offsets

    def set_group(self, name: GroupName, offsets: dict[TopicPartition, int]) -> None:
        """Leave an empty group at the positions.

        Raises:
            OperationFailed: it has members; their coordinator refuses anybody else's word.
        """
        group = self.groups.setdefault(name, Group())
        if group.members:
            raise OperationFailed(f"cluster {self.name}: group {name}: UNKNOWN_MEMBER_ID")
        group.committed |= offsets
