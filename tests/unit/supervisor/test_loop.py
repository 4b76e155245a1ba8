"""A loop goes on whatever its step meets, and ends when told."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.errors import Unreachable
from replicator.supervisor.loop import REST_SECONDS_MIN, Loop, join_all, rest_seconds


def quiet_loop(step: Any, **options: Any) -> Loop:
    return Loop("test", step, period_seconds=0.05, budget_seconds=1.0, **options)


def test_a_failure_is_noted_and_the_next_step_clears_it(clock: Any) -> None:
    """The report tells the last failure until a step succeeds; counts stay."""
    fates: list[Exception | None] = [Unreachable("east is away"), ValueError("odd\x1b[31m"), None]

    def step(deadline: Deadline) -> None:
        clock.sleep(0.25)
        fate = fates.pop(0)
        if fate is not None:
            raise fate

    loop = quiet_loop(step, clock=clock)
    loop.run_once()
    assert (loop.report.error_code, loop.report.succeeded_at) == ("endpoint.unreachable", None)
    loop.run_once()
    assert loop.report.error_code == "internal"
    assert loop.report.error == "ValueError: odd\\x1b[31m"
    began = clock.now()
    loop.run_once()
    report = loop.report
    assert (report.error, report.steps_total) == (None, 3)
    assert report.errors == {"endpoint.unreachable": 1, "internal": 1}
    assert (report.succeeded_at, report.duration_seconds) == (began, 0.25)


def test_a_loop_keeps_going_after_a_crash_and_stops_when_asked() -> None:
    """No exception of a step ends the thread; stop does, within the step."""
    third = threading.Event()
    seen: list[int] = []

    def step(deadline: Deadline) -> None:
        seen.append(1)
        if len(seen) == 3:
            third.set()
        raise RuntimeError

    loop = quiet_loop(step)
    loop.start()
    assert third.wait(10)
    loop.stop()
    assert loop.join(Deadline.after(10))


def test_a_nudge_does_not_wait_for_the_period() -> None:
    """What cannot wait for the next tick is done now."""
    done = threading.Semaphore(0)
    loop = Loop("slow", lambda _deadline: done.release(), period_seconds=3600, budget_seconds=1)
    loop.start()
    assert done.acquire(timeout=10)
    loop.nudge()
    assert done.acquire(timeout=10)
    loop.stop()
    assert loop.join(Deadline.after(10))


def test_a_disabled_loop_rests() -> None:
    """A loop that may not act does not act."""
    asked = threading.Semaphore(0)
    ran: list[int] = []

    def is_enabled() -> bool:
        asked.release()
        return False

    loop = Loop("off", lambda _deadline: ran.append(1), period_seconds=0.01, budget_seconds=1, is_enabled=is_enabled)
    loop.start()
    for _ in range(3):
        assert asked.acquire(timeout=10)
    loop.stop()
    assert loop.join(Deadline.after(10))
    assert ran == []


def test_the_step_gets_its_budget(clock: Any) -> None:
    """Every wait of a step is bounded by the loop's budget."""
    left: list[float] = []
    loop = Loop("b", lambda deadline: left.append(deadline.left), period_seconds=1, budget_seconds=2.5, clock=clock)
    loop.run_once()
    assert left == [2.5]


@pytest.mark.parametrize(
    ("took", "share", "has_failed", "rest"),
    [(0.0, 2.0, False, REST_SECONDS_MIN), (3.0, 2.0, False, 6.0), (3.0, 0.0, False, 0.05), (5.0, 2.0, True, 0.05)],
)
def test_a_dear_step_comes_less_often(took: float, share: float, has_failed: bool, rest: float) -> None:
    """What grows with the clusters rests in proportion; what failed has only waited and is tried again soon."""
    assert rest_seconds(took, share=share, has_failed=has_failed) == rest


def test_a_nudge_does_not_cut_the_rest_of_a_dear_step() -> None:
    """However often it is nudged, a loop of dear steps leaves the machine to others between them."""
    began: list[float] = []

    def step(deadline: Deadline) -> None:
        began.append(time.monotonic())
        time.sleep(0.05)
        loop.nudge()

    loop = quiet_loop(step, rest_share=4.0)
    loop.start()
    deadline = Deadline.after(20)
    while len(began) < 4:
        deadline.check("the loop stands still")
        loop.nudge()
        time.sleep(0.005)
    loop.stop()
    assert loop.join(Deadline.after(10))
    assert min(later - earlier for earlier, later in pairwise(began)) >= 0.25


def test_who_only_looks_is_not_waited_for() -> None:
    """A loop that changes something is let finish; one that looks is left after its time; both are told of."""
    at_work, may_end = threading.Barrier(3), threading.Event()

    def step(deadline: Deadline) -> None:
        at_work.wait(10)
        may_end.wait(30)

    looking, changing = quiet_loop(step), quiet_loop(step, is_changing=True)
    looking.name, changing.name = "looking", "changing"
    for loop in (looking, changing):
        loop.start()
    at_work.wait(10)
    for loop in (looking, changing):
        loop.stop()
    told: list[str] = []
    short = Deadline.after(0.2)
    late = join_all((looking, changing), looking=short, changing=Deadline.after(1.5), tell=told.extend)
    assert told == ["looking", "changing"]
    assert late == ("looking", "changing")
    timer = threading.Timer(1.5, may_end.set)
    timer.start()
    assert join_all((changing,), looking=short, changing=Deadline.after(30), tell=told.extend) == ()
    assert looking.join(Deadline.after(10))
    timer.join()


def test_what_has_ended_is_not_told_of() -> None:
    """Nothing is said where nothing is waited for."""
    loop = quiet_loop(lambda _deadline: None)
    loop.start()
    loop.stop()
    told: list[str] = []
    later = Deadline.after(20)
    assert join_all((loop,), looking=later, changing=later, tell=told.extend) == ()
    assert told == []
