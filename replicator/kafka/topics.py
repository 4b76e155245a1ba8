"""Topics: list, describe, create, grow, delete, configure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded, NotFound
from replicator.kafka.connection import Connection, interruptible, patient_seconds, request_seconds
from replicator.kafka.translate import kafka_error_of
from replicator.model.cluster import ConfigValue, PartitionDescription, TopicDescription, TopicSpec
from replicator.model.names import TopicName

DESCRIBE_BATCH = 2000
"""Topics per describe request: keeps one answer under a few MiB."""


POLL_SECONDS = 0.05
TRY_SECONDS = 5.0

T = TypeVar("T")


class Topics:
    """The topics of one cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def names(self, deadline: Deadline) -> set[TopicName]:
        """Return the names of all topics we may see."""
        with self._connection.translated("list topics"):
            metadata = interruptible(lambda: self._connection.admin.list_topics(timeout=request_seconds(deadline)))
        return {TopicName(name) for name in metadata.topics}

    def list(self, deadline: Deadline) -> dict[TopicName, TopicDescription]:
        """Return every topic we may see, described."""
        return self.describe(sorted(self.names(deadline)), deadline)

    def describe(self, names: Iterable[TopicName], deadline: Deadline) -> dict[TopicName, TopicDescription]:
        """Return the described topics; those that do not exist are absent."""
        wanted = list(names)
        found: dict[TopicName, TopicDescription] = {}
        for start in range(0, len(wanted), DESCRIBE_BATCH):
            found |= self._describe_batch(wanted[start : start + DESCRIBE_BATCH], deadline)
        return found

    def _describe_batch(self, names: Sequence[TopicName], deadline: Deadline) -> dict[TopicName, TopicDescription]:
        return self._in_tries(lambda soon: self._describe_once(names, soon), deadline)

    def _in_tries(self, ask: Callable[[Deadline], T], deadline: Deadline) -> T:
        """Return the answer; one that does not come is asked for again with fresh metadata: `ask` may be repeated.

        librdkafka waits out the whole time-out for the controller it knew, also when that broker has died.
        """
        while True:
            try:
                return ask(Deadline.after(deadline.capped(TRY_SECONDS), clock=deadline.clock))
            except DeadlineExceeded:
                if deadline.left <= TRY_SECONDS:
                    raise
            self.names(deadline)

    def _describe_once(self, names: Sequence[TopicName], deadline: Deadline) -> dict[TopicName, TopicDescription]:
        with self._connection.translated("describe topics"):
            futures = self._connection.admin.describe_topics(
                TopicCollection(list(names)), request_timeout=patient_seconds(deadline)
            )
        found = {}
        for name, future in futures.items():
            try:
                answer = self._connection.wait(future, doing=f"describe topic {name}", deadline=deadline)
            except NotFound:
                continue
            found[TopicName(name)] = _description(answer)
        return found

    def create(self, specs: Sequence[TopicSpec], deadline: Deadline) -> set[TopicName]:
        """Return the topics really created, now with leaders; one that already exists is left as it is."""
        if not specs:
            return set()
        with self._connection.translated("create topics"):
            futures = self._connection.admin.create_topics(
                [_new_topic(spec) for spec in specs], request_timeout=request_seconds(deadline)
            )
        created = {TopicName(name) for name, future in futures.items() if self._was_created(name, future, deadline)}
        self._wait_for_leaders(created, deadline)
        return created

    def _wait_for_leaders(self, names: set[TopicName], deadline: Deadline) -> None:
        """Brokers learn of a new topic a moment after the controller has answered."""
        while not _all_led(names, self.describe(names, deadline)):
            deadline.check(f"new topics have no leaders yet: {', '.join(sorted(names)[:5])}")
            deadline.clock.sleep(POLL_SECONDS)

    def _was_created(self, name: str, future: Any, deadline: Deadline) -> bool:
        try:
            self._connection.wait(future, doing=f"create topic {name}", deadline=deadline)
        except Exception as exc:
            error = kafka_error_of(exc.__cause__) if exc.__cause__ else None
            if error is not None and error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def grow(self, name: TopicName, *, partitions: int, deadline: Deadline) -> None:
        """Leave the topic with `partitions` partitions (more than it has)."""
        with self._connection.translated(f"grow topic {name}"):
            futures = self._connection.admin.create_partitions(
                [NewPartitions(name, partitions)], request_timeout=request_seconds(deadline)
            )
        self._connection.wait(futures[name], doing=f"grow topic {name}", deadline=deadline)

    def delete(self, names: Sequence[TopicName], deadline: Deadline) -> None:
        """Leave the topics deleted; one that does not exist is no error."""
        if not names:
            return
        with self._connection.translated("delete topics"):
            futures = self._connection.admin.delete_topics(list(names), request_timeout=request_seconds(deadline))
        for name, future in futures.items():
            try:
                self._connection.wait(future, doing=f"delete topic {name}", deadline=deadline)
            except NotFound:
                continue

    def configs(self, names: Sequence[TopicName], deadline: Deadline) -> dict[TopicName, dict[str, ConfigValue]]:
        """Return every setting of each topic, with whether it is a default."""
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        with self._connection.translated("read topic configs"):
            futures = self._connection.admin.describe_configs(resources, request_timeout=request_seconds(deadline))
        found = {}
        for resource, future in futures.items():
            entries = self._connection.wait(future, doing=f"read configs of {resource.name}", deadline=deadline)
            found[TopicName(resource.name)] = {key: _config_value(entry) for key, entry in entries.items()}
        return found

    def alter_configs(self, name: TopicName, changes: Mapping[str, str | None], deadline: Deadline) -> None:
        """Leave the topic with these settings; None takes the topic's own value away."""
        if not changes:
            return
        entries = [_config_change(key, value) for key, value in changes.items()]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        self._in_tries(lambda soon: self._alter_once(resource, soon), deadline)
        self._wait_for_configs(name, changes, deadline)

    def _alter_once(self, resource: ConfigResource, deadline: Deadline) -> None:
        doing = f"alter configs of {resource.name}"
        with self._connection.translated(doing):
            futures = self._connection.admin.incremental_alter_configs(
                [resource], request_timeout=request_seconds(deadline)
            )
        for future in futures.values():
            self._connection.wait(future, doing=doing, deadline=deadline)

    def _wait_for_configs(self, name: TopicName, changes: Mapping[str, str | None], deadline: Deadline) -> None:
        """Brokers learn of a changed setting a moment after the controller has answered."""
        while not _shows(self.configs([name], deadline)[name], changes):
            deadline.check(f"topic {name}: changed settings do not read back")
            deadline.clock.sleep(POLL_SECONDS)


def _shows(found: Mapping[str, ConfigValue], changes: Mapping[str, str | None]) -> bool:
    return all(
        found[key].is_default if value is None else found[key].value == value
        for key, value in changes.items()
        if key in found
    )


def _all_led(names: set[TopicName], described: Mapping[TopicName, TopicDescription]) -> bool:
    return all(name in described and all(p.leader is not None for p in described[name].partitions) for name in names)


def _new_topic(spec: TopicSpec) -> NewTopic:
    return NewTopic(
        spec.name,
        num_partitions=spec.partitions,
        replication_factor=spec.replication_factor,
        config=dict(spec.configs),
    )


def _config_change(key: str, value: str | None) -> ConfigEntry:
    operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    return ConfigEntry(key, value, incremental_operation=operation)


def _config_value(entry: Any) -> ConfigValue:
    is_own = entry.source in (ConfigSource.DYNAMIC_TOPIC_CONFIG.value, ConfigSource.DYNAMIC_TOPIC_CONFIG)
    return ConfigValue(value=entry.value, is_default=not is_own)


def _description(answer: Any) -> TopicDescription:
    partitions = tuple(
        PartitionDescription(
            partition=part.id,
            leader=part.leader.id if part.leader is not None and part.leader.id >= 0 else None,
            replicas=tuple(node.id for node in part.replicas),
            in_sync=tuple(node.id for node in part.isr),
        )
        for part in sorted(answer.partitions, key=lambda part: part.id)
    )
    return TopicDescription(
        name=TopicName(answer.name),
        topic_id=str(answer.topic_id),
        partitions=partitions,
        is_internal=bool(answer.is_internal),
    )
