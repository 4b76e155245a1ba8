"""Spans read from all their leaders at once, one thread per broker, until nothing is left to read."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replicator.clock import Clock, Deadline
from replicator.errors import NotFound, Unreachable
from replicator.model.names import TopicPartition
from replicator.wire.client import RawClient
from replicator.wire.reading import Miss, MissKind, Slice, Span, SpanReader

QUEUE_SLICES = 3
POLL_SECONDS = 0.02
PAUSE_SECONDS = 0.5
IDLE_ROUNDS = 60
"""Rounds without a single byte after which a cluster counts as lost: half a minute of elections."""


@dataclass(frozen=True, slots=True)
class _Finished:
    left: tuple[Span, ...]
    error: BaseException | None = None


def gather_spans(
    client: RawClient, spans: Sequence[Span], *, deadline: Deadline, clock: Clock
) -> Iterator[Slice | Miss]:
    """Yield slices and misses of all spans, each partition's in order; leaders that move are followed.

    Raises: Unreachable when nothing could be read for half a minute; AccessDenied; DataCorrupt.
    """
    waiting, idle_rounds = list(spans), 0
    is_fresh = False
    while waiting:
        now, later = _split_first(waiting)
        by_broker, gone = _group_by_leader(client, now, deadline=deadline, is_fresh=is_fresh)
        yield from gone
        left: list[Span] = []
        has_moved = bool(gone)
        for item in _read_round(client, by_broker, deadline):
            if isinstance(item, _Finished):
                left += item.left
            else:
                has_moved = True
                yield item
        idle_rounds = 0 if has_moved else idle_rounds + 1
        if left and idle_rounds >= IDLE_ROUNDS:
            raise Unreachable(
                f"cluster {client.access.name}: {left[0].partition} cannot be read, its leader keeps moving",
                hint=f"replicator cluster ping {client.access.name}",
            )
        if left:
            clock.sleep(deadline.capped(PAUSE_SECONDS))
        waiting, is_fresh = left + later, bool(left)


def _split_first(spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """The first span of each partition, and the others: a partition is read in one place at a time."""
    first: dict[TopicPartition, Span] = {}
    later: list[Span] = []
    for span in spans:
        if span.partition in first:
            later.append(span)
        else:
            first[span.partition] = span
    return list(first.values()), later


def _group_by_leader(
    client: RawClient, spans: Sequence[Span], *, deadline: Deadline, is_fresh: bool
) -> tuple[dict[int, list[Span]], list[Miss]]:
    """Return the spans of each leader, and misses for topics that are gone."""
    leaders, gone = _find_leaders(client, spans, deadline=deadline, is_fresh=is_fresh)
    by_broker: dict[int, list[Span]] = {}
    for span in spans:
        if span.partition in leaders:
            by_broker.setdefault(leaders[span.partition], []).append(span)
    return by_broker, [Miss(s.partition, s.start, s.stop, MissKind.GONE) for s in spans if s.partition in gone]


def _find_leaders(
    client: RawClient, spans: Sequence[Span], *, deadline: Deadline, is_fresh: bool
) -> tuple[dict[TopicPartition, int], set[TopicPartition]]:
    """Ask for all at once; only when one is gone, topic by topic."""
    partitions = [span.partition for span in spans]
    with contextlib.suppress(NotFound):
        return client.find_leaders(partitions, deadline=deadline, is_fresh=is_fresh), set()
    leaders: dict[TopicPartition, int] = {}
    gone: set[TopicPartition] = set()
    for topic in {partition.topic for partition in partitions}:
        own = [partition for partition in partitions if partition.topic == topic]
        try:
            leaders |= client.find_leaders(own, deadline=deadline, is_fresh=True)
        except NotFound:
            gone.update(own)
    return leaders, gone


def _read_round(
    client: RawClient, by_broker: dict[int, list[Span]], deadline: Deadline
) -> Iterator[Slice | Miss | _Finished]:
    """Read every broker's spans in a thread of its own; the queue between holds a few answers only."""
    out: queue.Queue[Slice | Miss | _Finished] = queue.Queue(QUEUE_SLICES)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_read_broker, args=(client, broker, spans, deadline, out, stop), daemon=True)
        for broker, spans in by_broker.items()
    ]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            item = out.get()
            if isinstance(item, _Finished):
                running -= 1
                if item.error is not None:
                    raise item.error
            yield item
    finally:
        stop.set()
        for thread in threads:
            while thread.is_alive():
                with contextlib.suppress(queue.Empty):
                    out.get_nowait()
                thread.join(POLL_SECONDS)


def _read_broker(
    client: RawClient,
    broker: int,
    spans: list[Span],
    deadline: Deadline,
    out: queue.Queue[Slice | Miss | _Finished],
    stop: threading.Event,
) -> None:
    reader = SpanReader(client, broker, spans)
    error: BaseException | None = None
    try:
        with contextlib.closing(reader.read(deadline=deadline)) as items:
            for item in items:
                if stop.is_set():
                    return
                out.put(item)
    except BaseException as exc:  # noqa: BLE001 - carried to the thread that waits, and raised there
        error = exc
    finally:
        out.put(_Finished(tuple(reader.left), error))
