"""Restarts what failed in a flow's connectors, within a budget and never during an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import ConnectClient
from replicator.log import get_logger
from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.flow import Flow
from replicator.model.supervision.status import Restarted
from replicator.supervisor.decide.heal import (
    HealFacts,
    HealRules,
    has_failed,
    is_restart_due,
    is_spent,
    may_heal,
    recent_attempts,
)
from replicator.supervisor.samples import ConnectSample

RESTART_SECONDS_MAX = 20.0


class Healer:
    """Remembers the restarts of one flow's connectors. One thread at a time may `heal`."""

    def __init__(
        self,
        flow: Flow,
        connect: ConnectClient,
        *,
        sample: Callable[[], ConnectSample | None],
        facts: Callable[[], HealFacts],
        rules: HealRules | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._flow = flow
        self._connect = connect
        self._sample = sample
        self._facts = facts
        self._rules = rules or HealRules()
        self._clock = clock
        self._attempts: Mapping[str, tuple[datetime, ...]] = {}
        self._restarts: Mapping[Restarted, int] = {}
        self._log = get_logger(flow=flow.name)

    @property
    def restarts(self) -> Mapping[Restarted, int]:
        """How often each connector was restarted since the supervisor started, by what had failed of it."""
        return self._restarts

    def is_budget_spent(self, now: datetime) -> bool:
        """Whether something of the flow has failed that nobody will restart any more for now."""
        sample = self._sample()
        failed = [status.name for status in sample.statuses if has_failed(status)] if sample is not None else []
        return any(is_spent(self._attempts.get(name, ()), now=now, rules=self._rules) for name in failed)

    def heal(self, deadline: Deadline) -> None:
        """Leave every connector restarted whose restart is due.

        Raises: what Connect refused or failed with; the attempt counts all the same.
        """
        sample = self._sample()
        if sample is None or not may_heal(self._facts()):
            return
        for status in sample.statuses:
            attempts = self._attempts.get(status.name, ())
            if is_restart_due(status, attempts, now=self._clock.now(), rules=self._rules):
                self._restart(status, attempts, deadline)

    def _restart(self, status: ConnectorStatus, attempts: tuple[datetime, ...], deadline: Deadline) -> None:
        now = self._clock.now()
        kept = (*recent_attempts(attempts, now=now, rules=self._rules), now)
        self._attempts = {**self._attempts, status.name: kept}
        what = Restarted(status.name, "connector" if status.state is ConnectorState.FAILED else "task")
        self._restarts = {**self._restarts, what: self._restarts.get(what, 0) + 1}
        self._log.warning(
            "connector_restarted",
            connector=status.name,
            attempt=len(kept),
            attempts_max=self._rules.attempts_max,
            cause=status.first_failure(),
        )
        within = Deadline.after(deadline.capped(RESTART_SECONDS_MAX), clock=self._clock)
        self._connect.restart_failed(status.name, within)
