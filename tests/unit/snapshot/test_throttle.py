"""The bound on reading holds over any run of slices, and saves nothing up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.clock import Deadline
from replicator.errors import UsageError
from replicator.snapshot.capture.throttle import MIN_BYTES_PER_SECOND, Throttle

RATE = 1_000_000


@dataclass
class Hands:
    """A clock that is moved by sleeping alone."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += max(0.0, seconds)


@given(st.lists(st.tuples(st.integers(0, 8 << 20), st.floats(0, 10)), max_size=30))
def test_no_run_of_slices_beats_the_bound(slices: list[tuple[int, float]]) -> None:
    """However slices come and pauses lie between them, from any slice on the bound holds."""
    clock = Hands()
    throttle = Throttle(RATE, clock=clock)
    seen: list[tuple[float, int]] = []
    for size_bytes, pause_seconds in slices:
        clock.sleep(pause_seconds)
        seen.append((clock.seconds, size_bytes))
        throttle.pass_bytes(size_bytes, deadline=Deadline.after(1e9, clock=clock))
        for index, (begun, _size) in enumerate(seen):
            total = sum(size for _at, size in seen[index:])
            assert total <= RATE * (clock.seconds - begun) * (1 + 1e-9) + 1


def test_without_a_bound_nothing_waits_and_a_deadline_ends_waiting() -> None:
    """No bound costs no time; a wait is never longer than the deadline."""
    clock = Hands()
    Throttle(None, clock=clock).pass_bytes(1 << 40, deadline=Deadline.after(1, clock=clock))
    assert clock.seconds == 0
    Throttle(RATE, clock=clock).pass_bytes(1 << 40, deadline=Deadline.after(5, clock=clock))
    assert clock.seconds == pytest.approx(5)


def test_too_low_a_bound_is_refused() -> None:
    """A bound under which a claim would grow old is an error of use."""
    with pytest.raises(UsageError, match="below the least"):
        Throttle(MIN_BYTES_PER_SECOND - 1, clock=Hands())
