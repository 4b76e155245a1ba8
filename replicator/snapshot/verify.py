"""A snapshot proven against its manifest, as deep as asked. Bad and cannot-be-looked-at are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from math import ceil
from random import Random, SystemRandom

from replicator.clock import Clock
from replicator.errors import AccessDenied, DataCorrupt, NotFound, ReplicatorError, Unreachable
from replicator.model.archive.snapshots import (
    Chunk,
    ChunkCheck,
    ChunkFacts,
    ChunkStatus,
    Manifest,
    VerifyFinding,
    VerifyLevel,
    VerifyReport,
)
from replicator.model.names import SnapshotId, TopicPartition
from replicator.snapshot.facts import FactsBuilder, is_in_ranges, is_plain
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.repository import Repository
from replicator.wire.format.batches import Batch, BatchHeader, prove_batch, walk_batches, walk_headers
from replicator.wire.format.records import walk_records

WORKERS = 2
AHEAD = 2
"""Chunks in work per worker: bounds memory."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is looked at: how deep, with or without the key, and which chunks, by their place in the manifest."""

    repository: Repository
    manifest: Manifest
    level: VerifyLevel
    has_key: bool
    chosen: frozenset[int]
    shredded: frozenset[str]


def verify_snapshot(
    repository: Repository,
    snapshot_id: SnapshotId,
    *,
    level: VerifyLevel = VerifyLevel.BATCHES,
    clock: Clock,
    report: Report = say_nothing,
    sample_percent: float | None = None,
    random: Random | None = None,
) -> VerifyReport:
    """Return what is wrong with a snapshot, down to `level`; no findings means that it can be restored.

    A manifest that is not whole is a finding too: nothing below it can be looked at then. Of an encrypted
    snapshot everything down to the checksums is proven without a key; what lies below is then unchecked.
    With `sample_percent` so many of the chunks are read, others at the next time.
    Raises: NotFound for an unknown id; Unreachable and AccessDenied when the store itself cannot be asked.
    """
    begun = clock.monotonic()
    try:
        manifest, signed_by = repository.read_signed(snapshot_id)
    except DataCorrupt as exc:
        return _report_bad_manifest(snapshot_id, level, exc, clock.monotonic() - begun)
    has_key, findings = _look_for_key(repository, manifest, level)
    findings += _check_states(repository, manifest, has_key=has_key)
    bad_packs: set[str] = set()
    if level >= VerifyLevel.PRESENCE:
        findings += _check_keys(repository, manifest)
        found = list(_check_presence(manifest, repository.list_packs()))
        bad_packs = {finding.where for finding in found}
        findings += found
    if level >= VerifyLevel.CHECKSUM:
        findings += _check_indexes(repository, manifest, bad_packs)
    chosen = choose_sample(manifest, sample_percent, random or SystemRandom())
    shredded = repository.find_shredded(manifest)
    task = _Task(repository, manifest, level, has_key, chosen, frozenset(one.key for one in shredded.values()))
    checks, wrong, checked_bytes = _check_all(task, bad_packs, report)
    return VerifyReport(
        snapshot=snapshot_id,
        level=level,
        chunks=len(checks),
        chunks_ok=sum(check.status is ChunkStatus.OK for check in checks),
        checked_bytes=checked_bytes,
        seconds=clock.monotonic() - begun,
        findings=(*findings, *wrong),
        signed_by=signed_by,
        shredded_topics=tuple(shredded),
        checks=tuple(checks),
        sample_percent=sample_percent,
    )


def choose_sample(manifest: Manifest, percent: float | None, random: Random) -> frozenset[int]:
    """Return the places of the chunks to read: all, or so many of a hundred, at least one; any may be drawn."""
    places = range(len(manifest.chunks()))
    if percent is None or not places:
        return frozenset(places)
    return frozenset(random.sample(places, min(len(places), max(1, ceil(len(places) * percent / 100)))))


def _look_for_key(repository: Repository, manifest: Manifest, level: VerifyLevel) -> tuple[bool, list[VerifyFinding]]:
    """Return whether everything can be decrypted, and why not, where that leaves something unchecked."""
    if manifest.encryption is None:
        return True, []
    try:
        repository.vault.state_cipher(manifest.encryption)
    except AccessDenied as exc:
        is_needed = level >= VerifyLevel.BATCHES or repository.vault.is_unlock_given
        return False, [_finding(exc, what="key", where="keys")] if is_needed else []
    except (NotFound, DataCorrupt) as exc:
        return False, [_finding(exc, what="key", where="keys")]
    return True, []


def _finding(error: ReplicatorError, *, what: str, where: str) -> VerifyFinding:
    return VerifyFinding(status=_status_of(error), what=what, where=where, problem=error.message)


def _check_all(task: _Task, bad_packs: set[str], report: Report) -> tuple[list[ChunkCheck], list[VerifyFinding], int]:
    """Return a status for every chunk, what is wrong with those that were read, and how much was read."""
    chunks = task.manifest.chunks()
    checks, wrong, checked_bytes = [], [], 0
    with ThreadPoolExecutor(WORKERS, "snapshot-verify") as executor:
        if task.level >= VerifyLevel.CHECKSUM:
            results = _check_chunks(task, chunks, executor)
        else:
            results = iter([_without_reading(chunk, bad_packs) for _partition, chunk in chunks])
        for done, ((partition, chunk), (status, finding)) in enumerate(zip(chunks, results, strict=True), start=1):
            if finding is not None:
                wrong.append(finding)
            is_read = task.level >= VerifyLevel.CHECKSUM and status is not ChunkStatus.SKIPPED
            checked_bytes += chunk.stored.stored_bytes if is_read else 0
            checks.append(_describe(partition, chunk, status))
            report(Progress(stage=Stage.VERIFY, done=done, total=len(chunks), done_bytes=checked_bytes))
    return checks, wrong, checked_bytes


_Result = tuple[ChunkStatus, VerifyFinding | None]


def _without_reading(chunk: Chunk, bad_packs: set[str]) -> _Result:
    return (ChunkStatus.MISSING if chunk.pack in bad_packs else ChunkStatus.OK), None


def _describe(partition: TopicPartition, chunk: Chunk, status: ChunkStatus) -> ChunkCheck:
    return ChunkCheck(
        topic=partition.topic, partition=partition.partition, start=chunk.start, stop=chunk.stop,
        id=chunk.stored.id, pack=chunk.pack, status=status,
    )  # fmt: skip


def _report_bad_manifest(
    snapshot_id: SnapshotId, level: VerifyLevel, error: DataCorrupt, seconds: float
) -> VerifyReport:
    finding = VerifyFinding(
        status=ChunkStatus.CORRUPT, what="manifest", where=f"manifests/{snapshot_id}", problem=error.message
    )
    return VerifyReport(
        snapshot=snapshot_id, level=level, chunks=0, chunks_ok=0, checked_bytes=0, seconds=seconds, findings=(finding,)
    )


def _check_states(repository: Repository, manifest: Manifest, *, has_key: bool) -> Iterator[VerifyFinding]:
    for kind, digest in manifest.states.items():
        try:
            if has_key:
                repository.read_state(manifest, kind)
            else:
                repository.prove_state(manifest, kind)
        except ReplicatorError as exc:
            yield _finding(exc, what="state", where=f"states/{digest}")


def _check_keys(repository: Repository, manifest: Manifest) -> Iterator[VerifyFinding]:
    """A topic's key that is neither there nor shredded is a loss, and seen without any other key."""
    for topic in manifest.topics:
        if topic.key is not None:
            try:
                repository.vault.check_present(topic.key)
            except NotFound as exc:
                yield _finding(exc, what="key", where=f"topic {topic.name}")


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
            repository.read_pack_index(pack, size_bytes)
        except (DataCorrupt, NotFound) as exc:
            yield VerifyFinding(status=_status_of(exc), what="pack index", where=pack, problem=exc.message)


def _check_chunks(task: _Task, chunks: list[tuple[TopicPartition, Chunk]], executor: Executor) -> Iterator[_Result]:
    """Check every chosen chunk, a few at a time, in order. The executor may be a local pool or somebody else's."""
    waiting = iter(enumerate(chunks))
    running: list[Future[_Result] | None] = []
    while True:
        for place, (partition, chunk) in islice(waiting, WORKERS * AHEAD - len(running)):
            is_chosen = place in task.chosen
            running.append(executor.submit(_check_chunk, task, partition, chunk) if is_chosen else None)
        if not running:
            return
        future = running.pop(0)
        yield (ChunkStatus.SKIPPED, None) if future is None else future.result()


def _check_chunk(task: _Task, partition: TopicPartition, chunk: Chunk) -> _Result:
    key = chunk.stored.key
    is_shredded = key in task.shredded
    is_open = key is None or (task.has_key and not is_shredded)
    finding = check_chunk(task.repository, partition, chunk, task.level, is_open=is_open)
    if finding is not None:
        return finding.status, finding
    if is_shredded:
        return ChunkStatus.SHREDDED, None
    return (ChunkStatus.OK if is_open or task.level < VerifyLevel.BATCHES else ChunkStatus.UNCHECKED), None


def check_chunk(
    repository: Repository, partition: TopicPartition, chunk: Chunk, level: VerifyLevel, *, is_open: bool = True
) -> VerifyFinding | None:
    """Return what is wrong with one chunk, None when nothing is. One that is not open is proven by its checksum."""
    where = f"{partition} [{chunk.start}, {chunk.stop})"
    try:
        if not is_open:
            repository.prove_chunk(chunk)
            return None
        data = repository.read_chunk(chunk)
        if level >= VerifyLevel.BATCHES:
            _check_batches(data, chunk, where)
        if level >= VerifyLevel.RECORDS:
            _check_records(data, where)
    except ReplicatorError as exc:
        return _finding(exc, what="chunk", where=where)
    return None


def _check_batches(data: memoryview, chunk: Chunk, where: str) -> None:
    seen = examine_chunk(data, chunk, where=where)
    if seen != chunk.facts:
        raise DataCorrupt(f"{where}: its batches are not those the manifest counted", detail=f"{seen} != {chunk.facts}")


def _check_records(data: memoryview, where: str) -> None:
    """Decode every record, aborted ones too: a batch may match its CRC and still have been written wrong."""
    for batch in walk_batches(data):
        header = batch.header
        last = header.base_offset - 1
        for record in walk_records(batch):
            if record.offset <= last:
                raise DataCorrupt(f"{where}: the offsets of the batch at {header.base_offset} do not rise")
            if record.timestamp_ms > header.max_timestamp:
                raise DataCorrupt(
                    f"{where}: a record of the batch at {header.base_offset} is later than its header says"
                )
            last = record.offset
        if last >= header.next_offset:
            raise DataCorrupt(f"{where}: the batch at {header.base_offset} holds a record beyond its end")


def examine_chunk(data: memoryview, chunk: Chunk, *, where: str) -> ChunkFacts:
    """Return what a chunk's batches amount to, each proven by its CRC. Raises: DataCorrupt."""
    facts = FactsBuilder(start=chunk.start, stop=chunk.stop)
    walked = 0
    plain: list[BatchHeader] = []
    for at, header in walk_headers(data):
        prove_batch(header, data, at=at, where=where)
        walked = at + header.size_bytes
        if is_plain(header, start=chunk.start, stop=chunk.stop):
            plain.append(header)
        else:
            facts.add(Batch(header, data[at:walked]), is_aborted=is_in_ranges(header, chunk.aborted))
    facts.add_plain(plain)
    if walked != len(data):
        raise DataCorrupt(f"{where}: {len(data) - walked} bytes after the last whole batch")
    return facts.build()


def _status_of(error: ReplicatorError) -> ChunkStatus:
    if isinstance(error, NotFound):
        return ChunkStatus.MISSING
    if isinstance(error, (Unreachable, AccessDenied)):
        return ChunkStatus.UNCHECKED
    return ChunkStatus.CORRUPT
