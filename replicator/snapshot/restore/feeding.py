"""Batches of many partitions handed to the appender side by side; chunks are loaded and proven ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from replicator.model.archive.snapshots import CapturedPartition, Chunk
from replicator.model.names import TopicPartition
from replicator.snapshot.repository import Repository
from replicator.snapshot.restore.batches import ReadyBatch, ready_chunk

PARTITIONS_SIDE_BY_SIDE = 8
"""A broker takes one batch per partition and request: several partitions fill a request, each holds one chunk."""


CHUNKS_AHEAD = 2
"""Chunks loaded before they are needed, over all partitions: bounds memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """One captured partition and the partition it is restored to, with or without its offsets."""

    captured: CapturedPartition
    partition: TopicPartition
    is_exact: bool = False


class ChunkLoader:
    """Loads and proves chunks in an executor's workers, a few ahead of need."""

    def __init__(self, repository: Repository, executor: Executor) -> None:
        self._repository = repository
        self._executor = executor
        self._ahead = 0

    def begin(self, chunk: Chunk) -> Future[memoryview] | None:
        """Start to load a chunk that will be needed, unless enough are under way."""
        if self._ahead >= CHUNKS_AHEAD:
            return None
        self._ahead += 1
        return self._executor.submit(self._repository.read_chunk, chunk)

    def take(self, chunk: Chunk, begun: Future[memoryview] | None) -> memoryview:
        """Return a chunk's proven bytes, begun before or not. Raises: NotFound, DataCorrupt."""
        if begun is None:
            return self._repository.read_chunk(chunk)
        self._ahead -= 1
        return begun.result()


class PartitionFeed:
    """The batches of one partition in order. The next chunk is loaded while the current one is handed out."""

    def __init__(self, source: Source, loader: ChunkLoader) -> None:
        self._partition = source.partition
        self._chunks = deque(chunk for chunk in source.captured.chunks if chunk.facts.records)
        self._loader = loader
        self._is_exact = source.is_exact

    def __iter__(self) -> Iterator[ReadyBatch]:
        begun: Future[memoryview] | None = None
        while self._chunks:
            chunk = self._chunks.popleft()
            data = self._loader.take(chunk, begun)
            begun = self._loader.begin(self._chunks[0]) if self._chunks else None
            yield from ready_chunk(data, chunk, where=str(self._partition), is_exact=self._is_exact)


def interleave(feeds: Sequence[Iterator[ReadyBatch]]) -> Iterator[tuple[int, ReadyBatch]]:
    """Yield (which feed, batch), one of each in turn, a bounded number of feeds at a time, until all are empty."""
    waiting = deque(enumerate(feeds))
    active: deque[tuple[int, Iterator[ReadyBatch]]] = deque()
    while waiting or active:
        while waiting and len(active) < PARTITIONS_SIDE_BY_SIDE:
            active.append(waiting.popleft())
        index, feed = active.popleft()
        batch = next(feed, None)
        if batch is not None:
            yield index, batch
            active.append((index, feed))
