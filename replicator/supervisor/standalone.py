"""A status without a supervisor: the standby's observations and two live looks, decided as the supervisor would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from replicator import __version__
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.journal import Observed
from replicator.model.supervision.status import FlowStatus, Role, Status
from replicator.supervisor.assemble import FlowWorld, World
from replicator.supervisor.decide.pairing import lag_rules, remembered_observation
from replicator.supervisor.decide.status import decide_flow
from replicator.supervisor.flows.lagfeed import LagFeed
from replicator.supervisor.flows.steps import FlowSteps

LOOK_SECONDS_APART = 1.0
"""Between the two live looks: a rate is the difference of two."""
STEP_SECONDS_MAX = 4.0
FLOWS_AT_ONCE = 8
UNREACHED = 1000
"""More observations than two looks can give: whether something stalled then stays unknown."""


def look_at(world: World, names: Sequence[str], *, deadline: Deadline, clock: Clock = SYSTEM_CLOCK) -> Status:
    """Return the status of the flows as seen from here, now. What cannot be read is unknown in it, never an error.

    Raises:
        NotFound, ConfigInvalid: a flow, or a part of it, is not configured.
    """
    started_at = clock.now()
    flows = [world.flow(name) for name in names]
    with ThreadPoolExecutor(max_workers=FLOWS_AT_ONCE, thread_name_prefix="look") as pool:
        statuses = list(pool.map(lambda parts: _Look(world, parts, clock).take(deadline), flows))
    return Status(
        supervisor=world.settings.supervisor.id,
        version=__version__,
        started_at=started_at,
        computed_at=clock.now(),
        flows=tuple(statuses),
        is_standalone=True,
    )


class _Look:
    """One look at one flow: the supervisor's steps, once or twice each, and no act."""

    def __init__(self, world: World, parts: FlowWorld, clock: Clock) -> None:
        self._parts = parts
        self._clock = clock
        self._steps = FlowSteps(world, parts, clock=clock)
        self._observed = Observed()
        self._errors: dict[str, str] = {}

    def take(self, deadline: Deadline) -> FlowStatus:
        """Return the flow's status; whatever cannot be read in time is unknown in it."""
        steps = self._steps
        with closing(steps):
            with ThreadPoolExecutor(max_workers=4, thread_name_prefix="look") as pool:
                pool.submit(self._try, "connect", steps.read_connectors, deadline)
                pool.submit(self._try, "journal", steps.read_journal, deadline)
                pool.submit(self._try, "groups", steps.read_groups, deadline)
                observed = pool.submit(self._try, "observations", self._read_observations, deadline)
                target = pool.submit(self._try, "target", steps.read_mirrored, deadline)
                is_source_read = self._try("source", steps.sweep, deadline)
                observed.result()
                if target.result() and is_source_read:
                    self._look_again(deadline)
            self._probe()
            return self._decide()

    def _try(self, what: str, step: Callable[[Deadline], None], deadline: Deadline) -> bool:
        """Return whether the step was done; its failure is kept, to be told as a cause."""
        try:
            step(Deadline.after(deadline.capped(STEP_SECONDS_MAX), clock=self._clock))
        except ReplicatorError as error:
            self._errors[what] = str(error)
            return False
        return True

    def _read_observations(self, deadline: Deadline) -> None:
        self._observed = self._steps.read_observations(deadline)

    def _look_again(self, deadline: Deadline) -> None:
        steps = self._steps
        self._begin_lag()
        steps.lag.measure(self._clock.now())
        self._clock.sleep(deadline.capped(LOOK_SECONDS_APART))
        self._try("target", steps.read_mirrored, deadline)
        self._try("source", steps.sweep, deadline)
        self._try("tails", steps.count_tails, deadline)

    def _probe(self) -> None:
        for watch in (self._steps.board.source_watch, self._steps.board.target_watch):
            watch.probe_if_suspect(Deadline.after(1.0, clock=self._clock))

    def _begin_lag(self) -> None:
        """Let the lag begin at what the standby remembers, where that still speaks of the same topics."""
        sample, source = self._steps.board.source, self._parts.flow.source
        rules = lag_rules(self._parts.flow)
        remembered = None if sample is None else remembered_observation(self._observed, source, sample)
        age = (
            0.0 if remembered is None or sample is None else (sample.began_at - remembered.observed_at).total_seconds()
        )
        if age < rules.stalled_seconds:
            rules = replace(rules, stalled_observations=UNREACHED)
        self._steps.lag = LagFeed(self._parts.flow, self._steps.board, rules=rules)
        if remembered is not None:
            self._steps.lag.begin_with(remembered)
            self._steps.lag.remember(self._observed)

    def _decide(self) -> FlowStatus:
        now = self._clock.now()
        contact = self._observed.clusters.get(self._parts.flow.source)
        view = self._steps.view(
            now,
            role=Role.UNKNOWN,
            connect_cause=self._errors.get("connect"),
            recorded_at=None if contact is None else contact.observed_at,
        )
        return decide_flow(view, previous=None, now=now)
