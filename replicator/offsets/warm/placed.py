"""A group placed on the warm map: columns of numbers; a translation is made of a row when somebody asks for it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from replicator.model.names import FlowName, GroupName, TopicPartition
from replicator.model.offsets import Grade, GroupTranslation, Translation

MakeRow = Callable[[TopicPartition, int, int], Translation]


@dataclass(frozen=True, slots=True)
class Placed:
    """A group's rows by source partition: where it stands, and where it resumes. Rows in `told`, by index, were
    translated by the rules; all others cost nothing, and `make_row` tells of them."""

    partitions: Sequence[TopicPartition]
    offsets: array[int]
    places: array[int]
    told: Mapping[int, Translation]
    make_row: MakeRow

    def __len__(self) -> int:
        return len(self.partitions)

    def in_order(self) -> list[int]:
        """Return the indexes of the rows by partition."""
        return sorted(range(len(self)), key=lambda index: self.partitions[index])

    def row(self, index: int) -> Translation:
        """Return one row as a translation."""
        known = self.told.get(index)
        return known or self.make_row(self.partitions[index], self.offsets[index], self.places[index])


class PlacedGroup(GroupTranslation):
    """A group's translation that holds 24 bytes a partition instead of an object with its evidence."""

    __slots__ = ("placed",)

    placed: Placed

    def __init__(self, flow: FlowName, group: GroupName, placed: Placed) -> None:
        object.__setattr__(self, "flow", flow)
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "placed", placed)

    @property
    def translations(self) -> tuple[Translation, ...]:
        """Every row as a translation, by partition."""
        return tuple(self.placed.row(index) for index in self.placed.in_order())

    @property
    def grade(self) -> Grade:
        """The worst grade of the group's partitions; UNAVAILABLE when it has none."""
        order = list(Grade)
        least = Grade.EXACT if len(self.placed) else Grade.UNAVAILABLE
        return max((least, *(t.grade for t in self.placed.told.values())), key=order.index)

    @property
    def reread_records_max(self) -> int | None:
        """Sum over the partitions; None as soon as one is unknown."""
        counts = [t.reread_records_max for t in self.placed.told.values()]
        return None if any(c is None for c in counts) else sum(c for c in counts if c is not None)
