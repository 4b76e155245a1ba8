"""Which offsets of a partition's unmirrored tail are still to be counted, and what the count is.

    mirrored           counted so far              last stable
       |───── segment ─────|── segment ──|╌╌ next span ╌╌|

Every offset is counted at most once: a segment is one count, kept until the flow has mirrored past its end.
"""

from __future__ import annotations

from dataclasses import replace

from replicator.model.observations import TailCount

SEGMENTS_MAX = 16
"""Beyond this the oldest two become one; the tail of a stalled flow must not grow without bound."""

Segments = tuple[TailCount, ...]


def drop_mirrored(segments: Segments, *, start: int) -> Segments:
    """Return the segments that still reach above `start`, the first offset not mirrored.

    When `start` is below the first segment (the flow was rewound) nothing counted so far is of use.
    """
    if segments and start < segments[0].from_offset:
        return ()
    return tuple(segment for segment in segments if segment.to_offset > start)


def next_span(segments: Segments, *, start: int, last_stable: int) -> tuple[int, int] | None:
    """Return the offsets [from, to) to be counted next; None when the tail is counted to the last stable offset."""
    counted_to = max(start, segments[-1].to_offset if segments else start)
    return (counted_to, last_stable) if counted_to < last_stable else None


def add_count(segments: Segments, count: TailCount) -> Segments:
    """Return the segments with one more count at their end; a count of nothing adds nothing."""
    if count.to_offset <= count.from_offset:
        return segments
    grown = (*segments, count)
    if len(grown) > SEGMENTS_MAX:
        grown = (_joined(grown[0], grown[1]), *grown[2:])
    return grown


def whole_tail(segments: Segments) -> TailCount | None:
    """Return all segments as one count."""
    if not segments:
        return None
    return replace(
        segments[0],
        to_offset=segments[-1].to_offset,
        visible_records=sum(segment.visible_records for segment in segments),
    )


def tail_start(*, mirrored: int | None, log_start: int) -> int:
    """Return the first offset of the unmirrored tail that still exists on the source."""
    return log_start if mirrored is None else max(mirrored, log_start)


def _joined(first: TailCount, second: TailCount) -> TailCount:
    return replace(
        first,
        to_offset=second.to_offset,
        visible_records=first.visible_records + second.visible_records,
    )
