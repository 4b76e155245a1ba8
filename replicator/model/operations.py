"""Operations: one execution of a runbook, its findings, its journal, its loss report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from replicator.model.names import ClusterName, FlowName, OperationId, TopicPartition


class OperationKind(StrEnum):
    """The four runbooks."""

    SWITCHOVER = "switchover"
    FAILOVER = "failover"
    FAILBACK = "failback"
    DRILL = "drill"


class OperationState(StrEnum):
    """Where an operation stands, read from its journal."""

    RUNNING = "running"
    HALTED = "halted"
    DONE = "done"
    DONE_WITH_EXCEPTIONS = "done_with_exceptions"
    ABORTED = "aborted"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will be journaled for it."""
        return self in (self.DONE, self.DONE_WITH_EXCEPTIONS, self.ABORTED)


@dataclass(frozen=True, slots=True)
class Done:
    """The step's goal holds; the evidence says how we know."""

    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """The step may run; `says` adds what it found."""

    says: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The step may not run; `hint` names the next command. `is_limit`: a limit that was set would be passed."""

    reason: str
    hint: str
    is_limit: bool = False


Finding = Done | Ready | Blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLoss:
    """Loss of one source partition, in records. `possible_lost_max` None: no rate is known.

    `overtaken_offsets` of it were deleted on the source before they were mirrored."""

    partition: TopicPartition
    mirrored_position: int | None
    observed_end: int | None
    known_lost: int
    possible_lost_max: int | None
    overtaken_offsets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossReport:
    """Always three values: known (read, counted), the window nobody read, and the bound.

    known_lost ≤ true loss ≤ possible_lost_max. `unknown_window_seconds` None: the source was never read,
    or the clock stepped back since.
    `lost_seconds_max`: whatever is lost was written within so many seconds before the window's end; None: not known.
    """

    known_lost: int
    unknown_window_seconds: float | None
    possible_lost_max: int | None
    partitions: tuple[PartitionLoss, ...] = ()
    lost_seconds_max: float | None = None


class StepPhase(StrEnum):
    """What the journal says of a step: intent before the world changes, then how it went."""

    INTENT = "intent"
    DONE = "done"
    ALREADY = "already"
    BLOCKED = "blocked"
    FAILED = "failed"
    UNDONE = "undone"
    FACT = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One record of the journal. `digest` is the SHA-256 of its canonical JSON, `previous` that of the
    record of the same writer before it; `offset` is its place in the topic, or None before it was written.
    `writer` is the supervisor id whose transactional id wrote it."""

    sequence: int
    epoch: int
    operation_id: OperationId
    flow: FlowName
    kind: str
    step: str
    phase: str
    item: str | None
    actor: str
    written_at: datetime
    body: Mapping[str, Any]
    previous: str
    digest: str
    offset: int | None = None
    writer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as its journal tells it."""

    id: OperationId
    flow: FlowName
    kind: OperationKind
    source: ClusterName
    target: ClusterName
    state: OperationState
    actor: str
    started_at: datetime
    ended_at: datetime | None
    step: str | None
    is_past_promote: bool
    records: tuple[JournalRecord, ...] = ()
