"""The codecs of record batches, each by Kafka's own framing; nothing here knows a record.

Source: Kafka's `compress` package. Snappy travels in xerial's block framing when Java wrote it and
bare when librdkafka did; LZ4 frames must hold independent blocks or the broker refuses them.
"""

from __future__ import annotations

import struct
import zlib

import cramjam

from replicator.errors import DataCorrupt
from replicator.wire.format.batches import Codec

MAX_INFLATED_BYTES = 512 * 1024 * 1024
"""No batch inflates beyond this; brokers refuse batches long before."""

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
    if len(plain) > MAX_INFLATED_BYTES:
        raise DataCorrupt(f"records inflate to {len(plain)} bytes, beyond {MAX_INFLATED_BYTES}")
    return plain


def deflate(codec: int, data: bytes | bytearray) -> bytes | bytearray:
    """Return the records of a batch compressed so that a broker accepts them."""
    return data if codec == Codec.NONE else _DEFLATERS[Codec(codec)](data)


def _inflate_gzip(data: memoryview) -> memoryview:
    inflater = zlib.decompressobj(wbits=_GZIP_WBITS)
    plain = inflater.decompress(data, MAX_INFLATED_BYTES + 1)
    if not inflater.eof and len(plain) <= MAX_INFLATED_BYTES:
        raise ValueError("gzip stream ends early")
    return memoryview(plain)


def _inflate_snappy(data: memoryview) -> memoryview:
    if bytes(data[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        return _as_view(cramjam.snappy.decompress_raw(data))
    plain = bytearray()
    position = len(_XERIAL_HEADER)
    while position < len(data):
        (length,) = _BLOCK_LENGTH.unpack_from(data, position)
        position += _BLOCK_LENGTH.size
        if length < 0 or position + length > len(data):
            raise ValueError("snappy block runs past the batch")
        plain += memoryview(cramjam.snappy.decompress_raw(data[position : position + length]))
        if len(plain) > MAX_INFLATED_BYTES:
            break
        position += length
    return memoryview(plain)


def _inflate_lz4(data: memoryview) -> memoryview:
    return _as_view(cramjam.lz4.decompress(data))


def _inflate_zstd(data: memoryview) -> memoryview:
    return _as_view(cramjam.zstd.decompress(data))


def _as_view(buffer: cramjam.Buffer) -> memoryview:
    return memoryview(buffer)


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
