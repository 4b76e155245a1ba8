"""One seed: undisturbed first, then with faults; both must hold, and both must end alike."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from replicator.errors import ReplicatorError
from replicator.failover import Choices, Identity, Order, Override, World, abort_operation, run_operation
from replicator.failover import Worker as WorkerFacts
from replicator.failover.failback import reconcile as reconcile_module
from replicator.failover.steps import survey as survey_module
from replicator.flow import FlowWiring
from replicator.journal import Journal, chain, list_operations
from replicator.model.names import OperationId
from replicator.model.observations import Reachability
from replicator.model.operations import Operation, OperationState
from tests.simulation.connect import CONFIGS_TOPIC, GROUP_ID, OFFSETS_TOPIC, SimConnect
from tests.simulation.homeward import turn_round
from tests.simulation.judge import Ending, Judge, journal_of
from tests.simulation.ports import Line, SimCluster, SimRaw, count_visible
from tests.simulation.stage import FLOW, Stage, is_homeward, make_stage
from tests.simulation.wires import Endless, Fault, Killed, Process, Violation, Wires

WORKER = WorkerFacts(group_id=GROUP_ID, offsets_topic=OFFSETS_TOPIC, configs_topic=CONFIGS_TOPIC, tasks_max=1)
ATTEMPTS_MAX = 16
PATIENCE = 3
"""An operator who is told the same this often without a fault goes back instead."""
FAULTS_MAX = 4
WEIGHTS = {
    Fault.LOST_REQUEST: 2,
    Fault.LOST_REPLY: 4,
    Fault.LATE: 3,
    Fault.TWICE: 2,
    Fault.KILL_BEFORE: 4,
    Fault.KILL_AFTER: 4,
    Fault.PAUSE: 3,
    Fault.CLOCK_STEP: 1,
    Fault.ROGUE: 2,
}


@dataclass(slots=True)
class Played:
    """How one seed ended, or what was broken; `trail` is what happened on the way."""

    seed: int
    violation: str | None
    trail: list[str]
    calls: int


def _once_for_each(prove: Any) -> Any:
    """Return the function, asked once for the same bytes: a journal is read dozens of times in a world's life."""
    known: dict[Any, Any] = {}

    def cached(told: Any, **more: Any) -> Any:
        key = told if isinstance(told, bytes) else tuple(more.values())
        if key not in known:
            known[key] = prove(told, **more)
        return known[key]

    return cached


def open_stage(seed: int) -> Stage:
    """Return the world of a seed, up to the order that is played in it: of a failback clients were moved before."""
    stage = make_stage(seed)
    if not is_homeward(seed):
        return stage
    stage.aborts_after = None
    Theatre(stage, seed, {}).run()
    return turn_round(stage)


def copy_stage(stage: Stage) -> Stage:
    """Return the same world once more: what happens in one leaves the other as it was."""
    return pickle.loads(pickle.dumps(stage, protocol=pickle.HIGHEST_PROTOCOL))  # noqa: S301 -- made a line before


class Theatre:
    """One world and the processes that come and go in it."""

    def __init__(self, stage: Stage, seed: int, faults: dict[int, Fault]) -> None:
        self.stage = stage
        self.wires = Wires(faults, random.Random(seed + 1), self.stage.clock, tick=self.stage.tick)
        self.wires.on_pause = self._on_pause
        self.wires.on_rogue = lambda: self.stage.go_rogue(self.wires.calls)
        self.judge = Judge(self.stage, self.wires)
        self._begun = 0
        self._lines: dict[str, Line] = {}

    def run(self) -> Ending:
        """Return how the world ends once an operator has seen the order through."""
        with self._patched():
            self._see_through()
            self.wires.land_late(all_of_them=True)
            return self.judge.on_ended()

    @contextmanager
    def _patched(self) -> Iterator[None]:
        def probe(_listeners: Sequence[str], *, timeout_seconds: float) -> Reachability:
            return Reachability.REFUSED if self.stage.source.is_down else Reachability.REACHABLE

        with (
            mock.patch.object(survey_module, "probe_listeners", probe),
            mock.patch.object(reconcile_module, "RawClient", lambda access, **_: SimRaw(self._lines[access.name])),
            mock.patch.object(reconcile_module, "count_visible", count_visible),
            mock.patch.object(chain, "_proven_fields", _once_for_each(chain._proven_fields)),
            mock.patch.object(chain, "_to_record", _once_for_each(chain._to_record)),
        ):
            yield

    def _see_through(self) -> None:
        told: list[str] = []
        for _ in range(ATTEMPTS_MAX):
            faults_left = len(self.wires.faults)
            operation = self._last()
            is_stuck = len(told) >= PATIENCE
            can_go_back = operation is not None and not operation.state.is_terminal
            wants_back = self.stage.aborts_after is not None and self._begun >= self.stage.aborts_after
            word = self._run_process(is_abort=can_go_back and (wants_back or is_stuck))
            if operation is not None and operation.is_past_promote:
                self.stage.aborts_after = None
            told = [*told, word] if len(self.wires.faults) == faults_left else []
            operation = self._last()
            if operation is None or not operation.state.is_terminal:
                continue
            if operation.state is not OperationState.ABORTED or is_stuck or not self.stage.goes_on:
                return
            self.stage.aborts_after = None

    def _last(self) -> Operation | None:
        told = list_operations(journal_of(self.stage.target)).values()
        operations = [operation for operation in told if operation.kind is self.stage.kind]
        return operations[-1] if operations else None

    def _run_process(self, *, is_abort: bool) -> str:
        self.wires.land_late(all_of_them=True)
        self._begun += 1
        process = Process(self.wires, f"process-{self._begun}{' (abort)' if is_abort else ''}")
        self.stage.clock.seconds += 1.0
        try:
            word = self._act(process, is_abort=is_abort)
        except Killed:
            word = "killed"
        except ReplicatorError as error:
            word = f"{type(error).__name__}: {error.message}"
        self.wires.trail.append(f"{self.wires.calls} {process.name}: {word}")
        self.judge.on_process_end(process)
        return word

    def _act(self, process: Process, *, is_abort: bool) -> str:
        world, epoch = self._world(process)
        order = Order(
            kind=self.stage.kind,
            actor="simulation",
            commanded_at=self.stage.clock.now(),
            fresh_id=OperationId(f"{self.stage.kind.value}-{self._begun:02}"),
        )
        act = abort_operation if is_abort else run_operation
        report = act(world, order, announce=lambda _id: None, epoch_elsewhere=epoch)
        return report.state.value

    def _world(self, process: Process) -> tuple[World, int]:
        """Return the world as a fresh process knows it, and the highest epoch in the other cluster's journal."""
        stage = self.stage
        line = Line(stage.source, process, stage.clock, lambda *_: None)
        source = SimCluster(line)
        source.positions = Swept(source.positions, self)  # type: ignore[assignment]
        target_line = Line(stage.target, process, stage.clock, self.judge.on_append)
        self._lines = {stage.source.name: line, stage.target.name: target_line}
        target = WatchedCluster(target_line, self.judge)
        peer, epoch = (), 0
        if stage.is_planned:
            peer = Journal(source, clock=stage.clock).read(_soon(stage))
            epoch = max((record.epoch for record in peer), default=0)
        world = World(
            flow=stage.flow,
            source=source,
            target=target,
            connect=SimConnect(stage.worker, process),
            worker=WORKER,
            identity=Identity(session_seconds=10.0),
            is_planned=stage.is_planned,
            fencing=stage.fencing,
            choices=Choices(accepted=frozenset({Override.SPLIT_BRAIN} if stage.is_answering else ())),
            peer_records=peer,
            clock=stage.clock,
            crashpoint=process.crashpoint,
        )
        if stage.home is not None:
            world.journaled_as = FLOW.name
            world.wiring = FlowWiring(source=source.access, target=target.access)
            connect = SimConnect(stage.home.worker, process)
            world.forward = replace(world, flow=FLOW, source=target, target=source, connect=connect, journaled_as=None)
        return world, epoch

    def _on_pause(self, process: Process) -> None:
        """Freeze a process until another has done what it was to do."""
        before = dict(self.stage.target.holders)
        held = [group for group, lease in before.items() if lease._line.process is process]
        process.is_frozen = True
        self.stage.clock.sleep(60.0)
        self._run_process(is_abort=False)
        process.is_frozen = False
        if any(self.stage.target.holders.get(group) is not before[group] for group in held):
            process.was_frozen = True


def _soon(stage: Stage) -> Any:
    from replicator.clock import Deadline

    return Deadline.after(30.0, clock=stage.clock)


class WatchedCluster(SimCluster):
    """The target: what is read of its groups is noted, for nothing is promoted that was not read back."""

    def __init__(self, line: Line, judge: Judge) -> None:
        super().__init__(line)
        committed = self.groups.committed

        def noted(names: Any, deadline: Any) -> Any:
            found = committed(names, deadline)
            judge.read_back |= {name: dict(seen.committed) for name, seen in found.items()}
            return found

        self.groups.committed = noted  # type: ignore[method-assign]


class Swept:
    """The source's positions: when they were asked last is noted."""

    def __init__(self, positions: Any, theatre: Theatre) -> None:
        self._positions = positions
        self._theatre = theatre

    def ends(self, partitions: Any, deadline: Any) -> Any:
        """Return the ends."""
        found = self._positions.ends(partitions, deadline)
        self._theatre.judge.swept_at = self._theatre.wires.calls
        return found


def draw_faults(seed: int, calls: int) -> dict[int, Fault]:
    """Return what happens at which call, of a run that makes about so many."""
    rng = random.Random(seed + 2)
    count = 1 + rng.randrange(FAULTS_MAX)
    kinds = rng.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=count)
    return {1 + rng.randrange(int(calls * 1.3)): kind for kind in kinds}


def play(seed: int, faults: dict[int, Fault] | None = None) -> Played:
    """Return how a seed went: first undisturbed, then with its faults, or with those that are given."""
    try:
        stage = open_stage(seed)
    except (Violation, ReplicatorError, Endless) as error:
        return Played(seed, f"before the failback: {type(error).__name__}: {error}", [], 0)
    calm = Theatre(copy_stage(stage) if stage.home is not None else open_stage(seed), seed, {})
    try:
        meant = calm.run()
        if meant.state not in (OperationState.DONE.value, OperationState.DONE_WITH_EXCEPTIONS.value):
            return Played(seed, f"undisturbed: ends {meant.state}", calm.wires.trail, calm.wires.calls)
    except (Violation, ReplicatorError, Endless) as error:
        return Played(seed, f"undisturbed: {type(error).__name__}: {error}", calm.wires.trail, calm.wires.calls)
    drawn = draw_faults(seed, calm.wires.calls) if faults is None else dict(faults)
    return play_roughly(stage, seed, drawn, meant)


def play_roughly(stage: Stage, seed: int, faults: dict[int, Fault], meant: Ending) -> Played:
    """Return how a world went with these faults, beside what it ends in without them."""
    rough = Theatre(stage, seed, faults)
    try:
        found = rough.run()
        if not rough.judge.is_beyond_us:
            has_lost = any("lost_re" in line or line.endswith("late") for line in rough.wires.trail)
            has_lost |= rough.stage.home is not None and any(rough.stage.home.orphans.values())
            _compare(meant, found, has_lost=has_lost, is_mirroring=stage.is_answering)
    except (Violation, ReplicatorError, Endless) as error:
        return Played(seed, f"{type(error).__name__}: {error}", rough.wires.trail, rough.wires.calls)
    return Played(seed, None, rough.wires.trail, rough.wires.calls)


def sweep(seed: int, kinds: Sequence[Fault], *, first: int, stride: int) -> Iterator[tuple[int, Fault, Played]]:
    """Yield how a failback went with one fault alone, at every `stride`-th of its calls from `first` on.

    Which kind comes at which call goes round: strides that share no divisor with their number meet all of them.
    """
    stage = open_stage(seed)
    stage.aborts_after = None
    calm = Theatre(copy_stage(stage), seed, {})
    meant = calm.run()
    for number, call in enumerate(range(first, calm.wires.calls + 1, stride)):
        kind = kinds[(first + number) % len(kinds)]
        yield call, kind, play_roughly(copy_stage(stage), seed, {call: kind}, meant)


def _compare(meant: Ending, found: Ending, *, has_lost: bool, is_mirroring: bool) -> None:
    """A translation that could not read the source goes back further, and says so, and so does one after orphans were
    mirrored by a flow that had come back; what is lost of a source that was still mirrored is a matter of time. Nothing
    else may differ."""
    if found.state in (OperationState.ABORTED.value, "nothing was begun"):
        return
    for name in ("active", "outcomes", "rules", "states", "known_lost"):
        if name == "known_lost" and is_mirroring:
            continue
        if getattr(meant, name) != getattr(found, name):
            raise Violation(f"{name}: {getattr(found, name)}, undisturbed {getattr(meant, name)}")
    is_equal = all(found.ranks[group] == ranks for group, ranks in meant.ranks.items())
    is_below = all(found.ranks[group][tp] <= at for group, ranks in meant.ranks.items() for tp, at in ranks.items())
    if not (is_below if has_lost else is_equal):
        raise Violation(f"groups stand behind {found.ranks}, undisturbed {meant.ranks} records")
