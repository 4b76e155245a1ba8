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
    ahead, or nothing that is mirrored yet. SKIPPED: the copy holds it below the position. MISSING: all that may be read
    again was searched, and it is not there, though nothing compacts the copy and retention has not come so far.
    UNREADABLE: it was found nowhere near; the cleaner or retention may have taken it, or it may lie further on.
    FAILED: it could not be looked for."""

    SAME = "same"
    BEHIND = "behind"
    AT_END = "at_end"
    SKIPPED = "skipped"
    UNAVAILABLE = "unavailable"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    FAILED = "failed"


def compare_first(
    source: KafkaCluster,
    target: KafkaCluster,
    answer: Translation,
    *,
    mirrored: int | None,
    is_compacted: bool,
    deadline: Deadline,
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
    is_all_searched = len(ahead) < ahead_max or (rereads is not None and rereads < AHEAD_MAX)
    if any(are_alike(record, wanted[0]) for record in ahead):
        return judge_first(wanted[0], ahead, [])
    start = max(0, place - AHEAD_MAX)
    below = [r for r in next_records(target, answer.target_partition, start, AHEAD_MAX, deadline) if r.offset < place]
    log_start = target.positions.ends([answer.target_partition], deadline)[answer.target_partition].log_start
    # With retention at work and nothing left below the place, the place is where the rest of the copy begins.
    may_be_deleted = is_compacted or (log_start > 0 and not below)
    return judge_first(wanted[0], ahead, below, must_be_there=is_all_searched and not may_be_deleted)


def judge_first(wanted: Record, ahead: list[Record], below: list[Record], *, must_be_there: bool = False) -> Likeness:
    """Return where the copy holds the record that the group reads next: ahead of its place, below it, or nowhere
    that was searched; `must_be_there`: nothing but loss explains that."""
    for place, record in enumerate(ahead):
        if are_alike(record, wanted):
            return Likeness.SAME if place == 0 else Likeness.BEHIND
    if any(are_alike(record, wanted) for record in below):
        return Likeness.SKIPPED
    return Likeness.MISSING if must_be_there else Likeness.UNREADABLE


def find_hollowness(counts: Mapping[str, int]) -> str | None:
    """Return why a drill has proven nothing, if it has not: no next record of any group was found on the target, though
    some were looked for."""
    found = sum(counts.get(one.value, 0) for one in (Likeness.SAME, Likeness.BEHIND))
    missed = sum(counts.get(one.value, 0) for one in (Likeness.UNREADABLE, Likeness.MISSING, Likeness.FAILED))
    if found or not missed:
        return None
    return f"of {show_items(missed, 'position')} the next record was found nowhere on the target: nothing is proven"


def are_alike(one: Record, other: Record) -> bool:
    """Whether two records are the same on both sides; a time that a broker stamped on either does not count."""
    has_times = not (one.is_log_append_time or other.is_log_append_time)
    if has_times and one.timestamp_ms != other.timestamp_ms:
        return False
    return (one.key, one.value, one.headers) == (other.key, other.value, other.headers)


def next_records(
    cluster: KafkaCluster, tp: TopicPartition, offset: int, records_max: int, deadline: Deadline
) -> list[Record]:
    """Return the next visible records at or above an offset."""
    ends = cluster.positions.ends([tp], deadline)[tp]
    start = max(offset, ends.log_start)
    if start >= ends.last_stable:
        return []
    return list(cluster.read_range(tp, start, ends.last_stable, deadline=deadline, records_max=records_max).records)
