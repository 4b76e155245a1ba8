"""A capture that was killed is gone on from: notes of what is durable, written as it becomes so, and found again.

A note is put after the packs it names. It is a help and no truth: what it says is believed only where the pack's own
index says the same, for the topic, the key and the cut of today.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from replicator.errors import DataCorrupt, NotFound, PreflightBlocked
from replicator.log import get_logger
from replicator.model.archive.snapshots import Chunk, Manifest
from replicator.model.names import TopicPartition
from replicator.snapshot.capture.increments import (
    PartitionPlan,
    delete_retention_of,
    go_on_from,
    may_lack_tombstones,
)
from replicator.snapshot.capture.packing import Stored
from replicator.snapshot.capture.survey import Survey, is_compacted
from replicator.snapshot.repository import Repository
from replicator.snapshot.repository.notes import UNFINISHED, Note, NotedChunk, read_note, write_note

READERS = 8
"""Notes and pack indexes read side by side: from a bucket each takes a round trip."""


class NoteTaker:
    """Notes what a capture has stored. Not noted is what may not be part of the next capture: chunks that reach into
    transactions which this one leaves out."""

    def __init__(
        self,
        repository: Repository,
        survey: Survey,
        plans: Sequence[PartitionPlan],
        pack_sizes: Mapping[str, int],
    ) -> None:
        self.keys: list[str] = []
        self._repository = repository
        self._survey = survey
        self._undecided = {plan.partition: min((low for _, low, _ in plan.left_out), default=None) for plan in plans}
        self._pack_sizes = pack_sizes
        self._name = secrets.token_hex(8)

    def take(self, stored: Sequence[Stored], pack_sizes: Mapping[str, int]) -> None:
        """Chunks that are durable are noted. Called from one thread. Raises: the store's errors."""
        chunks = [self._describe(one) for one in stored if self._is_decided(one)]
        if not chunks:
            return
        known = {**self._pack_sizes, **pack_sizes}
        note = Note(
            cluster_id=self._survey.identity.cluster_id,
            cut_at=self._survey.cut.at,
            pack_sizes={one.chunk.pack: known[one.chunk.pack] for one in chunks},
            chunks=chunks,
        )
        name = f"{self._name}-{len(self.keys)}"
        data = self._repository.seal(UNFINISHED, write_note(note), subject=name)
        key = f"{UNFINISHED}/{name}"
        self.keys.append(key)
        self._repository.store.put(key, [data], is_create_only=True)

    def _is_decided(self, one: Stored) -> bool:
        undecided = self._undecided[one.raw.partition]
        return undecided is None or one.raw.stop <= undecided

    def _describe(self, one: Stored) -> NotedChunk:
        raw, place, topic = one.raw, one.place, one.raw.partition.topic
        return NotedChunk(
            partition=raw.partition,
            topic_id=self._survey.topics[topic].topic_id,
            is_compacted=is_compacted(self._survey.settings[topic]),
            leader_epoch=raw.leader_epoch,
            chunk=Chunk(
                start=raw.start, stop=raw.stop, stored=place.stored, pack=place.pack, offset=place.offset,
                facts=raw.facts, aborted=raw.aborted,
            ),
        )  # fmt: skip


@dataclass(slots=True)
class Unfinished:
    """What captures that were killed, or are at work beside us, had stored of the topics that are captured now."""

    repository: Repository
    by_partition: dict[TopicPartition, list[NotedChunk]] = field(default_factory=lambda: defaultdict(list))
    pack_sizes: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def shorten(self, plans: Sequence[PartitionPlan]) -> list[PartitionPlan]:
        """Return the plans less what need not be read again."""
        shorter = [go_on_from(plan, self.by_partition.get(plan.partition, ())) for plan in plans]
        used = sum(len(new.kept_chunks) - len(old.kept_chunks) for old, new in zip(plans, shorter, strict=True))
        if used:
            get_logger().info("capture_went_on", repository=self.repository.url, chunks=used)
        return shorter

    def forget(self, manifest: Manifest, *, own: Iterable[str]) -> None:
        """Our notes are gone, and those of others about nothing that the published manifest does not cover.

        Raises: the store's errors.
        """
        ends = {(topic.topic_id, p.partition): p.end for topic in manifest.topics for p in topic.partitions}
        covered = [
            key
            for key, note in self.notes.items()
            if all(one.chunk.stop <= ends.get((one.topic_id, one.partition.partition), -1) for one in note.chunks)
        ]
        self.repository.store.delete([*own, *covered])


def find_unfinished(repository: Repository, survey: Survey) -> Unfinished:
    """Return what earlier notes say of the topics of the survey, as far as the packs' own indexes bear it out.

    A note that is not whole, or not signed as configured, is a warning and no more.
    Raises: the store's errors.
    """
    found = Unfinished(repository)
    keys = sorted(entry.key for entry in repository.store.list(UNFINISHED))
    if not keys:
        return found
    packs = repository.list_packs()
    with ThreadPoolExecutor(READERS, "snapshot-notes") as executor:
        for key, note in zip(keys, executor.map(lambda key: _read(repository, key), keys), strict=True):
            if isinstance(note, str):
                found.warnings.append(note)
            elif note is not None and note.cluster_id == survey.identity.cluster_id:
                found.notes[key] = note
        usable = [one for note in found.notes.values() for one in _usable(repository, survey, note)]
        wanted = {one.chunk.pack for one in usable if one.chunk.pack in packs}
        indexes = executor.map(lambda pack: (pack, _read_index(repository, pack, packs[pack])), sorted(wanted))
        there = {(pack, offset, stored) for pack, index in indexes for offset, stored in index}
    for one in usable:
        chunk = one.chunk
        if (chunk.pack, chunk.offset, chunk.stored) in there:
            found.by_partition[one.partition].append(one)
            found.pack_sizes[chunk.pack] = packs[chunk.pack]
    return found


def _read(repository: Repository, key: str) -> Note | str | None:
    """Return the note, why it is not used, or None when whoever wrote it has just finished."""
    try:
        payload = repository.unseal(UNFINISHED, repository.store.get(key), subject=key.rpartition("/")[2], where=key)
        return read_note(payload, where=key)
    except NotFound:
        return None
    except (DataCorrupt, PreflightBlocked) as exc:
        return f"not gone on from: {exc.message}"


def _read_index(repository: Repository, pack: str, size_bytes: int) -> list[tuple[int, object]]:
    """Return what a pack holds by its own index; nothing when it has none that is whole."""
    try:
        return [*repository.read_pack_index(pack, size_bytes)]
    except (DataCorrupt, NotFound):
        return []


def _usable(repository: Repository, survey: Survey, note: Note) -> list[NotedChunk]:
    """The chunks of topics that are captured now, the same ones, under their keys of today, tombstones and all."""
    return [one for one in note.chunks if _is_usable(repository, survey, note, one)]


def _is_usable(repository: Repository, survey: Survey, note: Note, one: NotedChunk) -> bool:
    name = one.partition.topic
    topic = survey.topics.get(name)
    if topic is None or topic.topic_id != one.topic_id or one.chunk.stored.key != repository.vault.topic_key(name):
        return False
    settings = survey.settings[name]
    if not (one.is_compacted or is_compacted(settings)):
        return True
    retention = delete_retention_of(settings)
    return not may_lack_tombstones(note.cut_at, now=survey.cut.at, delete_retention=retention)
