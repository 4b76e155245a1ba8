"""What the command line finds and calls. The supervisor is asked before the dashboard itself is loaded: its answer and
our screens are made ready at the same time."""

from __future__ import annotations

import locale
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tui.feeds import Feed, LiveFeed, Recorder, ReplayFeed
from tui.feeds.recording import read_recording
from tui.theme import Glyphs

if TYPE_CHECKING:
    from replicator.api.client import ApiClient


def can_show_unicode() -> bool:
    """Whether the terminal's locale has the letters we draw with."""
    return "utf" in (sys.stdout.encoding or locale.getpreferredencoding(do_setlocale=False)).lower()


def make_feed(*, client: ApiClient | None, replay: Path | None, record: Path | None, at_seconds: float) -> Feed:
    """Return the feed: a recording, or the supervisor that `client` asks, recorded if a file is named.

    Raises:
        NotFound, DataCorrupt: the recording cannot be read, or the file not written.
    """
    if replay is not None:
        return ReplayFeed(read_recording(replay), name=replay.name, from_seconds=at_seconds)
    recorder = Recorder.open(record) if record is not None else None
    return LiveFeed(cast("ApiClient", client), recorder=recorder)


def run(
    *,
    client: ApiClient | None = None,
    is_acting_allowed: bool = False,
    replay: Path | None = None,
    record: Path | None = None,
    at_seconds: float = 0.0,
    is_ascii: bool = False,
    caption: Callable[[], str] | None = None,
    is_following: bool = False,
) -> int:
    """Show the dashboard until the user ends it; return the exit status.

    `caption` tells a line to show at the bottom; `is_following` goes to the runbook when an operation begins.

    Raises:
        NotFound, DataCorrupt: a recording cannot be read or written.
    """
    feed = make_feed(client=client, replay=replay, record=record, at_seconds=at_seconds)
    feed.start()
    from tui.dashboard import Dashboard

    glyphs = Glyphs(is_ascii=is_ascii or not can_show_unicode())
    dashboard = Dashboard(
        feed,
        is_acting_allowed=is_acting_allowed and replay is None,
        glyphs=glyphs,
        caption=caption,
        is_following=is_following,
    )
    dashboard.run()
    return dashboard.return_code or 0
