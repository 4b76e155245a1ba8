"""Which groups move where, and how each one stands: what the journal keeps of it, and what follows. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from replicator.clock import from_rfc3339, to_rfc3339
from replicator.model.names import FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState, PartitionEnds
from replicator.model.offsets import Grade, GroupTranslation, Translation

ITEM_PREFIX = "group:"


class Outcome(StrEnum):
    """How a group's commit ended. Only COMMITTED is no exception."""

    COMMITTED = "committed"
    ACTIVE = "active_on_target"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMove:
    """One group's translation under one cut. `observed_at`: when its positions were read; None when they never were."""

    translation: GroupTranslation
    cut_digest: str
    observed_at: datetime | None = None

    @property
    def group(self) -> GroupName:
        """The group."""
        return self.translation.group

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Where the group is to stand on the target; a partition that is UNAVAILABLE is left out."""
        return {
            t.target_partition: int(t.target_offset)
            for t in self.translation.translations
            if t.target_offset is not None
        }

    @property
    def unavailable(self) -> tuple[TopicPartition, ...]:
        """The source partitions that cannot be set."""
        return tuple(t.partition for t in self.translation.translations if t.target_offset is None)


def item_of(group: GroupName) -> str:
    """Return the journal item of a group."""
    return f"{ITEM_PREFIX}{group}"


def group_of(item: str) -> GroupName | None:
    """Return the group of a journal item; None for another kind of item."""
    return GroupName(item.removeprefix(ITEM_PREFIX)) if item.startswith(ITEM_PREFIX) else None


def move_to_fact(move: GroupMove) -> dict[str, Any]:
    """Return the move as the journal keeps it: one short row a partition."""
    return {
        "cut": move.cut_digest,
        "observed_at": to_rfc3339(move.observed_at) if move.observed_at else None,
        "grade": move.translation.grade.value,
        "rows": [_to_row(t) for t in move.translation.translations],
    }


def move_from_fact(flow: FlowName, group: GroupName, fact: Mapping[str, Any]) -> GroupMove:
    """Return the move that a fact keeps."""
    observed_at = fact["observed_at"]
    return GroupMove(
        translation=GroupTranslation(flow, group, tuple(_from_row(row) for row in fact["rows"])),
        cut_digest=fact["cut"],
        observed_at=from_rfc3339(observed_at) if observed_at else None,
    )


def _to_row(t: Translation) -> list[Any]:
    source, target = t.partition, t.target_partition
    place = [source.topic, source.partition, target.topic, target.partition]
    return [*place, t.source_offset, t.target_offset, t.grade.value, t.reread_records_max, t.rule, t.is_clamped]


def _from_row(row: list[Any]) -> Translation:
    topic, number, target, target_number, source_offset, target_offset, grade, rereads, rule, is_clamped = row
    return Translation(
        partition=TopicPartition(TopicName(topic), number),
        target_partition=TopicPartition(TopicName(target), target_number),
        source_offset=Offset(source_offset),
        target_offset=None if target_offset is None else Offset(target_offset),
        grade=Grade(grade),
        reread_records_max=rereads,
        rule=rule,
        is_clamped=is_clamped,
    )


def kept_inside(move: GroupMove, ends: Mapping[TopicPartition, PartitionEnds]) -> GroupMove:
    """Return the move with positions that retention has overtaken raised to the log start as it is now."""
    rows = tuple(_raised(t, ends.get(t.target_partition)) for t in move.translation.translations)
    return replace(move, translation=replace(move.translation, translations=rows))


def _raised(t: Translation, ends: PartitionEnds | None) -> Translation:
    if ends is None or t.target_offset is None or t.target_offset >= ends.log_start:
        return t
    return replace(t, target_offset=Offset(ends.log_start), is_clamped=True)


@dataclass(frozen=True, slots=True)
class Settled:
    """How a group's commit ended, as the journal has it. `is_ours` is whether this process wrote that."""

    outcome: Outcome
    is_ours: bool


def is_settled(move: GroupMove, seen: GroupObservation, settled: Settled | None) -> bool:
    """Whether nothing is left to do for a group.

    What the journal says is believed only where the world agrees or cannot tell any more: a group that was
    committed and has moved on since, or that this very process could not set.
    """
    if settled is None:
        return False
    if stands_at(move, seen):
        return True
    if settled.outcome is Outcome.COMMITTED:
        return seen.state is GroupState.ACTIVE or has_moved_on(move, seen)
    return settled.is_ours


def stands_at(move: GroupMove, seen: GroupObservation) -> bool:
    """Whether the group stands where it is meant to, on every partition that can be set."""
    return all(seen.committed.get(tp) == offset for tp, offset in move.positions.items())


def has_moved_on(move: GroupMove, seen: GroupObservation) -> bool:
    """Whether the group stands at or behind the meant positions everywhere: its consumers have used them."""
    return all(seen.committed.get(tp, -1) >= offset for tp, offset in move.positions.items())


def is_inside(position: int, *, log_start: int, end: int) -> bool:
    """Whether a consumer at this position reads on; outside it would use its own reset."""
    return log_start <= position <= end
