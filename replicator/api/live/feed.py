"""The one task that watches the source: it keeps the newest overview, finds what happened, and wakes the readers."""

from __future__ import annotations

import asyncio
from typing import Protocol

from replicator.api.live.differences import find_events
from replicator.api.live.history import History
from replicator.api.live.ring import EventRing
from replicator.api.schema import StatusView
from replicator.api.views import status_view
from replicator.clock import SYSTEM_CLOCK, Clock
from replicator.errors import Unreachable
from replicator.log import get_logger
from replicator.model.supervision.overview import Overview

LOOK_PERIOD_SECONDS = 0.25


class OverviewSource(Protocol):
    """Where the overview comes from: a supervisor, or whatever stands in for one."""

    def overview(self) -> Overview:
        """Return the newest overview at once; it asks nobody."""
        ...


class Feed:
    """Newest overview, events and history. Lives in one event loop; only `close` may be called from elsewhere."""

    def __init__(self, source: OverviewSource, *, life: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._source = source
        self.clock = clock
        self.ring = EventRing(life)
        self.history = History()
        self.version = 0
        self.is_closing = False
        self._overview: Overview | None = None
        self._view: tuple[int, StatusView] | None = None
        self._changed = asyncio.Event()
        self._log = get_logger(room="api")
        self._has_failed = False

    @property
    def overview(self) -> Overview:
        """The newest overview.

        Raises:
            Unreachable: the source has not given one yet.
        """
        if self._overview is None:
            self.look()
        if self._overview is None:
            raise Unreachable("the supervisor has no status yet", hint="ask again in a moment")
        return self._overview

    @property
    def view(self) -> StatusView:
        """The newest overview as it travels, made once for all readers."""
        overview = self.overview
        if self._view is None or self._view[0] != self.version:
            self._view = (self.version, status_view(overview))
        return self._view[1]

    def look(self) -> None:
        """Take the source's newest overview in, if it has one. A failure is logged once, and asked past."""
        try:
            overview = self._source.overview()
            self._take(overview)
        except Exception as error:  # noqa: BLE001 - the task outlives whatever its source meets; it is logged whole
            if not self._has_failed:
                self._log.exception("overview_failed", error=type(error).__name__)
            self._has_failed = True
        else:
            self._has_failed = False

    def _take(self, overview: Overview) -> None:
        before = self._overview
        if before is overview or before == overview:
            return
        self.ring.add(find_events(before, overview))
        if before is None or before.status.computed_at != overview.status.computed_at:
            self.history.add(overview.status)
        self._overview = overview
        self.version += 1
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_changed(self, version: int, *, timeout_seconds: float) -> None:
        """Return when there is something newer than `version`, when closing, or after `timeout_seconds`."""
        if self.version != version or self.is_closing:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def run(self, *, period_seconds: float = LOOK_PERIOD_SECONDS) -> None:
        """Look again and again until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(period_seconds)

    def close(self) -> None:
        """Let every reader end soon."""
        self.is_closing = True
