"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Wall and monotonic time that move together, by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.seconds += seconds


@pytest.fixture
def clock() -> FakeClock:
    """A clock at 2026-01-01 12:00:00 UTC."""
    return FakeClock()
