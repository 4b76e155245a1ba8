"""Positions on both sides of a flow, and how sure we are of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from replicator.model.names import FlowName, GroupName, Offset, TopicPartition


@dataclass(frozen=True, slots=True)
class OffsetSync:
    """One true point of the map: the record at `source_offset` is stored at `target_offset`."""

    partition: TopicPartition
    source_offset: int
    target_offset: int


class Grade(StrEnum):
    """How much a translation may cost; none of them ever skips a record."""

    EXACT = "EXACT"
    BOUNDED = "BOUNDED"
    FLOOR = "FLOOR"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Where on the target a group at `source_offset` of `partition` resumes.

    `partition` carries the source topic's name, `target_partition` the target's. Offsets are the
    next record to read. `reread_records_max` counts records the group would read twice at most:
    0 for EXACT, None where nothing is known. `target_offset` is None only when UNAVAILABLE.
    `rule` names the rule that answered, `evidence` the numbers it used.
    """

    partition: TopicPartition
    target_partition: TopicPartition
    source_offset: Offset
    target_offset: Offset | None
    grade: Grade
    reread_records_max: int | None
    rule: str
    evidence: Mapping[str, int | str] = field(default_factory=dict)
    is_clamped: bool = False
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupTranslation:
    """Every partition of one group, translated; `grade` is the worst of them."""

    flow: FlowName
    group: GroupName
    translations: tuple[Translation, ...]

    @property
    def grade(self) -> Grade:
        """The worst grade of the group's partitions; UNAVAILABLE when it has none."""
        order = list(Grade)
        return max((t.grade for t in self.translations), key=order.index, default=Grade.UNAVAILABLE)

    @property
    def reread_records_max(self) -> int | None:
        """Sum over the partitions; None as soon as one is unknown."""
        counts = [t.reread_records_max for t in self.translations]
        return None if any(c is None for c in counts) else sum(c for c in counts if c is not None)
