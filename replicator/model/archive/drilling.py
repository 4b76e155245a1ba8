"""A drill of a snapshot: restored to a scratch cluster, read back by a client, compared. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.model.names import GroupName, SnapshotId, TopicName


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionProof:
    """Records and their digest, in order: in the snapshot, and as a client read them back."""

    topic: TopicName
    partition: int
    records: int
    digest: str
    found_records: int
    found_digest: str

    @property
    def is_same(self) -> bool:
        """Whether every record came back, in order, with its key, value, headers and time."""
        return (self.records, self.digest) == (self.found_records, self.found_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDrill:
    """What came back. `restore_seconds` is how long the restore took, there; `groups` stood where they were planned."""

    snapshot: SnapshotId
    partitions: tuple[PartitionProof, ...]
    groups: tuple[GroupName, ...]
    records: int
    restore_seconds: float
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether everything came back as it was captured."""
        return all(one.is_same for one in self.partitions)
