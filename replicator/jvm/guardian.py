"""The parent's end of the watchdog: names the processes that may not outlive us."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

from replicator.jvm.identity import ProcessIdentity

_CLOSE_SECONDS = 10.0


class Guardian:
    """Starts one watchdog process at first use and talks to it; a dead one is replaced.

    `is_lifelong` says that nothing will be released: then the kernel may be asked for help too,
    whose promise cannot be taken back.
    """

    def __init__(self, *, is_lifelong: bool = True) -> None:
        self.is_lifelong = is_lifelong
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: dict[int, ProcessIdentity] = {}
        self._lock = threading.Lock()

    def watch(self, identity: ProcessIdentity) -> None:
        """From now on the process dies with us."""
        with self._lock:
            self._watched[identity.pid] = identity
            self._say(_watch_line(identity))

    def release(self, identity: ProcessIdentity) -> None:
        """From now on the process may outlive us."""
        with self._lock:
            if self._watched.pop(identity.pid, None) is not None:
                self._say(f"release {identity.pid}\n")

    def close(self) -> None:
        """End the watchdog; whatever it still watches is killed."""
        with self._lock:
            process, self._process = self._process, None
            self._watched.clear()
            if process is not None and process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait(timeout=_CLOSE_SECONDS)

    def _say(self, line: str) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = _start_watchdog()
            line = "".join(_watch_line(identity) for identity in self._watched.values())
        if self._process.stdin is not None:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def _watch_line(identity: ProcessIdentity) -> str:
    return f"watch {identity.pid} {identity.started_at!r}\n"


def _start_watchdog() -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C and group signals miss it."""
    return subprocess.Popen(
        [sys.executable, "-m", "replicator.jvm.watchdog", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
