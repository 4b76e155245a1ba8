"""The engine by table, on a toy world: order, journal, resuming after every crash, going back, rehearsing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.errors import (
    DeadlineExceeded,
    Fenced,
    LimitExceeded,
    NotFound,
    OperationHalted,
    PreflightBlocked,
    ReplicatorError,
    Unreachable,
)
from replicator.failover.engine.crash import never_crash
from replicator.failover.engine.engine import Engine, StepEvent, rehearse
from replicator.failover.engine.logbook import Logbook, Request
from replicator.failover.engine.runbook import Runbook, Step
from replicator.journal import Journal, MemoryLog, open_operation
from replicator.model.names import FlowName, OperationId
from replicator.model.operations import (
    Blocked,
    Done,
    Finding,
    OperationKind,
    OperationState,
    Ready,
    StepPhase,
)

FLOW = FlowName("orders")
GROUPS = ("a", "b", "c")


class Killed(BaseException):
    """The process was killed at a kill point."""


@dataclass
class World:
    """A toy: a flow that runs or not, groups with positions, a published cluster. `acts` counts every effect."""

    is_flow_running: bool = True
    end: int = 40
    committed: dict[str, int] = field(default_factory=dict)
    published: str = "east"
    reports: int = 0
    acts: list[str] = field(default_factory=list)
    blocked: Finding | None = None
    failing: ReplicatorError | None = None
    slow_checks: int = 0
    log: Logbook | None = None
    crashpoint: Callable[[str], None] = never_crash

    @property
    def logbook(self) -> Logbook:
        """The journal of the running operation."""
        assert self.log is not None
        return self.log

    def state(self) -> tuple[Any, ...]:
        """Return all that must be the same however often the runbook was interrupted."""
        return (self.is_flow_running, self.end, dict(self.committed), self.published, self.reports)


def check_survey(world: World) -> Finding:
    """Refuse where the toy says so."""
    if world.blocked is not None:
        return world.blocked
    found = world.log.fact_record("survey", "survey") if world.log else None
    return Done() if found is not None and found.epoch == world.logbook.epoch else Ready("both sides looked at")


def do_survey(world: World) -> None:
    """Journal what was found."""
    world.logbook.add_fact("survey", "survey", {"end": world.end})


def check_stop(world: World) -> Finding:
    """The flow stands."""
    if world.slow_checks and not world.is_flow_running:
        world.slow_checks -= 1
        return Ready("a task is still running")
    return Ready("it runs") if world.is_flow_running else Done({"tasks": 0})


def do_stop(world: World) -> None:
    """Stop the flow; running it until then moved the end."""
    if world.failing is not None:
        raise world.failing
    world.acts.append("stop")
    world.is_flow_running = False


def undo_stop(world: World) -> None:
    """Let the flow run again."""
    world.acts.append("resume")
    world.is_flow_running = True


def check_commit(world: World) -> Finding:
    """Every group stands at the end."""
    behind = [group for group in GROUPS if world.committed.get(group) != world.end]
    return Ready(f"{len(behind)} groups") if behind else Done({"groups": len(GROUPS)})


def do_commit(world: World) -> None:
    """Commit one group after the other; a crash may come in between."""
    for group in GROUPS:
        if world.committed.get(group) != world.end:
            world.acts.append(f"commit {group}")
            world.committed[group] = world.end
        world.crashpoint("commit.between_groups")


def undo_commit(world: World) -> None:
    """Take the positions away again."""
    world.committed.clear()


def check_promote(world: World) -> Finding:
    """The new cluster is published."""
    return Done({"active": "west"}) if world.published == "west" else Ready()


def do_promote(world: World) -> None:
    """Publish the new cluster."""
    world.acts.append("promote")
    world.published = "west"


def check_report(world: World) -> Finding:
    """One report was made."""
    return Done() if world.log and world.log.fact("report", "report") else Ready()


def do_report(world: World) -> None:
    """Journal the report: the fact is the effect."""
    world.logbook.add_fact("report", "report", {"end": world.end})
    world.reports += 1


RUNBOOK: Runbook[World] = Runbook(
    kind=OperationKind.FAILOVER,
    steps=(
        Step(name="survey", says="look", check=check_survey, do=do_survey, is_read_only=True),
        Step(name="stop_flow", says="stop", check=check_stop, do=do_stop, undo=undo_stop),
        Step(
            name="commit",
            says="commit",
            check=check_commit,
            do=do_commit,
            undo=undo_commit,
            kill_points=("between_groups",),
        ),
        Step(name="promote", says="publish", check=check_promote, do=do_promote, is_point_of_no_return=True),
        Step(name="report", says="report", check=check_report, do=do_report),
    ),
)


class Station:
    """One journal over the life of several processes; each `process` is what one of them has."""

    def __init__(self) -> None:
        self.journal = Journal(MemoryLog())
        self.events: list[StepEvent] = []
        self._operations = 0

    def process(self, world: World, *, die_at: str | None = None) -> Engine[World]:
        """Return a process's engine: it resumes the open operation or begins one, and may be killed once."""
        is_dead: list[str] = []
        writer = self.journal.open_writer("main", is_allowed=lambda: not is_dead, deadline=Deadline.after(5))
        found = open_operation(writer.records, FLOW)
        if found is None:
            self._operations += 1
        id_ = found.id if found else OperationId(f"op-{self._operations}")
        request = Request(operation_id=id_, flow=FLOW, kind=OperationKind.FAILOVER, actor="ann")

        def crash(name: str) -> None:
            if name == die_at:
                is_dead.append(name)
                raise Killed(name)

        world.crashpoint = crash
        world.log = Logbook(writer, request, crashpoint=crash)
        world.log.begin({"source": "east", "target": "west"})
        return Engine(RUNBOOK, world, world.log, crashpoint=crash, onlooker=self.events.append)

    def phases(self) -> list[str]:
        """Return `step phase` of every record, in order."""
        return [f"{r.step} {r.phase}" for r in self.journal.read(Deadline.after(5))]


def finish(world: World) -> None:
    """End the operation as whoever runs the engine does."""
    world.logbook.end(OperationState.DONE)


def run_to_end(station: Station, world: World) -> None:
    """Run as a fresh process until the operation is done."""
    station.process(world).run()
    finish(world)


@pytest.fixture
def expected() -> tuple[Any, ...]:
    """The end state of a run that nothing interrupts."""
    world = World()
    run_to_end(Station(), world)
    return world.state()


def test_every_step_is_checked_intended_done_and_proven_in_order() -> None:
    """The journal tells intent before effect and done after proof, step by step."""
    station, world = Station(), World()
    run_to_end(station, world)
    assert world.acts == ["stop", "commit a", "commit b", "commit c", "promote"]
    assert station.phases() == [
        "operation requested",
        "survey intent",
        "survey fact",
        "survey done",
        "stop_flow intent",
        "stop_flow done",
        "commit intent",
        "commit done",
        "promote intent",
        "promote done",
        "report intent",
        "report fact",
        "report done",
        "operation ended",
    ]


def test_the_intent_is_durable_before_the_world_changes() -> None:
    """When `do` begins, its intent is already in the journal that others read."""
    station, world = Station(), World()
    seen: list[str] = []
    world.crashpoint = never_crash
    engine = station.process(world)
    original = world.acts
    world.acts = _Noting(original, seen, station)
    engine.run()
    assert seen == ["stop_flow intent", *["commit intent"] * 3, "promote intent"]


class _Noting(list[str]):
    """A list of acts that notes the journal's last record whenever an act is added."""

    def __init__(self, acts: list[str], seen: list[str], station: Station) -> None:
        super().__init__(acts)
        self._seen = seen
        self._station = station

    def append(self, act: str) -> None:
        """Add an act and note what the journal said before it."""
        self._seen.append(self._station.phases()[-1])
        super().append(act)


def test_a_goal_that_holds_already_is_passed_over() -> None:
    """A flow that is stopped already is journaled as such and not stopped again."""
    station, world = Station(), World(is_flow_running=False)
    run_to_end(station, world)
    assert "stop" not in world.acts
    assert "stop_flow already" in station.phases()
    assert "stop_flow intent" not in station.phases()


FORWARD_KILL_POINTS = [point for point in RUNBOOK.all_kill_points() if not point.endswith("after_undo")]


@pytest.mark.parametrize("point", FORWARD_KILL_POINTS)
def test_killed_anywhere_and_run_again_it_ends_the_same(point: str, expected: tuple[Any, ...]) -> None:
    """One kill at any point; the same command in a new process ends in the state of the run never killed."""
    station, world = Station(), World()
    with pytest.raises(Killed):
        station.process(world, die_at=point).run()
    run_to_end(station, world)
    assert world.state() == expected
    assert world.acts.count("promote") == 1
    assert len(set(world.acts)) == len(world.acts), "no effect happened twice"
    assert station.phases().count("operation requested") == 1, "one operation, resumed"


@pytest.mark.parametrize("first", FORWARD_KILL_POINTS)
@pytest.mark.parametrize("second", FORWARD_KILL_POINTS)
def test_killed_twice_it_still_ends_the_same(first: str, second: str, expected: tuple[Any, ...]) -> None:
    """Two kills, at any two points in turn."""
    station, world = Station(), World()
    for point in (first, second):
        try:
            station.process(world, die_at=point).run()
        except Killed:
            continue
    run_to_end(station, world)
    assert world.state() == expected


def test_after_the_point_of_no_return_nothing_before_it_is_looked_at() -> None:
    """Clients write once promoted: what they do to the world must not make earlier steps run again."""
    station, world = Station(), World()
    with pytest.raises(Killed):
        station.process(world, die_at="promote.after_intent").run()
    world.end, world.is_flow_running, world.committed = 99, True, {"a": 77}
    world.blocked = Blocked("the source is back", "-")
    station.process(world).run()
    assert world.committed == {"a": 77}
    assert world.is_flow_running
    assert world.published == "west"


def test_a_no_before_any_effect_ends_the_operation() -> None:
    """Blocked by the survey: exit as a refused check, nothing changed, nothing left open."""
    station, world = Station(), World(blocked=Blocked("the source is alive", "use switchover"))
    with pytest.raises(PreflightBlocked, match="the source is alive") as caught:
        station.process(world).run()
    assert caught.value.hint == "use switchover"
    assert caught.value.operation_id == "op-1"
    assert world.acts == []
    assert world.logbook.operation.state is OperationState.ABORTED


def test_a_limit_that_would_be_passed_is_told_as_one() -> None:
    """A blocked step that says so exits as a limit."""
    world = World(blocked=Blocked("too much would be lost", "-", is_limit=True))
    with pytest.raises(LimitExceeded):
        Station().process(world).run()


def test_a_no_midway_halts_with_both_ways_on() -> None:
    """Blocked after an effect: the operation stays, and the hint names resume and abort."""
    station, world = Station(), World()
    with pytest.raises(Killed):
        station.process(world, die_at="stop_flow.after_done").run()
    world.blocked = Blocked("the source is back", "look at it")
    with pytest.raises(OperationHalted) as caught:
        station.process(world).run()
    assert "op resume op-1" in str(caught.value.hint)
    assert "op abort op-1" in str(caught.value.hint)
    assert world.logbook.operation.state is OperationState.HALTED


def test_an_error_of_a_step_halts_and_is_journaled() -> None:
    """The cause is in the journal and in the message; run again it goes on."""
    station, world = Station(), World(failing=Unreachable("west: no answer"))
    with pytest.raises(OperationHalted, match="west: no answer"):
        station.process(world).run()
    assert station.phases()[-2:] == ["stop_flow failed", "operation halted"]
    world.failing = None
    run_to_end(station, world)
    assert world.published == "west"


def test_an_error_before_any_effect_keeps_its_own_exit_status() -> None:
    """An unreachable standby at the survey is told as that, not as a halted operation."""
    station, world = Station(), World()

    def fail(_world: World) -> None:
        raise Unreachable("west: no answer")

    engine = station.process(world)
    broken = Step(name="survey", says="look", check=check_survey, do=fail, is_read_only=True)
    engine._runbook = Runbook(kind=OperationKind.FAILOVER, steps=(broken,))
    with pytest.raises(Unreachable):
        engine.run()
    assert world.logbook.operation.state is OperationState.ABORTED


def test_proof_waits_for_a_slow_world() -> None:
    """After `do` the check is asked until the goal shows."""
    station, world = Station(), World(slow_checks=2)
    run_to_end(station, world)
    assert station.phases().count("stop_flow done") == 1


def test_a_goal_that_never_shows_halts() -> None:
    """What `do` returned is no proof."""
    station, world = Station(), World()
    engine = station.process(world)
    lazy = Step(
        name="stop_flow", says="stop", check=lambda _: Ready("2 tasks run"), do=lambda _: None, proof_seconds=0.2
    )
    engine._runbook = Runbook(kind=OperationKind.FAILOVER, steps=(lazy,))
    with pytest.raises(OperationHalted, match="2 tasks run"):
        engine.run()
    assert station.phases()[-1] == "operation halted"


def test_hold_before_stops_before_the_step_and_resume_goes_on() -> None:
    """Held before promote: all before it is done, nothing of it begun; without the hold it goes on."""
    station, world = Station(), World()
    with pytest.raises(OperationHalted, match="held before promote"):
        station.process(world).run(hold_before="promote")
    assert world.published == "east"
    assert world.committed == dict.fromkeys(GROUPS, 40)
    run_to_end(station, world)
    assert world.published == "west"


def test_an_unknown_step_to_hold_before_is_refused_at_once() -> None:
    """A typo must not let the operation run through."""
    station, world = Station(), World()
    with pytest.raises(NotFound, match="promot"):
        station.process(world).run(hold_before="promot")
    assert world.acts == []


def test_a_lost_lease_stops_before_the_next_step() -> None:
    """Who may not act any more checks nothing, does nothing and journals nothing."""
    station, world = Station(), World()
    engine = station.process(world)
    station.journal.open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5))
    before = station.phases()
    with pytest.raises(Fenced):
        engine.run()
    assert world.acts == []
    assert station.phases() == before


def test_ctrl_c_leaves_the_operation_resumable() -> None:
    """The interruption is journaled, passed on, and the same command goes on."""
    station, world = Station(), World()
    engine = station.process(world)

    def interrupt(name: str) -> None:
        if name == "commit.between_groups":
            raise KeyboardInterrupt

    world.crashpoint = interrupt
    with pytest.raises(KeyboardInterrupt):
        engine.run()
    assert world.logbook.operation.state is OperationState.HALTED
    run_to_end(station, world)
    assert world.committed == dict.fromkeys(GROUPS, 40)


@pytest.mark.parametrize(
    "point", ["stop_flow.after_intent", "stop_flow.after_done", "commit.between_groups", "commit.after_done"]
)
def test_abort_before_promote_restores_the_start(point: str) -> None:
    """Whatever had been begun is undone, last first, and the operation is over."""
    station, world = Station(), World()
    start = world.state()
    with pytest.raises(Killed):
        station.process(world, die_at=point).run()
    station.process(world).abort()
    assert world.state() == start
    assert world.logbook.operation.state is OperationState.ABORTED
    assert open_operation(station.journal.read(Deadline.after(5)), FLOW) is None


def test_abort_undoes_backwards() -> None:
    """The last step's effects go first."""
    station, world = Station(), World()
    with pytest.raises(Killed):
        station.process(world, die_at="commit.after_done").run()
    station.process(world).abort()
    undone = [phase for phase in station.phases() if phase.endswith("undone")]
    assert undone == ["commit undone", "stop_flow undone"]


@pytest.mark.parametrize("point", ["commit.after_undo", "stop_flow.after_undo"])
def test_an_abort_that_was_killed_goes_on(point: str) -> None:
    """Killed in the middle of going back, the same abort ends in the start."""
    station, world = Station(), World()
    start = world.state()
    with pytest.raises(Killed):
        station.process(world, die_at="commit.after_done").run()
    with pytest.raises(Killed):
        station.process(world, die_at=point).abort()
    station.process(world).abort()
    assert world.state() == start


@pytest.mark.parametrize("point", ["promote.after_intent", "promote.after_effect", "report.after_done"])
def test_past_promote_there_is_no_abort(point: str) -> None:
    """From the intent of promote on, abort refuses and changes nothing."""
    station, world = Station(), World()
    with pytest.raises(Killed):
        station.process(world, die_at=point).run()
    state = world.state()
    with pytest.raises(PreflightBlocked, match="point of no return") as caught:
        station.process(world).abort()
    assert "op resume op-1" in str(caught.value.hint)
    assert world.state() == state


def test_yesterdays_facts_do_not_satisfy_todays_checks() -> None:
    """A second operation of the same flow surveys and reports again."""
    station, world = Station(), World()
    run_to_end(station, world)
    world.published, world.is_flow_running = "east", True
    run_to_end(station, world)
    assert world.reports == 2
    assert world.acts.count("promote") == 2


def test_a_rehearsal_lists_every_step_and_changes_nothing() -> None:
    """Each step with its finding; the world and the journal stay as they are."""
    world = World()
    state = world.state()
    foreseen = rehearse(RUNBOOK, world)
    assert [f.step for f in foreseen] == ["survey", "stop_flow", "commit", "promote", "report"]
    assert foreseen[2].finding == Ready("3 groups")
    assert world.state() == state


def test_a_rehearsal_goes_on_behind_a_no() -> None:
    """All that would block is listed, not only the first."""
    world = World(blocked=Blocked("the source is alive", "use switchover"))
    foreseen = rehearse(RUNBOOK, world)
    assert foreseen[0].finding == Blocked("the source is alive", "use switchover")
    assert len(foreseen) == len(RUNBOOK.steps)


def test_what_is_not_there_yet_is_not_foreseen() -> None:
    """Before its ground is laid a step is not asked what it finds: it would tell of a world that is to be changed."""

    def never(_world: World) -> Finding:
        raise AssertionError("asked too early")

    def laid(_world: World) -> Finding:
        return Done()

    begin = Step(name="survey", says="begin", check=lambda _world: Ready(), do=do_survey, lays_ground=True)
    count = Step(name="stop_flow", says="count", check=never, do=do_stop, needs_ground=True)
    foreseen = rehearse(Runbook(kind=OperationKind.FAILBACK, steps=(begin, count)), World())
    assert foreseen[1].finding == Ready("can be told once survey is done")
    done, seen = replace(begin, check=laid), replace(count, check=lambda _world: Ready("3 records"))
    assert rehearse(Runbook(kind=OperationKind.FAILBACK, steps=(done, seen)), World())[1].finding == Ready("3 records")


def test_a_check_that_fails_is_a_no_in_a_rehearsal() -> None:
    """An error is a finding like any other, with the command that comes next."""

    def fail(_world: World) -> Finding:
        raise Unreachable("west: no answer", hint="replicator doctor")

    step = Step(name="survey", says="look", check=fail, do=do_survey)
    (foreseen,) = rehearse(Runbook(kind=OperationKind.FAILOVER, steps=(step,)), World())
    assert foreseen.finding == Blocked("west: no answer", "replicator doctor")


def test_a_rehearsal_waits_only_once_for_what_does_not_answer() -> None:
    """Behind a step that got no answer every other is told as not looked at, and is not."""
    looked: list[str] = []

    def silent(_world: World) -> Finding:
        looked.append("survey")
        raise DeadlineExceeded("west: timed out")

    def note(_world: World) -> Finding:
        looked.append("stop_flow")
        return Ready()

    steps = (
        Step(name="survey", says="look", check=silent, do=do_survey),
        Step(name="stop_flow", says="stop", check=note, do=do_stop),
    )
    foreseen = rehearse(Runbook(kind=OperationKind.FAILOVER, steps=steps), World())
    assert looked == ["survey"]
    assert [one.finding for one in foreseen] == [
        Blocked("west: timed out", "replicator doctor"),
        Blocked("not looked at: survey got no answer", "replicator doctor"),
    ]


def test_onlookers_hear_every_step() -> None:
    """Progress tells each step when it is looked at, begun and done."""
    station, world = Station(), World()
    station.process(world).run()
    heard = [(event.step, event.phase) for event in station.events if event.step == "stop_flow"]
    assert heard == [("stop_flow", None), ("stop_flow", StepPhase.INTENT), ("stop_flow", StepPhase.DONE)]


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_run_killed_at_any_write_to_the_journal_is_resumed_to_the_same_end(
    expected: tuple[Any, ...], side: str
) -> None:
    """Every write of a run has a place before it and one behind it; a fresh process goes on from any of them."""
    killed = 0
    for number in range(1, 100):
        station, world = Station(), World()
        try:
            station.process(world, die_at=f"journal.{side}_{number}").run()
            finish(world)
            break
        except Killed:
            killed += 1
        if station.phases()[-1:] != ["operation ended"]:
            run_to_end(station, world)
        *state, reports = world.state()
        assert [*state] == [*expected[:-1]]
        assert reports <= 1, "the toy counts a report behind its write"
    assert killed == len(station.phases()), "as many places as records"


def test_every_kill_point_of_a_run_is_named() -> None:
    """The runbook's list of kill points is complete: no crash test can miss one."""
    station, world = Station(), World()
    reached: list[str] = []
    engine = station.process(world)
    engine._crashpoint = world.crashpoint = reached.append
    engine.run()
    assert set(reached) == set(FORWARD_KILL_POINTS)
