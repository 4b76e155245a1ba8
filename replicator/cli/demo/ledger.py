"""The demo's judge of data: every record with a number of its own, its fate, and who was handed it.

Numbers count up by topic and travel in the record's header `id`. A record that was sent and never
acknowledged is unknown: it may be on either side and counts neither as a loss nor as a ghost.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from replicator.clock import SYSTEM_CLOCK, Clock
from replicator.model.names import GroupName, TopicName, TopicPartition

ID_HEADER = "id"
NOT_HANDED = -1


class Fate(IntEnum):
    """What became of a record that was sent."""

    UNKNOWN = 1
    ACKED = 2
    ABORTED = 3


@dataclass(slots=True)
class TopicLedger:
    """The records of one topic; `latest` holds the last acknowledged number of each key.

    `acked_at` is when each was acknowledged, by the clock's `monotonic`; 0 until then."""

    is_compacted: bool
    clock: Clock = SYSTEM_CLOCK
    fates: bytearray = field(default_factory=bytearray)
    acked_at: array[float] = field(default_factory=lambda: array("d"))
    keys: list[bytes | None] = field(default_factory=list)
    latest: dict[bytes, int] = field(default_factory=dict)

    def send(self, key: bytes | None) -> int:
        """Return the number of a record about to be sent."""
        self.fates.append(Fate.UNKNOWN)
        self.acked_at.append(0.0)
        if self.is_compacted:
            self.keys.append(key)
        return len(self.fates) - 1

    def acknowledge(self, number: int) -> None:
        """Note that the cluster has the record for good."""
        self.fates[number] = Fate.ACKED
        self.acked_at[number] = self.clock.monotonic()
        if self.is_compacted and (key := self.keys[number]) is not None:
            self.latest[key] = max(number, self.latest.get(key, number))

    def abort(self, number: int) -> None:
        """Note that the record's transaction was aborted."""
        self.fates[number] = Fate.ABORTED

    def expected(self) -> set[int]:
        """Return the numbers that must exist: acknowledged, and not superseded in a compacted topic."""
        if self.is_compacted:
            return set(self.latest.values())
        return {number for number, fate in enumerate(self.fates) if fate == Fate.ACKED}

    def ghosts(self, found: Iterable[int]) -> set[int]:
        """Return the found numbers that nobody ever sent for good."""
        return {number for number in found if number >= len(self.fates) or self.fates[number] == Fate.ABORTED}


@dataclass(slots=True)
class Ledger:
    """All topics of the demo."""

    topics: dict[TopicName, TopicLedger]

    @classmethod
    def of(cls, topics: Iterable[TopicName], *, compacted: frozenset[TopicName]) -> Ledger:
        """Return an empty ledger for the topics."""
        return cls({topic: TopicLedger(is_compacted=topic in compacted) for topic in topics})


@dataclass(slots=True)
class GroupTrace:
    """What one group was handed before and after the outage, and what it had committed before.

    `before` maps (topic, number) to the source offset; `committed` is the group's true last commit.
    """

    group: GroupName
    topics: tuple[TopicName, ...]
    before: dict[tuple[TopicName, int], tuple[TopicPartition, int]] = field(default_factory=dict)
    after: set[tuple[TopicName, int]] = field(default_factory=set)
    committed: dict[TopicPartition, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVerdict:
    """One group's cost: `reread` below what was observed, `late` above it (commits nobody had seen)."""

    group: GroupName
    skipped: int
    reread: int
    commits_after_last_observation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataVerdict:
    """What the ledger says of the data on the promoted cluster. `oldest_lost_at` is when the first of what is lost was
    acknowledged; None: nothing is lost."""

    lost: Mapping[TopicName, int]
    oldest_lost_at: float | None
    ghosts: int
    aborted_seen: int

    @property
    def true_lost(self) -> int:
        """Acknowledged records that the promoted cluster does not have."""
        return sum(self.lost.values())


def judge_data(ledger: Ledger, found: Mapping[TopicName, set[int]]) -> DataVerdict:
    """Compare what was acknowledged with what the promoted cluster holds."""
    missing = {topic: entry.expected() - found[topic] for topic, entry in ledger.topics.items()}
    times = (ledger.topics[topic].acked_at[number] for topic, numbers in missing.items() for number in numbers)
    ghosts = sum(len(entry.ghosts(found[topic])) for topic, entry in ledger.topics.items())
    aborted = sum(
        1
        for topic, entry in ledger.topics.items()
        for number in found[topic]
        if number < len(entry.fates) and entry.fates[number] == Fate.ABORTED
    )
    lost = {topic: len(numbers) for topic, numbers in missing.items()}
    return DataVerdict(lost=lost, oldest_lost_at=min(times, default=None), ghosts=ghosts, aborted_seen=aborted)


def judge_group(
    trace: GroupTrace, found: Mapping[TopicName, set[int]], observed: Mapping[TopicPartition, int]
) -> GroupVerdict:
    """Count what the group never saw, and what it saw twice although it had committed it.

    `observed` is the position (next source offset) the failover knew of; a commit newer than that
    could not be known, and its re-reads are counted apart.
    """
    skipped = sum(
        1
        for topic in trace.topics
        for number in found[topic]
        if (topic, number) not in trace.before and (topic, number) not in trace.after
    )
    reread = late = 0
    for entry in trace.after & trace.before.keys():
        tp, offset = trace.before[entry]
        if offset >= trace.committed.get(tp, 0):
            continue  # handed out, never committed: any consumer reads it again
        if offset < observed.get(tp, 0):
            reread += 1
        else:
            late += 1
    return GroupVerdict(group=trace.group, skipped=skipped, reread=reread, commits_after_last_observation=late)
