"""`Overview`: the last `Status` and all that is known beside it at that moment. Every face shows this value.

None is unknown: a part that this supervisor does not observe is None, never an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from replicator.model.names import ClusterName, FlowName, GroupName, SnapshotId
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import GroupTranslation
from replicator.model.operations import LossReport, Operation
from replicator.model.supervision.forecasts import FlowForecast
from replicator.model.supervision.outages import Advice
from replicator.model.supervision.status import Status


class Answer(StrEnum):
    """Whether a failover would work now. AT_A_COST: it would, and an objective or a finding says what it costs."""

    YES = "yes"
    AT_A_COST = "yes_at_a_cost"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Can I fail over now, and what would I lose? `reasons` say why not, or what it costs, the worst first.

    `fixes` are the commands that mend them, reason by reason. `loss` None: nothing was ever read that a loss could
    be counted from. `checks` tells by name what was asked and whether it holds; None: it cannot be known.
    """

    flow: FlowName
    answer: Answer
    reasons: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    loss: LossReport | None = None
    checks: Mapping[str, bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """One consumer group of a flow. `lag_records` is how far it is behind the source's ends.

    `translation` None: not computed yet. `is_active_on_target`: it has members there already.
    """

    flow: FlowName
    observation: GroupObservation
    lag_records: int | None = None
    translation: GroupTranslation | None = None
    is_active_on_target: bool | None = None

    @property
    def group(self) -> GroupName:
        """Its name."""
        return self.observation.group

    @property
    def is_running(self) -> bool:
        """Whether it has members on the source."""
        return self.observation.state is GroupState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotEntry:
    """One line of the catalog. Sizes in bytes; `new_bytes` is what this snapshot added to the repository.

    `took_seconds` is how long its capture took. `verified_at` None: never verified; `is_sound` is what the last
    verification that was kept found.
    """

    id: SnapshotId
    created_at: datetime
    cluster: ClusterName
    flow: FlowName | None
    topics: int
    records: int
    size_bytes: int
    new_bytes: int
    gaps: int
    missing_topics: int
    tags: tuple[str, ...] = ()
    verified_at: datetime | None = None
    is_sound: bool | None = None
    took_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """One schedule: when it ran, when it will, and how often it should have and did not.

    `kind`: snapshot, verify or drill. `misfire` and `overlap`: what becomes of runs that could not begin in time;
    `is_queued`: one waits until it may.
    """

    name: str
    flow: FlowName
    cron: str
    timezone: str
    next_run_at: datetime | None
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    last_duration_seconds: float | None = None
    missed_total: int = 0
    error: str | None = None
    is_running: bool = False
    is_queued: bool = False
    kind: str = "snapshot"
    misfire: str = "once"
    overlap: str = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything at one moment. `readiness`, `forecasts`, `advice` and `groups` by flow; operations newest last.

    `operations` are those of the journals in `journals_read`; a flow's are whole once its standby's is among them.
    `repository_errors` counts failed looks at the catalog by the code of their error.
    """

    status: Status
    readiness: Mapping[FlowName, Readiness] = field(default_factory=dict)
    forecasts: Mapping[FlowName, FlowForecast] = field(default_factory=dict)
    advice: Mapping[FlowName, Advice] = field(default_factory=dict)
    groups: Mapping[FlowName, tuple[GroupStatus, ...]] | None = None
    operations: tuple[Operation, ...] | None = None
    journals_read: frozenset[ClusterName] = frozenset()
    snapshots: tuple[SnapshotEntry, ...] | None = None
    repository_errors: Mapping[str, int] | None = None
    schedules: tuple[ScheduleStatus, ...] | None = None

    def readiness_of(self, flow: str) -> Readiness | None:
        """Return the flow's readiness; None when it was not judged."""
        return self.readiness.get(FlowName(flow))

    def groups_of(self, flow: str) -> tuple[GroupStatus, ...] | None:
        """Return the flow's groups; None when nobody observed them."""
        return None if self.groups is None else self.groups.get(FlowName(flow))
