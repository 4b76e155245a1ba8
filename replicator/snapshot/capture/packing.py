"""Chunks named, gathered into packs and put, by threads of their own: reading goes on while hash and disk work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from replicator.model.archive.snapshots import StoredChunk
from replicator.snapshot.capture.chunks import RawChunk
from replicator.snapshot.repository.ciphers import Cipher, digest_of
from replicator.snapshot.repository.packs import Pack, PackedChunk, build_pack, prepare_chunk
from replicator.snapshot.repository.repository import Repository

PACK_BYTES = 32 * 1024 * 1024
MAX_PENDING_PACKS = 1
"""Packs being put while the next one fills: memory holds two."""
MAX_PENDING_CHUNKS = 1
"""Chunks that wait for their name while the next one is read."""


class Compression(StrEnum):
    """AUTO: zstd for chunks whose producers did not compress and where it saves a tenth. NONE: never."""

    AUTO = "auto"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk's bytes are."""

    stored: StoredChunk
    pack: str
    offset: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk whose bytes are durable, at a place; `raw` has no parts any more."""

    raw: RawChunk
    place: Place


Told = Callable[[Sequence[Stored], Mapping[str, int]], None]
"""Is called in the thread that puts with chunks that are durable, and the sizes of the packs this capture made."""


def tell_nobody(_stored: Sequence[Stored], _pack_sizes: Mapping[str, int]) -> None:
    """Nobody is told."""


class PackWriter:
    """Stores each chunk once. `known` are the chunks that are in the repository already, by id.

    `tell` hears of chunks as they become durable, at least once for as many bytes as a pack has.

    One thread hashes, compresses and gathers, another one puts; a few chunks may wait for the first, one pack
    for the second. Everything but `add`, `finish`, `close` and `place` happens in those threads.
    """

    def __init__(
        self,
        repository: Repository,
        known: Mapping[str, Place],
        compression: Compression = Compression.AUTO,
        *,
        tell: Told = tell_nobody,
    ) -> None:
        self.new_chunks = self.new_bytes = self.new_stored_bytes = 0
        self.pack_sizes: dict[str, int] = {}
        self._repository = repository
        self._known = known
        self._compression = compression
        self._tell = tell
        self._untold: list[tuple[RawChunk, str]] = []
        self._known_bytes = 0
        self._places: dict[str, Place] = {}
        self._queued: set[str] = set()
        self._filling: list[PackedChunk] = []
        self._filling_bytes = 0
        self._naming = ThreadPoolExecutor(1, "snapshot-names")
        self._putting = ThreadPoolExecutor(1, "snapshot-packs")
        self._named: deque[Future[str]] = deque()
        self._put: deque[Future[None]] = deque()

    def add(self, chunk: RawChunk) -> Future[str]:
        """The chunk will be stored, unless it is already; return its id to be. Raises: an earlier chunk's error."""
        while len(self._named) > MAX_PENDING_CHUNKS:
            self._named.popleft().result()
        ticket = self._naming.submit(self._take, chunk)
        self._named.append(ticket)
        return ticket

    def finish(self) -> None:
        """Every chunk added is stored and durable. Raises: the store's errors."""
        while self._named:
            self._named.popleft().result()
        if self._filling:
            self._submit()
        self._wait(0)

    def close(self) -> None:
        """The threads are gone; packs not finished are left-overs that no manifest names."""
        self._naming.shutdown(wait=True, cancel_futures=True)
        self._putting.shutdown(wait=True, cancel_futures=True)

    def place(self, chunk_id: str) -> Place:
        """Return where a chunk is; call after `finish`."""
        return self._known.get(chunk_id) or self._places[chunk_id]

    def _take(self, chunk: RawChunk) -> str:
        key = self._repository.vault.topic_key(chunk.partition.topic)
        cipher = None if key is None else self._repository.vault.chunk_cipher(key)
        chunk_id = digest_of(chunk.parts) if cipher is None else cipher.name(chunk.parts)
        self._untold.append((replace(chunk, parts=()), chunk_id))
        if chunk_id in self._known or chunk_id in self._queued:
            self._known_bytes += sum(len(part) for part in chunk.parts)
        else:
            self._fill(chunk, chunk_id, cipher)
        if max(self._filling_bytes, self._known_bytes) >= PACK_BYTES:
            self._submit()
        return chunk_id

    def _fill(self, chunk: RawChunk, chunk_id: str, cipher: Cipher | None) -> None:
        may_compress = self._compression is Compression.AUTO and chunk.is_compressible
        packed = prepare_chunk(chunk.parts, chunk_id=chunk_id, may_compress=may_compress, cipher=cipher)
        self._queued.add(chunk_id)
        self._filling.append(packed)
        self._filling_bytes += packed.stored.stored_bytes
        self.new_chunks += 1
        self.new_bytes += packed.stored.plain_bytes
        self.new_stored_bytes += packed.stored.stored_bytes

    def _submit(self) -> None:
        pack = build_pack(self._filling) if self._filling else None
        if pack is not None:
            for chunk, offset in zip(self._filling, pack.offsets, strict=True):
                self._places[chunk.stored.id] = Place(chunk.stored, pack.id, offset)
            self.pack_sizes[pack.id] = pack.size_bytes
        stored = [Stored(raw, self.place(chunk_id)) for raw, chunk_id in self._untold]
        sizes = dict(self.pack_sizes)
        self._filling, self._filling_bytes = [], 0
        self._untold, self._known_bytes = [], 0
        self._wait(MAX_PENDING_PACKS - 1)
        self._put.append(self._putting.submit(self._store, pack, stored, sizes))

    def _store(self, pack: Pack | None, stored: Sequence[Stored], sizes: Mapping[str, int]) -> None:
        """Packs are put one after another: what the chunks' places name is durable when they are told of."""
        if pack is not None:
            self._repository.put_pack(pack)
        self._tell(stored, sizes)

    def _wait(self, pending_max: int) -> None:
        while len(self._put) > pending_max:
            self._put.popleft().result()
