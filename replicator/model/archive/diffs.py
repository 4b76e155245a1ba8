"""What is different between two snapshots. Values only; None stands for what one of them does not have."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.model.names import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value that is not what it was."""

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionDiff:
    """A partition that holds other offsets. `is_shortened`: its end went back, the log was cut or made anew."""

    partition: int
    old_start: int | None
    old_end: int | None
    new_start: int | None
    new_end: int | None
    is_shortened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDiff:
    """One topic; `change` is same, added, removed or made anew (deleted and created under the same name)."""

    topic: str
    change: str
    settings: tuple[Change, ...]
    partitions: tuple[PartitionDiff, ...]

    @property
    def is_changed(self) -> bool:
        """Whether anything is different."""
        return self.change != "same" or bool(self.settings) or bool(self.partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDiff:
    """Only what changed. Keys of `groups` are `group topic[partition]`, values the next offset to read."""

    old: SnapshotId
    new: SnapshotId
    topics: tuple[TopicDiff, ...]
    groups: tuple[Change, ...]
