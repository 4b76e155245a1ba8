"""Time comes in as an argument. `Clock` gives wall time and a monotonic counter; `Deadline`
is one budget shared by every wait of a call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from replicator.errors import DeadlineExceeded


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines. Tests pass their own."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a counter that never steps back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a counter that never steps back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock; every wait of a call takes what is left of it."""

    at: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float, *, clock: Clock = SYSTEM_CLOCK) -> Deadline:
        """Start a budget of `seconds` now."""
        return cls(at=clock.monotonic() + seconds, clock=clock)

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self.left <= 0.0

    def capped(self, seconds: float) -> float:
        """Return `seconds`, or what is left if that is less."""
        return min(seconds, self.left)

    def check(self, what: str, *, hint: str | None = None) -> None:
        """Raise DeadlineExceeded, saying `what` was being waited for, if the budget is spent."""
        if self.is_over:
            raise DeadlineExceeded(f"{what}: no answer in time", hint=hint)


SKEW_SECONDS_MAX = 1.0
"""By so much the clocks of two hosts that keep time may differ; more means that one of them stepped."""


def seconds_between(earlier: datetime, later: datetime) -> float | None:
    """Return the seconds from one moment to the later one; None where it lies before the earlier one by more than the
    clocks of hosts differ: then one of them stepped, and nobody knows."""
    seconds = (later - earlier).total_seconds()
    return None if seconds < -SKEW_SECONDS_MAX else max(0.0, seconds)


def to_rfc3339(moment: datetime) -> str:
    """Return the moment as RFC 3339 in UTC with milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Return the aware moment an RFC 3339 text names."""
    return datetime.fromisoformat(text)
