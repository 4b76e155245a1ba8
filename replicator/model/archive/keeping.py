"""What is kept of a repository and what may go: rules, decisions, plans. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from replicator.model.names import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """Which snapshots to keep; one that any part wants is kept. A part that is 0 or None wants nothing.

    `hourly` to `yearly` want the newest of each of so many hours … years that have one, in the time zone `zone`.
    `tag` limits the rule to snapshots that carry it: others are none of its business, and stay.
    `minimum`: so many of the newest stay whatever the rest says.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_seconds: float | None = None
    tags: frozenset[str] = frozenset()
    tag: str | None = None
    minimum: int = 1
    zone: str = "UTC"

    @property
    def is_empty(self) -> bool:
        """Whether it keeps nothing at all: then it is no rule, and nothing is decided by it."""
        counts = (self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)
        return not any(counts) and self.within_seconds is None and not self.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A snapshot as retention sees it. `cut_at` None: its manifest cannot be read, and `problem` says why."""

    id: SnapshotId
    cut_at: datetime | None
    tags: tuple[str, ...] = ()
    hold: str | None = None
    verified_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDecision:
    """Whether a snapshot stays, and every reason for it; without a reason it goes."""

    id: SnapshotId
    cut_at: datetime | None
    reasons: tuple[str, ...]

    @property
    def is_kept(self) -> bool:
        """Whether anything wants it."""
        return bool(self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """An object that no snapshot names. `is_young`: it may belong to a run we do not know of, and stays."""

    key: str
    size_bytes: int
    is_young: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What a prune would do. Nothing goes while `refusals` is not empty.

    `garbage` is what no remaining snapshot names; `dead_bytes` lie in packs that stay for their other chunks.
    """

    decisions: tuple[KeepDecision, ...]
    garbage: tuple[Garbage, ...]
    dead_bytes: int = 0
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def forgotten(self) -> tuple[SnapshotId, ...]:
        """The snapshots that go."""
        return tuple(one.id for one in self.decisions if not one.is_kept)

    @property
    def freed_bytes(self) -> int:
        """The bytes that go."""
        return sum(one.size_bytes for one in self.garbage if not one.is_young)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryStats:
    """What a repository holds. `plain_bytes` counts a chunk for each snapshot that names it."""

    snapshots: int
    unreadable: int
    held: int
    packs: int
    stored_bytes: int
    plain_bytes: int
    garbage_bytes: int
    claims: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyEnd:
    """An object that can be deleted from `locked_until` on, though `snapshots` need it until later."""

    key: str
    size_bytes: int
    locked_until: datetime
    needed_until: datetime
    snapshots: tuple[SnapshotId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReport:
    """What a locked bucket protects too briefly. The needs of `unreadable` snapshots are not known."""

    lock_seconds: float
    needed_seconds: float
    snapshots: int
    unreadable: tuple[SnapshotId, ...]
    objects: int
    early: tuple[EarlyEnd, ...]

    @property
    def is_ok(self) -> bool:
        """Whether every snapshot is protected as long as it is to be."""
        return not self.early and not self.unreadable
