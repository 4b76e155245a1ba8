"""What happened, as people are told it: one past-tense fact, when, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from replicator.model.names import ClusterName, FlowName, OperationId


class Severity(StrEnum):
    """INFO needs nobody; WARNING wants a look; CRITICAL costs data or time while it lasts."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. `kind` is stable and past tense (`flow_state_changed`); `text` is one line that says it whole.

    `text` may carry names of clusters, topics and groups: foreign text, shown through `safe_text`.
    """

    at: datetime
    kind: str
    severity: Severity
    text: str
    flow: FlowName | None = None
    cluster: ClusterName | None = None
    operation_id: OperationId | None = None
