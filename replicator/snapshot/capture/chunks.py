"""From slices of a partition to chunks: every CRC proven, aborted data marked, cut on batch bounds."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replicator.model.archive.snapshots import ChunkFacts
from replicator.model.names import TopicPartition
from replicator.snapshot.facts import AbortedRange, FactsBuilder, is_in_ranges, is_plain
from replicator.wire.format.batches import Batch, BatchHeader, Codec, prove_batch, read_marker
from replicator.wire.format.transactions import AbortTracker
from replicator.wire.reading import Slice

CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RawChunk:
    """A finished chunk before it is stored. `parts` are views of what the broker sent."""

    partition: TopicPartition
    start: int
    stop: int
    parts: tuple[memoryview, ...]
    facts: ChunkFacts
    aborted: tuple[AbortedRange, ...]
    is_compressible: bool
    leader_epoch: int


class ChunkBuilder:
    """Builds the chunks of one contiguous span of one partition, fed in offset order.

    `left_out` are batches of transactions that are no part of the snapshot: marked as aborted ones are.
    """

    def __init__(
        self,
        partition: TopicPartition,
        *,
        start: int,
        stop: int,
        cuts: Sequence[int] = (),
        chunk_bytes: int = CHUNK_BYTES,
        left_out: Sequence[AbortedRange] = (),
    ) -> None:
        self._partition = partition
        self._where = str(partition)
        self._start = self._position = start
        self._stop = stop
        self._cuts = sorted(cuts)
        self._chunk_bytes = chunk_bytes
        self._tracker = AbortTracker()
        self._left_out = left_out
        self._reset()

    def _reset(self) -> None:
        self._parts: list[memoryview] = []
        self._size_bytes = 0
        self._facts = FactsBuilder(start=self._start, stop=self._stop)
        self._aborted: dict[int, AbortedRange] = {}
        self._ranges: list[AbortedRange] = []
        self._codecs: set[int] = set()
        self._leader_epoch = -1
        self._next_cut = self._find_cut()

    def _find_cut(self) -> int | None:
        index = bisect.bisect_right(self._cuts, self._start)
        return self._cuts[index] if index < len(self._cuts) else None

    def add(self, piece: Slice) -> Iterator[RawChunk]:
        """Take the next slice in; yield the chunks it completes. Raises: DataCorrupt for a wrong CRC."""
        self._tracker.learn(piece.aborted)
        taken = 0
        plain: list[BatchHeader] = []
        for at, header in piece.headers:
            prove_batch(header, piece.data, at=at, where=self._where)
            end = at + header.size_bytes
            if is_plain(header, start=self._start, stop=self._stop):
                plain.append(header)
            else:
                self._take(Batch(header, piece.data[at:end]))
            self._position = min(header.next_offset, self._stop)
            if self._is_full(end - taken):
                self._count(plain)
                self._keep(piece.data[taken:end])
                self._leader_epoch = header.leader_epoch
                taken, plain = end, []
                yield self._close()
        self._count(plain)
        if taken < len(piece.data):
            self._keep(piece.data[taken:])
            self._leader_epoch = piece.headers[-1][1].leader_epoch

    def finish(self, stop: int | None = None) -> Iterator[RawChunk]:
        """Yield the last chunk, if there is one; it covers everything up to `stop` (the span's end if None)."""
        self._position = max(self._position, self._stop if stop is None else stop)
        if self._parts:
            yield self._close()

    def skip_to(self, position: int) -> None:
        """Go on behind offsets the broker does not have; call `finish` with the gap's begin first."""
        self._start = self._position = position
        self._reset()

    def _count(self, plain: Sequence[BatchHeader]) -> None:
        self._codecs.update(header.codec for header in plain)
        self._facts.add_plain(plain)

    def _take(self, batch: Batch) -> None:
        header = batch.header
        if header.is_control:
            self._tracker.pass_marker(header, read_marker(batch))
            self._end_range(header.producer_id)
            self._facts.add(batch, is_aborted=False)
            return
        is_aborted = header.is_transactional and self._tracker.is_aborted(header)
        is_aborted = is_aborted or is_in_ranges(header, self._left_out)
        if is_aborted:
            self._extend_range(header)
        self._codecs.add(header.codec)
        self._facts.add(batch, is_aborted=is_aborted)

    def _extend_range(self, header: BatchHeader) -> None:
        known = self._aborted.get(header.producer_id)
        low = known[1] if known else header.base_offset
        self._aborted[header.producer_id] = (header.producer_id, low, header.base_offset + 1)

    def _end_range(self, producer_id: int) -> None:
        known = self._aborted.pop(producer_id, None)
        if known:
            self._ranges.append(known)

    def _is_full(self, pending_bytes: int) -> bool:
        if self._next_cut is not None and self._position >= self._next_cut:
            return True
        return self._next_cut is None and self._size_bytes + pending_bytes >= self._chunk_bytes

    def _keep(self, data: memoryview) -> None:
        self._parts.append(data)
        self._size_bytes += len(data)

    def _close(self) -> RawChunk:
        chunk = RawChunk(
            partition=self._partition,
            start=self._start,
            stop=self._position,
            parts=tuple(self._parts),
            facts=self._facts.build(),
            aborted=tuple(sorted([*self._ranges, *self._aborted.values()])),
            is_compressible=self._codecs <= {Codec.NONE},
            leader_epoch=self._leader_epoch,
        )
        self._start = self._position
        self._reset()
        return chunk
