"""Kill points: places where a test lets the process die, to prove that the same command then goes on.

Set REPLICATOR_CRASH_AT to a point's name (`commit.after_intent`; `journal.after_7` is behind the process's seventh
write to its operation's journal) and the process kills itself there with SIGKILL, as a lost machine would; with
REPLICATOR_PAUSE_AT it stands still there instead, alive, until a signal ends it or its patience does; with
REPLICATOR_FREEZE_AT it stops itself with SIGSTOP, and SIGCONT wakes it up. Without the variables a point costs nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

CRASH_VARIABLE = "REPLICATOR_CRASH_AT"
PAUSE_VARIABLE = "REPLICATOR_PAUSE_AT"
FREEZE_VARIABLE = "REPLICATOR_FREEZE_AT"
PAUSE_SECONDS = 60.0

BEFORE_INTENT = "before_intent"
AFTER_INTENT = "after_intent"
AFTER_EFFECT = "after_effect"
AFTER_DONE = "after_done"
AFTER_UNDO = "after_undo"
BEFORE_WRITE = "before"
AFTER_WRITE = "after"
AROUND_EVERY_STEP = (BEFORE_INTENT, AFTER_INTENT, AFTER_EFFECT, AFTER_DONE)

Crashpoint = Callable[[str], None]


def crashpoint_from(environ: Mapping[str, str] = os.environ) -> Crashpoint:
    """Return what every kill point calls: it strikes at the one that the environment names."""
    kill_at, pause_at = environ.get(CRASH_VARIABLE), environ.get(PAUSE_VARIABLE)
    freeze_at = environ.get(FREEZE_VARIABLE)
    if not kill_at and not pause_at and not freeze_at:
        return never_crash

    def strike(name: str) -> None:
        if name == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == freeze_at:
            os.kill(os.getpid(), signal.SIGSTOP)
        if name == pause_at:
            time.sleep(PAUSE_SECONDS)

    return strike


def write_point(number: int, side: str) -> str:
    """Return the name of the place before or after a process's write number `number` to its operation's journal."""
    return f"journal.{side}_{number}"


def never_crash(_name: str) -> None:
    """Do nothing."""
