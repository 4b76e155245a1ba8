"""The cut: the ends of all partitions, read so that no transaction is split by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from replicator.clock import Clock, Deadline
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot.capture.cutting.deciding import Decision, TailBatch, TailEnds, TailKind, decide_cut
from replicator.snapshot.capture.gathering import gather_spans
from replicator.snapshot.facts import AbortedRange
from replicator.wire import RawClient
from replicator.wire.client import AT_END, AT_LOG_START
from replicator.wire.format.batches import Batch, BatchHeader, MarkerKind, prove_batch, read_marker
from replicator.wire.reading import Miss, Slice, Span

SETTLE_SECONDS = 5.0
"""So long may transactions that were open at the cut take to end; one that hangs must not keep a snapshot away."""
PAUSE_SECONDS = 0.05
LOOK_BACK_OFFSETS = 2000
"""So far before a stable end the tails begin: a marker's own data, by which its transaction is known, lies there."""
TAIL_OFFSETS_MAX = 50_000_000
"""Offsets between the stable logs and their ends that are looked at: beyond, the tails are a copy of their own."""

_MARKERS = {MarkerKind.COMMIT: TailKind.COMMIT, MarkerKind.ABORT: TailKind.ABORT, MarkerKind.OTHER: TailKind.OTHER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The ends of every partition: `last_stable` is where the snapshot ends, `end` where the log did.

    `skew_ms` lies between the first and the last of them, `sweep_ms` is how long all of it took. `left_out` are
    batches below the ends whose transactions are not part of it. `transactions` tells how they were decided.
    """

    at: datetime
    skew_ms: int
    sweep_ms: int
    ends: Mapping[TopicPartition, PartitionEnds]
    transactions: Decision
    left_out: Mapping[TopicPartition, tuple[AbortedRange, ...]] = field(default_factory=dict)


def read_cut(raw: RawClient, partitions: Sequence[TopicPartition], *, clock: Clock, deadline: Deadline) -> Cut:
    """Return where every partition starts and ends, no transaction split by the ends if that can be had.

    Raises: Unreachable; AccessDenied; NotFound for a topic that went.
    """
    starts = raw.list_offsets(partitions, at=AT_LOG_START, deadline=deadline)
    begun = clock.monotonic()
    stable = raw.list_offsets(partitions, at=AT_END, deadline=deadline, is_committed_only=True)
    at, first_begun = clock.now(), clock.monotonic()
    first = raw.list_offsets(partitions, at=AT_END, deadline=deadline)
    skew_ms = round((clock.monotonic() - first_begun) * 1000)
    second = raw.list_offsets(partitions, at=AT_END, deadline=deadline)
    sweep_ms = round((clock.monotonic() - begun) * 1000)
    ends = {tp: TailEnds(stable[tp], max(stable[tp], first[tp]), max(first[tp], second[tp])) for tp in partitions}
    decision = _decide(raw, ends, starts, clock=clock, deadline=deadline)
    return Cut(
        at=at,
        skew_ms=skew_ms,
        sweep_ms=sweep_ms,
        ends={
            tp: PartitionEnds(
                partition=tp.partition, log_start=starts[tp], last_stable=decision.ends[tp], end=ends[tp].second
            )
            for tp in partitions
        },
        transactions=decision,
        left_out=decision.left_out,
    )


def _decide(
    raw: RawClient,
    ends: Mapping[TopicPartition, TailEnds],
    starts: Mapping[TopicPartition, int],
    *,
    clock: Clock,
    deadline: Deadline,
) -> Decision:
    moved = [tp for tp, found in ends.items() if found.stable < found.second]
    soon = Deadline.after(deadline.capped(SETTLE_SECONDS), clock=clock)
    stable, open_in = _wait_settled(
        raw, {tp: ends[tp].second for tp in moved}, clock=clock, deadline=deadline, soon=soon
    )
    fallback = {tp: stable.get(tp, found.stable) for tp, found in ends.items()}
    if open_in is not None:
        told = f"{open_in}: a transaction open at offset {stable[open_in]} did not end within {SETTLE_SECONDS:.0f} s"
        return Decision({tp: min(offset, ends[tp].second) for tp, offset in fallback.items()}, problem=told)
    if sum(stable[tp] - ends[tp].stable for tp in moved) > TAIL_OFFSETS_MAX:
        told = f"more than {TAIL_OFFSETS_MAX} offsets were written in transactions while the cut was read"
        return Decision({tp: min(offset, ends[tp].second) for tp, offset in fallback.items()}, problem=told)
    spans = [Span(tp, max(starts[tp], ends[tp].stable - LOOK_BACK_OFFSETS), stable[tp]) for tp in moved]
    tails = read_tails(raw, spans, clock=clock, deadline=deadline)
    return decide_cut(ends, tails)


def _wait_settled(
    raw: RawClient, wanted: Mapping[TopicPartition, int], *, clock: Clock, deadline: Deadline, soon: Deadline
) -> tuple[dict[TopicPartition, int], TopicPartition | None]:
    """Return how far the logs are stable, and a partition that is not up to what is wanted when time is over."""
    stable: dict[TopicPartition, int] = {}
    waiting = list(wanted)
    while waiting:
        stable |= raw.list_offsets(waiting, at=AT_END, deadline=deadline, is_committed_only=True)
        waiting = [tp for tp in waiting if stable[tp] < wanted[tp]]
        if waiting and soon.is_over:
            return stable, waiting[0]
        if waiting:
            clock.sleep(soon.capped(PAUSE_SECONDS))
    return stable, None


def read_tails(
    raw: RawClient, spans: Iterable[Span], *, clock: Clock, deadline: Deadline
) -> dict[TopicPartition, list[TailBatch]]:
    """Return the batches of each span by their headers; only markers are opened, their CRCs proven."""
    tails: dict[TopicPartition, list[TailBatch]] = {}
    for item in gather_spans(raw, list(spans), deadline=deadline, clock=clock):
        if isinstance(item, Miss):
            continue
        tails.setdefault(item.partition, []).extend(_tail_batch(item, at, header) for at, header in item.headers)
    return tails


def _tail_batch(piece: Slice, at: int, header: BatchHeader) -> TailBatch:
    kind = TailKind.DATA if header.is_transactional else TailKind.PLAIN
    if header.is_control:
        data = piece.data[at : at + header.size_bytes]
        prove_batch(header, data, where=str(piece.partition))
        kind = _MARKERS[read_marker(Batch(header, data))]
    return TailBatch(kind, header.base_offset, header.next_offset, header.producer_id, header.producer_epoch)
