"""Packs: chunks back to back, an index that names them, a trailer that finds the index (FORMAT.md)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import cramjam
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import ChunkEncoding, StoredChunk
from replicator.snapshot.repository.ciphers import OVERHEAD_BYTES, Cipher, digest_of
from replicator.snapshot.repository.sealing import canonical, decompress
from replicator.storage import Content

INDEX_FORMAT: Final = "replicator.pack/1"
ENCRYPTED_INDEX_FORMAT: Final = "replicator.pack/2"
MAGIC = b"RPLPACK1"
TRAILER = struct.Struct(">32sQ8s")
MAX_INDEX_BYTES = 64 * 1024 * 1024
ZSTD_LEVEL = 1
"""The level where zstd keeps up with a disk; the rule is to save space, not to win a contest."""
MIN_SAVING = 0.10
PROBE_BYTES = 128 * 1024
_SHA256 = r"^[0-9a-f]{64}$"


@dataclass(frozen=True, slots=True)
class PackedChunk:
    """A chunk ready to be stored: its description and its bytes as stored."""

    stored: StoredChunk
    parts: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack ready to be put: its id, its parts in order, where each chunk begins."""

    id: str
    parts: tuple[Content, ...]
    offsets: tuple[int, ...]
    size_bytes: int


class _IndexEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(pattern=_SHA256)
    encoding: ChunkEncoding
    offset: int = Field(ge=0)
    plain_bytes: int = Field(ge=0)
    stored_bytes: int = Field(ge=0)
    stored_sha256: str = Field(pattern=_SHA256)
    key: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["replicator.pack/1", "replicator.pack/2"]
    chunks: tuple[_IndexEntry, ...]

    @model_validator(mode="after")
    def _has_keys_in_version_2_alone(self) -> Self:
        if any(entry.key is not None for entry in self.chunks) != (self.format == ENCRYPTED_INDEX_FORMAT):
            raise ValueError("a key is named in version 2 of a pack, and there alone")
        return self


def pack_key(pack_id: str) -> str:
    """Return the object key of a pack."""
    return f"packs/{pack_id[:2]}/{pack_id}"


def prepare_chunk(
    parts: Sequence[Content], *, chunk_id: str, may_compress: bool, cipher: Cipher | None = None
) -> PackedChunk:
    """Return the chunk as it will be stored: zstd where that saves a tenth, else its own parts uncopied.

    With a cipher it is encrypted after that.
    """
    packed = _encode_chunk(parts, chunk_id=chunk_id, may_compress=may_compress, is_plain=cipher is None)
    return packed if cipher is None else _encrypt(packed, cipher)


def _encrypt(packed: PackedChunk, cipher: Cipher) -> PackedChunk:
    stored = packed.stored
    # Two frames of the same bytes (of two versions of zstd) must not share a nonce.
    about = stored.id if stored.encoding is ChunkEncoding.NONE else f"{stored.id}/{stored.stored_sha256}"
    parts = tuple(cipher.encrypt(packed.parts, about=about, told=_told(stored)))
    described = replace(
        stored,
        stored_bytes=stored.stored_bytes + OVERHEAD_BYTES,
        stored_sha256=digest_of(parts),
        key=cipher.id,
    )
    return PackedChunk(described, parts)


def _told(stored: StoredChunk) -> dict[str, object]:
    """What is bound to the ciphertext: another chunk's bytes, however whole, do not decrypt in its place."""
    return {"encoding": stored.encoding.value, "id": stored.id, "plain_bytes": stored.plain_bytes}


def _encode_chunk(parts: Sequence[Content], *, chunk_id: str, may_compress: bool, is_plain: bool) -> PackedChunk:
    plain_bytes = sum(len(part) for part in parts)
    if may_compress and _is_worth_compressing(parts):
        frame = bytes(cramjam.zstd.compress(b"".join(parts), level=ZSTD_LEVEL))
        if len(frame) <= plain_bytes * (1 - MIN_SAVING):
            stored = StoredChunk(
                id=chunk_id, encoding=ChunkEncoding.ZSTD, plain_bytes=plain_bytes, stored_bytes=len(frame),
                stored_sha256=hashlib.sha256(frame).hexdigest(),
            )  # fmt: skip
            return PackedChunk(stored, (frame,))
    stored = StoredChunk(
        id=chunk_id, encoding=ChunkEncoding.NONE, plain_bytes=plain_bytes, stored_bytes=plain_bytes,
        stored_sha256=chunk_id if is_plain else "",
    )  # fmt: skip
    return PackedChunk(stored, tuple(parts))


def _is_worth_compressing(parts: Sequence[Content]) -> bool:
    """Try a piece of the middle first: random bytes cost a probe, not a whole pass."""
    probe = bytes(parts[len(parts) // 2][:PROBE_BYTES])
    return len(cramjam.zstd.compress(probe, level=ZSTD_LEVEL)) <= len(probe) * (1 - MIN_SAVING)


def build_pack(chunks: Sequence[PackedChunk]) -> Pack:
    """Return the pack that holds these chunks in this order."""
    offsets, position = [], 0
    for chunk in chunks:
        offsets.append(position)
        position += chunk.stored.stored_bytes
    entries = [
        _IndexEntry(
            id=c.stored.id, encoding=c.stored.encoding, offset=offset, plain_bytes=c.stored.plain_bytes,
            stored_bytes=c.stored.stored_bytes, stored_sha256=c.stored.stored_sha256, key=c.stored.key,
        )
        for c, offset in zip(chunks, offsets, strict=True)
    ]  # fmt: skip
    is_encrypted = any(entry.key is not None for entry in entries)
    described = _Index(format=ENCRYPTED_INDEX_FORMAT if is_encrypted else INDEX_FORMAT, chunks=tuple(entries))
    index = canonical(described.model_dump(mode="json", exclude_none=True))
    digest = hashlib.sha256(index)
    trailer = TRAILER.pack(digest.digest(), len(index), MAGIC)
    parts = tuple(part for chunk in chunks for part in chunk.parts)
    return Pack(digest.hexdigest(), (*parts, index, trailer), tuple(offsets), position + len(index) + len(trailer))


def read_index(tail: bytes | memoryview, *, pack_id: str, size_bytes: int) -> list[tuple[int, StoredChunk]]:
    """Return (offset, chunk) of every chunk of a pack, proven from the pack's last bytes and its size.

    `tail` must reach back to the index's begin; `index_bytes` says how far that is.
    Raises: DataCorrupt naming the pack.
    """
    where = f"pack {pack_id}"
    length = index_bytes(tail, pack_id=pack_id)
    end = len(tail) - TRAILER.size
    raw = bytes(tail[end - length : end])
    if len(raw) != length or hashlib.sha256(raw).hexdigest() != pack_id:
        raise DataCorrupt(f"{where}: its index does not match the pack's name")
    try:
        index = _Index.model_validate_json(raw)
    except ValidationError as exc:
        raise DataCorrupt(f"{where}: its index cannot be read", detail=str(exc)) from exc
    position = 0
    for entry in index.chunks:
        if entry.offset != position:
            raise DataCorrupt(f"{where}: chunk {entry.id} does not begin where the one before ends")
        position += entry.stored_bytes
    if position + length + TRAILER.size != size_bytes:
        raise DataCorrupt(
            f"{where}: is {size_bytes} bytes long, its index accounts for {position + length + TRAILER.size}"
        )
    return [
        (
            entry.offset,
            StoredChunk(
                id=entry.id, encoding=entry.encoding, plain_bytes=entry.plain_bytes,
                stored_bytes=entry.stored_bytes, stored_sha256=entry.stored_sha256, key=entry.key,
            ),
        )
        for entry in index.chunks
    ]  # fmt: skip


def index_bytes(tail: bytes | memoryview, *, pack_id: str) -> int:
    """Return how long a pack's index is, from its trailer. Raises: DataCorrupt when the trailer is not one."""
    if len(tail) < TRAILER.size:
        raise DataCorrupt(f"pack {pack_id}: is too short to be a pack")
    digest, length, magic = TRAILER.unpack(tail[-TRAILER.size :])
    if magic != MAGIC or digest.hex() != pack_id or length > MAX_INDEX_BYTES:
        raise DataCorrupt(f"pack {pack_id}: its trailer is wrong")
    return int(length)


def open_chunk(data: Content, stored: StoredChunk, *, where: str, cipher: Cipher | None = None) -> memoryview:
    """Return the plain bytes of a chunk, proven by its hashes before anything is done with them.

    Raises: DataCorrupt naming `where`.
    """
    prove_stored(data, stored, where=where)
    told = f"{where}: chunk {stored.id}"
    encoded = data if cipher is None else cipher.decrypt(data, told=_told(stored), where=told)
    if stored.encoding is ChunkEncoding.NONE:
        plain: Content = encoded
    else:
        plain = decompress(memoryview(encoded), plain_bytes=stored.plain_bytes, where=told)
    is_proven = cipher is None and stored.encoding is ChunkEncoding.NONE
    if not is_proven and (digest_of([plain]) if cipher is None else cipher.name([plain])) != stored.id:
        raise DataCorrupt(f"{told} does not come out as what was captured")
    return memoryview(plain)


def prove_stored(data: Content, stored: StoredChunk, *, where: str) -> None:
    """Return if these are the bytes that were stored, encrypted or not. Raises: DataCorrupt naming `where`."""
    if len(data) != stored.stored_bytes:
        raise DataCorrupt(f"{where}: chunk {stored.id} holds {len(data)} of {stored.stored_bytes} bytes")
    if hashlib.sha256(data).hexdigest() != stored.stored_sha256:
        raise DataCorrupt(f"{where}: chunk {stored.id} does not match its SHA-256")
