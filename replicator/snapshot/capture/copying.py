"""The bytes of a cut, from the leaders into packs, partition by partition."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from replicator.clock import Clock, Deadline
from replicator.model.archive.snapshots import ChunkFacts, Gap, GapReason
from replicator.model.names import TopicPartition
from replicator.snapshot.capture.chunks import ChunkBuilder, RawChunk
from replicator.snapshot.capture.gathering import gather_spans
from replicator.snapshot.capture.increments import PartitionPlan
from replicator.snapshot.capture.packing import PackWriter
from replicator.snapshot.capture.throttle import Throttle
from replicator.snapshot.facts import AbortedRange
from replicator.snapshot.progress import Progress, Report, Stage
from replicator.wire import RawClient
from replicator.wire.reading import Miss, MissKind, Slice, Span

_REASONS = {
    MissKind.RETENTION: GapReason.RETENTION,
    MissKind.TRUNCATED: GapReason.TRUNCATED,
    MissKind.NO_BATCH: GapReason.NO_BATCH,
    MissKind.GONE: GapReason.TRUNCATED,
}


@dataclass(frozen=True, slots=True)
class CopiedChunk:
    """A chunk that was handed to the packs; its bytes are theirs now, and they will say its id."""

    start: int
    stop: int
    ticket: Future[str]
    facts: ChunkFacts
    aborted: tuple[AbortedRange, ...]
    leader_epoch: int


@dataclass(slots=True)
class CopiedPartition:
    """What became of one partition's plan."""

    plan: PartitionPlan
    chunks: list[CopiedChunk] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    is_gone: bool = False


def copy_partitions(
    client: RawClient,
    plans: Sequence[PartitionPlan],
    writer: PackWriter,
    *,
    throttle: Throttle,
    clock: Clock,
    deadline: Deadline,
    report: Report,
) -> dict[TopicPartition, CopiedPartition]:
    """Every span of every plan was read and handed to `writer`, or is a recorded gap.

    Raises: as gather_spans; the store's errors.
    """
    desks = {plan.partition: _Desk(plan, writer) for plan in plans}
    spans = [span for plan in plans for span in plan.spans]
    total = sum(span.stop - span.start for span in spans)
    done = done_bytes = 0
    report(Progress(stage=Stage.COPY, done=0, total=total))
    for item in gather_spans(client, spans, deadline=deadline, clock=clock):
        desks[item.partition].take(item)
        done += item.stop - item.start
        size_bytes = len(item.data) if isinstance(item, Slice) else 0
        done_bytes += size_bytes
        report(Progress(stage=Stage.COPY, done=done, total=total, done_bytes=done_bytes))
        throttle.pass_bytes(size_bytes, deadline=deadline)
    for desk in desks.values():
        desk.finish()
    return {partition: desk.copied for partition, desk in desks.items()}


class _Desk:
    """Sorts what arrives of one partition into its spans' builders."""

    def __init__(self, plan: PartitionPlan, writer: PackWriter) -> None:
        self.copied = CopiedPartition(plan)
        self._writer = writer
        self._open = [(span, self._builder(plan, span)) for span in plan.spans]

    @staticmethod
    def _builder(plan: PartitionPlan, span: Span) -> ChunkBuilder:
        return ChunkBuilder(plan.partition, start=span.start, stop=span.stop, cuts=plan.cuts, left_out=plan.left_out)

    def take(self, item: Slice | Miss) -> None:
        """Take one item in; a span that is complete is closed, so that its memory is free at once."""
        span, builder = next(pair for pair in self._open if pair[0].start <= item.start < pair[0].stop)
        if isinstance(item, Slice):
            self._hand_over(list(builder.add(item)))
        else:
            self._hand_over(list(builder.finish(item.start)))
            builder.skip_to(item.stop)
            self._note_miss(item)
        if item.stop >= span.stop:
            self._hand_over(list(builder.finish()))
            self._open.remove((span, builder))

    def finish(self) -> None:
        """Close what is still open; only spans without a single batch are."""
        for _span, builder in self._open:
            self._hand_over(list(builder.finish()))
        self._open = []

    def _note_miss(self, miss: Miss) -> None:
        self.copied.gaps.append(Gap(miss.start, miss.stop, _REASONS[miss.kind]))
        self.copied.is_gone |= miss.kind is MissKind.GONE

    def _hand_over(self, chunks: list[RawChunk]) -> None:
        for chunk in chunks:
            ticket = self._writer.add(chunk)
            self.copied.chunks.append(
                CopiedChunk(chunk.start, chunk.stop, ticket, chunk.facts, chunk.aborted, chunk.leader_epoch)
            )
