"""The loops of one flow: each asks one cluster, so that a dead or frozen one delays nobody else.

source     ends, last stable offsets, log starts, topic ids      every 1 s
tails      visible records above the mirrored position           every 1 s
groups     committed positions on the source                     every 2 s
target     mirrored positions from Connect's offsets topic       every 0.5 s
connect    what Connect says of the connectors                   every 2 s
journal    which cluster is active, which operation runs         every 2 s on the target, 5 s on the source
drift      what is not as the configuration says                 every 15 s
translate  where groups would resume without the source          every 10 s
stall      why partitions stand still                            every 5 s
heal       restarts of what failed                               every 2 s
gates      what a failover would need of both clusters           every 15 s
heartbeat  one record into the source                            every 1 s
watch      listeners of a cluster that has fallen silent         every 0.25 s, one loop a cluster
record     what changed, to the target's observations            every 1 s, and after each sweep
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import Fenced, ReplicatorError
from replicator.failover import standing_fences
from replicator.flow import FlowHeartbeat
from replicator.model.names import ClusterName, TopicPartition
from replicator.model.observations import Reachability
from replicator.model.supervision.status import Role
from replicator.supervisor.assemble import FlowWorld, World
from replicator.supervisor.decide.heal import HealFacts
from replicator.supervisor.decide.status import FlowView
from replicator.supervisor.flows.healer import Healer
from replicator.supervisor.flows.recorder import Item, Recorder
from replicator.supervisor.flows.steps import FlowSteps
from replicator.supervisor.flows.upkeep import GroupUpkeep
from replicator.supervisor.leadership import SESSION_SECONDS, Leadership
from replicator.supervisor.loop import REST_SHARE, Loop
from replicator.supervisor.observe.access import AccessObserver
from replicator.supervisor.observe.sides import SidesObserver
from replicator.supervisor.observe.source import SWEEP_SECONDS_MAX
from replicator.supervisor.observe.stall import stalled_partitions

Enabled = Callable[[], bool]

CHANGING = frozenset({"record", "heal", "upkeep"})
"""Loops whose step is waited for when the supervisor ends; the others only look, or send a heartbeat."""


class FlowLoops:
    """Looks at one flow for ever, and records what it sees while this supervisor leads."""

    def __init__(self, world: World, parts: FlowWorld, leadership: Leadership, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.flow = parts.flow
        self.steps = FlowSteps(world, parts, clock=clock)
        self.board = self.steps.board
        self._parts = parts
        self.leadership = leadership
        self._clock = clock
        self._heartbeat: FlowHeartbeat | None = None
        self._stalled: list[TopicPartition] = []
        self._primed_term = -1
        self._silent_until = 0.0
        self.recorder = Recorder(
            self.flow,
            self.board,
            self._write,
            clock=clock,
            is_allowed=self._may_record,
            known_ids=lambda: self.steps.damage.known_ids,
            overtaken=lambda: self.steps.damage.overtaken,
            copies=lambda: self.steps.copies,
        )
        self.healer = Healer(
            self.flow, parts.connect, sample=lambda: self.board.connect, facts=self._heal_facts, clock=clock
        )
        self._upkeep = GroupUpkeep(self.flow, parts.target, self.board, clock=clock)
        self._gives_rights = world.settings.failover.access_rules == "activate"
        self._access = AccessObserver(
            self.flow, parts.source, exempt=world.settings.house_principals(self.flow), clock=clock
        )
        self._sides = SidesObserver(world, parts, self.board, clock=clock)
        self._record_loop = self._dear(
            "record", self.record, period_seconds=1.0, budget_seconds=5.0, is_enabled=self._may_act
        )
        self._connect_loop = self._loop("connect", self.steps.read_connectors, period_seconds=2.0, budget_seconds=5.0)
        self.loops = (*self._source_loops(), *self._target_loops(), *self._judging_loops())

    def _source_loops(self) -> tuple[Loop, ...]:
        steps, reading, asking = self.steps, self._may_observe, self._may_ask_source
        return (
            self._dear("source", self.sweep, period_seconds=1.0, budget_seconds=SWEEP_SECONDS_MAX, is_enabled=reading),
            self._dear("tails", self.count_tails, period_seconds=1.0, budget_seconds=2.0, is_enabled=asking),
            self._dear("groups", self.read_groups, period_seconds=2.0, budget_seconds=20.0, is_enabled=asking),
            self._dear("access", self.read_access, period_seconds=30.0, budget_seconds=10.0, is_enabled=self._may_give),
            self._loop(
                "journal-source",
                steps.read_source_journal,
                period_seconds=5.0,
                budget_seconds=10.0,
                is_enabled=asking,
            ),
            self._loop("heartbeat", self.beat, period_seconds=1.0, budget_seconds=5.0, is_enabled=self._may_act),
            self._loop(
                "watch-source",
                steps.board.source_watch.probe_if_suspect,
                period_seconds=0.25,
                budget_seconds=1.0,
                is_enabled=reading,
            ),
        )

    def _target_loops(self) -> tuple[Loop, ...]:
        steps = self.steps
        watch = steps.board.target_watch.probe_if_suspect
        return (
            self._loop("target", steps.read_mirrored, period_seconds=0.5, budget_seconds=5.0),
            self._loop("journal", steps.read_journal, period_seconds=2.0, budget_seconds=10.0),
            self._loop("watch-target", watch, period_seconds=0.25, budget_seconds=1.0),
            self._connect_loop,
            self._record_loop,
        )

    def _judging_loops(self) -> tuple[Loop, ...]:
        steps, asking = self.steps, self._may_ask_target
        return (
            self._dear("drift", steps.read_drift, period_seconds=15.0, budget_seconds=12.0, is_enabled=self._may_plan),
            self._loop(
                "stall", self.explain_stall, period_seconds=5.0, budget_seconds=8.0, is_enabled=self._may_observe
            ),
            self._dear(
                "translate", steps.translate_groups, period_seconds=10.0, budget_seconds=10.0, is_enabled=asking
            ),
            self._dear("gates", self.read_sides, period_seconds=15.0, budget_seconds=12.0, is_enabled=asking),
            self._dear("upkeep", self._upkeep.keep, period_seconds=60.0, budget_seconds=20.0, is_enabled=asking),
            self._loop("heal", self.healer.heal, period_seconds=2.0, budget_seconds=12.0, is_enabled=self._may_act),
        )

    def _loop(
        self,
        what: str,
        step: Callable[[Deadline], None],
        *,
        period_seconds: float,
        budget_seconds: float,
        is_enabled: Enabled = lambda: True,
        rest_share: float = 0.0,
    ) -> Loop:
        return Loop(
            f"{what}:{self.flow.name}",
            step,
            period_seconds=period_seconds,
            budget_seconds=budget_seconds,
            clock=self._clock,
            is_enabled=is_enabled,
            rest_share=rest_share,
            is_changing=what in CHANGING,
        )

    def _dear(self, what: str, step: Callable[[Deadline], None], **options: Any) -> Loop:
        """Return a loop whose step grows with the clusters, and so comes the less often the dearer it is."""
        return self._loop(what, step, rest_share=REST_SHARE, **options)

    def cluster_of(self, loop: Loop) -> ClusterName | None:
        """Return the cluster a loop asks; None for one that asks Connect, or more than one."""
        what = loop.name.partition(":")[0]
        if what in ("connect", "drift", "stall", "heal", "gates"):
            return None
        return (
            self.flow.target
            if what in ("target", "watch-target", "journal", "translate", "record", "upkeep")
            else self.flow.source
        )

    def _may_observe(self) -> bool:
        """A supervisor that stands by leaves the source to the one that leads; one that cannot know goes on reading."""
        return self.leadership.role is not Role.STANDBY

    def _may_ask_source(self) -> bool:
        """While the source is silent one loop asks it whether it is back; the others would only pile questions up."""
        return self._may_observe() and not self.board.source_watch.is_silent

    def _may_give(self) -> bool:
        """Rights are given as the active cluster has them: those of a source that was left say nothing any more."""
        board = self.board
        is_source_active = board.active in (None, self.flow.source)
        is_swept = board.source is not None and board.groups is not None
        return self._gives_rights and is_source_active and is_swept and self._may_ask_source()

    def _may_act(self) -> bool:
        return self.leadership.is_held

    def _may_ask_target(self) -> bool:
        return self.leadership.is_held and not self.board.target_watch.is_silent

    def _may_plan(self) -> bool:
        """A plan needs both clusters and Connect; while one is silent its silence is what counts."""
        watches = (self.board.source_watch, self.board.target_watch)
        is_whole = all(watch.observation.reachability is Reachability.REACHABLE for watch in watches)
        return self.leadership.is_held and is_whole and self._connect_loop.report.error is None

    def _heal_facts(self) -> HealFacts:
        board = self.board
        return HealFacts(
            is_leader=self.leadership.is_held,
            is_journal_known=self.flow.target in board.journals,
            has_open_operation=board.operation_id is not None,
            is_failed_over=board.active == self.flow.target,
        )

    def _may_record(self) -> bool:
        is_ours = self.leadership.is_held and self.leadership.term == self._primed_term
        return is_ours and self._clock.monotonic() >= self._silent_until

    def sweep(self, deadline: Deadline) -> None:
        """Put one sweep over the source on the board, and let it be recorded."""
        self.steps.sweep(deadline)
        self._record_loop.nudge()

    def count_tails(self, deadline: Deadline) -> None:
        """Put on the board what of the source is not mirrored, counted, and let it be recorded."""
        self.steps.count_tails(deadline)
        self._record_loop.nudge()

    def read_groups(self, deadline: Deadline) -> None:
        """Put on the board where the groups stand on the source, and let it be recorded."""
        self.steps.read_groups(deadline)
        self._record_loop.nudge()

    def explain_stall(self, deadline: Deadline) -> None:
        """Leave the board knowing why partitions stand still that stood still in the last status."""
        self.steps.explain_stall(self._stalled, deadline)

    def read_access(self, deadline: Deadline) -> None:
        """Put on the board which rights applications have on the source, without what keeps them out for a move."""
        sample, groups = self.board.source, self.board.groups
        if sample is None or groups is None:
            return
        fences = standing_fences(self.board.records(), self.flow.source)
        found = self._access.observe(topics=sample.topics, groups=groups.groups, fences=fences, deadline=deadline)
        self.board.put_access(found, at=self._clock.now())

    def read_sides(self, deadline: Deadline) -> None:
        """Put on the board what the gates of a failover need to know of both clusters."""
        self.board.sides = self._sides.observe(deadline)
        self.board.missing_rights = self._sides.missing_rights

    def beat(self, deadline: Deadline) -> None:
        """Leave one heartbeat written on the source."""
        if self._heartbeat is None:
            heartbeat = FlowHeartbeat(self._parts.source, target=self.flow.target)
            heartbeat.ensure_topic(deadline)
            self._heartbeat = heartbeat
        now = self._clock.now()
        self.board.put_beat(now, offset=self._heartbeat.beat(now, deadline))

    def record(self, deadline: Deadline) -> None:
        """Leave the standby knowing what changed; first learn what it knew before we led."""
        term = self.leadership.term
        if term != self._primed_term:
            self.steps.read_observations(deadline)
            self.recorder.forget()
            self._primed_term = term
        self.recorder.record(deadline)

    def _write(self, items: list[Item], deadline: Deadline) -> None:
        try:
            self._parts.observations.write(self.flow.name, items, deadline)
        except ReplicatorError as error:
            self._parts.observations.close()
            if isinstance(error, Fenced):  # another leads: by then the election has told us, too
                self._silent_until = self._clock.monotonic() + 2 * SESSION_SECONDS
            raise

    def view(self, now: datetime) -> FlowView:
        """Return everything known of the flow, for the decider."""
        view = self.steps.view(
            now,
            role=self.leadership.role,
            connect_cause=self._connect_loop.report.error,
            recorded_at=self.recorder.recorded_at,
            is_budget_spent=not self.leadership.is_held or self.healer.is_budget_spent(now),
            restarts=self.healer.restarts,
        )
        self._stalled = stalled_partitions(view.lag)
        return view

    def close(self) -> None:
        """Let go of what only this flow's loops use."""
        if self._heartbeat is not None:
            self._heartbeat.close()
        self.steps.close()
