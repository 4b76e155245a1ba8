"""One partition on its way to the offsets it had: what is next, and at which offset it is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from replicator.model.archive.restores import TopicRestorePlan
from replicator.model.archive.snapshots import CapturedPartition
from replicator.model.names import TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot.restore.batches import ReadyBatch


@dataclass(slots=True)
class ExactLine:
    """One partition: what was captured, the batches left of it, and how far the target is.

    `position` is the offset that the target's next record gets. `newest_ms` is the latest time so far: fillers carry
    it, so that a look-up by time never ends at one.
    """

    topic: TopicRestorePlan
    partition: TopicPartition
    captured: CapturedPartition
    ready: Iterator[ReadyBatch]
    ends: PartitionEnds
    position: int = 0
    newest_ms: int = 0
    found_records: int = 0
    written_records: int = 0
    rebuilt_batches: int = 0
    filled_offsets: int = 0
    head: ReadyBatch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # A base timestamp may be a delete horizon in the future; no filler is later than the records around it.
        facts = (chunk.facts for chunk in self.captured.chunks)
        times = ((one.min_base_timestamp_ms, one.max_timestamp_ms) for one in facts)
        self.newest_ms = next((min(low, high) for low, high in times if low is not None and high is not None), 0)
        self.position = self.ends.end

    def look(self) -> ReadyBatch | None:
        """Return the next batch without taking it; None when there is none left."""
        if self.head is None:
            self.head = next(self.ready, None)
        return self.head

    def take(self) -> None:
        """The next batch stands where the target ended."""
        head = self.look()
        if head is not None:
            self.position = head.first_offset + head.record_count
            self.newest_ms = max(self.newest_ms, head.max_timestamp_ms)
        self.head = None

    @property
    def next_offset(self) -> int:
        """Where the next batch is due; the captured end when there is none left."""
        head = self.look()
        return self.captured.end if head is None else head.first_offset

    @property
    def is_done(self) -> bool:
        """Whether the target ends where the captured partition did."""
        return self.position >= self.captured.end

    def release(self) -> None:
        """What was loaded for the next batches is let go."""
        self.ready, self.head = iter(()), None
