"""The dashboard under a pilot: over the recorded story, and over a live API in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.pilot import Pilot

from replicator.api.schema import ActRequest, OperationView
from replicator.errors import AccessDenied
from tui.dashboard import Dashboard
from tui.feeds import ReplayFeed
from tui.feeds.recording import Moment
from tui.pictures import StandingClock, to_text
from tui.scenes import operation, story

SIZES = [(80, 24), (120, 40)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here."""
    for item in items:
        if "tests/tui" in str(item.path):
            item.add_marker(pytest.mark.tui)


class ActingFeed(ReplayFeed):
    """A recording that takes acts on and remembers them."""

    def __init__(self, moments: Iterable[Moment], *, second: float) -> None:
        super().__init__(moments, from_seconds=second, clock=StandingClock())  # type: ignore[arg-type]  # stands still
        self.asked: list[tuple[str, str, ActRequest]] = []
        self.refusal: str | None = None

    def begin(self, act: str, *, flow: str, request: ActRequest) -> OperationView:
        """Remember the act and answer an operation."""
        if self.refusal is not None:
            raise AccessDenied(self.refusal)
        self.asked.append((act, flow, request))
        return OperationView.model_validate(operation(340.0))


class Stage:
    """One dashboard under a pilot."""

    def __init__(self, dashboard: Dashboard, feed: ActingFeed, pilot: Pilot[None]) -> None:
        self.dashboard = dashboard
        self.feed = feed
        self.pilot = pilot

    async def press(self, *keys: str) -> str:
        """Press keys and return what is on the screen then."""
        await self.pilot.press(*keys)
        await self.pilot.pause()
        self.dashboard.paint()
        await self.pilot.pause()
        return self.text

    @property
    def text(self) -> str:
        """What is on the screen."""
        return to_text(self.dashboard)


@pytest.fixture(scope="session")
def moments() -> list[Moment]:
    """The recorded story."""
    return story()


Open = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def open_stage(moments: list[Moment]) -> Open:
    """Opens dashboards at a second of the story."""

    @asynccontextmanager
    async def opened(
        *, second: float = 240.0, size: tuple[int, int] = (80, 24), extra: Iterable[Moment] = (), **options: bool
    ) -> AsyncIterator[Stage]:
        feed = ActingFeed([*moments, *extra], second=second)
        dashboard = Dashboard(feed, **options)
        async with dashboard.run_test(size=size) as pilot:
            stage = Stage(dashboard, feed, pilot)
            await stage.press()
            yield stage

    return opened
