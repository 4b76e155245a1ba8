"""When a schedule runs, what it misses, and that one run at a time is enough."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from replicator.clock import Deadline
from replicator.errors import Unreachable
from replicator.model.names import FlowName, SnapshotId
from replicator.model.operations import OperationKind
from replicator.supervisor.decide.schedule import MISSED_MAX, Policies, Standing, Timetable, decide_run
from replicator.supervisor.schedules import Schedule, ScheduleRunner
from replicator.supervisor.schedules.loops import may_begin
from replicator.supervisor.schedules.verifying import proof_order

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOURLY = Timetable("0 * * * *", UTC)


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


ONCE, WAITING, PUNCTUAL = Policies(), Policies(overlap="queue"), Policies(misfire="skip")


@pytest.mark.parametrize(
    ("since", "now", "may_run", "is_due", "missed", "policies"),
    [
        (1, 59, True, False, 0, ONCE),
        (1, 60, True, True, 0, ONCE),
        # One run makes up for all that fell due while nobody watched.
        (1, 200, True, True, 2, ONCE),
        # Or the next moment is awaited; a run that begins within its minute is no misfire.
        (1, 200, True, False, 3, PUNCTUAL),
        (1, 180.9, True, True, 2, PUNCTUAL),
        (1, 181, True, False, 3, PUNCTUAL),
        (1, 60, True, True, 0, PUNCTUAL),
        # One that goes on, or an operation: what falls due meanwhile is missed, or one of them waits.
        (1, 60, False, False, 1, ONCE),
        (1, 200, False, False, 3, ONCE),
        (1, 60, False, False, 0, WAITING),
        (1, 200, False, False, 2, WAITING),
        (1, 59, False, False, 0, WAITING),
    ],
)
def test_due_and_missed(since: float, now: float, may_run: bool, is_due: bool, missed: int, policies: Policies) -> None:
    """A schedule runs once for what is due, and counts the rest as missed."""
    standing = Standing(accounted_to=minutes(since))
    answer = decide_run(HOURLY, standing, now=minutes(now), may_run=may_run, policies=policies)
    assert (answer.is_run_due, answer.standing.missed_total) == (is_due, missed)


def test_nothing_is_counted_twice() -> None:
    """What was run or missed is accounted for: the next look begins there."""
    standing = Standing(accounted_to=minutes(1))
    first = decide_run(HOURLY, standing, now=minutes(60), may_run=False, policies=ONCE)
    again = decide_run(HOURLY, first.standing, now=minutes(61), may_run=True, policies=ONCE)
    assert (again.is_run_due, again.standing.missed_total) == (False, 1)


@pytest.mark.parametrize("misfire", ["once", "skip"])
def test_one_run_waits_however_many_fall_due(misfire: Literal["once", "skip"]) -> None:
    """It begins as soon as it may, long after its minute, once; whoever queues has no misfire of it."""
    policies = Policies(misfire=misfire, overlap="queue")
    standing, begun = Standing(accounted_to=minutes(1)), []
    for minute, may_run in ((60, False), (120, False), (150, True), (151, True), (180, True)):
        answer = decide_run(HOURLY, standing, now=minutes(minute), may_run=may_run, policies=policies)
        standing = answer.standing
        if answer.is_run_due:
            begun.append(minute)
    assert (begun, standing.missed_total, standing.is_queued) == ([150, 180], 1, False)


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

    def __init__(self, clock: Any, work: Work, policies: Policies = ONCE) -> None:
        self.clock = clock
        self.work = work
        self.may_run = True
        schedule = Schedule(
            name="hourly", flow=FlowName("shop"), cron="0 * * * *", timezone="UTC", timetable=HOURLY, policies=policies
        )
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


def test_a_run_that_was_queued_begins_when_the_one_before_is_over(clock: Any) -> None:
    """While it waits that is told; it is not missed."""
    desk = Desk(clock, Work(), WAITING)
    desk.work.may_end.clear()
    for minute in (1, 60, 120):
        desk.tick_at(minute)
    assert (desk.work.runs, desk.runner.status.is_queued, desk.runner.status.missed_total) == (1, True, 0)
    desk.work.may_end.set()
    desk.wait()
    desk.tick_at(130)
    desk.wait()
    assert (desk.work.runs, desk.runner.status.is_queued, desk.runner.status.missed_total) == (2, False, 0)
    assert (desk.runner.status.misfire, desk.runner.status.overlap) == ("once", "queue")


def test_who_skips_misfires_waits_for_the_next_moment(clock: Any) -> None:
    """Nobody wants the nightly run at noon because a supervisor came up then."""
    desk = Desk(clock, Work(last=minutes(-185)), PUNCTUAL)
    desk.tick_at(1.5)
    assert (desk.work.runs, desk.runner.status.missed_total) == (0, 4)
    desk.tick_at(60)
    desk.wait()
    assert (desk.work.runs, desk.runner.status.missed_total) == (1, 4)


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
