"""The work of a drill schedule: the drill's runbook from the first step to the last, and its report in the store.

A drill that stops midway is aborted at once: a rehearsal leaves nothing behind and stands in nobody's way.
"""

from __future__ import annotations

import socket
from datetime import datetime

from replicator.clock import Clock, Deadline
from replicator.errors import PartlyDone, ReplicatorError
from replicator.failover import Choices, OperationReport, Order, abort_operation, run_operation
from replicator.journal import Journal, list_operations, open_operation
from replicator.log import get_logger
from replicator.model.flow import Flow
from replicator.model.forms.text import safe_text
from replicator.model.names import OperationId
from replicator.model.operations import OperationKind, OperationState
from replicator.settings import Settings
from replicator.supervisor.decide.outlook.outage import SCHEDULED
from replicator.supervisor.operating import Desk, highest_peer_epoch, open_operation_world
from replicator.supervisor.reports import keep_report

READ_SECONDS = 30.0
DRILL_SECONDS_MAX = 3600.0
"""Nobody waits longer for a rehearsal."""


class DrillWork:
    """Drills one flow. `journal` is that of the flow's target: a drill is written there."""

    def __init__(self, settings: Settings, flow: Flow, journal: Journal, *, schedule: str, clock: Clock) -> None:
        self._settings = settings
        self._flow = flow
        self._journal = journal
        self._actor = f"{SCHEDULED}{schedule}@{socket.gethostname()}"
        self._clock = clock
        self._log = get_logger(schedule=schedule, flow=flow.name)

    def last_run(self) -> datetime | None:
        """Return when the flow's newest drill that passed was begun, whoever ordered it; None for none.

        Raises: what the target refused or failed with.
        """
        records = self._journal.read(Deadline.after(READ_SECONDS, clock=self._clock))
        passed = [
            operation.started_at
            for operation in list_operations(records).values()
            if operation.flow == self._flow.name
            and operation.kind is OperationKind.DRILL
            and operation.state is OperationState.DONE
        ]
        return max(passed, default=None)

    def run(self, deadline: Deadline) -> None:
        """Return once a drill has passed and its report is kept.

        Raises:
            PartlyDone: it ran to its end and did not pass. The errors of the runbook, of the clusters and the store.
        """
        report = self.drill(deadline)
        if report.exceptions:
            raise PartlyDone(
                f"drill {report.operation_id} did not pass: {report.exceptions[0]}",
                hint=f"replicator op show {report.operation_id}",
                operation_id=report.operation_id,
            )

    def drill(self, deadline: Deadline) -> OperationReport:
        """Return the report of a drill that ran to its end, passed or not; it is in the store where there is one.

        Raises: as `run`.
        """
        self._abort_left_over()
        order = Order(kind=OperationKind.DRILL, actor=self._actor, commanded_at=self._clock.now())
        try:
            with open_operation_world(self._desk(deadline), self._flow, Choices(), kind=order.kind) as world:
                epoch = highest_peer_epoch(world)
                report = run_operation(world, order, announce=self._announce, epoch_elsewhere=epoch)
        except ReplicatorError as error:
            self._abort_after(error)
            raise
        key = keep_report(self._settings, report)
        self._log.info("drill_reported", operation=report.operation_id, rto_seconds=report.rto_seconds, document=key)
        return report

    def _desk(self, deadline: Deadline | None = None) -> Desk:
        budget = DRILL_SECONDS_MAX if deadline is None else deadline.capped(DRILL_SECONDS_MAX)
        return Desk(settings=self._settings, clock=self._clock, budget_seconds=budget)

    def _announce(self, operation_id: OperationId) -> None:
        self._log.info("drill_began", operation=operation_id)

    def _abort_left_over(self) -> None:
        """Leave no drill of the flow open: what an ended process left is taken back, not gone on with."""
        records = self._journal.read(Deadline.after(READ_SECONDS, clock=self._clock))
        left = open_operation(records, self._flow.name)
        if left is not None and left.kind is OperationKind.DRILL:
            self._abort(left.id)

    def _abort_after(self, error: ReplicatorError) -> None:
        """Take back what a failed drill has begun; one that cannot be is told, and left to the next run."""
        try:
            self._abort_left_over()
        except ReplicatorError as undone:
            self._log.warning("drill_not_taken_back", cause=safe_text(undone), after=safe_text(error))

    def _abort(self, operation_id: OperationId) -> None:
        order = Order(
            kind=OperationKind.DRILL,
            actor=self._actor,
            commanded_at=self._clock.now(),
            operation_id=operation_id,
        )
        with open_operation_world(self._desk(), self._flow, Choices(), kind=order.kind) as world:
            epoch = highest_peer_epoch(world, is_needed=False)
            abort_operation(world, order, announce=lambda _id: None, epoch_elsewhere=epoch)
        self._log.warning("drill_taken_back", operation=operation_id)
