"""Kill points: places where a test lets the process die, to prove that the same command then goes on.

Set REPLICATOR_CRASH_AT to a point's name (`commit.after_intent`) and the process kills itself there with
SIGKILL, as a lost machine would. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

CRASH_VARIABLE = "REPLICATOR_CRASH_AT"

BEFORE_INTENT = "before_intent"
AFTER_INTENT = "after_intent"
AFTER_EFFECT = "after_effect"
AFTER_DONE = "after_done"
AFTER_UNDO = "after_undo"
AROUND_EVERY_STEP = (BEFORE_INTENT, AFTER_INTENT, AFTER_EFFECT, AFTER_DONE)

Crashpoint = Callable[[str], None]


def crashpoint_from(environ: Mapping[str, str] = os.environ) -> Crashpoint:
    """Return what every kill point calls: it kills this process at the one that the environment names."""
    wanted = environ.get(CRASH_VARIABLE)
    return never_crash if not wanted else lambda name: _die_at(name, wanted)


def never_crash(_name: str) -> None:
    """Do nothing."""


def _die_at(name: str, wanted: str) -> None:
    if name == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
