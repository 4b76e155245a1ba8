"""Objectives are promises; a verdict says whether one held, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What a flow promises; None promises nothing."""

    rpo_seconds: float | None = None
    rpo_records: int | None = None
    rto_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an objective held. `is_held` None means that it cannot be known now."""

    objective: str
    is_held: bool | None
    evidence: str
