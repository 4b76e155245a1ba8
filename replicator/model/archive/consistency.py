"""What a snapshot promises of its cut: the levels, and the evidence for each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_CLOSED = {"extra": "forbid"}
"""Read by pydantic where a manifest is parsed: an unknown key is an unknown format."""


class Level(StrEnum):
    """One promise of a cut.

    PREFIX: each partition is just what lies between its log start and its end, less listed gaps. BOUNDED_SKEW: all
    ends were read within a time. OFFSETS_NOT_AHEAD: no group's position lies beyond the data. TRANSACTION_ATOMIC: a
    transaction is in all of its partitions or in none. QUIESCENT: nothing was written while it was taken, so that
    the cut is one place of the flow's source.
    """

    PREFIX = "prefix"
    BOUNDED_SKEW = "bounded_skew"
    OFFSETS_NOT_AHEAD = "offsets_not_ahead"
    TRANSACTION_ATOMIC = "transaction_atomic"
    QUIESCENT = "quiescent"


@dataclass(frozen=True, slots=True)
class LevelEvidence:
    """Whether one promise is held, and what shows it; or why it is not."""

    __pydantic_config__ = _CLOSED

    level: Level
    is_held: bool
    evidence: str
