"""Which transactions belong to a snapshot, and where each partition ends for that. Pure (FORMAT.md, Consistency).

Two vectors of ends are read, the second begun after all of the first had come. A transaction belongs to the
snapshot if a COMMIT marker of it lies below the first vector anywhere: all its data was appended before that marker,
so it lies below the second vector everywhere. Every other transaction is left out of every partition.

Source: KIP-98 (a marker is written after all data of its transaction was acknowledged), KIP-890 (with transaction
version 2 the epoch rises with each transaction, and the marker carries the risen one).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.model.names import TopicPartition
from replicator.snapshot.facts import AbortedRange

_Key = tuple[int, int]
"""Producer id and epoch: with transaction version 2 that is one transaction."""


class TailKind(StrEnum):
    """What a batch of a tail is. OTHER: a control batch that ends no transaction."""

    PLAIN = "plain"
    DATA = "data"
    COMMIT = "commit"
    ABORT = "abort"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TailBatch:
    """One batch of a tail: what it is, where, and whose."""

    kind: TailKind
    base_offset: int
    next_offset: int
    producer_id: int = -1
    epoch: int = -1


@dataclass(frozen=True, slots=True)
class TailEnds:
    """Where a partition was stable before the cut, and its end in the first and in the second vector."""

    stable: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The end of every partition, what below it is left out, and how many transactions that was about.

    `problem` says why it cannot be decided; the ends are then those of the stable logs.
    """

    ends: Mapping[TopicPartition, int]
    left_out: Mapping[TopicPartition, tuple[AbortedRange, ...]] = field(default_factory=dict)
    taken: int = 0
    refused: int = 0
    problem: str | None = None


@dataclass(slots=True)
class _Part:
    """The share of one transaction that lies in one partition's tail."""

    partition: TopicPartition
    producer_id: int
    batches: list[TailBatch] = field(default_factory=list)
    marker: TailBatch | None = None

    @property
    def epoch(self) -> int | None:
        """The epoch of its data; None for a marker without any."""
        return self.batches[0].epoch if self.batches else None

    def is_committed_below(self, end: int) -> bool:
        """Whether its COMMIT marker lies below an end."""
        return self.marker is not None and self.marker.kind is TailKind.COMMIT and self.marker.base_offset < end

    @property
    def is_aborted(self) -> bool:
        """Whether its marker says that it never was."""
        return self.marker is not None and self.marker.kind is TailKind.ABORT


def decide_cut(
    ends: Mapping[TopicPartition, TailEnds], tails: Mapping[TopicPartition, Sequence[TailBatch]]
) -> Decision:
    """Return where every partition ends so that each transaction is in all of its partitions or in none.

    `tails` hold the batches of each partition from some way below its stable offset on, beyond its second end where
    the broker had more; a partition without movement needs none.
    """
    parts = [part for tp, batches in tails.items() for part in _split(tp, batches)]
    taken, problem = _find_taken(parts, ends)
    if problem is not None:
        return Decision({tp: found.stable for tp, found in ends.items()}, problem=problem)
    members = {id(part) for part in parts if part.batches and _is_taken(part, taken, ends)}
    included: dict[TopicPartition, int] = {}
    for part in parts:
        if id(part) in members:
            included[part.partition] = max(included.get(part.partition, 0), part.batches[-1].next_offset)
    stops = {tp: _stop(found, tails.get(tp, ()), included.get(tp, 0)) for tp, found in ends.items()}
    outside = [part for part in parts if part.batches and id(part) not in members and not part.is_aborted]
    return Decision(
        stops,
        _ranges(outside, stops),
        taken=len({(part.producer_id, part.epoch) for part in parts if id(part) in members}),
        refused=len({(part.producer_id, part.epoch) for part in outside}),
    )


def _split(partition: TopicPartition, batches: Iterable[TailBatch]) -> list[_Part]:
    """Return the parts of transactions in one tail; the last ones may have no marker yet."""
    open_parts: dict[int, _Part] = {}
    done: list[_Part] = []
    for batch in batches:
        if batch.kind in (TailKind.PLAIN, TailKind.OTHER):
            continue
        part = open_parts.setdefault(batch.producer_id, _Part(partition, batch.producer_id))
        if batch.kind is TailKind.DATA:
            part.batches.append(batch)
        else:
            part.marker = batch
            done.append(open_parts.pop(batch.producer_id))
    return [*done, *open_parts.values()]


def _find_taken(parts: Iterable[_Part], ends: Mapping[TopicPartition, TailEnds]) -> tuple[set[_Key], str | None]:
    """Return the transactions that belong to the snapshot, and why that cannot be told, if so."""
    by_producer: dict[int, list[_Part]] = defaultdict(list)
    for part in parts:
        by_producer[part.producer_id].append(part)
    taken: set[_Key] = set()
    for producer, own in by_producer.items():
        is_rising = _has_rising_epochs(own)
        committed = [part for part in own if part.is_committed_below(ends[part.partition].first)]
        undecided = [part for part in own if part.batches and part not in committed and not part.is_aborted]
        if is_rising is not True and committed and undecided:
            where = undecided[0].partition
            return set(), f"{where}: transactions of producer {producer} cannot be told apart (transaction version 1)"
        taken.update(_key(part, is_rising=bool(is_rising)) for part in committed)
    return taken, None


def _has_rising_epochs(parts: Iterable[_Part]) -> bool | None:
    """Whether a producer's markers carry a higher epoch than the data before them; None where none is seen."""
    for part in parts:
        if part.epoch is not None and part.marker is not None and part.marker.kind is TailKind.COMMIT:
            return part.marker.epoch > part.epoch
    return None


def _key(part: _Part, *, is_rising: bool) -> _Key:
    if part.marker is None or part.epoch is not None:
        return part.producer_id, -1 if part.epoch is None else part.epoch
    return part.producer_id, part.marker.epoch - is_rising


def _is_taken(part: _Part, taken: set[_Key], ends: Mapping[TopicPartition, TailEnds]) -> bool:
    if part.is_aborted:
        return False
    is_known = part.epoch is not None and (part.producer_id, part.epoch) in taken
    return is_known or part.is_committed_below(ends[part.partition].first)


def _stop(ends: TailEnds, batches: Iterable[TailBatch], included: int) -> int:
    """Behind the last batch that belongs: of a transaction that does, or of none and below the first end."""
    plain = [batch.next_offset for batch in batches if batch.kind is TailKind.PLAIN and batch.base_offset < ends.first]
    return max([ends.stable, included, *(min(offset, ends.second) for offset in plain)])


def _ranges(
    parts: Iterable[_Part], stops: Mapping[TopicPartition, int]
) -> dict[TopicPartition, tuple[AbortedRange, ...]]:
    found: dict[TopicPartition, list[AbortedRange]] = defaultdict(list)
    for part in parts:
        below = [batch for batch in part.batches if batch.base_offset < stops[part.partition]]
        if below:
            found[part.partition].append((part.producer_id, below[0].base_offset, below[-1].base_offset + 1))
    return {tp: tuple(sorted(ranges)) for tp, ranges in found.items()}
