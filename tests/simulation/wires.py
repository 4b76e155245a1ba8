"""What a process does crosses a wire, and a wire may fail: each way has a name, a place, and is drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from replicator.errors import DeadlineExceeded, OutcomeUnknown, ReplicatorError, Unreachable

T = TypeVar("T")
T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALL_SECONDS = 0.002
LATE_CALLS_MAX = 6
"""A late effect lands within so many calls, and in any case before another process begins: its connection is gone."""
CALLS_MAX = 20_000
"""A world that is asked more often than this does not come to an end."""


class Fault(StrEnum):
    """What may happen at a call."""

    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    LATE = "late"
    TWICE = "twice"
    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"
    PAUSE = "pause"
    CLOCK_STEP = "clock_step"
    ROGUE = "rogue"


class Killed(BaseException):
    """The process is gone; nothing of it runs any more."""


class Endless(BaseException):
    """The world does not come to an end."""


class Violation(Exception):
    """A promise was broken."""


class SimClock:
    """Time that passes only when somebody waits or asks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.step = timedelta()

    def now(self) -> datetime:
        """Return the wall time, wherever somebody has put it."""
        return T0 + timedelta(seconds=self.seconds) + self.step

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@dataclass(slots=True)
class Wires:
    """All calls of all processes, counted; `faults` says what happens at which. `trail` tells it afterwards, `places`
    which calls were at places that the product names as ones where it may die."""

    faults: dict[int, Fault]
    rng: random.Random
    clock: SimClock
    tick: Callable[[], None] = lambda: None
    on_pause: Callable[[Process], None] | None = None
    on_rogue: Callable[[], None] | None = None
    calls: int = 0
    trail: list[str] = field(default_factory=list)
    late: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    is_pausing: bool = False
    places: dict[int, str] = field(default_factory=dict)

    def land_late(self, *, all_of_them: bool = False) -> None:
        """Let late effects happen whose time has come."""
        due = [act for at, act in self.late if all_of_them or at <= self.calls]
        self.late = [] if all_of_them else [(at, act) for at, act in self.late if at > self.calls]
        for act in due:
            try:
                act()
            except ReplicatorError as error:
                self.trail.append(f"late effect refused: {error.message}")


def wires_can_pause(wires: Wires) -> bool:
    """Whether another process may run while this one stands still: one at a time."""
    return wires.on_pause is not None and not wires.is_pausing


class Process:
    """One run of the program. Once killed, every call it makes ends it again: nothing runs after a SIGKILL."""

    def __init__(self, wires: Wires, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_frozen = False
        self.was_frozen = False
        self.is_in_flight = False
        self._is_within_act = False
        self.acted_frozen: list[str] = []
        self.sent_late: list[str] = []
        self._wires = wires

    def die(self) -> None:
        """End this process here."""
        self.is_dead = True
        raise Killed(self.name)

    @contextmanager
    def one_act(self) -> Iterator[None]:
        """Count the requests of one call of a door as one: a process that freezes among them sends the rest later."""
        is_begun_awake, was_within = not self.was_frozen, self._is_within_act
        self._is_within_act = is_begun_awake or was_within
        try:
            yield
        finally:
            self._is_within_act = was_within

    def crashpoint(self, name: str) -> None:
        """A place that the product itself names as one where it may die."""
        self._wires.places[self._wires.calls + 1] = name
        self.call(f"at {name}", lambda: None)

    def call(
        self, what: str, act: Callable[[], T], *, changes: bool = False, once: bool = False, is_append: bool = False
    ) -> T:
        """Return the answer of a call, or what becomes of it. `once`: the protocol itself drops a second copy."""
        if self.is_dead:
            raise Killed(self.name)
        wires = self._wires
        wires.calls += 1
        if wires.calls > CALLS_MAX:
            raise Endless
        wires.clock.seconds += CALL_SECONDS
        wires.tick()
        wires.land_late()
        if changes and self.was_frozen:
            (self.sent_late if self._is_within_act else self.acted_frozen).append(what)
        fault = wires.faults.pop(wires.calls, None)
        if fault is None:
            return act()
        wires.trail.append(f"{wires.calls} {self.name} {what}: {fault.value}")
        return self._suffer(fault, what, act, changes=changes, once=once, is_append=is_append)

    def _suffer(
        self, fault: Fault, what: str, act: Callable[[], T], *, changes: bool, once: bool, is_append: bool
    ) -> T:
        is_place = what.startswith("at ")
        if fault is Fault.KILL_BEFORE:
            self.die()
        if fault is Fault.KILL_AFTER:
            act()
            self.die()
        if fault is Fault.LOST_REQUEST and not is_place:
            raise self._error(what, is_append)
        if fault is Fault.LOST_REPLY and not is_place:
            act()
            raise self._error(what, is_append)
        if fault is Fault.LATE and (changes or is_append):
            wires = self._wires
            wires.late.append((wires.calls + 1 + wires.rng.randrange(LATE_CALLS_MAX), act))
            raise self._error(what, is_append)
        if fault is Fault.TWICE and changes and not once:
            act()
        if fault is Fault.PAUSE and wires_can_pause(self._wires):
            return self._wake_up(what, act, changes=changes)
        self._pass_by(fault)
        return act()

    def _wake_up(self, what: str, act: Callable[[], T], *, changes: bool) -> T:
        """Stand still at this call while others go on; then it is sent, as if nothing had been."""
        wires = self._wires
        assert wires.on_pause is not None
        wires.is_pausing, self.is_in_flight = True, True
        try:
            wires.on_pause(self)
            if self.was_frozen and changes:
                self.sent_late.append(what)
            return act()
        finally:
            wires.is_pausing, self.is_in_flight = False, False

    def _pass_by(self, fault: Fault) -> None:
        wires = self._wires
        if fault is Fault.CLOCK_STEP:
            wires.clock.step += timedelta(seconds=wires.rng.choice((-3600, -5, 5, 3600)))
        if fault is Fault.ROGUE and wires.on_rogue is not None:
            wires.on_rogue()

    def _error(self, what: str, is_append: bool) -> ReplicatorError:
        if is_append:
            return OutcomeUnknown(f"{what}: no answer")
        kind = self._wires.rng.choice((Unreachable, DeadlineExceeded))
        return kind(f"{what}: no answer")
