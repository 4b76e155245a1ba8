"""A snapshot's records as files: one JSON object a line, Parquet, or segments that Kafka's own dump tool reads.

Raw segments hold the batches as the broker kept them, aborted ones and markers too. JSON lines and Parquet hold what
a consumer of committed records would see. A file is whole or absent: written beside its place, synced, then named.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO

from replicator.errors import DataCorrupt, OperationFailed, PreflightBlocked
from replicator.model.archive.snapshots import CapturedPartition, Chunk, Manifest
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.outward.parquet import load_pyarrow, readable, write_parquet
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.reading import visible_records, visible_timed
from replicator.snapshot.repository import Repository
from replicator.snapshot.verify import examine_chunk
from replicator.wire.format.records import RawRecord


class ExportFormat(StrEnum):
    """How records are written out."""

    JSONL = "jsonl"
    PARQUET = "parquet"
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

    JSON lines: `TOPIC-PARTITION.jsonl`. Parquet: `TOPIC-PARTITION.parquet`.
    Raw: `TOPIC-PARTITION/OFFSET.log`, 20 digits, as in a broker's folder.
    Raises: PreflightBlocked when a file is there already; NotFound and DataCorrupt for the snapshot;
        OperationFailed when the folder cannot be written; ConfigInvalid for Parquet without its extra.
    """
    if kind is ExportFormat.PARQUET:
        load_pyarrow()
    chosen = [topic for topic in manifest.topics if topics.matches(topic.name)]
    wanted = [(TopicPartition(t.name, p.partition), p) for t in chosen for p in t.partitions if p.chunks]
    paths = {tp: _path(folder, tp, partition, kind) for tp, partition in wanted}
    for path in paths.values():
        if path.exists():
            raise PreflightBlocked(f"{path} exists already", hint="name an empty folder with --to")
    done = []
    for number, (tp, partition) in enumerate(wanted):
        report(Progress(stage=Stage.EXPORT, done=number, total=len(wanted)))
        fill = partial(_fill, repository=repository, tp=tp, chunks=partition.chunks, kind=kind)
        done.append(_write(tp, paths[tp], fill))
    return tuple(done)


def _path(folder: Path, tp: TopicPartition, partition: CapturedPartition, kind: ExportFormat) -> Path:
    name = f"{tp.topic}-{tp.partition}"
    if kind is not ExportFormat.RAW:
        return folder / f"{name}.{kind.value}"
    return folder / name / f"{partition.chunks[0].start:020}.log"


def _fill(
    file: IO[bytes], *, repository: Repository, tp: TopicPartition, chunks: Sequence[Chunk], kind: ExportFormat
) -> int:
    """A partition's records stand in the file; return how many visible ones."""
    if kind is ExportFormat.PARQUET:
        return write_parquet(file, _rows(repository, tp, chunks), topic=tp.topic, partition=tp.partition)
    records = 0
    for chunk in chunks:
        content, count = _piece(repository, tp, chunk, kind)
        file.write(content)
        records += count
    return records


def _rows(repository: Repository, tp: TopicPartition, chunks: Sequence[Chunk]) -> Iterator[tuple[RawRecord, bool]]:
    for chunk in chunks:
        count = 0
        for row in visible_timed(repository.read_chunk(chunk), chunk):
            count += 1
            yield row
        _expect(count, tp, chunk)


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
    headers = [{"name": readable(name), **_content("value", value)} for name, value in record.headers]
    return {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        **_content("key", record.key),
        **_content("value", record.value),
        "headers": headers,
    }


def _content(name: str, content: bytes | None) -> dict[str, str | None]:
    """Return text as text; bytes that are none under `<name>_base64`; null stays apart from empty."""
    if content is None:
        return {name: None}
    try:
        return {name: content.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode("ascii")}


def _write(tp: TopicPartition, path: Path, fill: Callable[[IO[bytes]], int]) -> Exported:
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            records = fill(file)
            file.flush()
            size_bytes = file.tell()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as exc:
        raise OperationFailed(f"{path}: {exc.strerror or exc}", hint="name another folder with --to") from exc
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(partition=tp, path=path, records=records, size_bytes=size_bytes)
