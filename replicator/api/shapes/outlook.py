"""What may come, as it travels: the gates of a failover, and what is made of an outage."""

from __future__ import annotations

from replicator.api.shapes.base import Moment, Travelling


class AdviceView(Travelling):
    """What the supervisor makes of an outage; `holds` keep a failover from being begun unasked."""

    phase: str
    since: Moment | None
    signs: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    command: str | None = None


class GateView(Travelling):
    """One condition of a failover that goes well; `is_open` None: not known. `fix` mends a red one."""

    name: str
    is_open: bool | None
    told: str
    fix: str | None
    is_blocking: bool
