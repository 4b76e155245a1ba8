"""Notes of an unfinished capture: which chunks it had stored, and where (FORMAT.md, Notes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field, ValidationError

from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import Chunk
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.repository.manifest import (
    MAX_PARTITIONS,
    TOPIC_NAME,
    ChunkDocument,
    Document,
    KeyId,
    PackDocument,
    check_chunk,
    chunk_from_document,
    chunk_to_document,
)

UNFINISHED = "unfinished"
"""The kind of a note, and the folder notes are in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedChunk:
    """A chunk that was stored before its snapshot was, and whose it is."""

    partition: TopicPartition
    topic_id: str
    is_compacted: bool
    leader_epoch: int
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What one capture of one cluster had stored by then. `pack_sizes` are of the packs that its chunks name."""

    cluster_id: str
    cut_at: datetime
    pack_sizes: Mapping[str, int]
    chunks: Sequence[NotedChunk]


class _NotedChunk(ChunkDocument):
    topic: TopicName = Field(min_length=1, max_length=249, pattern=TOPIC_NAME)
    topic_id: str = Field(min_length=1, max_length=64)
    is_compacted: bool
    partition: Annotated[int, Field(ge=0, lt=MAX_PARTITIONS)]
    leader_epoch: Annotated[int, Field(ge=-1)]
    key: KeyId | None


class _Note(Document):
    cluster: str = Field(min_length=1, max_length=64)
    cut_at: datetime
    packs: tuple[PackDocument, ...]
    chunks: tuple[_NotedChunk, ...]


def write_note(note: Note) -> bytes:
    """Return the note as JSON, the payload of its sealed document."""
    places = {pack: index for index, pack in enumerate(sorted(note.pack_sizes))}
    document = _Note(
        cluster=note.cluster_id,
        cut_at=note.cut_at,
        packs=tuple(PackDocument(id=pack, size_bytes=note.pack_sizes[pack]) for pack in places),
        chunks=tuple(_to_document(noted, places) for noted in note.chunks),
    )
    return document.model_dump_json(by_alias=True).encode()


def _to_document(noted: NotedChunk, places: Mapping[str, int]) -> _NotedChunk:
    return _NotedChunk(
        **chunk_to_document(noted.chunk, places).model_dump(),
        topic=noted.partition.topic,
        topic_id=noted.topic_id,
        is_compacted=noted.is_compacted,
        partition=noted.partition.partition,
        leader_epoch=noted.leader_epoch,
        key=noted.chunk.stored.key,
    )


def read_note(payload: bytes, *, where: str) -> Note:
    """Return the note of a payload whose seal was proven. Raises: DataCorrupt when it is none or contradicts itself."""
    try:
        document = _Note.model_validate_json(payload)
    except ValidationError as exc:
        raise DataCorrupt(f"{where}: is no note of an unfinished capture", detail=str(exc)[:2000]) from exc
    packs = [pack.id for pack in document.packs]
    if any(chunk.pack >= len(packs) or chunk.start >= chunk.stop for chunk in document.chunks):
        raise DataCorrupt(f"{where}: a chunk names a pack that is not listed, or covers nothing")
    sizes = {pack.id: pack.size_bytes for pack in document.packs}
    chunks = tuple(_from_document(chunk, packs) for chunk in document.chunks)
    if problems := [problem for noted in chunks for problem in check_chunk(noted.chunk, sizes)]:
        raise DataCorrupt(f"{where}: {problems[0]}", detail="\n".join(problems[:50]))
    return Note(cluster_id=document.cluster, cut_at=document.cut_at, pack_sizes=sizes, chunks=chunks)


def _from_document(chunk: _NotedChunk, packs: list[str]) -> NotedChunk:
    return NotedChunk(
        partition=TopicPartition(chunk.topic, chunk.partition),
        topic_id=chunk.topic_id,
        is_compacted=chunk.is_compacted,
        leader_epoch=chunk.leader_epoch,
        chunk=chunk_from_document(chunk, packs, chunk.key),
    )
