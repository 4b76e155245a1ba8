"""What was seen of the source and of the groups, kept on the standby: the newest of each thing.

One compacted topic; key `kind/flow/name`, value `{"v":1,"kind":…,"data":{…}}`. A tombstone forgets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from replicator.clock import Deadline
from replicator.errors import DataCorrupt
from replicator.journal.codec import from_plain
from replicator.journal.journal import TOPIC_PREFIX
from replicator.journal.log import internal_topic
from replicator.kafka import KafkaCluster, Outgoing, Record, TransactionalWriter
from replicator.model.forms.plain import to_json
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName
from replicator.model.observations import AccessObservation, ClusterObservation, GroupObservation, TopicObservation
from replicator.model.offsets import GroupTranslation

VERSION = 1
UNREADABLE_MAX = 100
"""How many unreadable records are told of one by one."""

Observation = ClusterObservation | TopicObservation | GroupObservation | GroupTranslation | AccessObservation

_KINDS: dict[str, type[Any]] = {
    "cluster": ClusterObservation,
    "topic": TopicObservation,
    "group": GroupObservation,
    "translation": GroupTranslation,
    "access": AccessObservation,
}
_CONFIGS = {
    "cleanup.policy": "compact",
    "segment.ms": "600000",
    "segment.bytes": "16777216",
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": "600000",
    "delete.retention.ms": "86400000",
}
"""Small segments, cleaned soon: a process that knows nothing reads the whole topic in about a second."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The newest observation of each thing of one flow. `unreadable` tells of records that were skipped."""

    clusters: dict[ClusterName, ClusterObservation] = field(default_factory=dict)
    topics: dict[TopicName, TopicObservation] = field(default_factory=dict)
    groups: dict[GroupName, GroupObservation] = field(default_factory=dict)
    translations: dict[GroupName, GroupTranslation] = field(default_factory=dict)
    access: dict[str, AccessObservation] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was ever observed."""
        return not (self.clusters or self.topics or self.groups or self.translations)


def observations_topic(topic_prefix: str = TOPIC_PREFIX) -> TopicName:
    """Return the name of the observations' topic."""
    return TopicName(f"{topic_prefix}.observations")


def observations_writer(topic_prefix: str, writer_id: str) -> str:
    """Return how the transactional ids begin under which one writer's observations are written, one a flow."""
    return f"replicator.observations.{topic_prefix}.{writer_id}."


class Observations:
    """The observations kept on one cluster. One thread writes, anybody reads.

    Who writes under a `writer_id` first fences whoever did before: a supervisor that stood still while another took
    over writes nothing old over what is newer. What is written at once is seen at once, or not at all.
    """

    def __init__(self, cluster: KafkaCluster, topic_prefix: str = TOPIC_PREFIX, *, writer_id: str = "operator") -> None:
        self.topic = observations_topic(topic_prefix)
        self._cluster = cluster
        self._id_prefix = observations_writer(topic_prefix, writer_id)
        self._writers: dict[FlowName, TransactionalWriter] = {}

    def ensure_topic(self, deadline: Deadline) -> None:
        """Leave the topic existing; one that exists is left as it is."""
        if not self._cluster.topics.describe([self.topic], deadline):
            brokers = len(self._cluster.describe(deadline).brokers)
            self._cluster.topics.create([internal_topic(self.topic, brokers=brokers, configs=_CONFIGS)], deadline)

    def write(self, flow: FlowName, items: Iterable[Observation], deadline: Deadline) -> None:
        """Leave every item durable as the newest of its kind and name.

        Raises:
            Fenced: another has written the flow's observations since we began to; nothing was written.
            OutcomeUnknown, Unreachable, AccessDenied: close, and write again.
        """
        keyed = [encode_observation(flow, item) for item in items]
        self._append(flow, [Outgoing(self.topic, key, value, partition=0) for key, value in keyed], deadline)

    def forget(self, flow: FlowName, items: Iterable[Observation], deadline: Deadline) -> None:
        """Leave the items' kinds and names without an observation: the thing is gone. Raises: as `write`."""
        keys = [encode_observation(flow, item)[0] for item in items]
        self._append(flow, [Outgoing(self.topic, key, None, partition=0) for key in keys], deadline)

    def _append(self, flow: FlowName, records: list[Outgoing], deadline: Deadline) -> None:
        if flow not in self._writers:
            self._writers[flow] = self._cluster.transactional_writer(f"{self._id_prefix}{flow}", deadline)
        self._writers[flow].append(records, deadline)

    def read(self, flow: FlowName, deadline: Deadline) -> Observed:
        """Return the newest observation of each thing of the flow; an empty value where nothing was seen."""
        tail = self._cluster.tail([self.topic])
        try:
            return fold(flow, tail.poll_to_end(deadline))
        finally:
            tail.close()

    def close(self) -> None:
        """Let go of the writers."""
        while self._writers:
            self._writers.popitem()[1].close()


def encode_observation(flow: FlowName, item: Observation) -> tuple[bytes, bytes]:
    """Return key and value of an observation."""
    kind, name = _kind_and_name(item)
    value = to_json({"v": VERSION, "kind": kind, "data": item})
    return f"{kind}/{flow}/{name}".encode("utf-8", "surrogatepass"), value.encode()


def _kind_and_name(item: Observation) -> tuple[str, str]:
    match item:
        case ClusterObservation():
            return "cluster", item.cluster
        case TopicObservation():
            return "topic", item.topic
        case GroupObservation():
            return "group", item.group
        case GroupTranslation():
            return "translation", item.group
        case AccessObservation():
            return "access", item.principal


def decode_observation(value: bytes) -> Observation:
    """Return the observation a value holds.

    Raises:
        DataCorrupt: it is not one, or of a version this program does not know.
    """
    try:
        told = json.loads(value)
        version, kind = told["v"], _KINDS[told["kind"]]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise DataCorrupt("observation: has not the form of one") from exc
    if version != VERSION:
        raise DataCorrupt(f"observation: version {version}, not {VERSION}")
    observation: Observation = from_plain(kind, told.get("data"))
    return observation


def fold(flow: FlowName, records: Iterable[Record]) -> Observed:
    """Return the newest of each thing of `flow`: a later record of a key replaces the earlier one.

    One unreadable record must not keep a failover from the rest: it is skipped and told of.
    """
    newest: dict[str, Record] = {}
    for record in records:
        kind_flow_name = (record.key or b"").decode("utf-8", "replace").split("/", 2)
        if len(kind_flow_name) == 3 and kind_flow_name[1] == flow:
            newest["/".join(kind_flow_name)] = record
    return _gather(newest)


def _gather(newest: dict[str, Record]) -> Observed:
    observed = Observed()
    unreadable: list[str] = []
    for key, record in newest.items():
        try:
            if record.value is not None:
                _put(observed, decode_observation(record.value))
        except DataCorrupt as exc:
            unreadable.append(f"{key} at offset {record.offset}: {exc.message}")
    return replace(observed, unreadable=tuple(unreadable[:UNREADABLE_MAX]))


def _put(observed: Observed, item: Observation) -> None:
    match item:
        case ClusterObservation():
            observed.clusters[item.cluster] = item
        case TopicObservation():
            observed.topics[item.topic] = item
        case GroupObservation():
            observed.groups[item.group] = item
        case GroupTranslation():
            observed.translations[item.group] = item
        case AccessObservation():
            observed.access[item.principal] = item
