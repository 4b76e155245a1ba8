"""What the screens share: the newest picture, which flow is looked at, what is filtered, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tui.feeds import Feed
from tui.picture import Picture
from tui.theme import Glyphs

WINDOWS_SECONDS = (300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
UNITS = ("seconds", "records")


@dataclass(slots=True)
class Board:
    """One dashboard's state beside the picture. Changed by keys alone."""

    feed: Feed
    glyphs: Glyphs = field(default_factory=Glyphs)
    is_acting_allowed: bool = False
    caption: Callable[[], str] | None = None
    picture: Picture = field(default_factory=Picture)
    flow: str | None = None
    group: str | None = None
    operation: str | None = None
    window_seconds: float = WINDOWS_SECONDS[1]
    unit: str = UNITS[0]
    is_issues_only: bool = False
    is_local_time: bool = False
    is_paused: bool = False
    is_log_shown: bool = False

    @property
    def now(self) -> float:
        """The time the picture is dated by."""
        return self.feed.now()

    def look(self) -> Picture:
        """Take the newest picture, unless paused; the flow looked at is one that is there."""
        if not self.is_paused:
            self.picture = self.feed.picture
        flows = [flow.flow for flow in self.picture.status.flows] if self.picture.status is not None else []
        if flows and self.flow not in flows:
            self.flow = flows[0]
        return self.picture

    def next_flow(self, step: int) -> None:
        """Look at the next flow."""
        flows = [flow.flow for flow in self.picture.status.flows] if self.picture.status is not None else []
        if flows:
            place = flows.index(self.flow) if self.flow in flows else 0
            self.flow = flows[(place + step) % len(flows)]
            self.group = self.operation = None

    def next_window(self) -> None:
        """Look at the next window of time."""
        place = WINDOWS_SECONDS.index(self.window_seconds)
        self.window_seconds = WINDOWS_SECONDS[(place + 1) % len(WINDOWS_SECONDS)]

    def next_unit(self) -> None:
        """Show lag in the other unit."""
        self.unit = UNITS[(UNITS.index(self.unit) + 1) % len(UNITS)]
