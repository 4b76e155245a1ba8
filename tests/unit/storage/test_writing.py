"""Files written around the page cache, and the usual way where that cannot be: the same bytes, whole."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from replicator.errors import OperationFailed
from replicator.storage import open_store, writing
from replicator.storage.writing import BLOCK_BYTES, BUFFER_BYTES, DIRECT_BYTES_MIN, write_synced

SIZES = [
    0, 1, DIRECT_BYTES_MIN - 1, DIRECT_BYTES_MIN, DIRECT_BYTES_MIN + 1, DIRECT_BYTES_MIN + BLOCK_BYTES,
    BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1, BUFFER_BYTES + BLOCK_BYTES - 1, 2 * BUFFER_BYTES + 5000,
]  # fmt: skip
needs_direct = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system has no O_DIRECT")


def cut(data: bytes, seed: int) -> list[bytes]:
    """The data in parts of any size, empty ones too."""
    rng, parts, at = random.Random(seed), [b""], 0
    while at < len(data):
        size = rng.choice([1, 61, 4096, 16_384, 700_001, 3_000_000])
        parts.append(data[at : at + size])
        at += size
    return [*parts, b""]


@pytest.mark.parametrize("size", SIZES)
def test_the_file_holds_the_parts(tmp_path: Path, size: int) -> None:
    """Whatever their sizes, and wherever blocks and the buffer end."""
    data = random.Random(size).randbytes(size)
    write_synced(tmp_path / "file", cut(data, size))
    assert (tmp_path / "file").read_bytes() == data


@needs_direct
def test_a_file_system_that_knows_no_direct_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused when it is opened, as some do after they have made the file: the same bytes are there."""
    real, refused = os.open, []

    def refuse(path: Path, flags: int, *rest: int) -> int:
        if flags & os.O_DIRECT:
            os.close(real(path, flags & ~os.O_DIRECT, *rest))
            refused.append(path)
            raise OSError(errno.EINVAL, "no such flag")
        return real(path, flags, *rest)

    monkeypatch.setattr(writing.os, "open", refuse)
    data = random.Random(1).randbytes(BUFFER_BYTES + 77)
    write_synced(tmp_path / "file", cut(data, 1))
    assert refused
    assert (tmp_path / "file").read_bytes() == data


@needs_direct
@pytest.mark.parametrize("at_most", [BLOCK_BYTES, 5000, 0])
def test_direct_writes_that_are_short_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_most: int) -> None:
    """Cut short on a block's bound or within one, or refused (0): what is left follows, nothing twice."""
    real, met = os.write, []

    def write(descriptor: int, view: memoryview) -> int:
        if writing._is_direct(descriptor) and len(met) < 3:
            met.append(len(view))
            if not at_most:
                raise OSError(errno.EINVAL, "not aligned")
            if at_most % BLOCK_BYTES:
                writing._stop_direct(descriptor)
            return real(descriptor, view[:at_most])
        return real(descriptor, view)

    monkeypatch.setattr(writing.os, "write", write)
    data = random.Random(2).randbytes(2 * BUFFER_BYTES + 5)
    write_synced(tmp_path / "file", cut(data, 2))
    assert met
    assert (tmp_path / "file").read_bytes() == data


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space midway: told with what to do, and neither the object nor a part of it is there."""
    real, left = os.write, [BUFFER_BYTES]

    def write(descriptor: int, view: memoryview) -> int:
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()
        return real(descriptor, view)

    monkeypatch.setattr(writing.os, "write", write)
    monkeypatch.setattr(writing.os, "writev", lambda descriptor, views: write(descriptor, views[0]))
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(OperationFailed, match="No space left") as told:
        store.put("packs/aa/one", [bytes(BUFFER_BYTES), bytes(BUFFER_BYTES)])
    assert told.value.hint == "free space in the store, then run again"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
