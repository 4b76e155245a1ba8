"""A snapshot's records as files: one JSON object a line, or segments that Kafka's own dump tool reads.

Raw segments hold the batches as the broker kept them, aborted ones and markers too. JSON lines hold what a
consumer of committed records would see. A file is whole or absent: written beside its place, synced, then named.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from replicator.errors import DataCorrupt, OperationFailed, PreflightBlocked
from replicator.model.archive.snapshots import CapturedPartition, Chunk, Manifest
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.reading import visible_records
from replicator.snapshot.repository import Repository
from replicator.snapshot.verify import examine_chunk
from replicator.wire.format.records import RawRecord


class ExportFormat(StrEnum):
    """How records are written out."""

    JSONL = "jsonl"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One file. `records` are the visible ones in it."""

    partition: TopicPartition
    path: Path
    records: int
    size_bytes: int


def export_snapshot(
    repository: Repository,
    manifest: Manifest,
    folder: Path,
    *,
    kind: ExportFormat,
    topics: Selection,
    report: Report = say_nothing,
) -> tuple[Exported, ...]:
    """The selected partitions that hold anything stand as files below `folder`; every chunk was proven first.

    JSON lines: `TOPIC-PARTITION.jsonl`. Raw: `TOPIC-PARTITION/OFFSET.log`, 20 digits, as in a broker's folder.
    Raises: PreflightBlocked when a file is there already; NotFound and DataCorrupt for the snapshot;
        OperationFailed when the folder cannot be written.
    """
    chosen = [topic for topic in manifest.topics if topics.matches(topic.name)]
    wanted = [(TopicPartition(t.name, p.partition), p) for t in chosen for p in t.partitions if p.chunks]
    paths = {tp: _path(folder, tp, partition, kind) for tp, partition in wanted}
    for path in paths.values():
        if path.exists():
            raise PreflightBlocked(f"{path} exists already", hint="name an empty folder with --to")
    done = []
    for number, (tp, partition) in enumerate(wanted):
        report(Progress(stage=Stage.EXPORT, done=number, total=len(wanted)))
        pieces = (_piece(repository, tp, chunk, kind) for chunk in partition.chunks)
        done.append(_write(tp, paths[tp], pieces))
    return tuple(done)


def _path(folder: Path, tp: TopicPartition, partition: CapturedPartition, kind: ExportFormat) -> Path:
    name = f"{tp.topic}-{tp.partition}"
    if kind is ExportFormat.JSONL:
        return folder / f"{name}.jsonl"
    return folder / name / f"{partition.chunks[0].start:020}.log"


Piece = tuple[bytes | memoryview, int]
"""Bytes of a file, and how many visible records they hold."""


def _piece(repository: Repository, tp: TopicPartition, chunk: Chunk, kind: ExportFormat) -> Piece:
    """Return what a chunk adds to its file, and how many visible records that is."""
    data = repository.read_chunk(chunk)
    if kind is ExportFormat.RAW:
        _expect(examine_chunk(data, chunk, where=str(tp)).records, tp, chunk)
        return data, chunk.facts.records
    lines = [json.dumps(_plain(tp.topic, tp.partition, r), ensure_ascii=False) for r in visible_records(data, chunk)]
    _expect(len(lines), tp, chunk)
    return "".join(f"{line}\n" for line in lines).encode(), len(lines)


def _expect(records: int, tp: TopicPartition, chunk: Chunk) -> None:
    """Return if a chunk held what the manifest counted: one of other offsets would leave records out silently."""
    if records != chunk.facts.records:
        raise DataCorrupt(
            f"{tp}: chunk {chunk.stored.id} held {records} records, the manifest counted {chunk.facts.records}"
        )


def _plain(topic: TopicName, partition: int, record: RawRecord) -> dict[str, object]:
    headers = [{"name": _readable(name), **_content("value", value)} for name, value in record.headers]
    return {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        **_content("key", record.key),
        **_content("value", record.value),
        "headers": headers,
    }


def _readable(name: str) -> str:
    """Return a header's name as text; bytes that are none show as replacement marks."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _content(name: str, content: bytes | None) -> dict[str, str | None]:
    """Return text as text; bytes that are none under `<name>_base64`; null stays apart from empty."""
    if content is None:
        return {name: None}
    try:
        return {name: content.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode("ascii")}


def _write(tp: TopicPartition, path: Path, pieces: Iterable[Piece]) -> Exported:
    temporary = path.with_name(f".{path.name}.part")
    records = size_bytes = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for content, count in pieces:
                size_bytes += file.write(content)
                records += count
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as exc:
        raise OperationFailed(f"{path}: {exc.strerror or exc}", hint="name another folder with --to") from exc
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(partition=tp, path=path, records=records, size_bytes=size_bytes)
