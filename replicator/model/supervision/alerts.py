"""An alert that holds: which, since when, and whether it has lasted long enough to fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertState(StrEnum):
    """PENDING: the condition holds, not yet for as long as the rule wants. FIRING: it does."""

    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStatus:
    """One alert for one set of labels. `since` is when its condition began to hold."""

    name: str
    severity: str
    state: AlertState
    labels: tuple[tuple[str, str], ...]
    since: datetime
    summary: str
    description: str
