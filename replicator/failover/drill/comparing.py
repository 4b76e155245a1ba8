"""Whether a translated position holds what it promises: the source's next record is among the copy's next ones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster, Record
from replicator.model.forms.figures import show_items
from replicator.model.names import TopicPartition
from replicator.model.offsets import Translation

AHEAD_MAX = 2_000
"""Records of the copy that are searched for the source's next one; a position further behind is not told apart."""


class Likeness(StrEnum):
    """SAME: the very next record. BEHIND: it follows within what may be read again. AT_END: the source has nothing
    ahead, or nothing that is mirrored yet. SKIPPED: the copy holds it below the position. UNREADABLE: it was found
    nowhere near. FAILED: it could not be looked for."""

    SAME = "same"
    BEHIND = "behind"
    AT_END = "at_end"
    SKIPPED = "skipped"
    UNAVAILABLE = "unavailable"
    UNREADABLE = "unreadable"
    FAILED = "failed"


def compare_first(
    source: KafkaCluster, target: KafkaCluster, answer: Translation, *, mirrored: int | None, deadline: Deadline
) -> Likeness:
    """Return how the next record of a group on the source compares with the copy around its translated position.

    `mirrored` is the next source offset to mirror at the cut: what lies at or above it need not be there yet.

    Raises:
        OperationFailed: a log start has overtaken a position. Unreachable, DeadlineExceeded.
    """
    if answer.target_offset is None:
        return Likeness.UNAVAILABLE
    wanted = next_records(source, answer.partition, answer.source_offset, 1, deadline)
    if not wanted or mirrored is None or wanted[0].offset >= mirrored:
        return Likeness.AT_END
    rereads = answer.reread_records_max
    ahead_max = AHEAD_MAX if rereads is None else min(AHEAD_MAX, rereads + 1)
    place = answer.target_offset
    ahead = next_records(target, answer.target_partition, place, ahead_max, deadline)
    if any(content_of(record) == content_of(wanted[0]) for record in ahead):
        return judge_first(wanted[0], ahead, [])
    start = max(0, place - AHEAD_MAX)
    below = [r for r in next_records(target, answer.target_partition, start, AHEAD_MAX, deadline) if r.offset < place]
    return judge_first(wanted[0], ahead, below)


def judge_first(wanted: Record, ahead: list[Record], below: list[Record]) -> Likeness:
    """Return where the copy holds the record that the group reads next: ahead of its place, below it, or nowhere
    that was searched (compaction or retention may have taken it there)."""
    for place, record in enumerate(ahead):
        if content_of(record) == content_of(wanted):
            return Likeness.SAME if place == 0 else Likeness.BEHIND
    is_below = any(content_of(record) == content_of(wanted) for record in below)
    return Likeness.SKIPPED if is_below else Likeness.UNREADABLE


def find_hollowness(counts: Mapping[str, int]) -> str | None:
    """Return why a drill has proven nothing, if it has not: no next record of any group was found on the target, though
    some were looked for."""
    found = sum(counts.get(one.value, 0) for one in (Likeness.SAME, Likeness.BEHIND))
    missed = sum(counts.get(one.value, 0) for one in (Likeness.UNREADABLE, Likeness.FAILED))
    if found or not missed:
        return None
    return f"of {show_items(missed, 'position')} the next record was found nowhere on the target: nothing is proven"


def content_of(record: Record) -> tuple[object, ...]:
    """Return what makes a record the same on both sides; a time that a broker stamped does not count."""
    time = None if record.is_log_append_time else record.timestamp_ms
    return (time, record.key, record.value, record.headers)


def next_records(
    cluster: KafkaCluster, tp: TopicPartition, offset: int, records_max: int, deadline: Deadline
) -> list[Record]:
    """Return the next visible records at or above an offset."""
    ends = cluster.positions.ends([tp], deadline)[tp]
    start = max(offset, ends.log_start)
    if start >= ends.last_stable:
        return []
    return list(cluster.read_range(tp, start, ends.last_stable, deadline=deadline, records_max=records_max).records)
