"""When a schedule runs, what it misses, and that one run at a time is enough."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from replicator.clock import Deadline
from replicator.errors import Unreachable
from replicator.model.names import FlowName, SnapshotId
from replicator.model.operations import OperationKind
from replicator.supervisor.decide.schedule import MISSED_MAX, Standing, Timetable, decide_run
from replicator.supervisor.schedules import Schedule, ScheduleRunner
from replicator.supervisor.schedules.loops import may_begin
from replicator.supervisor.schedules.verifying import proof_order

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOURLY = Timetable("0 * * * *", UTC)


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


@pytest.mark.parametrize(
    ("since", "now", "may_run", "is_due", "missed"),
    [
        (1, 59, True, False, 0),
        (1, 60, True, True, 0),
        # One run makes up for all that fell due while nobody watched.
        (1, 200, True, True, 2),
        # One that goes on, or an operation: what falls due meanwhile is missed, not queued.
        (1, 60, False, False, 1),
        (1, 200, False, False, 3),
    ],
)
def test_due_and_missed(since: float, now: float, may_run: bool, is_due: bool, missed: int) -> None:
    """A schedule runs once for what is due, and counts the rest as missed."""
    answer = decide_run(HOURLY, Standing(accounted_to=minutes(since)), now=minutes(now), may_run=may_run)
    assert (answer.is_run_due, answer.standing.missed_total) == (is_due, missed)


def test_nothing_is_counted_twice() -> None:
    """What was run or missed is accounted for: the next look begins there."""
    first = decide_run(HOURLY, Standing(accounted_to=minutes(1)), now=minutes(60), may_run=False)
    again = decide_run(HOURLY, first.standing, now=minutes(61), may_run=True)
    assert (again.is_run_due, again.standing.missed_total) == (False, 1)


def test_counting_is_bounded() -> None:
    """A schedule of every minute that slept for a year does not count for ever."""
    every_minute = Timetable("* * * * *", UTC)
    assert every_minute.due_between(NOON, NOON + timedelta(days=365)) == MISSED_MAX


@pytest.mark.parametrize(
    ("after", "due"),
    [
        # Winter and summer: two in the morning in Berlin is 01:00 and 00:00 UTC.
        (datetime(2026, 1, 10, 12, tzinfo=UTC), datetime(2026, 1, 11, 1, tzinfo=UTC)),
        (datetime(2026, 7, 10, 12, tzinfo=UTC), datetime(2026, 7, 11, 0, tzinfo=UTC)),
    ],
)
def test_a_cron_is_read_in_its_zone(after: datetime, due: datetime) -> None:
    """Due moments are those of the zone's clock, told in UTC."""
    assert Timetable("0 2 * * *", ZoneInfo("Europe/Berlin")).next_after(after) == due


@pytest.mark.parametrize(
    ("kind", "open_kind", "has_moved", "may"),
    [
        ("snapshot", None, False, True),
        ("snapshot", None, True, True),
        ("snapshot", OperationKind.DRILL, False, False),
        ("verify", OperationKind.SWITCHOVER, True, True),
        ("drill", None, False, True),
        ("drill", None, True, False),
        ("drill", OperationKind.FAILOVER, False, False),
        # Left by a supervisor that was killed: the next drill takes it back.
        ("drill", OperationKind.DRILL, False, True),
        ("drill", OperationKind.DRILL, True, False),
    ],
)
def test_what_stands_in_a_schedules_way(kind: str, open_kind: OperationKind | None, has_moved: bool, may: bool) -> None:
    """Operations come first; a rehearsal that was left open does not keep the next one from clearing it away."""
    assert may_begin(kind, is_open=open_kind is not None, open_kind=open_kind, has_moved=has_moved) is may


def test_what_was_proven_longest_ago_is_proven_first() -> None:
    """Never proven comes before all: a run that is cut short has done what was needed most."""
    names = [SnapshotId(name) for name in ("a", "b", "c", "d")]
    verified = {names[0]: NOON, names[2]: NOON - timedelta(hours=1)}
    assert proof_order(names, verified) == ["b", "d", "c", "a"]


class Work:
    """Work that waits until it is let go, and fails if told to."""

    def __init__(self, last: datetime | None = None) -> None:
        self.last = last
        self.runs = 0
        self.failure: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()

    def last_run(self) -> datetime | None:
        return self.last

    def run(self, deadline: Deadline) -> None:
        assert deadline.left > 0
        self.runs += 1
        assert self.may_end.wait(10)
        if self.failure is not None:
            raise self.failure


class Desk:
    """A runner of an hourly schedule with a clock that begins at noon."""

    def __init__(self, clock: Any, work: Work) -> None:
        self.clock = clock
        self.work = work
        self.may_run = True
        schedule = Schedule(name="hourly", flow=FlowName("shop"), cron="0 * * * *", timezone="UTC", timetable=HOURLY)
        self.runner = ScheduleRunner(schedule, work, may_run=lambda: self.may_run, clock=clock)

    def tick_at(self, minute: float) -> None:
        self.clock.seconds = minute * 60
        self.runner.tick(Deadline.after(10, clock=self.clock))

    def wait(self) -> None:
        thread = self.runner._thread
        if thread is not None:
            thread.join(10)
        assert not self.runner.is_running


def test_a_new_schedule_waits_its_turn(clock: Any) -> None:
    """Nothing was ever run: the first run is at the next due moment, not at once."""
    desk = Desk(clock, Work())
    desk.tick_at(1)
    assert desk.work.runs == 0
    assert desk.runner.status.next_run_at == minutes(60)
    desk.tick_at(60)
    desk.wait()
    status = desk.runner.status
    assert (desk.work.runs, status.last_run_at, status.last_success_at, status.error) == (
        1,
        minutes(60),
        minutes(60),
        None,
    )


def test_a_run_that_fell_due_while_nobody_watched_is_made_up_for(clock: Any) -> None:
    """The repository tells when the last run was; one run stands for all missed since."""
    desk = Desk(clock, Work(last=minutes(-185)))
    desk.tick_at(1)
    desk.wait()
    assert desk.work.runs == 1
    assert desk.runner.status.missed_total == 3


def test_one_run_at_a_time(clock: Any) -> None:
    """A run that outlasts the next due moment makes that one missed."""
    desk = Desk(clock, Work())
    desk.work.may_end.clear()
    desk.tick_at(1)
    desk.tick_at(60)
    desk.tick_at(120)
    assert desk.work.runs == 1
    assert (desk.runner.status.missed_total, desk.runner.status.is_running) == (1, True)
    desk.work.may_end.set()
    desk.wait()
    desk.tick_at(180)
    desk.wait()
    assert desk.work.runs == 2


def test_a_failed_run_tells_why_and_the_schedule_goes_on(clock: Any) -> None:
    """The error stays until a run succeeds; the last success stays what it was."""
    desk = Desk(clock, Work())
    desk.work.failure = Unreachable("west is away")
    desk.tick_at(1)
    desk.tick_at(60)
    desk.wait()
    assert (desk.runner.status.error, desk.runner.status.last_success_at) == ("west is away", None)
    desk.work.failure = None
    desk.tick_at(120)
    desk.wait()
    assert (desk.runner.status.error, desk.runner.status.last_success_at) == (None, minutes(120))


def test_nothing_runs_during_an_operation(clock: Any) -> None:
    """A capture in the middle of a failover would be of neither side."""
    desk = Desk(clock, Work())
    desk.tick_at(1)
    desk.may_run = False
    desk.tick_at(60)
    assert (desk.work.runs, desk.runner.status.missed_total) == (0, 1)


def test_a_new_term_asks_the_repository_again(clock: Any) -> None:
    """Another supervisor may have run it: what it ran is not run twice."""
    desk = Desk(clock, Work())
    desk.tick_at(1)
    desk.work.last = minutes(120)
    desk.runner.forget()
    desk.tick_at(121)
    assert desk.work.runs == 0
    assert desk.runner.status.last_success_at == minutes(120)
