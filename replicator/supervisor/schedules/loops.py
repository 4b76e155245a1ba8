"""The configured schedules as loops, each run by whoever leads on its flow's target."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.journal import open_operation
from replicator.model.flow import Flow
from replicator.model.names import FlowName
from replicator.model.operations import OperationKind
from replicator.model.supervision.overview import ScheduleStatus
from replicator.settings import ScheduleSettings, zone_of
from replicator.supervisor.assemble import World
from replicator.supervisor.decide.schedule import Policies, Timetable
from replicator.supervisor.flows.loops import FlowLoops
from replicator.supervisor.loop import Loop
from replicator.supervisor.schedules.drills import DrillWork
from replicator.supervisor.schedules.runner import Schedule, ScheduleRunner, Work
from replicator.supervisor.schedules.snapshots import SnapshotWork
from replicator.supervisor.schedules.verifying import VerifyWork

PERIOD_SECONDS = 1.0
BUDGET_SECONDS = 60.0
"""Asking for a schedule's last run, once a term; the runs themselves are no part of it."""


def to_schedule(name: str, settings: ScheduleSettings) -> Schedule:
    """Return the schedule a section of the configuration means."""
    return Schedule(
        name=name,
        flow=FlowName(settings.flow),
        cron=settings.cron,
        timezone=settings.timezone,
        kind=settings.kind,
        timetable=Timetable(settings.cron, zone_of(settings.timezone)),
        policies=Policies(misfire=settings.misfire, overlap=settings.overlap),
    )


def may_begin(kind: str, *, is_open: bool, open_kind: OperationKind | None, has_moved: bool) -> bool:
    """Whether a schedule of this kind may run now: an operation of the flow that is not over comes first.

    A drill that is not over stands in no drill's way: left by a process that has ended, it is taken back by the next.
    A flow that has moved has no failover that could be rehearsed. A proof asks the store alone.
    """
    if kind == "verify":
        return True
    if kind != "drill":
        return not is_open
    return not has_moved and (not is_open or open_kind is OperationKind.DRILL)


def make_work(world: World, schedule: Schedule, flow: Flow, *, clock: Clock) -> Work:
    """Return what a schedule does."""
    settings = world.settings
    if schedule.kind == "drill":
        return DrillWork(settings, flow, world.journal(flow.target), schedule=schedule.name, clock=clock)
    if schedule.kind == "verify":
        return VerifyWork(settings, flow, schedule=schedule.name, clock=clock)
    return SnapshotWork(settings, flow, world.cluster(flow.target), schedule=schedule.name, clock=clock)


class Scheduled:
    """One schedule, its runner and its loop."""

    def __init__(self, world: World, schedule: Schedule, loops: FlowLoops, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._loops = loops
        self._term = -1
        self._kind = schedule.kind
        work = make_work(world, schedule, loops.flow, clock=clock)
        self.runner = ScheduleRunner(schedule, work, may_run=self._may_run, clock=clock)
        self.loop = Loop(
            f"schedule:{schedule.name}",
            self._tick,
            period_seconds=PERIOD_SECONDS,
            budget_seconds=BUDGET_SECONDS,
            clock=clock,
            is_enabled=lambda: loops.leadership.is_held,
            is_changing=True,
        )

    def _may_run(self) -> bool:
        board, flow = self._loops.board, self._loops.flow
        operation = None if board.operation_id is None else open_operation(board.records(), flow.name)
        is_open = board.operation_id is not None
        return may_begin(
            self._kind,
            is_open=is_open,
            open_kind=None if operation is None else operation.kind,
            has_moved=board.active == flow.target,
        )

    def _tick(self, deadline: Deadline) -> None:
        if self._term != self._loops.leadership.term:
            self.runner.forget()
            self._term = self._loops.leadership.term
        self.runner.tick(deadline)

    @property
    def status(self) -> ScheduleStatus:
        """How the schedule is doing."""
        return self.runner.status


def make_schedules(
    world: World, flows: Mapping[str, FlowLoops], *, clock: Clock = SYSTEM_CLOCK
) -> tuple[Scheduled, ...]:
    """Return every configured schedule."""
    found = (to_schedule(name, settings) for name, settings in world.settings.snapshots.schedules.items())
    return tuple(Scheduled(world, schedule, flows[schedule.flow], clock=clock) for schedule in found)
