"""Runs one schedule: does its work when it is due, and tells how that went."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.log import get_logger
from replicator.model.forms.text import safe_text
from replicator.model.names import FlowName
from replicator.model.supervision.overview import ScheduleStatus
from replicator.supervisor.decide.schedule import Policies, Standing, Timetable, decide_run

RUN_SECONDS_MAX = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is configured."""

    name: str
    flow: FlowName
    cron: str
    timezone: str
    timetable: Timetable
    kind: str = "snapshot"
    policies: Policies = Policies()


class Work(Protocol):
    """What a schedule does."""

    def last_run(self) -> datetime | None:
        """Return when a run of this schedule last succeeded, as what survives us tells; None for never."""
        ...

    def run(self, deadline: Deadline) -> None:
        """Return once the work is done and proven. Raises: what kept it from being either."""
        ...


class ScheduleRunner:
    """One schedule. `tick` is called by one thread; the work runs in a thread of its own, one at a time."""

    def __init__(
        self,
        schedule: Schedule,
        work: Work,
        *,
        may_run: Callable[[], bool],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._schedule = schedule
        self._work = work
        self._may_run = may_run
        self._clock = clock
        self._standing: Standing | None = None
        self._thread: threading.Thread | None = None
        self._log = get_logger(schedule=schedule.name, flow=schedule.flow)
        self._status = ScheduleStatus(
            name=schedule.name,
            flow=schedule.flow,
            cron=schedule.cron,
            timezone=schedule.timezone,
            kind=schedule.kind,
            misfire=schedule.policies.misfire,
            overlap=schedule.policies.overlap,
            next_run_at=schedule.timetable.next_after(clock.now()),
        )

    @property
    def status(self) -> ScheduleStatus:
        """How the schedule is doing."""
        return self._status

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return self._thread is not None and self._thread.is_alive()

    def forget(self) -> None:
        """Ask again for the last run: another supervisor may have led in between."""
        self._standing = None

    def tick(self, deadline: Deadline) -> None:  # noqa: ARG002 - the work has a budget of its own
        """Begin a run if one is due.

        Raises: what kept us from being told when the last run was; asked again at the next tick.
        """
        now = self._clock.now()
        if self._standing is None:
            self._standing = self._begin(now)
        answer = decide_run(
            self._schedule.timetable,
            self._standing,
            now=now,
            may_run=self._may_run() and not self.is_running,
            policies=self._schedule.policies,
        )
        self._note_missed(answer.standing.missed_total - self._standing.missed_total)
        self._standing = answer.standing
        self._status = replace(
            self._status,
            next_run_at=self._schedule.timetable.next_after(now),
            missed_total=answer.standing.missed_total,
            is_queued=answer.standing.is_queued,
        )
        if answer.is_run_due:
            self._start(now)

    def _begin(self, now: datetime) -> Standing:
        """What fell due since the last run is decided on as a misfire; a new schedule waits its turn."""
        last = self._work.last_run()
        self._status = replace(self._status, last_run_at=last, last_success_at=last)
        return Standing(accounted_to=now if last is None else last)

    def _note_missed(self, count: int) -> None:
        if count > 0:
            self._log.warning("scheduled_runs_missed", count=count)

    def _start(self, now: datetime) -> None:
        self._status = replace(self._status, last_run_at=now, is_running=True, error=None)
        self._thread = threading.Thread(
            target=self._run, args=(now,), name=f"schedule:{self._schedule.name}", daemon=True
        )
        self._thread.start()

    def _run(self, began_at: datetime) -> None:
        began = self._clock.monotonic()
        error = self._try()
        self._status = replace(
            self._status,
            is_running=False,
            error=error,
            last_duration_seconds=self._clock.monotonic() - began,
            last_success_at=began_at if error is None else self._status.last_success_at,
        )

    def _try(self) -> str | None:
        """Return why the run failed; None when it did not."""
        try:
            self._work.run(Deadline.after(RUN_SECONDS_MAX, clock=self._clock))
        except ReplicatorError as error:
            self._log.error("scheduled_run_failed", error=safe_text(error))
            return safe_text(error)
        except Exception as error:  # noqa: BLE001 - the schedule goes on whatever a run meets; it is logged whole
            self._log.exception("scheduled_run_crashed")
            return safe_text(f"{type(error).__name__}: {error}")
        self._log.info("scheduled_run_done")
        return None
