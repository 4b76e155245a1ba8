"""What a failover would cost if it were ordered now: records, seconds, re-reads, time.

Decided from what the standby holds alone, as a failover would: a source that still answers is not asked for
more than its present shape, so that the forecast is what the day after will say.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from replicator.failover.facts import Survey
from replicator.failover.groups.moves import GroupMove
from replicator.failover.loss import SourceWatch, unknown_window_seconds
from replicator.failover.report import rto_told
from replicator.journal import list_operations
from replicator.model.names import FlowName, GroupName
from replicator.model.offsets import Grade
from replicator.model.operations import JournalRecord, LossReport, OperationKind, OperationState
from replicator.model.supervision.forecasts import Gate

TIMES_KEPT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupForecast:
    """Where one group would stand: how sure, what it would read twice at most, and what cannot be set."""

    group: GroupName
    grade: Grade
    reread_records_max: int | None
    unavailable_partitions: int
    observed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a failover of the flow would cost now. None is unknown.

    `lost_seconds_max` is the span in which all that may be lost was written. `retention_runway_seconds` None: nothing
    waits to be mirrored, or the source cannot be asked. `expected_rto_seconds` is the median of this flow's last
    moves and drills; `last_drill_at` is when the newest drill that passed has ended.
    """

    flow: FlowName
    computed_at: datetime
    loss: LossReport
    lost_seconds_max: float | None
    groups: tuple[GroupForecast, ...]
    expected_rto_seconds: float | None
    rto_measured_in: int
    retention_runway_seconds: float | None
    last_drill_at: datetime | None
    gates: tuple[Gate, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nothing that is known would stop a failover."""
        return not any(gate.is_blocking and gate.is_open is False for gate in self.gates)

    @property
    def groups_unavailable(self) -> tuple[GroupName, ...]:
        """The groups that could not be set on some partition."""
        return tuple(group.group for group in self.groups if group.unavailable_partitions)


def forecast_groups(moves: Iterable[GroupMove]) -> tuple[GroupForecast, ...]:
    """Return what each group's move would mean to it."""
    return tuple(
        GroupForecast(
            group=move.group,
            grade=move.translation.grade,
            reread_records_max=move.translation.reread_records_max,
            unavailable_partitions=len(move.unavailable),
            observed_at=move.observed_at,
        )
        for move in moves
    )


def window_if_lost_now(survey: Survey, *, now: datetime) -> float | None:
    """Return for how long the source could have written unseen if it were lost this moment."""
    watch = SourceWatch(observation=survey.observation, answer=survey.answer, answered_at=survey.answered_at)
    return unknown_window_seconds(watch, now=now)


def expected_rto(records: Sequence[JournalRecord], flow: FlowName) -> tuple[float | None, int]:
    """Return the median time of the flow's last moves from command to verified, and how many there were."""
    moved = [op for op in list_operations(records).values() if op.flow == flow and op.state.is_terminal]
    known = (seconds for op in reversed(moved) if (seconds := rto_told(op.records)) is not None)
    times = list(islice(known, TIMES_KEPT))
    return (statistics.median(times), len(times)) if times else (None, 0)


def last_drill(records: Sequence[JournalRecord], flow: FlowName) -> datetime | None:
    """Return when the flow's newest drill that passed has ended; None for none."""
    return max(
        (
            operation.ended_at
            for operation in list_operations(records).values()
            if operation.flow == flow
            and operation.kind is OperationKind.DRILL
            and operation.state is OperationState.DONE
            and operation.ended_at is not None
        ),
        default=None,
    )
