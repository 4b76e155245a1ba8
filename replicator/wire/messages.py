"""Calls out, answers in, all in our own types: with `rules.messages` all that knows kafka-python's protocol codec.

A `Call` knows how to write itself for a version and how to read its answer. Versions are capped so
that topic names (not ids) travel: Fetch at 12 and Produce at 9, which brokers from 2.1 to 4.x accept.
Its messages are not a promised interface: pinned in pyproject.toml, held by tests/unit/wire.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar, cast

from kafka.errors import InvalidMetadataError, RetriableError, for_code
from kafka.protocol.admin.cluster import DescribeLogDirsRequest, DescribeLogDirsResponse
from kafka.protocol.admin.groups import ListGroupsRequest, ListGroupsResponse
from kafka.protocol.consumer import (
    FetchRequest,
    FetchResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
)
from kafka.protocol.metadata import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
    MetadataRequest,
    MetadataResponse,
)
from kafka.protocol.producer import InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse
from kafka.protocol.sasl import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)

from replicator.errors import DataCorrupt
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupState, GroupType, ListedGroup
from replicator.wire.answers import (
    BrokerAddress,
    DiskAnswer,
    Fault,
    FetchAnswer,
    GroupsAnswer,
    LeaderTable,
    LeftPositions,
    LogDisk,
    OffsetAnswer,
    ProducedPartition,
    ProducerIdentity,
    SaslAnswer,
    VersionRanges,
)
from replicator.wire.format.fetched import read_fetch
from replicator.wire.format.flexible import skip_tags

Answer = TypeVar("Answer")

ACKS_ALL = -1
ANY_REPLICA = -1
SESSIONLESS_EPOCH = -1
UNSUPPORTED_VERSION = 35
_CORRELATION = struct.Struct(">i")
_ERROR = struct.Struct(">h")
_GONE = frozenset({3, 100})  # UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID
_DENIED = frozenset({29, 30, 31, 53, 58, 65})
_OUT_OF_RANGE = 1
_DUPLICATE_SEQUENCE = 46
_OUT_OF_ORDER_SEQUENCE = 45


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One request of one API: the versions it can speak and how to write and read it."""

    name: str
    api_key: int
    min_version: int
    max_version: int
    build: Callable[[int], Any]
    response: Any
    read: Callable[[Any], Answer]
    decode_body: Callable[[memoryview, int], Any] | None = None
    """Reads a body of a version in the codec's stead, where its copies would cost too much."""

    def encode(self, *, version: int, correlation_id: int, client_id: str) -> bytes:
        """Return the framed request, size prefix included."""
        message = self.build(version)
        message.with_header(correlation_id=correlation_id, client_id=client_id)
        return cast("bytes", message.encode(version=version, header=True, framed=True))

    def decode(self, frame: memoryview, *, version: int, correlation_id: int) -> Answer:
        """Return the answer in a frame (without its size). Raises: DataCorrupt when it cannot be read."""
        try:
            body = self._skip_header(frame, version, correlation_id)
            if self.response is ApiVersionsResponse and _ERROR.unpack_from(frame, body) == (UNSUPPORTED_VERSION,):
                return self.read(ApiVersionsResponse(version=0, error_code=UNSUPPORTED_VERSION, api_keys=[]))
            if self.decode_body is not None:
                return self.read(self.decode_body(frame[body:], version))
            return self.read(self.response.decode(frame[body:], version=version))
        except (ValueError, IndexError, struct.error, UnicodeDecodeError) as exc:
            raise DataCorrupt(f"a broker's answer to {self.name} v{version} does not decode: {exc}") from exc

    def _skip_header(self, frame: memoryview, version: int, correlation_id: int) -> int:
        (seen,) = _CORRELATION.unpack_from(frame, 0)
        if seen != correlation_id:
            raise ValueError(f"answer {seen} came where {correlation_id} was due")
        position = _CORRELATION.size
        is_flexible = self.response.flexible_version_q(version) and self.response is not ApiVersionsResponse
        return skip_tags(frame, position) if is_flexible else position


def classify(code: int) -> Fault | None:
    """Return what an error code means to us; None for success."""
    if code == 0:
        return None
    known = {
        _OUT_OF_RANGE: Fault.OUT_OF_RANGE,
        _DUPLICATE_SEQUENCE: Fault.DUPLICATE,
        _OUT_OF_ORDER_SEQUENCE: Fault.OUT_OF_ORDER,
    }
    if code in known:
        return known[code]
    if code in _GONE:
        return Fault.GONE
    if code in _DENIED:
        return Fault.DENIED
    kind = for_code(code)
    if issubclass(kind, InvalidMetadataError):
        return Fault.STALE_LEADER
    return Fault.RETRY if issubclass(kind, RetriableError) else Fault.REFUSED


def name_error(code: int) -> str:
    """Return Kafka's own name of an error code, as in `NOT_LEADER_OR_FOLLOWER`-style logs, with the number."""
    return f"{for_code(code).__name__.removesuffix('Error')} ({code})"


def call_api_versions(*, software_version: str) -> Call[VersionRanges]:
    """Ask a broker which versions of which APIs it speaks."""
    return Call(
        "ApiVersions", ApiVersionsRequest.API_KEY, 0, 3,
        lambda version: ApiVersionsRequest(
            version=version, **_named(version >= 3, client_software_name="replicator",
                                      client_software_version=software_version)),
        ApiVersionsResponse,
        lambda answer: VersionRanges(
            answer.error_code, {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}),
    )  # fmt: skip


def call_sasl_handshake(mechanism: str) -> Call[SaslAnswer]:
    """Ask a broker to take up `mechanism`."""
    return Call(
        "SaslHandshake", SaslHandshakeRequest.API_KEY, 1, 1,
        lambda version: SaslHandshakeRequest(version=version, mechanism=mechanism),
        SaslHandshakeResponse,
        lambda answer: SaslAnswer(answer.error_code, ", ".join(answer.mechanisms or ()), b""),
    )  # fmt: skip


def call_sasl_authenticate(token: bytes) -> Call[SaslAnswer]:
    """Send one token of the mechanism."""
    return Call(
        "SaslAuthenticate", SaslAuthenticateRequest.API_KEY, 0, 2,
        lambda version: SaslAuthenticateRequest(version=version, auth_bytes=token),
        SaslAuthenticateResponse,
        lambda answer: SaslAnswer(answer.error_code, answer.error_message or "", bytes(answer.auth_bytes or b"")),
    )  # fmt: skip


def call_metadata(topics: Iterable[TopicName]) -> Call[LeaderTable]:
    """Ask for brokers and the leaders of `topics`. Never makes a topic."""
    names = sorted(set(topics))
    return Call(
        "Metadata", MetadataRequest.API_KEY, 4, 9,
        lambda version: MetadataRequest(
            version=version,
            topics=[MetadataRequest.MetadataRequestTopic(version=version, name=name) for name in names],
            allow_auto_topic_creation=False),
        MetadataResponse,
        _read_metadata,
    )  # fmt: skip


def _read_metadata(answer: Any) -> LeaderTable:
    leaders = {
        TopicPartition(TopicName(topic.name), partition.partition_index): partition.leader_id
        for topic in answer.topics
        for partition in topic.partitions
    }
    return LeaderTable(
        cluster_id=answer.cluster_id,
        brokers={b.node_id: BrokerAddress(b.node_id, b.host, b.port) for b in answer.brokers},
        partitions=frozenset(leaders),
        leaders={tp: leader for tp, leader in leaders.items() if leader >= 0},
        topic_errors={TopicName(topic.name): topic.error_code for topic in answer.topics if topic.error_code},
    )


def call_list_offsets(timestamps: Mapping[TopicPartition, int], *, is_committed_only: bool) -> Call[OffsetAnswer]:
    """Ask the leader for offsets by time; -1 is the end (the LSO when committed only), -2 the log start."""
    by_topic = _group_by_topic(timestamps)
    return Call(
        "ListOffsets", ListOffsetsRequest.API_KEY, 2, 7,
        lambda version: ListOffsetsRequest(
            version=version, replica_id=ANY_REPLICA, isolation_level=int(is_committed_only),
            topics=[
                ListOffsetsRequest.ListOffsetsTopic(
                    version=version, name=topic,
                    partitions=[
                        ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition(
                            version=version, partition_index=tp.partition, timestamp=timestamps[tp])
                        for tp in partitions
                    ])
                for topic, partitions in by_topic
            ]),
        ListOffsetsResponse,
        lambda answer: OffsetAnswer({
            TopicPartition(TopicName(topic.name), p.partition_index): (p.error_code, p.offset)
            for topic in answer.topics for p in topic.partitions
        }),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FetchSpot:
    """Where to read one partition on, and how many bytes at most."""

    partition: TopicPartition
    offset: int
    max_bytes: int


def call_fetch(
    spots: Sequence[FetchSpot], *, is_committed_only: bool, max_bytes: int, max_wait_ms: int
) -> Call[FetchAnswer]:
    """Ask the leader for raw batches; the broker fills partitions in the order given (KIP-74)."""
    by_topic = [(topic, list(group)) for topic, group in groupby(spots, key=lambda spot: spot.partition.topic)]
    return Call(
        "Fetch", FetchRequest.API_KEY, 4, 12,
        lambda version: FetchRequest(
            version=version, replica_id=ANY_REPLICA, max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=max_bytes,
            isolation_level=int(is_committed_only), session_id=0, session_epoch=SESSIONLESS_EPOCH,
            topics=[
                FetchRequest.FetchTopic(
                    version=version, topic=topic,
                    partitions=[
                        FetchRequest.FetchTopic.FetchPartition(
                            version=version, partition=spot.partition.partition, fetch_offset=spot.offset,
                            partition_max_bytes=spot.max_bytes)
                        for spot in group
                    ])
                for topic, group in by_topic
            ],
            forgotten_topics_data=[]),
        FetchResponse,
        lambda answer: answer,
        read_fetch,
    )  # fmt: skip


def call_list_groups() -> Call[GroupsAnswer]:
    """Ask a broker for the groups it coordinates, of every kind: librdkafka's list leaves Streams and share groups out.

    Source: KIP-848 (group types), KIP-932 (share), KIP-1071 (streams).
    """
    return Call(
        "ListGroups", ListGroupsRequest.API_KEY, 4, 5,
        lambda version: ListGroupsRequest(version=version, states_filter=[], types_filter=[]),
        ListGroupsResponse,
        lambda answer: GroupsAnswer(answer.error_code, tuple(
            ListedGroup(
                group=GroupName(one.group_id), protocol_type=one.protocol_type, state=_group_state(one.group_state),
                type=_group_type(getattr(one, "group_type", None)))
            for one in answer.groups
        )),
    )  # fmt: skip


def _group_state(told: str) -> GroupState:
    """Return the state a broker tells, folded: every state but these two has members."""
    return {"Empty": GroupState.EMPTY, "Dead": GroupState.DEAD}.get(told, GroupState.ACTIVE)


def _group_type(told: str | None) -> GroupType:
    return GroupType.__members__.get((told or "").upper(), GroupType.UNKNOWN)


def call_describe_log_dirs(partitions: Iterable[TopicPartition] = ()) -> Call[DiskAnswer]:
    """Ask a broker for its disks and what these partitions take of them; disks are told from version 4 (Kafka 3.3)."""
    asked = _group_by_topic(partitions)
    return Call(
        "DescribeLogDirs", DescribeLogDirsRequest.API_KEY, 4, 4,
        lambda version: DescribeLogDirsRequest(
            version=version,
            topics=[
                DescribeLogDirsRequest.DescribableLogDirTopic(
                    version=version, topic=topic, partitions=[tp.partition for tp in own])
                for topic, own in asked
            ]),
        DescribeLogDirsResponse,
        _read_log_dirs,
    )  # fmt: skip


def _read_log_dirs(answer: Any) -> DiskAnswer:
    results = answer.results or ()
    return DiskAnswer(
        error_code=answer.error_code or 0,
        disks=tuple(LogDisk(one.error_code, one.total_bytes, one.usable_bytes) for one in results),
        sizes={
            TopicPartition(TopicName(topic.name), partition.partition_index): partition.partition_size
            for one in results
            for topic in one.topics or ()
            for partition in topic.partitions
            if not partition.is_future_key
        },
    )


def call_init_producer_id() -> Call[ProducerIdentity]:
    """Ask for a fresh idempotent producer id."""
    return Call(
        "InitProducerId", InitProducerIdRequest.API_KEY, 0, 4,
        lambda version: InitProducerIdRequest(
            version=version, transactional_id=None, transaction_timeout_ms=60_000),
        InitProducerIdResponse,
        lambda answer: ProducerIdentity(answer.error_code, answer.producer_id, answer.producer_epoch),
    )  # fmt: skip


def call_produce(
    batches: Mapping[TopicPartition, bytes | bytearray], *, timeout_ms: int
) -> Call[tuple[ProducedPartition, ...]]:
    """Append one batch per partition, acknowledged by all in-sync replicas."""
    by_topic = _group_by_topic(batches)
    return Call(
        "Produce", ProduceRequest.API_KEY, 3, 9,
        lambda version: ProduceRequest(
            version=version, transactional_id=None, acks=ACKS_ALL, timeout_ms=timeout_ms,
            topic_data=[
                ProduceRequest.TopicProduceData(
                    version=version, name=topic,
                    partition_data=[
                        ProduceRequest.TopicProduceData.PartitionProduceData(
                            version=version, index=tp.partition, records=batches[tp])
                        for tp in partitions
                    ])
                for topic, partitions in by_topic
            ]),
        ProduceResponse,
        lambda answer: tuple(
            ProducedPartition(
                TopicPartition(TopicName(topic.name), p.index), p.error_code, p.base_offset, p.error_message)
            for topic in answer.responses for p in topic.partition_responses
        ),
    )  # fmt: skip


def call_find_coordinator(group: GroupName) -> Call[tuple[int, int]]:
    """Ask for a group's coordinator: an error code and the broker's id."""
    return Call(
        "FindCoordinator", FindCoordinatorRequest.API_KEY, 1, 3,
        lambda version: FindCoordinatorRequest(version=version, key=group, key_type=0),
        FindCoordinatorResponse,
        lambda answer: (answer.error_code, answer.node_id),
    )  # fmt: skip


def call_find_coordinators(groups: Sequence[GroupName]) -> Call[dict[GroupName, tuple[int, int]]]:
    """Ask for the coordinators of many groups: an error code and the broker's id for each."""
    return Call(
        "FindCoordinator", FindCoordinatorRequest.API_KEY, 4, 4,
        lambda version: FindCoordinatorRequest(version=version, key_type=0, coordinator_keys=list(groups)),
        FindCoordinatorResponse,
        lambda answer: {GroupName(one.key): (one.error_code, one.node_id) for one in answer.coordinators},
    )  # fmt: skip


def call_offset_fetch(groups: Sequence[GroupName]) -> Call[dict[GroupName, LeftPositions]]:
    """Ask for every position of these groups, as their coordinator has them, with what was left beside each."""
    group_type = OffsetFetchRequest.OffsetFetchRequestGroup
    return Call(
        "OffsetFetch", OffsetFetchRequest.API_KEY, 8, 8,
        lambda version: OffsetFetchRequest(
            version=version, require_stable=True,
            groups=[group_type(version=version, group_id=group, topics=None) for group in groups]),
        OffsetFetchResponse,
        lambda answer: {GroupName(one.group_id): _read_left(one) for one in answer.groups},
    )  # fmt: skip


def _read_left(group: Any) -> LeftPositions:
    parts = [(TopicName(topic.name), part) for topic in group.topics for part in topic.partitions]
    refused = next((part.error_code for _, part in parts if part.error_code), 0)
    positions = {
        TopicPartition(topic, part.partition_index): (part.committed_offset, part.metadata or "")
        for topic, part in parts
    }
    return LeftPositions(error_code=group.error_code or refused, positions=positions)


def call_offset_commit(group: GroupName, positions: Mapping[TopicPartition, tuple[int, str]]) -> Call[tuple[int, ...]]:
    """Set the positions of a group without members, with their metadata; an error code of each comes back."""
    by_topic = _group_by_topic(positions)
    topic_type = OffsetCommitRequest.OffsetCommitRequestTopic
    return Call(
        "OffsetCommit", OffsetCommitRequest.API_KEY, 7, 8,
        lambda version: OffsetCommitRequest(
            version=version, group_id=group, generation_id_or_member_epoch=-1, member_id="", group_instance_id=None,
            topics=[
                topic_type(
                    version=version, name=topic,
                    partitions=[
                        topic_type.OffsetCommitRequestPartition(
                            version=version, partition_index=tp.partition, committed_offset=positions[tp][0],
                            committed_leader_epoch=-1, committed_metadata=positions[tp][1])
                        for tp in own
                    ])
                for topic, own in by_topic
            ]),
        OffsetCommitResponse,
        lambda answer: tuple(p.error_code for topic in answer.topics for p in topic.partitions),
    )  # fmt: skip


def _named(is_wanted: bool, **values: str) -> dict[str, str]:
    return values if is_wanted else {}


def _group_by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[TopicName, list[TopicPartition]]]:
    return [(topic, list(group)) for topic, group in groupby(sorted(partitions), key=lambda tp: tp.topic)]
