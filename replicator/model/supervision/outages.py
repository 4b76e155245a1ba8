"""An outage as the supervisor sees it, and what it advises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from replicator.model.names import FlowName


class OutagePhase(StrEnum):
    """NONE: the source is read. SUSPECTED: some sign of an outage, or one that is too young. CONFIRMED: every sign
    has held for long enough."""

    NONE = "none"
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do about a flow's source. `signs` tell what each probe sees; `holds` what keeps a failover from being
    begun unasked, empty where nothing does. `command` None: nothing is advised."""

    flow: FlowName
    phase: OutagePhase
    since: datetime | None
    signs: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    command: str | None = None
