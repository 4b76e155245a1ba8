"""What a snapshot holds, as its manifest says it. Field by field as in snapshot/FORMAT.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from replicator.model.archive.consistency import LevelEvidence
from replicator.model.names import ClusterName, FlowName, SnapshotId, TopicName, TopicPartition

_CLOSED = {"extra": "forbid"}
ORPHANS_TAG = "orphans"
"""On a snapshot of what only a returned active had: `latest` means none of these."""
"""Read by pydantic where a manifest is parsed: an unknown key is an unknown format."""


class GapReason(StrEnum):
    """Why offsets are missing."""

    RETENTION = "retention"
    TRUNCATED = "truncated"
    NO_BATCH = "no_batch"


class ChunkEncoding(StrEnum):
    """How a chunk is stored."""

    NONE = "none"
    ZSTD = "zstd"


class VerifyLevel(IntEnum):
    """How deep a verification looks; each level includes those before it."""

    MANIFEST = 0
    PRESENCE = 1
    CHECKSUM = 2
    BATCHES = 3
    RECORDS = 4


class ChunkStatus(StrEnum):
    """What a verification found of one object or chunk. UNCHECKED: it could not be looked at, which says nothing.

    SHREDDED: its bytes are those that were stored, and its topic's key was destroyed on purpose.
    SKIPPED: it was not in the sample.
    """

    OK = "ok"
    MISSING = "missing"
    CORRUPT = "corrupt"
    UNCHECKED = "unchecked"
    SHREDDED = "shredded"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFinding:
    """One thing that is not as the manifest says: which object, which chunk of which partition, and how."""

    status: ChunkStatus
    what: str
    where: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCheck:
    """What became of one chunk of a verification."""

    topic: TopicName
    partition: int
    start: int
    stop: int
    id: str
    pack: str
    status: ChunkStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was looked at, how deep, and everything that was wrong. `sample_percent` None: every chunk was."""

    snapshot: SnapshotId
    level: VerifyLevel
    chunks: int
    chunks_ok: int
    checked_bytes: int
    seconds: float
    findings: tuple[VerifyFinding, ...]
    signed_by: str | None = None
    shredded_topics: tuple[TopicName, ...] = ()
    checks: tuple[ChunkCheck, ...] = ()
    sample_percent: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether everything that was to be looked at was, and is as the manifest says."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets [start, stop) that the cluster did not have when they were to be read."""

    start: int
    stop: int
    reason: GapReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFacts:
    """What the batches of a chunk amount to, within the offsets it covers. See FORMAT.md, Chunk reference.

    No record is later than `max_timestamp_ms`; records may be earlier than `min_base_timestamp_ms`.
    """

    batches: int = 0
    records: int = 0
    markers: int = 0
    rebuilds: int = 0
    codecs: Mapping[str, int] = field(default_factory=dict)
    largest_batch_bytes: int = 0
    min_base_timestamp_ms: int | None = None
    max_timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """One chunk and how it is stored, wherever that is. `id` is the SHA-256 of its plain bytes.

    With a `key` it is encrypted under that key, and `id` is a hash that only its holders can compute.
    """

    id: str
    encoding: ChunkEncoding
    plain_bytes: int
    stored_bytes: int
    stored_sha256: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A run of whole batches covering [start, stop) of one partition, and the place of its bytes.

    `aborted` holds (producer id, from, to): that producer's data batches with a base offset there were aborted.
    """

    start: int
    stop: int
    stored: StoredChunk
    pack: str
    offset: int
    facts: ChunkFacts
    aborted: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedPartition:
    """One partition: chunks and gaps in offset order tile [start, end).

    `left_out` are batches of transactions that are not part of the snapshot, (producer id, from, to) each: the next
    snapshot reads them anew.
    """

    partition: int
    start: int
    end: int
    high_watermark: int
    leader_epoch: int
    chunks: tuple[Chunk, ...] = ()
    gaps: tuple[Gap, ...] = ()
    left_out: tuple[tuple[int, int, int], ...] = ()

    @property
    def records(self) -> int:
        """Visible records."""
        return sum(chunk.facts.records for chunk in self.chunks)

    @property
    def plain_bytes(self) -> int:
        """Bytes of its batches as the broker keeps them."""
        return sum(chunk.stored.plain_bytes for chunk in self.chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedTopic:
    """One topic. `topic_id` tells it from a topic made anew under the same name.

    `key` is what its chunks are encrypted under, None for plain ones.
    """

    name: TopicName
    topic_id: str
    replication_factor: int
    is_compacted: bool
    partitions: tuple[CapturedPartition, ...]
    key: str | None = None

    @property
    def records(self) -> int:
        """Visible records."""
        return sum(partition.records for partition in self.partitions)

    @property
    def plain_bytes(self) -> int:
        """Bytes of its batches as the broker keeps them."""
        return sum(partition.plain_bytes for partition in self.partitions)

    @property
    def gap_count(self) -> int:
        """Gaps over all partitions."""
        return sum(len(partition.gaps) for partition in self.partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingTopic:
    """A topic that was selected and could not be captured."""

    __pydantic_config__ = _CLOSED

    name: TopicName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCaptured:
    """A kind of thing that the snapshot does not hold, and why: no right, not asked for, or not told by Kafka."""

    __pydantic_config__ = _CLOSED

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedCluster:
    """The cluster a snapshot was taken of."""

    __pydantic_config__ = _CLOSED

    name: ClusterName
    id: str
    brokers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """What the snapshot promises of its cut, with what shows it. Without `evidence` it is one of an older version.

    `level` is the strongest of prefix, transaction_atomic and quiescent that holds.
    """

    __pydantic_config__ = _CLOSED

    level: str = "prefix"
    transactions: str = "per_partition"
    groups_read_at: datetime
    cut_at: datetime
    cut_skew_ms: int
    finished_at: datetime
    evidence: tuple[LevelEvidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all chunks; the new ones were added by this snapshot."""

    __pydantic_config__ = _CLOSED

    records: int
    bytes: int
    stored_bytes: int
    chunks: int
    new_bytes: int
    new_stored_bytes: int
    new_chunks: int
    new_packs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A snapshot: what was captured, of whom, how consistently, and where the bytes are.

    `encryption` names the repository's key its states are encrypted under; None for a plain snapshot.
    """

    id: SnapshotId
    repository: str
    parent: SnapshotId | None
    created_at: datetime
    tool: str
    tags: tuple[str, ...]
    cluster: CapturedCluster
    flow: FlowName | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    consistency: Consistency
    states: Mapping[str, str]
    topics: tuple[CapturedTopic, ...]
    pack_sizes: Mapping[str, int]
    missing: tuple[MissingTopic, ...]
    warnings: tuple[str, ...]
    not_captured: tuple[NotCaptured, ...]
    totals: Totals
    encryption: str | None = None

    @property
    def gap_count(self) -> int:
        """Gaps over all topics."""
        return sum(topic.gap_count for topic in self.topics)

    def chunks(self) -> list[tuple[TopicPartition, Chunk]]:
        """Return every chunk with its partition, in the manifest's order."""
        return [
            (TopicPartition(topic.name, partition.partition), chunk)
            for topic in self.topics
            for partition in topic.partitions
            for chunk in partition.chunks
        ]
