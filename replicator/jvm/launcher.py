"""Becomes the program on its command line, after asking Linux to kill it when its parent dies.

Run as a plain script (`python -I -S launcher.py PARENT_PID PROGRAM ARGUMENTS…`), so that no code
runs between fork and exec in the parent, which may have threads. The wish survives `exec`.

The signal comes when the *thread* that started us ends: see `process.py` for who may ask.
Source: prctl(2), PR_SET_PDEATHSIG.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program, tied to the parent."""
    parent_pid, program, *arguments = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent_pid):  # the parent died before we asked
        sys.exit(1)
    os.execv(program, [program, *arguments])  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main()
