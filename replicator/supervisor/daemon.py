"""`Supervisor`: every loop of every flow, who leads, and the one `Status` that is swapped whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from replicator import __version__
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.journal import observations_topic
from replicator.log import get_logger
from replicator.model.flow import FlowState
from replicator.model.names import ClusterName, FlowName
from replicator.model.supervision.outages import Advice
from replicator.model.supervision.overview import ScheduleStatus
from replicator.model.supervision.status import CollectorStatus, FlowStatus, Status
from replicator.supervisor.assemble import World
from replicator.supervisor.decide.status import decide_flow
from replicator.supervisor.flows.loops import FlowLoops
from replicator.supervisor.flows.outages import OutageWatch
from replicator.supervisor.leadership import Leadership, election_group
from replicator.supervisor.loop import Loop, join_all
from replicator.supervisor.schedules.loops import make_schedules

DECIDE_PERIOD_SECONDS = 1.0
DECIDE_BUDGET_SECONDS = 1.0
ELECT_PERIOD_SECONDS = 1.0
ELECT_BUDGET_SECONDS = 8.0
CANONICAL_LINE_SECONDS = 60.0
STOP_SECONDS_MAX = 13.0
CLOSE_SECONDS_MAX = 3.0


class Supervisor:
    """Runs until `stop`. `status` is the newest whole status; it is never changed, only replaced."""

    def __init__(self, world: World, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._world = world
        self._clock = clock
        self._log = get_logger(supervisor=world.settings.supervisor.id)
        self._started_at = clock.now()
        parts = world.flows()
        self._leaderships = {name: self._leadership(name) for name in {part.flow.target for part in parts}}
        self.flows = tuple(FlowLoops(world, part, self._leaderships[part.flow.target], clock=clock) for part in parts)
        self._outages = tuple(OutageWatch(world.settings, one, clock=clock) for one in self.flows)
        self._schedules = make_schedules(world, {one.flow.name: one for one in self.flows}, clock=clock)
        self._elections = tuple(
            Loop(
                f"election:{name}",
                leadership.keep,
                period_seconds=ELECT_PERIOD_SECONDS,
                budget_seconds=ELECT_BUDGET_SECONDS,
                clock=clock,
                is_changing=True,
            )
            for name, leadership in self._leaderships.items()
        )
        self._decider = Loop(
            "decide",
            self._decide,
            period_seconds=DECIDE_PERIOD_SECONDS,
            budget_seconds=DECIDE_BUDGET_SECONDS,
            clock=clock,
        )
        self._status = self._compute(previous=None)
        self._told_at: dict[str, datetime] = {}

    @property
    def status(self) -> Status:
        """The newest status."""
        return self._status

    @property
    def schedules(self) -> tuple[ScheduleStatus, ...] | None:
        """How every schedule is doing; None when none is configured."""
        return tuple(one.status for one in self._schedules) or None

    @property
    def advice(self) -> Mapping[FlowName, Advice]:
        """What is advised for each flow; none where nobody watches for outages."""
        return {one.advice.flow: one.advice for one in self._outages if one.advice is not None}

    def _leadership(self, cluster: ClusterName) -> Leadership:
        prefix = self._world.topic_prefix
        return Leadership(
            self._world.cluster(cluster),
            group=election_group(topic_prefix=prefix, supervisor_id=self._world.settings.supervisor.id),
            topic=observations_topic(prefix),
            ensure_topic=self._world.observations(cluster).ensure_topic,
            clock=self._clock,
        )

    @property
    def _loops(self) -> tuple[Loop, ...]:
        flow_loops = (loop for flow in self.flows for loop in flow.loops)
        return (*self._elections, *flow_loops, *self._watching, self._decider)

    @property
    def _watching(self) -> tuple[Loop, ...]:
        return (*(one.loop for one in self._schedules), *(one.loop for one in self._outages))

    def start(self) -> None:
        """Let every loop run."""
        self._log.info("supervisor_started", flows=[flow.flow.name for flow in self.flows], version=__version__)
        for loop in self._loops:
            loop.start()

    def stop(
        self,
        *,
        look_seconds: float = STOP_SECONDS_MAX,
        tell: Callable[[Sequence[str]], None] = lambda _names: None,
    ) -> bool:
        """Return whether every loop ended, and every client was let go of, in time.

        A loop that only looks is waited for `look_seconds` at most: less is for who ends the process afterwards.
        `tell` is called with the names of the loops that are waited for. A client of a frozen cluster may not want
        to go: it is left to the end of the process. So is a capture that goes on: what it has stored so far is seen
        by nobody.
        """
        for loop in self._loops:
            loop.stop()
        late = join_all(
            self._loops,
            looking=Deadline.after(min(look_seconds, STOP_SECONDS_MAX), clock=self._clock),
            changing=Deadline.after(STOP_SECONDS_MAX, clock=self._clock),
            tell=tell,
        )
        closers = [leadership.close for leadership in self._leaderships.values()]
        # What a late loop still uses is not closed under it.
        closers += [flow.close for flow in self.flows if not any(loop.name in late for loop in flow.loops)]
        is_closed = close_within(closers, Deadline.after(CLOSE_SECONDS_MAX, clock=self._clock))
        self._log.info("supervisor_stopped", late_loops=late, is_clean=not late and is_closed)
        return not late and is_closed and not any(one.runner.is_running for one in self._schedules)

    def _decide(self, _deadline: Deadline) -> None:
        before, self._status = self._status, self._compute(previous=self._status)
        for flow in self._status.flows:
            self._tell(flow, before=before.flow(flow.flow))

    def _compute(self, *, previous: Status | None) -> Status:
        now = self._clock.now()
        return Status(
            supervisor=self._world.settings.supervisor.id,
            version=__version__,
            started_at=self._started_at,
            computed_at=now,
            flows=tuple(self._flow_status(flow, previous=previous, now=now) for flow in self.flows),
            collectors=tuple(self._collectors()),
        )

    def _flow_status(self, loops: FlowLoops, *, previous: Status | None, now: datetime) -> FlowStatus:
        before = previous.flow(loops.flow.name) if previous is not None else None
        return decide_flow(loops.view(now), previous=before, now=now)

    def _collectors(self) -> Iterable[CollectorStatus]:
        for flow in self.flows:
            for loop in flow.loops:
                report = loop.report
                yield CollectorStatus(
                    name=report.name,
                    flow=flow.flow.name,
                    cluster=flow.cluster_of(loop),
                    period_seconds=report.period_seconds,
                    succeeded_at=report.succeeded_at,
                    duration_seconds=report.duration_seconds,
                    steps_total=report.steps_total,
                    errors=report.errors,
                    error=report.error,
                    error_code=report.error_code,
                )

    def _tell(self, flow: FlowStatus, *, before: FlowStatus | None) -> None:
        """Log a change of state at once, and one canonical line a minute."""
        if before is not None and before.state is not flow.state:
            self._logger_for(flow.state)(
                "flow_state_changed", flow=flow.flow, state=flow.state.value, was=before.state.value, cause=flow.cause
            )
        told_at = self._told_at.get(flow.flow)
        if told_at is None:
            self._told_at[flow.flow] = flow.since
        elif (self._status.computed_at - told_at).total_seconds() >= CANONICAL_LINE_SECONDS:
            self._told_at[flow.flow] = self._status.computed_at
            self._log_canonical_line(flow)

    def _logger_for(self, state: FlowState) -> Callable[..., object]:
        """Return what logs at the level that the state deserves: to become healthy is no warning."""
        return self._log.info if state is FlowState.HEALTHY else self._log.warning

    def _log_canonical_line(self, flow: FlowStatus) -> None:
        self._logger_for(flow.state)(
            "flow_observed",
            flow=flow.flow,
            state=flow.state.value,
            cause=flow.cause,
            role=flow.role.value,
            lag_records=flow.lag.lag_records,
            lag_seconds=flow.lag.lag_seconds,
            rate_in=flow.lag.rate_in,
            rate_out=flow.lag.rate_out,
            stalled_partitions=flow.lag.stalled_partitions,
            window_seconds=flow.window_seconds,
            groups=flow.groups_observed,
        )


def close_within(closers: Iterable[Callable[[], object]], deadline: Deadline) -> bool:
    """Return whether every closer came back within the deadline; each runs in a thread that holds nothing up."""
    threads = [threading.Thread(target=close, name="close", daemon=True) for close in closers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left)
    return not any(thread.is_alive() for thread in threads)
