"""When a source is taken for lost, and what keeps a failover from beginning by itself: by table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.clock import Deadline
from replicator.failover.engine.logbook import Logbook, Request
from replicator.journal import Journal, MemoryLog
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, OperationId
from replicator.model.observations import Reachability
from replicator.model.operations import OperationKind, OperationState
from replicator.model.supervision.outages import OutagePhase
from replicator.model.supervision.status import Role
from replicator.settings.upkeep import FailoverSettings, HookSettings
from replicator.supervisor.decide.outlook.outage import (
    AUTOMATIC,
    SCHEDULED,
    AutomatFacts,
    Outage,
    OutageRules,
    SourceSigns,
    find_holds,
    follow_outage,
    has_clock_stepped,
    needs_acknowledgement,
    newest_operation,
)
from replicator.supervisor.flows.outages import OutageWatch, can_fence_unanswered

T0 = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = OutageRules(outage_seconds=30)
LIVES, REFUSES, SILENT = "lives", "refuses", "silent"
COPIES = "copies"
"""We cannot reach the source, and MirrorMaker can."""
HALF = "half"
"""Its listeners take connections, and nothing can be read."""


def at(seconds: float) -> datetime:
    """Return a moment of the story."""
    return T0 + timedelta(seconds=seconds)


def play(story: Sequence[str], *, watched_seconds: float = 60, read_at: datetime | None = T0) -> list[Outage]:
    """Return how the outage stands second by second; each word is what the source does for one second."""
    outage, moved_at, found = Outage(), at(-60), list[Outage]()
    for second, word in enumerate(story):
        now = at(second)
        read_at = now if word == LIVES else read_at
        moved_at = now if word in (LIVES, COPIES) else moved_at
        reachability = {LIVES: Reachability.REACHABLE, HALF: Reachability.REACHABLE, REFUSES: Reachability.REFUSED}
        signs = SourceSigns(
            reachability=reachability.get(word, Reachability.SILENT),
            watched_since=at(-watched_seconds),
            read_at=read_at,
            moved_at=moved_at,
        )
        outage = follow_outage(outage, signs, now=now, rules=RULES)
        found.append(outage)
    return found


@pytest.mark.parametrize(
    ("story", "phase"),
    [
        ([LIVES] * 100, OutagePhase.NONE),
        # Ten seconds until MirrorMaker is known to stand, then thirty.
        ([LIVES] * 5 + [REFUSES] * 39, OutagePhase.SUSPECTED),
        ([LIVES] * 5 + [REFUSES] * 45, OutagePhase.CONFIRMED),
        ([LIVES] * 5 + [SILENT] * 45, OutagePhase.CONFIRMED),
        # Never while what is mirrored moves, nor while a listener takes connections.
        ([LIVES] * 5 + [COPIES] * 300, OutagePhase.SUSPECTED),
        ([LIVES] * 5 + [HALF] * 300, OutagePhase.SUSPECTED),
        # A source that flaps is never lost; one that is read for a while is well.
        (([REFUSES] * 35 + [LIVES] * 3) * 5, OutagePhase.SUSPECTED),
        ([LIVES] * 5 + [REFUSES] * 50 + [LIVES] * 5, OutagePhase.SUSPECTED),
        ([LIVES] * 5 + [REFUSES] * 50 + [LIVES] * 12, OutagePhase.NONE),
    ],
)
def test_an_outage_is_what_all_probes_agree_on_for_long_enough(story: list[str], phase: OutagePhase) -> None:
    """The phase at the end of the story."""
    assert play(story)[-1].phase is phase


@pytest.mark.parametrize("read_at", [None, at(-2100)])
def test_a_supervisor_that_has_just_begun_suspects_nothing_before_it_has_looked(read_at: datetime | None) -> None:
    """Nobody read the source while nobody ran; that is a sign only once a few seconds of looking found nothing."""
    found = play([SILENT] * 3 + [LIVES] * 5, watched_seconds=0, read_at=read_at)
    assert {outage.phase for outage in found} == {OutagePhase.NONE}
    assert play([REFUSES] * 60, watched_seconds=0, read_at=read_at)[-1].phase is OutagePhase.CONFIRMED


def test_a_flapping_source_is_never_confirmed() -> None:
    """Thirty-five seconds away, three back, again and again: the time begins anew each time."""
    found = play(([REFUSES] * 35 + [LIVES] * 3) * 20)
    assert OutagePhase.CONFIRMED not in {outage.phase for outage in found[60:]}


@given(st.lists(st.sampled_from([LIVES, REFUSES, SILENT, COPIES, HALF]), max_size=200))
def test_confirmed_means_that_nothing_spoke_for_life(story: list[str]) -> None:
    """Whatever happens, an outage is confirmed only after thirty seconds in which no sign of life was seen."""
    for second, outage in enumerate(play(story)):
        if outage.phase is OutagePhase.CONFIRMED:
            assert not set(story[max(0, second - 30) : second + 1]) & {LIVES, COPIES, HALF}


LOST = SourceSigns(reachability=Reachability.REFUSED, watched_since=at(-600), read_at=at(-60), moved_at=at(-60))
MAY = AutomatFacts(
    outage=Outage(phase=OutagePhase.CONFIRMED, since=at(-31)),
    signs=LOST,
    is_leader=True,
    is_standby_answering=True,
    is_active_already=False,
    open_operation=None,
    possible_lost_max=10,
    loss_allowed=10,
    last_operation=None,
    can_verify_fence=True,
)


def test_a_failover_may_begin_when_nothing_holds_it() -> None:
    """Confirmed, refused, still, within the allowed loss, and nobody is at work."""
    assert find_holds(MAY, now=T0, rules=RULES) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outage": Outage(phase=OutagePhase.SUSPECTED, since=at(-12))}, "12s of 30s"),
        ({"outage": Outage()}, "not confirmed"),
        ({"signs": replace(LOST, reachability=Reachability.SILENT)}, "not every listener refuses"),
        ({"can_verify_fence": False}, "no verified fence: a source that refuses us may be alive"),
        ({"signs": replace(LOST, moved_at=at(-2))}, "still moves"),
        ({"is_leader": False}, "does not lead"),
        ({"is_standby_answering": False}, "standby does not answer"),
        ({"is_active_already": True}, "active already"),
        ({"open_operation": "drill-1"}, "drill-1 is not over"),
        ({"possible_lost_max": 11}, "11 records may be lost, 10 are allowed"),
        ({"possible_lost_max": None}, "an unknown number of records"),
        ({"loss_allowed": None}, "no loss is allowed"),
    ],
)
def test_one_hold_is_enough(changes: dict[str, Any], told: str) -> None:
    """Each by itself keeps the failover from beginning, and says why."""
    (held,) = find_holds(replace(MAY, **changes), now=T0, rules=RULES)
    assert told in held


def log_of(actor: str) -> Logbook:
    """Return the journal of a failover somebody ordered."""
    writer = Journal(MemoryLog()).open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5))
    request = Request(
        operation_id=OperationId("failover-1"), flow=FlowName("shop"), kind=OperationKind.FAILOVER, actor=actor
    )
    log = Logbook(writer, request)
    log.begin({"source": "east", "target": "west"})
    log.end(OperationState.ABORTED)
    return log


def test_what_was_begun_unasked_waits_for_a_human() -> None:
    """However it ended; an operation that a human ordered since is the word."""
    unasked, ordered = log_of(f"{AUTOMATIC}main@host").operation, log_of("ann@host").operation
    assert needs_acknowledgement(unasked)
    assert not needs_acknowledgement(ordered)
    assert not needs_acknowledgement(None)
    (held,) = find_holds(replace(MAY, last_operation=unasked), now=T0, rules=RULES)
    assert "failover-1 was begun unasked" in held


def test_the_newest_operation_is_the_last_of_the_journals_whatever_the_clock_said() -> None:
    """A clock that stepped back an hour between two operations does not hide the later one."""
    earlier = log_of("ann@host").operation
    later = replace(earlier, id=OperationId("failover-2"), started_at=earlier.started_at - timedelta(hours=1))
    assert newest_operation([earlier, later], "shop") is later
    assert newest_operation([earlier, replace(later, flow=FlowName("other"))], "shop") is earlier
    assert newest_operation([], "shop") is None


def test_a_scheduled_drill_is_no_humans_word() -> None:
    """It is passed over: what was begun unasked before it still waits. A human's drill, or his hand on one, counts."""
    unasked, drill = log_of(f"{AUTOMATIC}main@host").operation, log_of(f"{SCHEDULED}weekly@host").operation
    assert newest_operation([unasked, drill], "shop") is unasked
    assert needs_acknowledgement(newest_operation([unasked, drill, drill], "shop"))
    assert not needs_acknowledgement(newest_operation([unasked, drill, log_of("ann@host").operation], "shop"))
    assert newest_operation([drill], "shop") is None


@pytest.mark.parametrize(
    ("fence", "verifies", "can_verify"),
    [
        ("acl", [["look"]], False),
        ("attested", [["look"]], False),
        ("none", [["look"]], False),
        ("hook", [], False),
        ("hook", [None], False),
        ("hook", [["look"], None], False),
        ("hook", [["look"], ["look"]], True),
    ],
)
def test_only_hooks_that_are_looked_at_fence_what_does_not_answer(
    fence: str, verifies: list[list[str] | None], can_verify: bool
) -> None:
    """A rule needs an answer, a word needs a human, and a connection that is refused proves nothing."""
    hooks = [HookSettings(argv=("cut",), verify=None if told is None else tuple(told)) for told in verifies]
    settings = FailoverSettings.model_validate({"fence": fence, "hooks": {"fence": hooks}})
    assert can_fence_unanswered(settings) is can_verify


@pytest.mark.parametrize(
    ("wall", "counter", "has_stepped"),
    [
        (1.0, 1.0, False),
        (2.9, 1.0, False),
        (3.1, 1.0, True),
        (-0.9, 1.0, False),
        (-1.1, 1.0, True),
        (60.0, 60.0, False),
    ],
)
def test_a_step_is_told_by_the_counter_that_never_steps(wall: float, counter: float, has_stepped: bool) -> None:
    """A slow tick is no step; clocks that are set a little are none either."""
    assert has_clock_stepped((T0, 5.0), (at(wall), 5.0 + counter)) is has_stepped


def test_a_read_before_a_step_back_counts_from_when_somebody_watched() -> None:
    """It lies in the future by the clock as it is now: not for an hour would the source be taken for unread."""
    found = play([REFUSES] * 60, watched_seconds=0, read_at=at(3600))
    assert found[-1].phase is OutagePhase.CONFIRMED


class SteppingClock:
    """A wall clock that a test sets, beside a counter that goes on."""

    def __init__(self) -> None:
        self.seconds, self.step = 0.0, 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        return at(self.seconds + self.step)

    def monotonic(self) -> float:
        """Return the seconds that passed."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_of_the_clock_confirms_no_outage_and_hides_none(step: float) -> None:
    """Whichever way it goes, everything is waited for anew from there on, once: not by an hour less or more."""
    clock = SteppingClock()
    seen = SimpleNamespace(reachability=Reachability.REFUSED, last_reached_at=T0)
    board: Any = SimpleNamespace(mirrored=None, source_watch=SimpleNamespace(observation=seen))
    flow = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"), topics=Selection(("a",)))
    loops: Any = SimpleNamespace(flow=flow, leadership=SimpleNamespace(role=Role.LEADER), board=board)
    settings: Any = SimpleNamespace(failover=SimpleNamespace(outage_seconds=30, mode="advise", loss_max=0))
    watch = OutageWatch(settings, loops, clock=clock)
    phases = []
    for second in range(90):
        clock.seconds, clock.step = float(second), step if second >= 20 else 0.0
        watch.follow(clock.now())
        phases.append(watch._outage.phase)
    first = phases.index(OutagePhase.CONFIRMED)
    assert 20 + 30 + RULES.stillness_seconds <= first <= 20 + 30 + RULES.stillness_seconds + 2


def test_a_supervisor_that_stands_by_looks_for_no_outage() -> None:
    """It leaves the source to the one that leads; what it never read is no sign. There is no board to look at here."""
    flow = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"), topics=Selection(("a",)))
    loops: Any = SimpleNamespace(flow=flow, leadership=SimpleNamespace(role=Role.STANDBY), board=None)
    settings: Any = SimpleNamespace(failover=SimpleNamespace(outage_seconds=30, mode="advise"))
    watch = OutageWatch(settings, loops)
    watch.tick(Deadline.after(1))
    assert watch.advice is None
    loops.leadership.role = Role.LEADER
    with pytest.raises(AttributeError):
        watch.tick(Deadline.after(1))
