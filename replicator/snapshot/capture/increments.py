"""What an incremental snapshot keeps of the last one and what it must read. Pure (FORMAT.md, Reuse)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from replicator.model.archive.snapshots import CapturedPartition, CapturedTopic, Chunk, Gap
from replicator.model.names import SnapshotId, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot.facts import AbortedRange
from replicator.snapshot.repository.notes import NotedChunk
from replicator.wire.reading import Span

SMALL_TAIL_BYTES = 256 * 1024
DEFAULT_DELETE_RETENTION = timedelta(hours=24)
TOMBSTONE_MARGIN = 0.5
"""Read anew after half the tombstones' life: the reading itself takes time too."""


@dataclass(frozen=True, slots=True)
class Base:
    """One topic as the newest snapshot that holds it captured it."""

    snapshot_id: SnapshotId
    cut_at: datetime
    topic: CapturedTopic
    pack_sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionPlan:
    """One partition's share of a snapshot: what is kept, what is read, and where a re-reading cuts its chunks.

    `left_out` are batches that are read, and are no part of the snapshot.
    """

    partition: TopicPartition
    start: int
    end: int
    high_watermark: int
    leader_epoch: int = -1
    kept_chunks: tuple[Chunk, ...] = ()
    kept_gaps: tuple[Gap, ...] = ()
    spans: tuple[Span, ...] = ()
    cuts: tuple[int, ...] = ()
    left_out: tuple[AbortedRange, ...] = ()


def must_read_fully(
    *, base: Base, now: datetime, is_compacted: bool, delete_retention: timedelta = DEFAULT_DELETE_RETENTION
) -> bool:
    """Whether tombstones may have come and gone since the base: a key deleted in between would rise again."""
    is_compacted = is_compacted or base.topic.is_compacted
    return is_compacted and may_lack_tombstones(base.cut_at, now=now, delete_retention=delete_retention)


def may_lack_tombstones(read_at: datetime, *, now: datetime, delete_retention: timedelta) -> bool:
    """Whether of a compacted topic, read at or after a time, tombstones may have gone since."""
    return now - read_at > delete_retention * TOMBSTONE_MARGIN


def delete_retention_of(configs: Mapping[str, str]) -> timedelta:
    """Return how long a topic keeps tombstones, from its settings."""
    value = configs.get("delete.retention.ms", "")
    return timedelta(milliseconds=int(value)) if value.isdigit() else DEFAULT_DELETE_RETENTION


def plan_partition(
    partition: TopicPartition, ends: PartitionEnds, *, base: CapturedPartition | None, is_full: bool
) -> PartitionPlan:
    """Return the plan of one partition whose cut is `ends.last_stable`.

    A base whose end lies above the cut proves a log that became shorter: nothing of it is trusted.
    """
    start, end = ends.log_start, max(ends.log_start, ends.last_stable)
    whole = (Span(partition, start, end),) if start < end else ()
    if base is None or base.end > end:
        return PartitionPlan(partition=partition, start=start, end=end, high_watermark=ends.end, spans=whole)
    if is_full:
        return PartitionPlan(
            partition=partition, start=start, end=end, high_watermark=ends.end, spans=whole, cuts=_cuts(base)
        )
    kept = _keep_chunks(base, start, end)
    gaps = tuple(Gap(max(g.start, start), g.stop, g.reason) for g in base.gaps if g.stop > start)
    return PartitionPlan(
        partition=partition, start=start, end=end, high_watermark=ends.end, leader_epoch=base.leader_epoch,
        kept_chunks=kept, kept_gaps=gaps, spans=_uncovered(partition, start, end, kept, gaps), cuts=_cuts(base),
    )  # fmt: skip


def _cuts(base: CapturedPartition) -> tuple[int, ...]:
    return tuple(chunk.stop for chunk in base.chunks)


def _keep_chunks(base: CapturedPartition, start: int, end: int) -> tuple[Chunk, ...]:
    """Chunks wholly above the log start and below what the base left out, less a small last one that will grow."""
    undecided = min((low for _producer, low, _high in base.left_out), default=base.end)
    kept = tuple(chunk for chunk in base.chunks if chunk.start >= start and chunk.stop <= undecided)
    has_more = base.end < end
    if has_more and kept and kept[-1].stop == base.end and kept[-1].stored.plain_bytes < SMALL_TAIL_BYTES:
        return kept[:-1]
    return kept


def _uncovered(
    partition: TopicPartition, start: int, end: int, chunks: tuple[Chunk, ...], gaps: tuple[Gap, ...]
) -> tuple[Span, ...]:
    spans: list[Span] = []
    position = start
    for low, high in sorted([(c.start, c.stop) for c in chunks] + [(g.start, g.stop) for g in gaps]):
        if position < low:
            spans.append(Span(partition, position, low))
        position = max(position, high)
    if position < end:
        spans.append(Span(partition, position, end))
    return tuple(spans)


def go_on_from(plan: PartitionPlan, noted: Sequence[NotedChunk]) -> PartitionPlan:
    """Return the plan less what captures that never finished had stored of it: whole chunks inside its spans.

    A noted chunk beyond the cut proves a log that became shorter: nothing noted is trusted then. A small one
    with offsets to read right behind it is read anew with them.
    """
    if any(one.chunk.stop > plan.end for one in noted):
        return plan
    fitting = sorted(noted, key=lambda one: (one.chunk.start, -one.chunk.stop))
    used: list[NotedChunk] = []
    spans: list[Span] = []
    for span in plan.spans:
        position = span.start
        for one in _pick(fitting, span, undecided=min((low for _, low, _ in plan.left_out), default=plan.end)):
            if position < one.chunk.start:
                spans.append(Span(plan.partition, position, one.chunk.start))
            used.append(one)
            position = one.chunk.stop
        if position < span.stop:
            spans.append(Span(plan.partition, position, span.stop))
    if not used:
        return plan
    kept = tuple(sorted([*plan.kept_chunks, *(one.chunk for one in used)], key=lambda chunk: chunk.start))
    is_newest = used[-1].chunk is kept[-1]
    return replace(
        plan, kept_chunks=kept, spans=tuple(spans),
        leader_epoch=used[-1].leader_epoch if is_newest else plan.leader_epoch,
    )  # fmt: skip


def _pick(noted: Sequence[NotedChunk], span: Span, *, undecided: int) -> list[NotedChunk]:
    """The chunks that lie in a span one after another, of two that overlap the first and longer one."""
    starts = {one.chunk.start for one in noted}
    picked: list[NotedChunk] = []
    position = span.start
    for one in noted:
        chunk = one.chunk
        is_inside = position <= chunk.start and chunk.stop <= min(span.stop, undecided)
        is_last = chunk.stop < span.stop and chunk.stop not in starts
        if is_inside and not (is_last and chunk.stored.plain_bytes < SMALL_TAIL_BYTES):
            picked.append(one)
            position = chunk.stop
    return picked
