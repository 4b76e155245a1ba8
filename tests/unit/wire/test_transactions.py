"""Aborted batches told from committed ones, as a committed-only consumer tells them."""

from __future__ import annotations

from replicator.wire.format.batches import BatchHeader, MarkerKind
from replicator.wire.format.transactions import AbortedTransaction, AbortTracker


def header(offset: int, producer: int, count: int = 1) -> BatchHeader:
    """The head of a transactional batch of `count` records."""
    return BatchHeader(offset, 100, 0, 2, 0, 0x10, count - 1, 0, 0, producer, 0, 0, count)


def run(tracker: AbortTracker, log: list[tuple[int, int, MarkerKind | None]]) -> list[int]:
    """Feed a log of (offset, producer, marker or None); return the offsets that are committed data."""
    committed = []
    for offset, producer, marker in log:
        if marker is not None:
            tracker.pass_marker(header(offset, producer), marker)
        elif not tracker.is_aborted(header(offset, producer)):
            committed.append(offset)
    return committed


ABORT, COMMIT = MarkerKind.ABORT, MarkerKind.COMMIT


def test_interleaved_producers_are_kept_apart() -> None:
    """One producer's abort says nothing of another's batches in between."""
    tracker = AbortTracker()
    tracker.learn([AbortedTransaction(1, 0)])
    log = [(0, 1, None), (1, 2, None), (2, 1, None), (3, 2, COMMIT), (4, 1, ABORT), (5, 1, None), (6, 1, COMMIT)]
    assert run(tracker, log) == [1, 5]


def test_a_producer_commits_and_aborts_in_turn() -> None:
    """Each transaction of one producer is judged by itself."""
    tracker = AbortTracker()
    tracker.learn([AbortedTransaction(1, 2), AbortedTransaction(1, 6)])
    log = [
        (0, 1, None), (1, 1, COMMIT), (2, 1, None), (3, 1, ABORT),
        (4, 1, None), (5, 1, COMMIT), (6, 1, None), (7, 1, ABORT), (8, 1, None),
    ]  # fmt: skip
    assert run(tracker, log) == [0, 4, 8]


def test_a_transaction_is_named_again_by_the_next_answer() -> None:
    """An answer that begins inside an aborted transaction names it once more: it is still one transaction."""
    tracker = AbortTracker()
    tracker.learn([AbortedTransaction(1, 0)])
    assert run(tracker, [(0, 1, None)]) == []
    tracker.learn([AbortedTransaction(1, 0)])
    assert run(tracker, [(1, 1, None), (2, 1, ABORT), (3, 1, None)]) == [3]


def test_reading_may_begin_inside_an_aborted_transaction() -> None:
    """What began before the first offset read is aborted from the first batch on."""
    tracker = AbortTracker()
    tracker.learn([AbortedTransaction(1, 5)])
    assert run(tracker, [(10, 1, None), (11, 1, ABORT), (12, 1, None)]) == [12]


def test_a_batch_that_spans_the_first_offset_is_aborted() -> None:
    """The first offset may lie inside a batch: the last offset of a batch decides."""
    tracker = AbortTracker()
    tracker.learn([AbortedTransaction(1, 3)])
    assert tracker.is_aborted(header(0, 1, count=4))


def test_memory_is_freed_at_the_marker() -> None:
    """Aborted transactions, one after another, leave nothing behind."""
    tracker = AbortTracker()
    for offset in range(0, 2000, 2):
        tracker.learn([AbortedTransaction(offset, offset)])
        run(tracker, [(offset, offset, None), (offset + 1, offset, ABORT)])
    assert not any(tracker._pending.values())
    assert not tracker._aborting
