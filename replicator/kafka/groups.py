"""Consumer groups: list, read, commit (empty groups only, read back), delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as VendorPartition
from confluent_kafka.admin import ConfigResource, ResourceType

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import (
    AccessDenied,
    DeadlineExceeded,
    Fenced,
    NotFound,
    OperationFailed,
    PreflightBlocked,
    ReplicatorError,
    Unreachable,
)
from replicator.kafka.connection import Connection, first_try, interruptible, patient_seconds
from replicator.kafka.translate import kafka_error_of, to_error
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState, GroupType

T = TypeVar("T")

GROUPS_IN_FLIGHT = 100
"""Groups asked at once: bounds librdkafka's queue and the answer's memory."""

LOADING_PAUSE_SECONDS = 0.2
_LOADING = frozenset(
    # The last one comes from a broker that has just got, or given away, a group: a first group on a new cluster.
    {KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR}
)

_STATES = {
    ConsumerGroupState.EMPTY: GroupState.EMPTY,
    ConsumerGroupState.DEAD: GroupState.DEAD,
    ConsumerGroupState.STABLE: GroupState.ACTIVE,
    ConsumerGroupState.PREPARING_REBALANCING: GroupState.ACTIVE,
    ConsumerGroupState.COMPLETING_REBALANCING: GroupState.ACTIVE,
}


@dataclass(frozen=True, slots=True)
class GroupListing:
    """One line of the list of groups. `type` is the protocol: classic, consumer or unknown."""

    group: GroupName
    state: GroupState
    type: str
    is_simple: bool


@dataclass(frozen=True, slots=True)
class _Described:
    """What a group's coordinator tells of it."""

    state: GroupState
    members: int
    static_members: int
    type: GroupType


class Groups:
    """The consumer groups of one cluster."""

    def __init__(self, connection: Connection, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._connection = connection
        self._clock = clock

    def list(self, deadline: Deadline) -> dict[GroupName, GroupListing]:
        """Return every group we may see; a broker that is just loading them is asked again."""
        return self._once_loaded(self._list, deadline)

    def _list(self, deadline: Deadline) -> dict[GroupName, GroupListing]:
        doing = "list groups"
        with self._connection.translated(doing):
            future = self._connection.admin.list_consumer_groups(request_timeout=patient_seconds(deadline))
        answer = self._connection.wait(future, doing=doing, deadline=deadline)
        if answer.errors:
            error = _vendor_error(answer.errors[0])
            raise to_error(error, access=self._connection.access, doing=doing) from KafkaException(error)
        return {GroupName(entry.group_id): _listing(entry) for entry in answer.valid}

    def _once_loaded(self, ask: Callable[[Deadline], T], deadline: Deadline) -> T:
        """Return the answer; a coordinator that is just loading its groups is asked again until it has, and the next
        one where the former has gone silent: `ask` may be repeated."""
        while True:
            try:
                return self._connection.ask_in_tries(ask, deadline)
            except ReplicatorError as exc:
                if not _is_loading(exc) or deadline.left <= LOADING_PAUSE_SECONDS:
                    raise
            self._clock.sleep(LOADING_PAUSE_SECONDS)

    def committed(self, groups: Iterable[GroupName], deadline: Deadline) -> dict[GroupName, GroupObservation]:
        """Return state, members and committed positions (next record to read) of each group.

        A group that does not exist is returned DEAD and without positions.
        """
        wanted = list(groups)
        found: dict[GroupName, GroupObservation] = {}
        for start in range(0, len(wanted), GROUPS_IN_FLIGHT):
            batch = wanted[start : start + GROUPS_IN_FLIGHT]
            found |= self._once_loaded(partial(self._committed_batch, batch), deadline)
        return found

    def _committed_batch(self, groups: Sequence[GroupName], deadline: Deadline) -> dict[GroupName, GroupObservation]:
        described = self._describe(groups, deadline)
        with self._connection.translated("read committed offsets"):
            asked = {group: self._ask_committed(group, deadline) for group in groups}
        now = self._clock.now()
        seen = {group: self._positions(group, future, deadline) for group, future in asked.items()}
        return {
            group: GroupObservation(
                cluster=self._connection.access.name,
                group=group,
                state=described[group].state,
                members=described[group].members,
                type=described[group].type,
                static_members=described[group].static_members,
                observed_at=now,
                committed=positions,
            )
            for group, positions in seen.items()
        }

    def _ask_committed(self, group: GroupName, deadline: Deadline) -> Any:
        request = [ConsumerGroupTopicPartitions(group)]
        futures = self._connection.admin.list_consumer_group_offsets(
            request, require_stable=True, request_timeout=patient_seconds(deadline)
        )
        return futures[group]

    def _positions(self, group: GroupName, future: Any, deadline: Deadline) -> dict[TopicPartition, int]:
        """Return the next offset of each partition. What a consumer left with one is not asked for: the client copies
        the text without its end, and reads on in memory until it meets a NUL."""
        try:
            answer = self._connection.wait(future, doing=f"read offsets of group {group}", deadline=deadline)
        except NotFound:
            return {}
        found = {}
        for vendor in answer.topic_partitions:
            if vendor.error is not None:
                raise OperationFailed(
                    f"cluster {self._connection.access.name}: group {group}: {vendor.topic}[{vendor.partition}]: "
                    f"{vendor.error.str()}"
                )
            if vendor.offset >= 0:
                found[TopicPartition(TopicName(vendor.topic), vendor.partition)] = vendor.offset
        return found

    def _describe(self, groups: Sequence[GroupName], deadline: Deadline) -> dict[GroupName, _Described]:
        with self._connection.translated("describe groups"):
            futures = self._connection.admin.describe_consumer_groups(
                list(groups), request_timeout=patient_seconds(deadline)
            )
        return {GroupName(name): self._state_of(name, future, deadline) for name, future in futures.items()}

    def _state_of(self, name: str, future: Any, deadline: Deadline) -> _Described:
        try:
            answer = self._connection.wait(future, doing=f"describe group {name}", deadline=deadline)
        except ReplicatorError as exc:
            if _says_group_is_missing(exc):
                return _Described(GroupState.DEAD, 0, 0, GroupType.UNKNOWN)
            raise
        state = _STATES.get(answer.state, GroupState.UNKNOWN)
        return _Described(
            state=GroupState.ACTIVE if answer.members else state,
            members=len(answer.members),
            static_members=sum(1 for member in answer.members if member.group_instance_id),
            type=_type_of(answer),
        )

    def commit(self, group: GroupName, offsets: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        """Leave the group at exactly these positions, read back from the cluster.

        Metadata and leader epoch are left out on purpose: the client appends a NUL to any metadata,
        and another cluster's epochs mean nothing here.

        Raises:
            PreflightBlocked: the group has members; a live group's positions are its own.
            OperationFailed: the broker refused, or reads back something else.
        """
        if not offsets:
            return
        self._once_loaded(partial(self._refuse_active, group), deadline)
        self._once_loaded(partial(self._alter, group, offsets), deadline)
        self._read_back(group, offsets, deadline)

    def commit_all(
        self,
        wanted: Mapping[GroupName, Mapping[TopicPartition, int]],
        deadline: Deadline,
        *,
        before_each: Callable[[], None] = lambda: None,
    ) -> dict[GroupName, ReplicatorError]:
        """Leave each group at exactly its positions, read back; return why, for those that were refused.

        Groups wait for their coordinators side by side, GROUPS_IN_FLIGHT at once. `before_each` is called right
        before a group is set, and may raise: nothing is set from then on. Refused is as `commit` tells it.

        Raises:
            Unreachable, Fenced: the cluster does not answer; what was sent may have happened.
        """
        names = [group for group, offsets in wanted.items() if offsets]
        refused: dict[GroupName, ReplicatorError] = {}
        for start in range(0, len(names), GROUPS_IN_FLIGHT):
            batch = {name: wanted[name] for name in names[start : start + GROUPS_IN_FLIGHT]}
            refused |= self._commit_batch(batch, deadline, before_each)
        return refused

    def _commit_batch(
        self,
        batch: Mapping[GroupName, Mapping[TopicPartition, int]],
        deadline: Deadline,
        before_each: Callable[[], None],
    ) -> dict[GroupName, ReplicatorError]:
        described = self._once_loaded(partial(self._describe, list(batch)), deadline)
        refused: dict[GroupName, ReplicatorError] = {
            group: self._refusal_of(group, found)
            for group, found in described.items()
            if found.state not in (GroupState.EMPTY, GroupState.DEAD)
        }
        sent = {}
        for group in [name for name in batch if name not in refused]:
            before_each()
            sent[group] = self._ask_alter(group, batch[group], deadline)
        soon = first_try(deadline)
        for group, future in sent.items():

            def alter_again(deadline: Deadline, group: GroupName = group) -> None:
                before_each()
                self._alter(group, batch[group], deadline)

            with _refusal_noted(refused, group):
                self._await(partial(self._end_alter, group, future), alter_again, soon=soon, deadline=deadline)
        self._read_back_all({group: batch[group] for group in sent if group not in refused}, refused, deadline)
        return refused

    def _read_back_all(
        self,
        wanted: Mapping[GroupName, Mapping[TopicPartition, int]],
        refused: dict[GroupName, ReplicatorError],
        deadline: Deadline,
    ) -> None:
        """Leave noted which groups read back something else."""
        soon = first_try(deadline)
        with self._connection.translated("read committed offsets"):
            read = {group: self._ask_committed(group, deadline) for group in wanted}
        for group, future in read.items():
            with _refusal_noted(refused, group):
                first, again = partial(self._positions, group, future), partial(self._read_positions, group)
                self._compare(group, wanted[group], self._await(first, again, soon=soon, deadline=deadline))

    def _read_positions(self, group: GroupName, deadline: Deadline) -> dict[TopicPartition, int]:
        with self._connection.translated("read committed offsets"):
            future = self._ask_committed(group, deadline)
        return self._positions(group, future, deadline)

    def _await(
        self, first: Callable[[Deadline], T], again: Callable[[Deadline], T], *, soon: Deadline, deadline: Deadline
    ) -> T:
        """Return what comes of a request that is under way; of one that nobody answers `soon`, or whose group is being
        loaded, what comes of it `again`."""
        try:
            return first(soon)
        except DeadlineExceeded:
            if deadline.left <= soon.left:
                raise
        except ReplicatorError as error:
            if not _is_loading(error):
                raise
        return self._once_loaded(again, deadline)

    def _refuse_active(self, group: GroupName, deadline: Deadline) -> None:
        found = self._describe([group], deadline)[group]
        if found.state not in (GroupState.EMPTY, GroupState.DEAD):
            raise self._refusal_of(group, found)

    def _refusal_of(self, group: GroupName, found: _Described) -> PreflightBlocked:
        return PreflightBlocked(
            f"cluster {self._connection.access.name}: group {group} is {found.state.value} with {found.members} "
            "members; its positions are its own",
            hint="stop the group's consumers on this cluster, then run the same command again",
        )

    def _alter(self, group: GroupName, offsets: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        self._end_alter(group, self._ask_alter(group, offsets, deadline), deadline)

    def _ask_alter(self, group: GroupName, offsets: Mapping[TopicPartition, int], deadline: Deadline) -> Any:
        vendor = [VendorPartition(tp.topic, tp.partition, offset) for tp, offset in sorted(offsets.items())]
        with self._connection.translated(f"commit offsets of group {group}"):
            futures = self._connection.admin.alter_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, vendor)], request_timeout=patient_seconds(deadline)
            )
        return futures[group]

    def _end_alter(self, group: GroupName, future: Any, deadline: Deadline) -> None:
        doing = f"commit offsets of group {group}"
        answer = self._connection.wait(future, doing=doing, deadline=deadline)
        refused = [f"{tp.topic}[{tp.partition}]: {tp.error.str()}" for tp in answer.topic_partitions if tp.error]
        if refused:
            raise OperationFailed(f"cluster {self._connection.access.name}: {doing}: {'; '.join(refused)}")

    def _read_back(self, group: GroupName, offsets: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        self._compare(group, offsets, self._once_loaded(partial(self._read_positions, group), deadline))

    def _compare(
        self, group: GroupName, offsets: Mapping[TopicPartition, int], seen: Mapping[TopicPartition, int]
    ) -> None:
        wrong = {tp: seen.get(tp) for tp, offset in offsets.items() if seen.get(tp) != offset}
        if wrong:
            listed = ", ".join(f"{tp}: wanted {offsets[tp]}, reads back {got}" for tp, got in wrong.items())
            raise OperationFailed(f"cluster {self._connection.access.name}: group {group}: {listed}")

    def retention_seconds(self, deadline: Deadline) -> float | None:
        """Return how long the cluster keeps positions of an empty group; None where it does not tell us.

        Raises: Unreachable, DeadlineExceeded.
        """
        doing = "read broker configs"
        with self._connection.translated(doing):
            brokers = interruptible(
                lambda: self._connection.admin.list_topics(timeout=patient_seconds(deadline))
            ).brokers
            resources = [ConfigResource(ResourceType.BROKER, str(min(brokers)))] if brokers else []
            futures = self._connection.admin.describe_configs(resources, request_timeout=patient_seconds(deadline))
        try:
            answers = [self._connection.wait(future, doing=doing, deadline=deadline) for future in futures.values()]
        except AccessDenied:
            return None
        told = [
            answer["offsets.retention.minutes"].value for answer in answers if "offsets.retention.minutes" in answer
        ]
        return min((60.0 * float(minutes) for minutes in told if minutes), default=None)

    def delete(self, groups: Iterable[GroupName], deadline: Deadline) -> None:
        """Leave the groups deleted; one that does not exist is no error."""
        wanted = [str(group) for group in groups]
        if not wanted:
            return
        with self._connection.translated("delete groups"):
            futures = self._connection.admin.delete_consumer_groups(wanted, request_timeout=patient_seconds(deadline))
        for name, future in futures.items():
            try:
                self._connection.wait(future, doing=f"delete group {name}", deadline=deadline)
            except ReplicatorError as exc:
                if not _says_group_is_missing(exc):
                    raise


@contextmanager
def _refusal_noted(refused: dict[GroupName, ReplicatorError], group: GroupName) -> Iterator[None]:
    """Keep one group's refusal from the others; that the cluster is away is nobody's alone."""
    try:
        yield
    except (Unreachable, Fenced):
        raise
    except ReplicatorError as error:
        refused[group] = error


def _code_behind(exc: ReplicatorError) -> int | None:
    error = kafka_error_of(exc.__cause__) if exc.__cause__ else None
    return None if error is None else error.code()


def _says_group_is_missing(exc: ReplicatorError) -> bool:
    return _code_behind(exc) == KafkaError.GROUP_ID_NOT_FOUND


def _is_loading(exc: ReplicatorError) -> bool:
    return _code_behind(exc) in _LOADING


def _vendor_error(error: KafkaError | KafkaException) -> KafkaError:
    """The errors of a listing come bare or wrapped."""
    return error if isinstance(error, KafkaError) else error.args[0]


def _type_of(answer: Any) -> GroupType:
    name = getattr(getattr(answer, "type", None), "name", "UNKNOWN")
    return GroupType.__members__.get(name, GroupType.UNKNOWN)


def _listing(entry: Any) -> GroupListing:
    kind = entry.type.name.lower() if getattr(entry, "type", None) is not None else "unknown"
    return GroupListing(
        group=GroupName(entry.group_id),
        state=_STATES.get(entry.state, GroupState.UNKNOWN),
        type=kind,
        is_simple=bool(entry.is_simple_consumer_group),
    )
