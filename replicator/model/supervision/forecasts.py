"""What a failover would cost if it were ordered now, and the gates it would have to pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from replicator.model.names import FlowName, GroupName
from replicator.model.operations import LossReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One condition of a failover that goes well. `is_open` None: it cannot be known now. `fix` is the command or edit
    that mends a red one; `is_blocking`: a failover would stop at it."""

    name: str
    is_open: bool | None
    told: str
    fix: str | None = None
    is_blocking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowForecast:
    """What a failover of the flow would cost at this moment. None is unknown.

    `lost_seconds_max` is the span in which records may be lost. `reread_records_max` sums over the groups; None where
    one group's is unknown. `expected_rto_seconds` is the median of the flow's last `rto_measured_in` moves and drills.
    `retention_runway_seconds`: until the oldest record that is not mirrored is deleted at the source; None also where
    nothing waits. `gates_read_at` is when both clusters were last asked for what the gates need.
    """

    flow: FlowName
    computed_at: datetime
    loss: LossReport | None
    lost_seconds_max: float | None
    groups: int | None
    groups_unavailable: tuple[GroupName, ...]
    reread_records_max: int | None
    expected_rto_seconds: float | None
    rto_measured_in: int
    retention_runway_seconds: float | None
    last_drill_at: datetime | None
    gates: tuple[Gate, ...]
    gates_read_at: datetime | None

    @property
    def is_ready(self) -> bool:
        """Whether nothing that is known would stop a failover."""
        return not any(gate.is_blocking and gate.is_open is False for gate in self.gates)
