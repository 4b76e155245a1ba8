"""A bound on how fast bytes are taken in, so that a capture leaves brokers and network to their users."""

from __future__ import annotations

from replicator.clock import Clock, Deadline
from replicator.errors import UsageError

MIN_BYTES_PER_SECOND = 64 * 1024
"""Below this a single answer of a broker would stand for minutes, and the claim on the repository would grow old."""


class Throttle:
    """Sleeps so that never more than `bytes_per_second` come in, counted from its making; None: no bound.

    What was not used up is not saved: after a pause the bound is the same.
    Raises: UsageError for a bound that is too low.
    """

    def __init__(self, bytes_per_second: int | None, *, clock: Clock) -> None:
        if bytes_per_second is not None and bytes_per_second < MIN_BYTES_PER_SECOND:
            raise UsageError(f"a rate of {bytes_per_second} bytes/s is below the least, {MIN_BYTES_PER_SECOND}")
        self._rate = bytes_per_second
        self._clock = clock
        self._free_at = clock.monotonic()

    def pass_bytes(self, size_bytes: int, *, deadline: Deadline) -> None:
        """Return when so many bytes have had their time, or the deadline is over."""
        if self._rate is None:
            return
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now) + size_bytes / self._rate
        self._clock.sleep(deadline.capped(self._free_at - now))
