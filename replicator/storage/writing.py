"""A file written and synced: large ones around the page cache, which nobody would read them from.

A pack that passes through the page cache is copied once more and then written out by the kernel at its leisure, which
costs several times the CPU of the write itself. Direct writes need aligned memory, places and sizes: parts are gathered
in one aligned buffer. Where a file system refuses them the same bytes go the usual way.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from replicator.storage.base import Content

DIRECT_BYTES_MIN = 1024 * 1024
"""Smaller files are not worth a buffer."""
BUFFER_BYTES = 4 * 1024 * 1024
BLOCK_BYTES = 4096
"""What direct writes are aligned to; no common disk asks for more."""
_DIRECT = getattr(os, "O_DIRECT", 0)
_WRITE_PARTS = 64
"""Parts handed to one writev call; systems refuse more than IOV_MAX (1024)."""


def write_synced(path: Path, parts: Sequence[Content]) -> None:
    """The file is new, holds the parts one after another, and is on the disk. Raises: OSError."""
    is_large = sum(len(part) for part in parts) >= DIRECT_BYTES_MIN
    descriptor = _open_new(path, is_direct=is_large and bool(_DIRECT))
    try:
        if is_large and _is_direct(descriptor):
            _write_direct(descriptor, parts)
        else:
            _write_buffered(descriptor, parts)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_new(path: Path, *, is_direct: bool) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    if is_direct:
        try:
            return os.open(path, flags | _DIRECT, 0o644)
        except OSError as exc:
            if exc.errno != errno.EINVAL:
                raise
            path.unlink(missing_ok=True)  # Linux makes the file before it refuses the flag
    return os.open(path, flags, 0o644)


def _is_direct(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & _DIRECT)


def _stop_direct(descriptor: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~_DIRECT)


def _write_direct(descriptor: int, parts: Sequence[Content]) -> None:
    view = memoryview(mmap.mmap(-1, BUFFER_BYTES))  # begins on a page; gone with its last view
    for filled in _gather(view, parts):
        if filled % BLOCK_BYTES:
            _stop_direct(descriptor)  # the end of the file, which is seldom a whole block
        _write_whole(descriptor, view[:filled])


def _gather(view: memoryview, parts: Sequence[Content]) -> Iterator[int]:
    """Fill the buffer with the parts, one after another; yield how much is in it each time that it is to be written.

    Every time but the last it is full, or the last time filled to a whole block and then with the rest.
    """
    filled = 0
    for part in parts:
        source, taken = memoryview(part), 0
        while taken < len(source):
            count = min(len(source) - taken, len(view) - filled)
            view[filled : filled + count] = source[taken : taken + count]
            filled, taken = filled + count, taken + count
            if filled == len(view):
                yield filled
                filled = 0
    whole = filled - filled % BLOCK_BYTES
    if whole:
        yield whole
        view[: filled - whole] = bytes(view[whole:filled])
    if filled > whole:
        yield filled - whole


def _write_whole(descriptor: int, view: memoryview) -> None:
    """Write all of it. A write that is refused, or ends within a block, is gone on with the usual way."""
    while len(view):
        try:
            written = os.write(descriptor, view)
        except OSError as exc:
            if exc.errno != errno.EINVAL or not _is_direct(descriptor):
                raise
            written = 0
            _stop_direct(descriptor)
        if written % BLOCK_BYTES:
            _stop_direct(descriptor)
        view = view[written:]


def _write_buffered(descriptor: int, parts: Sequence[Content]) -> None:
    for start in range(0, len(parts), _WRITE_PARTS):
        _write_all(descriptor, [memoryview(part) for part in parts[start : start + _WRITE_PARTS] if len(part)])


def _write_all(descriptor: int, views: list[memoryview]) -> None:
    while views:
        written = os.writev(descriptor, views)
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]
