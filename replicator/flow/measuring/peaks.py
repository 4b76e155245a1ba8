"""The highest rate of a topic in the days past: what a source may have written while nobody saw it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

PEAK_DAYS = 7
"""A week holds the batch of every night and of every Sunday; a backfill of last month says nothing about tonight."""


@dataclass(frozen=True, slots=True)
class PeakTrail:
    """The highest rate of each day, in records/s, oldest first. At most `PEAK_DAYS` + 1 days are kept."""

    days: tuple[tuple[int, float], ...] = ()

    def noted(self, rate: float, at: datetime) -> PeakTrail:
        """Return the trail with a rate that was seen at that time; days that are too old are gone from it."""
        day = _day_of(at)
        highest = dict(self.days)
        highest[day] = max(highest.get(day, 0.0), rate)
        return PeakTrail(tuple((known, highest[known]) for known in sorted(highest) if known >= day - PEAK_DAYS))

    def highest(self, at: datetime) -> float | None:
        """Return the highest rate of the last `PEAK_DAYS` days, up to one day more; None: none was seen."""
        since = _day_of(at) - PEAK_DAYS
        return max((rate for day, rate in self.days if day >= since), default=None)

    def joined(self, other: PeakTrail) -> PeakTrail:
        """Return what both saw."""
        highest = dict(self.days)
        for day, rate in other.days:
            highest[day] = max(highest.get(day, 0.0), rate)
        return PeakTrail(tuple(sorted(highest.items())))


def _day_of(at: datetime) -> int:
    return int(at.timestamp() // timedelta(days=1).total_seconds())
