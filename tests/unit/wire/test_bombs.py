"""Batches that inflate without end: refused, and no memory taken for them beyond the bound."""

from __future__ import annotations

import resource
import sys
import zlib

import cramjam
import pytest

from replicator.errors import DataCorrupt
from replicator.wire.format.batches import Batch, Codec, walk_headers
from replicator.wire.format.compression import deflate, inflate
from replicator.wire.format.records import RawRecord, encode_batch, walk_records

MIB = 1024 * 1024
BOUND = 8 * MIB
ZEROS = bytes(MIB)
LENGTH = 4


def make_gzip() -> bytes:
    """A gigabyte of zeros in a megabyte."""
    deflater = zlib.compressobj(wbits=31)
    return b"".join(deflater.compress(ZEROS) for _ in range(1024)) + deflater.flush()


def make_zstd() -> bytes:
    """A gigabyte of zeros in sixty kilobytes: frames one after another."""
    return bytes(cramjam.zstd.compress(ZEROS * 16)) * 64


def make_lz4() -> bytes:
    """A gigabyte of zeros in four megabytes."""
    return bytes(cramjam.lz4.compress(ZEROS * 16)) * 64


def make_snappy() -> bytes:
    """A bare block that says it is four gigabytes large."""
    return b"\xff\xff\xff\xff\x0f" + bytes(cramjam.snappy.compress_raw(ZEROS))[3:]


def make_xerial() -> bytes:
    """A gigabyte of zeros as Java frames it."""
    block = bytes(cramjam.snappy.compress_raw(ZEROS))
    return deflate(Codec.SNAPPY, b"") + (len(block).to_bytes(LENGTH, "big") + block) * 1024


BOMBS = {
    "gzip": (Codec.GZIP, make_gzip),
    "zstd": (Codec.ZSTD, make_zstd),
    "lz4": (Codec.LZ4, make_lz4),
    "snappy": (Codec.SNAPPY, make_snappy),
    "xerial": (Codec.SNAPPY, make_xerial),
}


def peak_bytes() -> int:
    """The most memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_fills_the_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each codec: said to be beyond the bound, and never was there a gigabyte of it in memory."""
    codec, make = BOMBS[name]
    bomb = memoryview(make())
    monkeypatch.setattr("replicator.wire.format.compression.MAX_INFLATED_BYTES", BOUND)
    before = peak_bytes()
    with pytest.raises(DataCorrupt, match=f"records inflate beyond {BOUND} bytes"):
        inflate(codec, bomb)
    assert peak_bytes() - before < 256 * MIB


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3 * MIB])
def test_what_compresses_well_comes_back(codec: Codec, size: int) -> None:
    """However much larger than its batch: room is made until it fits."""
    assert bytes(inflate(codec, memoryview(deflate(codec, bytes(size))))) == bytes(size)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_the_bound_itself_is_allowed(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that inflates to just as much as there may be is whole; a byte more is refused."""
    monkeypatch.setattr("replicator.wire.format.compression.MAX_INFLATED_BYTES", MIB)
    assert len(inflate(codec, memoryview(deflate(codec, bytes(MIB))))) == MIB
    with pytest.raises(DataCorrupt, match="beyond 1048576 bytes"):
        inflate(codec, memoryview(deflate(codec, bytes(MIB + 1))))


def test_small_records_by_the_million_are_walked_one_by_one() -> None:
    """The first record is there before the last one is looked at."""
    raw = memoryview(encode_batch([RawRecord(0, n, None, None) for n in range(1000)], codec=Codec.ZSTD))
    ((at, header),) = walk_headers(raw)
    records = walk_records(Batch(header._replace(record_count=1 << 30), raw[at:]))
    assert next(records).timestamp_ms == 0
    with pytest.raises(DataCorrupt, match="does not decode"):
        list(records)
