"""What is remembered of a copy's incarnations, and what of the map it leaves. Pure.

    the copy   ├─ former topic ─┤ former_to ├─ not known ─┤ proven_from ├─ the topic as it is ──→

`former_to` is how far the copy reached when the source was last seen with its former topic: what it holds below that is
not of the new one. MM2 may write on for a while what it had read of the former one, so that the first record of the new
one lies somewhere at or above it. `proven_from` is a record that was found equal on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from replicator.model.names import TopicName
from replicator.model.observations import CopyHistory, PartitionEnds, TopicObservation
from replicator.offsets.points import BreakKind, OffsetMap, PartitionMap

SOURCE_ID = "source_topic_id"
"""The evidence that says which incarnation of the source's topic a translation is of."""
COPY_ID = "target_topic_id"
"""The evidence that says which incarnation of the target's topic a translation is of."""
MADE_ANEW = "made_anew"
FORMER_TOPIC = "former_topic"
"""The evidence that says that a position may be one on a former topic."""
_NEVER_READ = datetime.max.replace(tzinfo=UTC)
"""No position was read later than this: all of them may be of a former topic."""


def copies_observed(topics: Mapping[TopicName, TopicObservation]) -> dict[TopicName, CopyHistory]:
    """Return what was observed of the topics' copies. A topic that was seen made anew, and whose copy nobody has looked
    into since, has nothing proven; one that nobody saw made anew, and of whose copy nothing was kept, is left out."""
    found = {}
    for name, seen in topics.items():
        history = seen.copy
        if history is None and seen.mirrored_topic_id not in (None, seen.topic_id):
            history = CopyHistory(source_topic_id=seen.mirrored_topic_id or "", copy_topic_id="")
        if history is not None and history.source_topic_id != seen.topic_id:
            numbers = [one.partition for one in seen.partitions]
            history = made_anew(history, source_id=seen.topic_id, numbers=numbers, at=_NEVER_READ)
        if history is not None:
            found[name] = history
    return found


def made_anew(history: CopyHistory, *, source_id: str, numbers: Iterable[int], at: datetime) -> CopyHistory:
    """Return the history once the source's topic was seen made anew: nothing is proven of it."""
    known = {*numbers, *history.settled_to, *history.proven_from}
    return CopyHistory(
        source_topic_id=source_id,
        copy_topic_id=history.copy_topic_id,
        proven_from=dict.fromkeys(known),
        former_to={**dict.fromkeys(known, 0), **history.former_to, **history.settled_to},
        made_anew_at=at,
    )


def look_at_copy(
    known: CopyHistory | None, *, source_id: str, copy_id: str, ends: Mapping[int, PartitionEnds], at: datetime
) -> CopyHistory:
    """Return the history after both topics were described.

    `ends` are the copy's, swept before the source's topic was described; `at` is behind that. A topic nobody has
    looked at before is taken for the one that the flow began with until a record says otherwise.
    """
    settled = {number: one.last_stable for number, one in ends.items()}
    if known is None:
        return CopyHistory(source_topic_id=source_id, copy_topic_id=copy_id, settled_to=settled)
    if known.source_topic_id != source_id:
        known = made_anew(known, source_id=source_id, numbers=ends, at=at)
    elif known.made_anew_at is not None and known.made_anew_at > at:
        known = replace(known, made_anew_at=at)
    known = on_copy(known, copy_id, numbers=ends)
    return replace(known, settled_to={**known.settled_to, **settled})


def on_copy(history: CopyHistory, copy_id: str, *, numbers: Iterable[int]) -> CopyHistory:
    """Return the history on the copy that exists: of one that was itself made anew nothing is proven, for the map may
    hold points of the former one."""
    if history.copy_topic_id == copy_id:
        return history
    if not history.copy_topic_id:
        return replace(history, copy_topic_id=copy_id)
    known = set(numbers)
    return replace(
        history,
        copy_topic_id=copy_id,
        proven_from=dict.fromkeys(known),
        former_to=dict.fromkeys(known, 0),
        settled_to={},
    )


def is_of_former_topic(history: CopyHistory | None, *, read_at: datetime) -> bool:
    """Whether a position that was read on the source at that moment may be one on a former topic of that name."""
    return history is not None and history.made_anew_at is not None and read_at < history.made_anew_at


def narrow_map(offset_map: OffsetMap, copies: Mapping[TopicName, CopyHistory]) -> OffsetMap:
    """Return the map with the points alone that are of the topics as they are."""
    if not copies:
        return offset_map
    kept = {
        tp: narrow_points(points, copies[tp.topic], tp.partition) if tp.topic in copies else points
        for tp, points in offset_map.partitions.items()
    }
    return OffsetMap(kept)


def narrow_points(points: PartitionMap, history: CopyHistory, number: int) -> PartitionMap:
    """Return the points that are proven to be of the topic as it is; all, where there is no sign of another one.

    A step back in what was stored since the source was last seen may be the beginning of another topic: the map ends
    before it.
    """
    seen_to = history.settled_to.get(number)
    if seen_to is not None:
        unseen = (start for start in points.starts_of(BreakKind.REWIND) if points.targets[start] >= seen_to)
        points = points.until_index(min(unseen, default=len(points)))
    if number not in history.former_to:
        return points
    start = history.proven_from.get(number, 0)
    index = len(points) if start is None else points.index_of_target(start)
    return replace(points.without_older_than(index), is_anew=True, is_from_origin=False)


def former_evidence() -> dict[str, int | str]:
    """Return the evidence of a position that may be one on a former topic."""
    return {FORMER_TOPIC: "the position was read before the topic was seen made again, and may be one on the former"}


def incarnation_evidence(history: CopyHistory | None, number: int) -> dict[str, int | str]:
    """Return what a translation's evidence tells of the source's topic: its id, and what became of a former one."""
    if history is None:
        return {}
    found: dict[str, int | str] = {SOURCE_ID: history.source_topic_id}
    start = history.proven_from.get(number, 0)
    if number not in history.former_to:
        return found
    if start is None:
        found[MADE_ANEW] = "a topic was deleted and made again: no part of the copy is proven to be of the new one"
    elif start > 0:
        found[MADE_ANEW] = (
            f"a topic was deleted and made again: from {start} on the copy is proven to be of the new one"
        )
    return found
