"""What a translation may read, and what such a read returns. Values only; `views` does the reading."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Protocol

from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds


@dataclass(frozen=True, slots=True)
class Visible:
    """The records a committed reader sees in a range, all of them: offsets and, beside each, the
    fingerprint of its content (timestamp, key, value, headers)."""

    offsets: array[int]
    prints: array[int]

    def __len__(self) -> int:
        return len(self.offsets)


class Reads(Protocol):
    """Bounded reads of one partition on both sides. None means: not known, because the range is over
    the cap, out of time, trimmed, or its cluster does not answer."""

    def target(self, from_offset: int, to_offset: int, *, records_max: int | None = None) -> Visible | None:
        """Return the visible records of the copy in [from, to); with `records_max` at most the first so many."""
        ...

    def source(self, from_offset: int, to_offset: int | None) -> Visible | None:
        """Return the visible records of the source in [from, to), or up to its end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one partition stands on both sides, besides the map.

    `target` was swept before `mirrored` (the next source offset to mirror) was read and `target_now`
    after it: only what was visible in the first sweep is sure to lie below `mirrored`. `target` None:
    there is no such partition on the target. `target_now` None: the flow is stopped, nothing was written since.
    """

    partition: TopicPartition
    target_partition: TopicPartition
    target: PartitionEnds | None
    target_now: PartitionEnds | None
    mirrored: int | None = None
    is_exactly_once: bool = True
    is_target_compacted: bool = False
    is_source_compacted: bool = False
