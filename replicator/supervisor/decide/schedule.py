"""When a schedule runs, and which of its runs are missed. Values to values.

A run that falls due while the one before it still goes on is missed: two captures at once would only slow each
other down. After a time in which nobody watched, one run makes up for all that should have been.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice

from cronsim import CronSim

MISSED_MAX = 10_000
"""Missed runs are counted up to this; a schedule of every minute misses that many in a week."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A cron expression of five fields, read in a time zone. Daylight saving is cronsim's: as Debian's cron does."""

    cron: str
    zone: tzinfo

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the due moments after `moment`, in UTC."""
        return (due.astimezone(UTC) for due in CronSim(self.cron, moment.astimezone(self.zone)))

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the next due moment after `moment`; None when there is none."""
        return next(self.after(moment), None)

    def due_between(self, start: datetime, stop: datetime) -> int:
        """Return how many runs fell due after `start` and up to `stop`, counted up to MISSED_MAX."""
        count = 0
        for due in islice(self.after(start), MISSED_MAX):
            if due > stop:
                return count
            count += 1
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a schedule stands: up to when its runs are accounted for, and how many were missed."""

    accounted_to: datetime
    missed_total: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows: whether to run now, and where the schedule stands after."""

    is_run_due: bool
    standing: Standing


def decide_run(timetable: Timetable, standing: Standing, *, now: datetime, may_run: bool) -> Answer:
    """Return whether a run is due now; the due ones that no run of now stands for are missed.

    `may_run` False: one goes on, an operation holds the flow, or another supervisor leads.
    """
    due = timetable.due_between(standing.accounted_to, now)
    if due == 0:
        return Answer(False, standing)
    missed = due - 1 if may_run else due
    return Answer(may_run, Standing(accounted_to=now, missed_total=standing.missed_total + missed))
