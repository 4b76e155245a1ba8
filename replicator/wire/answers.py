"""What brokers answer, in our own types: no vendor's type passes this door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import ListedGroup
from replicator.wire.format.transactions import AbortedTransaction


class Fault(StrEnum):
    """What an error code asks of us: another leader, another time, or a decision."""

    STALE_LEADER = "stale_leader"
    RETRY = "retry"
    GONE = "gone"
    DENIED = "denied"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class VersionRanges:
    """Lowest and highest version of each API a broker speaks, by API key."""

    error_code: int
    ranges: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class SaslAnswer:
    """One answer of a SASL exchange; `text` is the refusal or the list of mechanisms."""

    error_code: int
    text: str
    token: bytes


@dataclass(frozen=True, slots=True)
class GroupsAnswer:
    """The groups that one broker coordinates."""

    error_code: int
    groups: tuple[ListedGroup, ...]


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """One broker as it is advertised to us."""

    id: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LeaderTable:
    """Brokers and leaders as metadata tells them; leaderless partitions are in `partitions` alone."""

    cluster_id: str | None = None
    brokers: Mapping[int, BrokerAddress] = field(default_factory=dict)
    partitions: frozenset[TopicPartition] = frozenset()
    leaders: Mapping[TopicPartition, int] = field(default_factory=dict)
    topic_errors: Mapping[TopicName, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OffsetAnswer:
    """(error code, offset) of each partition asked for."""

    offsets: Mapping[TopicPartition, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class FetchedPartition:
    """Raw batches of one partition, and its ends as the leader knew them. The last batch may be cut off,
    the first may begin below the offset asked for."""

    partition: TopicPartition
    error_code: int
    log_start: int
    last_stable: int
    end: int
    aborted: tuple[AbortedTransaction, ...]
    records: memoryview


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """One answer of one broker, partitions in the order asked for."""

    error_code: int
    throttle_seconds: float
    partitions: tuple[FetchedPartition, ...]


@dataclass(frozen=True, slots=True)
class LogDisk:
    """The disk under one log directory; sizes in bytes, -1 where the broker does not tell."""

    error_code: int
    total_bytes: int
    usable_bytes: int


@dataclass(frozen=True, slots=True)
class DiskAnswer:
    """One broker's disks, and the bytes on them of each partition that was asked about."""

    error_code: int
    disks: tuple[LogDisk, ...]
    sizes: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class LeftPositions:
    """Where a group stands, with what its consumers left beside each position; offset -1: nowhere."""

    error_code: int
    positions: Mapping[TopicPartition, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProducerIdentity:
    """An idempotent producer id and its epoch."""

    error_code: int
    producer_id: int
    producer_epoch: int


@dataclass(frozen=True, slots=True)
class ProducedPartition:
    """Where one batch was appended; `base_offset` -1 when it was not, or when it is an old duplicate."""

    partition: TopicPartition
    error_code: int
    base_offset: int
    error_message: str | None = None
