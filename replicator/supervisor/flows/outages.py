"""Watches for the loss of one flow's source: advises, and where the configuration says so, begins the failover."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from datetime import datetime

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.failover import Choices, Order, run_operation
from replicator.journal import list_operations
from replicator.log import get_logger
from replicator.model.forms.text import safe_text
from replicator.model.names import TopicPartition
from replicator.model.observations import Reachability
from replicator.model.operations import Operation, OperationKind
from replicator.model.supervision.outages import Advice, OutagePhase
from replicator.model.supervision.status import Role
from replicator.settings import Settings
from replicator.settings.upkeep import FailoverSettings
from replicator.supervisor.decide.outlook.exposure import loss_now
from replicator.supervisor.decide.outlook.outage import (
    AUTOMATIC,
    AutomatFacts,
    Outage,
    OutageRules,
    SourceSigns,
    find_holds,
    follow_outage,
    has_clock_stepped,
    newest_operation,
    tell_signs,
)
from replicator.supervisor.decide.status import unread_window
from replicator.supervisor.flows.loops import FlowLoops
from replicator.supervisor.loop import Loop
from replicator.supervisor.operating import Desk, highest_peer_epoch, open_operation_world

PERIOD_SECONDS = 1.0
BUDGET_SECONDS = 1.0
OPERATION_SECONDS_MAX = 3600.0


class OutageWatch:
    """One flow's watch. `advice` is replaced whole at each tick; one thread ticks, and a failover has its own."""

    def __init__(self, settings: Settings, loops: FlowLoops, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings = settings
        self._loops = loops
        self._flow = loops.flow
        self._clock = clock
        self._rules = OutageRules(outage_seconds=settings.failover.outage_seconds)
        self._outage = Outage()
        self._positions: Mapping[TopicPartition, int] = {}
        self._watched_since: datetime | None = None
        self._moved_at: datetime | None = None
        self._met: datetime | None = None
        self._looked_at: tuple[datetime, float] | None = None
        self._log = get_logger(flow=self._flow.name)
        self.advice: Advice | None = None
        self.loop = Loop(
            f"outage:{self._flow.name}",
            self.tick,
            period_seconds=PERIOD_SECONDS,
            budget_seconds=BUDGET_SECONDS,
            clock=clock,
            is_enabled=lambda: settings.failover.mode != "off",
            is_changing=True,
        )

    def tick(self, _deadline: Deadline) -> None:
        """Look at the newest samples; advise, and begin what may be begun.

        A supervisor that stands by looks at nothing: the source is left to the one that leads.
        """
        if self._loops.leadership.role is Role.STANDBY:
            self._watched_since, self._outage, self.advice = None, Outage(), None
            return
        now = self._clock.now()
        before = self._outage
        signs = self.follow(now)
        holds = find_holds(self._facts(signs, now), now=now, rules=self._rules)
        self.advice = self._advise(signs, holds, now)
        if before.phase is not self._outage.phase:
            told = "; ".join(self.advice.signs)
            self._log.warning("outage_phase_changed", phase=self._outage.phase.value, signs=told, holds=holds)
        if self._settings.failover.mode == "auto" and not holds and self._met != self._outage.since:
            self._met = self._outage.since
            threading.Thread(target=self._fail_over, name=f"failover:{self._flow.name}", daemon=True).start()

    def follow(self, now: datetime) -> SourceSigns:
        """Return the source's signs as of now; how an outage stands by them is kept."""
        self._begin_anew_after_step(now)
        self._watched_since = self._watched_since or now
        signs = self._read_signs(now, since=self._watched_since)
        self._outage = follow_outage(self._outage, signs, now=now, rules=self._rules)
        return signs

    def _begin_anew_after_step(self, now: datetime) -> None:
        """Leave no time counted that a step of the wall clock made: from here on everything is waited for again."""
        before, self._looked_at = self._looked_at, (now, self._clock.monotonic())
        if before is not None and has_clock_stepped(before, self._looked_at):
            self._log.warning("wall_clock_stepped", seconds=round((now - before[0]).total_seconds(), 3))
            self._watched_since, self._moved_at, self._outage = now, now, Outage()

    def _read_signs(self, now: datetime, *, since: datetime) -> SourceSigns:
        board = self._loops.board
        sample = board.mirrored
        if sample is not None and sample.positions != self._positions:
            self._moved_at = now if self._positions else None
            self._positions = dict(sample.positions)
        seen = board.source_watch.observation
        return SourceSigns(
            reachability=seen.reachability,
            watched_since=since,
            read_at=seen.last_reached_at,
            moved_at=self._moved_at,
        )

    def _facts(self, signs: SourceSigns, now: datetime) -> AutomatFacts:
        board, flow = self._loops.board, self._flow
        loss = loss_now(flow, board, window_seconds=unread_window(board.source_watch.observation, now=now))
        target = board.target_watch
        return AutomatFacts(
            outage=self._outage,
            signs=signs,
            is_leader=self._loops.leadership.is_held,
            is_standby_answering=target.observation.reachability is Reachability.REACHABLE and target.cause is None,
            is_active_already=board.active == flow.target,
            open_operation=board.operation_id,
            possible_lost_max=None if loss is None else loss.possible_lost_max,
            loss_allowed=self._loss_allowed,
            last_operation=self._last_operation(),
            can_verify_fence=can_fence_unanswered(self._settings.failover),
        )

    @property
    def _loss_allowed(self) -> int | None:
        configured = self._settings.failover.loss_max
        return self._flow.objectives.rpo_records if configured is None else configured

    def _last_operation(self) -> Operation | None:
        """Return the flow's newest operation; it is looked up only where it counts."""
        if self._outage.phase is not OutagePhase.CONFIRMED:
            return None
        return newest_operation(list(list_operations(self._loops.board.records()).values()), self._flow.name)

    def _advise(self, signs: SourceSigns, holds: tuple[str, ...], now: datetime) -> Advice:
        name, is_lost = self._flow.name, self._outage.phase is OutagePhase.CONFIRMED
        has_moved = self._loops.board.active == self._flow.target
        is_sure = signs.reachability is Reachability.REFUSED
        words = f"replicator failover {name} --confirm {name}" if is_sure else f"replicator failover {name} --dry-run"
        return Advice(
            flow=name,
            phase=self._outage.phase,
            since=self._outage.since,
            signs=tuple(tell_signs(signs, now=now, rules=self._rules)),
            holds=holds,
            command=words if is_lost and not has_moved else None,
        )

    def _fail_over(self) -> None:
        """Run the failover as the command does, within the loss that is allowed. Tried once an outage."""
        settings, flow = self._settings, self._flow
        actor = f"{AUTOMATIC}{settings.supervisor.id}@{socket.gethostname()}"
        order = Order(kind=OperationKind.FAILOVER, actor=actor, commanded_at=self._clock.now())
        desk = Desk(settings=settings, clock=self._clock, budget_seconds=OPERATION_SECONDS_MAX)
        choices = Choices(loss_max=self._loss_allowed, needs_fence=True)
        self._log.warning("failover_begun_unasked", since=self._outage.since)
        try:
            with open_operation_world(desk, flow, choices, kind=order.kind) as world:
                epoch = highest_peer_epoch(world)
                report = run_operation(world, order, announce=lambda _id: None, epoch_elsewhere=epoch)
        except ReplicatorError as error:
            self._log.error("failover_begun_unasked_stopped", cause=safe_text(error), hint=error.hint)
            return
        self._log.warning("failover_begun_unasked_ended", operation=report.operation_id, state=report.state.value)


def can_fence_unanswered(failover: FailoverSettings) -> bool:
    """Whether the configured fence needs no answer of the source, and is proven each time it is set."""
    hooks = failover.hooks.fence
    return failover.fence == "hook" and bool(hooks) and all(hook.verify is not None for hook in hooks)
