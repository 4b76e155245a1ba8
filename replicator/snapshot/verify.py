"""A snapshot proven against its manifest, as deep as asked. Bad and cannot-be-looked-at are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice

from replicator.clock import Clock
from replicator.errors import AccessDenied, DataCorrupt, NotFound, ReplicatorError, Unreachable
from replicator.model.archive.snapshots import (
    Chunk,
    ChunkFacts,
    ChunkStatus,
    Manifest,
    VerifyFinding,
    VerifyLevel,
    VerifyReport,
)
from replicator.model.names import SnapshotId, TopicPartition
from replicator.snapshot.facts import FactsBuilder, is_in_ranges
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.repository import Repository
from replicator.wire.format.batches import prove_batch, walk_batches
from replicator.wire.format.records import decode_records

WORKERS = 2
AHEAD = 2
"""Chunks in work per worker: bounds memory."""


def verify_snapshot(
    repository: Repository,
    snapshot_id: SnapshotId,
    *,
    level: VerifyLevel = VerifyLevel.BATCHES,
    clock: Clock,
    report: Report = say_nothing,
) -> VerifyReport:
    """Return what is wrong with a snapshot, down to `level`; no findings means that it can be restored.

    A manifest that is not whole is a finding too: nothing below it can be looked at then.
    Raises: NotFound for an unknown id; Unreachable and AccessDenied when the store itself cannot be asked.
    """
    begun = clock.monotonic()
    try:
        manifest, signed_by = repository.read_signed(snapshot_id)
    except DataCorrupt as exc:
        return _report_bad_manifest(snapshot_id, level, exc, clock.monotonic() - begun)
    findings = list(_check_states(repository, manifest))
    presence = repository.list_packs() if level >= VerifyLevel.PRESENCE else None
    bad_packs: set[str] = set()
    if presence is not None:
        findings += _check_presence(manifest, presence)
        bad_packs = {finding.where for finding in findings if finding.what == "pack"}
    if level >= VerifyLevel.CHECKSUM:
        findings += _check_indexes(repository, manifest, bad_packs)
    chunks = manifest.chunks()
    bad, checked_bytes = (0, 0)
    if level >= VerifyLevel.CHECKSUM:
        with ThreadPoolExecutor(WORKERS, "snapshot-verify") as executor:
            for done, (chunk, finding) in enumerate(_check_chunks(repository, chunks, level, executor), start=1):
                findings += [finding] if finding else []
                bad += finding is not None
                checked_bytes += chunk.stored.stored_bytes
                report(Progress(stage=Stage.VERIFY, done=done, total=len(chunks), done_bytes=checked_bytes))
    else:
        bad = sum(chunk.pack in bad_packs for _partition, chunk in chunks)
    return VerifyReport(
        snapshot=snapshot_id,
        level=level,
        chunks=len(chunks),
        chunks_ok=len(chunks) - bad,
        checked_bytes=checked_bytes,
        seconds=clock.monotonic() - begun,
        findings=tuple(findings),
        signed_by=signed_by,
    )


def _report_bad_manifest(
    snapshot_id: SnapshotId, level: VerifyLevel, error: DataCorrupt, seconds: float
) -> VerifyReport:
    finding = VerifyFinding(
        status=ChunkStatus.CORRUPT, what="manifest", where=f"manifests/{snapshot_id}", problem=error.message
    )
    return VerifyReport(
        snapshot=snapshot_id, level=level, chunks=0, chunks_ok=0, checked_bytes=0, seconds=seconds, findings=(finding,)
    )


def _check_states(repository: Repository, manifest: Manifest) -> Iterator[VerifyFinding]:
    for kind, digest in manifest.states.items():
        try:
            repository.read_state(manifest, kind)
        except ReplicatorError as exc:
            yield VerifyFinding(status=_status_of(exc), what="state", where=f"states/{digest}", problem=exc.message)


def _check_presence(manifest: Manifest, packs: Mapping[str, int]) -> Iterator[VerifyFinding]:
    for pack, size_bytes in manifest.pack_sizes.items():
        seen = packs.get(pack)
        if seen is None:
            yield VerifyFinding(status=ChunkStatus.MISSING, what="pack", where=pack, problem=f"pack {pack} is missing")
        elif seen != size_bytes:
            problem = f"pack {pack} is {seen} bytes long, {size_bytes} were written"
            yield VerifyFinding(status=ChunkStatus.CORRUPT, what="pack", where=pack, problem=problem)


def _check_indexes(repository: Repository, manifest: Manifest, skip: set[str]) -> Iterator[VerifyFinding]:
    """A pack's index and trailer are not needed to restore; wrong ones still mean that bytes went bad."""
    for pack, size_bytes in manifest.pack_sizes.items():
        if pack in skip:
            continue
        try:
            repository.check_pack_index(pack, size_bytes)
        except (DataCorrupt, NotFound) as exc:
            yield VerifyFinding(status=_status_of(exc), what="pack index", where=pack, problem=exc.message)


def _check_chunks(
    repository: Repository, chunks: list[tuple[TopicPartition, Chunk]], level: VerifyLevel, executor: Executor
) -> Iterator[tuple[Chunk, VerifyFinding | None]]:
    """Check every chunk, a few at a time, in order. The executor may be a local pool or somebody else's."""
    waiting = iter(chunks)
    running: list[tuple[Chunk, Future[VerifyFinding | None]]] = []
    while True:
        for partition, chunk in islice(waiting, WORKERS * AHEAD - len(running)):
            running.append((chunk, executor.submit(check_chunk, repository, partition, chunk, level)))
        if not running:
            return
        chunk, future = running.pop(0)
        yield chunk, future.result()


def check_chunk(
    repository: Repository, partition: TopicPartition, chunk: Chunk, level: VerifyLevel
) -> VerifyFinding | None:
    """Return what is wrong with one chunk, None when nothing is."""
    where = f"{partition} [{chunk.start}, {chunk.stop})"
    try:
        data = repository.read_chunk(chunk)
        if level >= VerifyLevel.BATCHES:
            _check_batches(data, chunk, where)
        if level >= VerifyLevel.RECORDS:
            _check_records(data, where)
    except ReplicatorError as exc:
        return VerifyFinding(status=_status_of(exc), what="chunk", where=where, problem=exc.message)
    return None


def _check_batches(data: memoryview, chunk: Chunk, where: str) -> None:
    seen = examine_chunk(data, chunk, where=where)
    if seen != chunk.facts:
        raise DataCorrupt(f"{where}: its batches are not those the manifest counted", detail=f"{seen} != {chunk.facts}")


def _check_records(data: memoryview, where: str) -> None:
    """Decode every record, aborted ones too: a batch may match its CRC and still have been written wrong."""
    for batch in walk_batches(data):
        header = batch.header
        offsets = [record.offset for record in decode_records(batch)]
        if sorted(set(offsets)) != offsets or (offsets and not header.base_offset <= offsets[0]):
            raise DataCorrupt(f"{where}: the offsets of the batch at {header.base_offset} do not rise")
        if offsets and offsets[-1] >= header.next_offset:
            raise DataCorrupt(f"{where}: the batch at {header.base_offset} holds a record beyond its end")


def examine_chunk(data: memoryview, chunk: Chunk, *, where: str) -> ChunkFacts:
    """Return what a chunk's batches amount to, each proven by its CRC. Raises: DataCorrupt."""
    facts = FactsBuilder(start=chunk.start, stop=chunk.stop)
    walked = 0
    for batch in walk_batches(data):
        prove_batch(batch.header, batch.data, where=where)
        facts.add(batch, is_aborted=is_in_ranges(batch.header, chunk.aborted))
        walked += batch.header.size_bytes
    if walked != len(data):
        raise DataCorrupt(f"{where}: {len(data) - walked} bytes after the last whole batch")
    return facts.build()


def _status_of(error: ReplicatorError) -> ChunkStatus:
    if isinstance(error, NotFound):
        return ChunkStatus.MISSING
    if isinstance(error, (Unreachable, AccessDenied)):
        return ChunkStatus.UNCHECKED
    return ChunkStatus.CORRUPT
