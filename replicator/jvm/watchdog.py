"""A small process that outlives its parent by a moment, to end what the parent started.

`python -m replicator.jvm.watchdog PARENT_PID` reads lines on standard input: `watch PID STARTED_AT`
and `release PID`. When the parent is gone (its end of the pipe closes, or our parent pid changes)
every watched process that is still the same one gets SIGKILL. This works wherever there are
pipes; Linux's parent-death signal (`launcher.py`) is the second net.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator

from replicator.jvm.identity import ProcessIdentity

_POLL_SECONDS = 0.5
_READ_BYTES = 4096


def apply_line(watched: dict[int, ProcessIdentity], line: str) -> None:
    """Bring `watched` (pid to identity) up to date with one line."""
    verb, *rest = line.split()
    if verb == "watch":
        watched[int(rest[0])] = ProcessIdentity(int(rest[0]), float(rest[1]))
    elif verb == "release":
        watched.pop(int(rest[0]), None)


def _stand_guard(parent_pid: int) -> None:
    watched: dict[int, ProcessIdentity] = {}
    for line in _read_lines(parent_pid):
        apply_line(watched, line)
    for identity in watched.values():
        identity.send(signal.SIGKILL)


def _read_lines(parent_pid: int) -> Iterator[str]:
    """Yield what the parent said, all of it even if it died before we could listen, until it is gone."""
    pending = b""
    while True:
        ready, _, _ = select.select([0], [], [], _POLL_SECONDS)
        chunk = os.read(0, _READ_BYTES) if ready else None
        if chunk == b"" or (chunk is None and os.getppid() != parent_pid):
            return
        *lines, pending = (pending + (chunk or b"")).split(b"\n")
        yield from (line.decode() for line in lines)


if __name__ == "__main__":
    _stand_guard(int(sys.argv[1]))
