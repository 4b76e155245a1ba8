"""When a schedule runs, and which of its runs are missed. Values to values.

Runs never overlap: two captures at once would only slow each other down. What falls due while one goes on, or while
an operation holds the flow, is missed, or one run of it waits. After a time in which nobody watched, one run makes
up for all that should have been, or the schedule waits for its next moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Literal

from cronsim import CronSim

MISSED_MAX = 10_000
"""Missed runs are counted up to this; a schedule of every minute misses that many in a week."""

MISFIRE_GRACE_SECONDS = 60.0
"""A run that begins at most this long after it fell due is on time: loops tick, and machines are slow."""

Misfire = Literal["once", "skip"]
Overlap = Literal["skip", "queue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What becomes of runs that could not begin when they fell due.

    `misfire`, for what nobody was there to begin: `once`, one run makes up for all; `skip`, the next moment is awaited.
    `overlap`, for what falls due while it may not run: `skip`, it is missed; `queue`, one run waits until it may.
    """

    misfire: Misfire = "once"
    overlap: Overlap = "skip"


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
    """Where a schedule stands: up to when its runs are accounted for, how many were missed, and whether one waits."""

    accounted_to: datetime
    missed_total: int = 0
    is_queued: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows: whether to run now, and where the schedule stands after."""

    is_run_due: bool
    standing: Standing


def decide_run(timetable: Timetable, standing: Standing, *, now: datetime, may_run: bool, policies: Policies) -> Answer:
    """Return whether a run is to begin now; the due ones that no run stands for are missed.

    `may_run` False: one goes on, an operation holds the flow, or another supervisor leads.
    """
    due = timetable.due_between(standing.accounted_to, now) + standing.is_queued
    if due == 0:
        return Answer(False, standing)
    is_queued = not may_run and (standing.is_queued or policies.overlap == "queue")
    is_run_due = may_run and (standing.is_queued or policies.misfire == "once" or _is_on_time(timetable, standing, now))
    missed = due - (is_run_due or is_queued)
    return Answer(
        is_run_due, Standing(accounted_to=now, missed_total=standing.missed_total + missed, is_queued=is_queued)
    )


def _is_on_time(timetable: Timetable, standing: Standing, now: datetime) -> bool:
    """Whether something fell due so lately that to begin it now is no misfire."""
    since = max(standing.accounted_to, now - timedelta(seconds=MISFIRE_GRACE_SECONDS))
    return timetable.due_between(since, now) > 0
