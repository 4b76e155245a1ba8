"""The manifest's JSON: read, written, and checked as far as it can be without any other object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import (
    CapturedCluster,
    CapturedPartition,
    CapturedTopic,
    Chunk,
    ChunkEncoding,
    ChunkFacts,
    Consistency,
    Gap,
    GapReason,
    Manifest,
    MissingTopic,
    NotCaptured,
    StoredChunk,
    Totals,
)
from replicator.model.names import FlowName, SnapshotId, TopicName
from replicator.snapshot.repository.ciphers import OVERHEAD_BYTES

SNAPSHOT_ID = r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}$"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TOPIC_NAME = r"^(?:\.{0,2}[a-zA-Z0-9_-][a-zA-Z0-9._-]*|\.{3}[a-zA-Z0-9._-]*)$"
"""As Kafka has it: `.` and `..` are none."""
KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
_Offset = _Count
MAX_PARTITIONS = 200_000
MAX_CHUNK_BYTES = 1 << 30


class Document(BaseModel):
    """What every part of a manifest has in common: no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Gap(Document):
    start: _Offset = Field(validation_alias="from", serialization_alias="from")
    stop: _Offset = Field(validation_alias="to", serialization_alias="to")
    reason: GapReason


class ChunkDocument(Document):
    """A chunk reference (FORMAT.md); `pack` is a place in the list of packs beside it."""

    id: Sha256
    pack: _Count
    offset: _Count
    encoding: ChunkEncoding
    plain_bytes: Annotated[int, Field(ge=0, le=MAX_CHUNK_BYTES)]
    stored_bytes: Annotated[int, Field(ge=0, le=MAX_CHUNK_BYTES)]
    stored_sha256: Sha256
    start: _Offset = Field(validation_alias="from", serialization_alias="from")
    stop: _Offset = Field(validation_alias="to", serialization_alias="to")
    batches: _Count
    records: _Count
    markers: _Count
    rebuilds: _Count
    codecs: dict[str, int]
    largest_batch_bytes: _Count
    min_base_timestamp_ms: int | None
    max_timestamp_ms: int | None
    aborted: tuple[tuple[int, int, int], ...]


class _Partition(Document):
    partition: Annotated[int, Field(ge=0, lt=MAX_PARTITIONS)]
    start: _Offset
    end: _Offset
    high_watermark: _Offset
    leader_epoch: Annotated[int, Field(ge=-1)]
    chunks: tuple[ChunkDocument, ...]
    gaps: tuple[_Gap, ...]
    left_out: tuple[tuple[int, int, int], ...] = ()


class _Topic(Document):
    name: TopicName = Field(min_length=1, max_length=249, pattern=TOPIC_NAME)
    topic_id: str = Field(min_length=1, max_length=64)
    replication_factor: Annotated[int, Field(ge=1, le=32767)]
    is_compacted: bool
    partitions: tuple[_Partition, ...] = Field(min_length=1)
    key: KeyId | None = None


class PackDocument(Document):
    """A pack that chunk references name."""

    id: Sha256
    size_bytes: _Count


class _Selection(Document):
    include: tuple[str, ...]
    exclude: tuple[str, ...]


class _Manifest(Document):
    id: SnapshotId = Field(pattern=SNAPSHOT_ID)
    repository: str
    parent: SnapshotId | None
    created_at: datetime
    tool: str
    tags: tuple[str, ...]
    cluster: CapturedCluster
    flow: FlowName | None
    selection: _Selection
    consistency: Consistency
    states: dict[str, Sha256]
    topics: tuple[_Topic, ...]
    packs: tuple[PackDocument, ...]
    missing: tuple[MissingTopic, ...]
    warnings: tuple[str, ...]
    not_captured: tuple[NotCaptured | str, ...]
    totals: Totals
    encryption: KeyId | None = None


_ADAPTER = TypeAdapter(_Manifest)
PLAIN, ENCRYPTED, WEIGHED = 1, 2, 3
"""The versions of a manifest: 3 tells the evidence for its consistency, encrypted or not. Before that one was 1 if it
named no key, 2 if it did."""


def version_of(manifest: Manifest) -> int:
    """Return the version a manifest is written in."""
    if manifest.consistency.evidence:
        return WEIGHED
    return PLAIN if manifest.encryption is None else ENCRYPTED


def write_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON, the payload of its sealed document."""
    places = {pack: index for index, pack in enumerate(sorted(manifest.pack_sizes))}
    document = _Manifest(
        id=manifest.id, repository=manifest.repository, parent=manifest.parent, created_at=manifest.created_at,
        tool=manifest.tool, tags=manifest.tags, cluster=manifest.cluster, flow=manifest.flow,
        selection=_Selection(include=manifest.include, exclude=manifest.exclude),
        consistency=manifest.consistency, states=dict(manifest.states),
        topics=tuple(_to_topic(topic, places) for topic in manifest.topics),
        packs=tuple(PackDocument(id=pack, size_bytes=manifest.pack_sizes[pack]) for pack in places),
        missing=manifest.missing, warnings=manifest.warnings, not_captured=manifest.not_captured,
        totals=manifest.totals, encryption=manifest.encryption,
    )  # fmt: skip
    return _ADAPTER.dump_json(document, by_alias=True, exclude=_unknown_to(version_of(manifest)))


def _unknown_to(version: int) -> dict[str, Any] | None:
    """Return the keys that a manifest of an older version does not have."""
    if version == WEIGHED:
        return None
    partitions: dict[str, Any] = {"partitions": {"__all__": {"left_out": True}}}
    if version == ENCRYPTED:
        return {"consistency": {"evidence": True}, "topics": {"__all__": partitions}}
    return {
        "consistency": {"evidence": True},
        "encryption": True,
        "topics": {"__all__": {"key": True, **partitions}},
    }


def read_manifest(payload: bytes, *, where: str, version: int = PLAIN) -> Manifest:
    """Return the manifest of a payload whose seal was proven.

    Raises: DataCorrupt when it is not one, or contradicts itself; the detail lists how.
    """
    try:
        document = _ADAPTER.validate_json(payload)
    except ValidationError as exc:
        raise DataCorrupt(f"{where}: is not a manifest of format {version}", detail=str(exc)) from exc
    packs = [pack.id for pack in document.packs]
    if any(chunk.pack >= len(packs) for t in document.topics for p in t.partitions for chunk in p.chunks):
        raise DataCorrupt(f"{where}: a chunk names a pack that is not listed")
    manifest = _from_document(document, packs)
    if version_of(manifest) != version:
        raise DataCorrupt(f"{where}: its content is not of format {version}")
    if problems := list(check_manifest(manifest)):
        raise DataCorrupt(f"{where}: {problems[0]}", detail="\n".join(problems[:50]))
    return manifest


def check_manifest(manifest: Manifest) -> Iterator[str]:
    """Yield every way in which a manifest contradicts itself; nothing when it does not."""
    names = [topic.name for topic in manifest.topics]
    if len(set(names)) != len(names):
        yield "a topic is listed twice"
    for topic in manifest.topics:
        if (topic.key is None) != (manifest.encryption is None):
            yield f"topic {topic.name}: is {'not ' if topic.key is None else ''}encrypted, unlike the snapshot"
        numbers = [partition.partition for partition in topic.partitions]
        if numbers != list(range(len(numbers))):
            yield f"topic {topic.name}: its partitions are not 0..{len(numbers) - 1}"
        for partition in topic.partitions:
            for problem in _check_partition(partition, manifest):
                yield f"{topic.name}[{partition.partition}]: {problem}"
    if sum(topic.records for topic in manifest.topics) != manifest.totals.records:
        yield "the total of records is not the sum of the chunks'"


def _check_partition(partition: CapturedPartition, manifest: Manifest) -> Iterator[str]:
    spans = sorted([(c.start, c.stop) for c in partition.chunks] + [(g.start, g.stop) for g in partition.gaps])
    edges = [(partition.start, partition.start), *spans, (partition.end, partition.end)]
    if any(left[1] != right[0] for left, right in pairwise(edges)) or any(start >= stop for start, stop in spans):
        yield f"chunks and gaps do not tile [{partition.start}, {partition.end})"
    for chunk in partition.chunks:
        yield from check_chunk(chunk, manifest.pack_sizes)


def check_chunk(chunk: Chunk, pack_sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield every way in which a chunk reference contradicts itself or its pack."""
    stored = chunk.stored
    if chunk.offset + stored.stored_bytes > pack_sizes[chunk.pack]:
        yield f"chunk {stored.id} lies outside its pack"
    if stored.encoding is not ChunkEncoding.NONE:
        return
    if stored.key is not None:
        if stored.stored_bytes != stored.plain_bytes + OVERHEAD_BYTES:
            yield f"chunk {stored.id} is encrypted to another size"
    elif (stored.stored_sha256, stored.stored_bytes) != (stored.id, stored.plain_bytes):
        yield f"chunk {stored.id} is stored plain under another hash or size"


def _to_topic(topic: CapturedTopic, places: dict[str, int]) -> _Topic:
    return _Topic(
        name=topic.name, topic_id=topic.topic_id, replication_factor=topic.replication_factor,
        is_compacted=topic.is_compacted,
        partitions=tuple(
            _Partition(
                partition=p.partition, start=p.start, end=p.end, high_watermark=p.high_watermark,
                leader_epoch=p.leader_epoch,
                chunks=tuple(chunk_to_document(chunk, places) for chunk in p.chunks),
                gaps=tuple(_Gap(start=gap.start, stop=gap.stop, reason=gap.reason) for gap in p.gaps),
                left_out=p.left_out,
            )
            for p in topic.partitions
        ),
        key=topic.key,
    )  # fmt: skip


def chunk_to_document(chunk: Chunk, places: Mapping[str, int]) -> ChunkDocument:
    """Return a chunk reference; `places` says where in the list of packs each pack is."""
    stored, facts = chunk.stored, chunk.facts
    return ChunkDocument(
        id=stored.id, pack=places[chunk.pack], offset=chunk.offset, encoding=stored.encoding,
        plain_bytes=stored.plain_bytes, stored_bytes=stored.stored_bytes, stored_sha256=stored.stored_sha256,
        start=chunk.start, stop=chunk.stop, batches=facts.batches, records=facts.records, markers=facts.markers,
        rebuilds=facts.rebuilds, codecs=dict(facts.codecs), largest_batch_bytes=facts.largest_batch_bytes,
        min_base_timestamp_ms=facts.min_base_timestamp_ms, max_timestamp_ms=facts.max_timestamp_ms,
        aborted=chunk.aborted,
    )  # fmt: skip


def _from_document(document: _Manifest, packs: list[str]) -> Manifest:
    return Manifest(
        id=document.id, repository=document.repository, parent=document.parent, created_at=document.created_at,
        tool=document.tool, tags=document.tags, cluster=document.cluster, flow=document.flow,
        include=document.selection.include, exclude=document.selection.exclude, consistency=document.consistency,
        states=document.states, topics=tuple(_from_topic(topic, packs) for topic in document.topics),
        pack_sizes={pack.id: pack.size_bytes for pack in document.packs}, missing=document.missing,
        warnings=document.warnings, not_captured=tuple(map(_with_reason, document.not_captured)),
        totals=document.totals, encryption=document.encryption,
    )  # fmt: skip


def _with_reason(told: NotCaptured | str) -> NotCaptured:
    """A bare word is all that the first manifests of format 1 say."""
    return told if isinstance(told, NotCaptured) else NotCaptured(what=told, reason="not asked for")


def _from_topic(topic: _Topic, packs: list[str]) -> CapturedTopic:
    return CapturedTopic(
        name=topic.name, topic_id=topic.topic_id, replication_factor=topic.replication_factor,
        is_compacted=topic.is_compacted,
        partitions=tuple(
            CapturedPartition(
                partition=p.partition, start=p.start, end=p.end, high_watermark=p.high_watermark,
                leader_epoch=p.leader_epoch,
                chunks=tuple(chunk_from_document(chunk, packs, topic.key) for chunk in p.chunks),
                gaps=tuple(Gap(gap.start, gap.stop, gap.reason) for gap in p.gaps),
                left_out=p.left_out,
            )
            for p in topic.partitions
        ),
        key=topic.key,
    )  # fmt: skip


def chunk_from_document(chunk: ChunkDocument, packs: list[str], key: str | None) -> Chunk:
    """Return the chunk of a reference, encrypted under `key`."""
    return Chunk(
        start=chunk.start, stop=chunk.stop, pack=packs[chunk.pack], offset=chunk.offset, aborted=chunk.aborted,
        stored=StoredChunk(
            id=chunk.id, encoding=chunk.encoding, plain_bytes=chunk.plain_bytes, stored_bytes=chunk.stored_bytes,
            stored_sha256=chunk.stored_sha256, key=key,
        ),
        facts=ChunkFacts(
            batches=chunk.batches, records=chunk.records, markers=chunk.markers, rebuilds=chunk.rebuilds,
            codecs=chunk.codecs, largest_batch_bytes=chunk.largest_batch_bytes,
            min_base_timestamp_ms=chunk.min_base_timestamp_ms, max_timestamp_ms=chunk.max_timestamp_ms,
        ),
    )  # fmt: skip
