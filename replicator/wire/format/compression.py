"""The codecs of record batches, each by Kafka's own framing; nothing here knows a record.

Source: Kafka's `compress` package. Snappy travels in xerial's block framing when Java wrote it and
bare when librdkafka did; LZ4 frames must hold independent blocks or the broker refuses them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cramjam

from replicator.errors import DataCorrupt
from replicator.wire.format.batches import Codec

MAX_INFLATED_BYTES = 512 * 1024 * 1024
"""No batch inflates beyond this, and no memory beyond it is taken to find out; brokers refuse batches long before."""
_FIRST_BYTES = 64 * 1024
_FIRST_RATIO = 4
_GROWTH = 4
"""A batch does not say how large it will be: room for four times its size is tried first, then for four times that."""
_NO_ROOM = "failed to write whole buffer"
"""How the library says that the room it was given is too small."""

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + struct.pack(">ii", 1, 1)
_XERIAL_BLOCK_BYTES = 32 * 1024
_BLOCK_LENGTH = struct.Struct(">i")
_GZIP_WBITS = 31
_ZSTD_LEVEL = 3


def inflate(codec: int, data: memoryview) -> memoryview:
    """Return the plain records of a batch. Raises: DataCorrupt when the bytes do not decode."""
    if codec == Codec.NONE:
        return data
    try:
        plain = _INFLATERS[Codec(codec)](data)
    except (ValueError, KeyError, zlib.error, struct.error, cramjam.DecompressionError) as exc:
        raise DataCorrupt(f"records do not decompress (codec {codec}): {exc}") from exc
    if plain is None:
        raise DataCorrupt(f"records inflate beyond {MAX_INFLATED_BYTES} bytes (codec {codec})")
    return plain


def deflate(codec: int, data: bytes | bytearray) -> bytes | bytearray:
    """Return the records of a batch compressed so that a broker accepts them."""
    return data if codec == Codec.NONE else _DEFLATERS[Codec(codec)](data)


def _inflate_gzip(data: memoryview) -> memoryview | None:
    inflater = zlib.decompressobj(wbits=_GZIP_WBITS)
    plain = inflater.decompress(data, MAX_INFLATED_BYTES + 1)
    if len(plain) > MAX_INFLATED_BYTES:
        return None
    if not inflater.eof:
        raise ValueError("gzip stream ends early")
    return memoryview(plain)


def _inflate_snappy(data: memoryview) -> memoryview | None:
    if bytes(data[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        return _inflate_block(data, MAX_INFLATED_BYTES)
    plain = bytearray()
    position = len(_XERIAL_HEADER)
    while position < len(data):
        (length,) = _BLOCK_LENGTH.unpack_from(data, position)
        position += _BLOCK_LENGTH.size
        if length < 0 or position + length > len(data):
            raise ValueError("snappy block runs past the batch")
        block = _inflate_block(data[position : position + length], MAX_INFLATED_BYTES - len(plain))
        if block is None:
            return None
        plain += block
        position += length
    return memoryview(plain)


def _inflate_block(data: memoryview, max_bytes: int) -> memoryview | None:
    """A bare snappy block says first how large it will be, and the library holds it to that."""
    if cramjam.snappy.decompress_raw_len(data) > max_bytes:
        return None
    return memoryview(cramjam.snappy.decompress_raw(data))


def _inflate_lz4(data: memoryview) -> memoryview | None:
    return _inflate_into_room(cramjam.lz4.decompress_into, data)


def _inflate_zstd(data: memoryview) -> memoryview | None:
    return _inflate_into_room(cramjam.zstd.decompress_into, data)


def _inflate_into_room(decompress_into: Callable[[memoryview, bytearray], int], data: memoryview) -> memoryview | None:
    """Return the plain bytes, written into room made before; None where the most there may be is too little."""
    size = max(_FIRST_BYTES, len(data) * _FIRST_RATIO)
    while True:
        room = bytearray(min(size, MAX_INFLATED_BYTES))
        try:
            return memoryview(room)[: decompress_into(data, room)]
        except cramjam.DecompressionError as exc:
            if _NO_ROOM not in str(exc):
                raise
        if size >= MAX_INFLATED_BYTES:
            return None
        size *= _GROWTH


def _deflate_gzip(data: bytes | bytearray) -> bytes:
    deflater = zlib.compressobj(wbits=_GZIP_WBITS)
    return deflater.compress(data) + deflater.flush()


def _deflate_snappy(data: bytes | bytearray) -> bytes:
    pieces = [_XERIAL_HEADER]
    for start in range(0, len(data), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + _XERIAL_BLOCK_BYTES]))
        pieces += [_BLOCK_LENGTH.pack(len(block)), block]
    return b"".join(pieces)


def _deflate_lz4(data: bytes | bytearray) -> bytes:
    compressor = cramjam.lz4.Compressor(block_linked=False)
    compressor.compress(bytes(data))
    return bytes(compressor.finish())


def _deflate_zstd(data: bytes | bytearray) -> bytes:
    return bytes(cramjam.zstd.compress(data, level=_ZSTD_LEVEL))


_INFLATERS = {
    Codec.GZIP: _inflate_gzip,
    Codec.SNAPPY: _inflate_snappy,
    Codec.LZ4: _inflate_lz4,
    Codec.ZSTD: _inflate_zstd,
}
_DEFLATERS = {
    Codec.GZIP: _deflate_gzip,
    Codec.SNAPPY: _deflate_snappy,
    Codec.LZ4: _deflate_lz4,
    Codec.ZSTD: _deflate_zstd,
}
