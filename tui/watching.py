"""Record everything a supervisor tells, without a screen: `python -m tui.watching URL FILE SECONDS`.

A dashboard records what it looks at; this looks at every part of every flow, for pictures and for later.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from replicator.api.client import ApiClient
from replicator.api.schema import StatusView
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from tui.board import WINDOWS_SECONDS
from tui.feeds import LiveFeed, Recorder

LOOK_SECONDS = 0.5


def every_part(status: StatusView | None) -> list[str]:
    """Return every part there is to ask for of these flows."""
    if status is None:
        return []
    names = [flow.flow for flow in status.flows]
    of_flows = [part for name in names for part in (f"groups:{name}", f"lag:{name}")]
    histories = [f"history:{name}:{window:g}" for name in names for window in WINDOWS_SECONDS[:2]]
    return [*of_flows, *histories, "snapshots", "schedules", "alerts", "runbooks"]


def watch(url: str, path: Path, *, deadline: Deadline, clock: Clock = SYSTEM_CLOCK) -> None:
    """Leave a recording of what the supervisor told until the deadline.

    Raises:
        NotFound: the file cannot be written.
    """
    feed = LiveFeed(ApiClient(url), recorder=Recorder.open(path))
    feed.start()
    try:
        while not deadline.is_over:
            feed.want(every_part(feed.picture.status))
            clock.sleep(deadline.capped(LOOK_SECONDS))
    finally:
        feed.close()


def main(arguments: Sequence[str]) -> int:
    """Record for so many seconds."""
    if len(arguments) != 3:
        print("usage: python -m tui.watching URL FILE SECONDS", file=sys.stderr)
        return 2
    watch(arguments[0], Path(arguments[1]), deadline=Deadline.after(float(arguments[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
