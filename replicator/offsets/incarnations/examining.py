"""Looking at both sides' topics: which were made anew, and from which record on the copy is of the one that exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from replicator.clock import Deadline
from replicator.model.flow import Delivery, Flow
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import CopyHistory, PartitionEnds
from replicator.offsets.incarnations.copies import look_at_copy, on_copy
from replicator.offsets.points import OffsetMap, PartitionMap
from replicator.offsets.views import SourceView, TargetView

NEWEST_TRIED_MAX = 4
"""So many of the newest points are compared: compaction may have taken records."""
OLDEST_COMPARED = 3
SAMPLES_MAX = 12
"""So many points of a partition, or up to twice as many, are compared besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides of one partition, opened to be compared."""

    source: SourceView
    target: TargetView
    partition: TopicPartition
    copy: TopicPartition
    deadline: Deadline
    is_exactly_once: bool

    @property
    def source_ends(self) -> PartitionEnds | None:
        """The ends of the source's partition."""
        return self.source.ends.get(self.partition)

    @property
    def is_compacted(self) -> bool:
        """Whether a record that is missing on either side may have been there."""
        source, copy = self.source.states[self.partition.topic], self.target.states[self.copy.topic]
        return source.is_compacted or copy.is_compacted

    @property
    def is_timely(self) -> bool:
        """Whether everything that was asked for so far was read in time."""
        return self.source.is_timely and self.target.is_timely and not self.deadline.is_over

    def is_settled(self, points: PartitionMap) -> bool:
        """Whether something can be told: the copy is empty, or reaches a point that both sides may still have, or all
        that it reaches is gone from the source."""
        first, stop = self.range_of(points, from_target=0)
        return first < stop or 0 < stop == len(points) or self.target.ends[self.copy].end == 0 == len(points)

    def range_of(self, points: PartitionMap, *, from_target: int) -> tuple[int, int]:
        """Return [first, stop) of the points whose records both sides may still have."""
        copy, source = self.target.ends[self.copy], self.source_ends
        if source is None:
            return 0, 0
        first = points.index_of_target(max(from_target, copy.log_start))
        stop = points.index_of_target(copy.last_stable)
        while first < stop and points.sources[first] < source.log_start:
            first += 1
        return first, stop

    def has_record(self, points: PartitionMap, index: int) -> bool | None:
        """Whether the record of a point is the same on both sides; None when it cannot be compared."""
        at, source = points.sources[index], self.source_ends
        if source is None or at < source.log_start:
            return None
        if at >= source.end:
            return False  # the map was read before the source's end: no such record was ever in this topic
        place = points.targets[index]
        stored = self.target.read(self.copy, place, place + 1, deadline=self.deadline)
        there = self.source.read_source(self.partition, at, at + 1, deadline=self.deadline)
        if not stored or not there:
            return None
        return stored.prints[0] == there.prints[0]

    def has_own_beginning(self, points: PartitionMap) -> bool:
        """Whether what the copy holds below its first point is of the topic as it is, or is not counted upon."""
        copy, source = self.target.ends[self.copy], self.source_ends
        if not points.is_from_origin or source is None or points.targets[0] <= copy.log_start:
            return True
        first = points.targets[0]
        stored = self.target.read(self.copy, copy.log_start, first, deadline=self.deadline, records_max=1)
        if not stored:
            return stored is not None  # nothing but markers
        there = self.source.read_source(self.partition, source.log_start, points.sources[0], deadline=self.deadline)
        return there is not None and stored.prints[0] in there.prints


def examine_copies(
    flow: Flow,
    known: Mapping[TopicName, CopyHistory],
    *,
    offset_map: OffsetMap,
    target: TargetView,
    source: SourceView | None,
    deadline: Deadline,
) -> dict[TopicName, CopyHistory]:
    """Return what is known of the copies of the view's topics, by source topic, after both sides were asked.

    `target` must have been opened before `source`, and the map read before both. With the source away the last
    knowledge stands, as far as it is of the copies that exist. Where contents cannot be compared (the copy has times
    of its own, the flow transforms records), a topic that was made anew has nothing proven.
    """
    ends = _ends_by_topic(target)
    found: dict[TopicName, CopyHistory] = {}
    unproven: list[Sides] = []
    for copy, state in target.states.items():
        topic = flow.source_topic(copy)
        if topic is None:
            continue
        theirs = None if source is None else source.states.get(topic)
        history = known.get(topic)
        if source is None or theirs is None:
            if history is not None:
                found[topic] = on_copy(history, state.topic_id, numbers=ends[copy])
            continue
        looked = look_at_copy(
            history,
            source_id=theirs.topic_id,
            copy_id=state.topic_id,
            ends=ends[copy],
            at=deadline.clock.now(),
        )
        found[topic] = looked
        if theirs.has_append_times == state.has_append_times and not _transforms(flow):
            numbers = [number for number in ends[copy] if history is None or _is_unproven(looked, number)]
            unproven += [_sides(flow, source, target, TopicPartition(topic, number), deadline) for number in numbers]
    _prove_all(found, unproven, offset_map=offset_map)
    return found


def _ends_by_topic(target: TargetView) -> dict[TopicName, dict[int, PartitionEnds]]:
    found: dict[TopicName, dict[int, PartitionEnds]] = {topic: {} for topic in target.states}
    for tp, one in target.ends.items():
        found.setdefault(tp.topic, {})[tp.partition] = one
    return found


def _is_unproven(history: CopyHistory, number: int) -> bool:
    return history.proven_from.get(number, 0) is None


def _transforms(flow: Flow) -> bool:
    """Whether the flow is told to change records on their way."""
    return "transforms" in flow.connector


def _sides(flow: Flow, source: SourceView, target: TargetView, tp: TopicPartition, deadline: Deadline) -> Sides:
    return Sides(
        source=source,
        target=target,
        partition=tp,
        copy=TopicPartition(flow.remote_topic(tp.topic), tp.partition),
        deadline=deadline,
        is_exactly_once=flow.delivery is Delivery.EXACTLY_ONCE,
    )


def _prove_all(found: dict[TopicName, CopyHistory], unproven: list[Sides], *, offset_map: OffsetMap) -> None:
    """Put into `found` from where on each copy is proven; what cannot be told yet is looked into again."""
    _read_first_records(unproven, offset_map)
    for sides in unproven:
        topic, number = sides.partition.topic, sides.partition.partition
        history, points = found[topic], offset_map.of(sides.partition)
        is_new = number not in history.former_to
        start = first_proven(sides, points, history.former_to.get(number, 0), is_new=is_new)
        former = dict(history.former_to)
        if not sides.is_timely or (is_new and not sides.is_settled(points)):
            start = None
        elif start != 0:
            former.setdefault(number, 0)
        if start != history.proven_from.get(number, 0) or former != history.former_to:
            found[topic] = replace(history, proven_from={**history.proven_from, number: start}, former_to=former)


def _read_first_records(unproven: list[Sides], offset_map: OffsetMap) -> None:
    """Have the records that are compared at once read side by side."""
    if not unproven:
        return
    on_source, on_target = [], []
    for sides in unproven:
        points, source = offset_map.of(sides.partition), sides.source_ends
        first, stop = sides.range_of(points, from_target=0)
        for index in _first_looks(first, stop) if first < stop and source is not None else ():
            at, place = points.sources[index], points.targets[index]
            if source is not None and at < source.last_stable:
                on_source.append((sides.partition, at, at + 1))
                on_target.append((sides.copy, place, place + 1))
    one = unproven[0]
    one.source.read_ahead(on_source, one.deadline)
    one.target.read_ahead(on_target, one.deadline)


def first_proven(sides: Sides, points: PartitionMap, former_to: int, *, is_new: bool) -> int | None:
    """Return the target offset from which on the points are of the topic as it is; None where nothing proves it.

    What is of the topic as it is lies behind all else: behind the newest point whose record is another on the two
    sides. Some points are compared, then those between the newest that differs and the next one by halving. A former
    copy's point may hold by chance where both began at 0: one that is the same proves nothing of those behind it.
    A partition that is looked at for the first time is whole (0) if no point differs.
    """
    first, stop = sides.range_of(points, from_target=former_to)
    if first == stop:
        return 0 if is_new else None
    sampled = {index: sides.has_record(points, index) for index in _first_looks(first, stop)}
    if not (is_new and all(sampled.values())):
        sampled = _compare_some(sides, points, first, stop)
    same = [index for index, is_same in sampled.items() if is_same]
    other = [index for index, is_same in sampled.items() if is_same is False]
    if is_new and not other and (same or sides.is_compacted):
        is_whole = sides.is_compacted or not sides.is_exactly_once or (0 in same and sides.has_own_beginning(points))
        return 0 if is_whole else points.targets[min(same)]
    low = max(other, default=first - 1) + 1
    high = min((index for index in same if index >= low), default=None)
    if high is None:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if sides.has_record(points, middle) else (middle + 1, high)
    return points.targets[high]


def _first_looks(first: int, stop: int) -> list[int]:
    """Return the points that are compared at once: the newest, and the oldest, of which one may hold by chance."""
    return sorted({*range(first, min(stop, first + OLDEST_COMPARED)), stop - 1})


def _compare_some(sides: Sides, points: PartitionMap, first: int, stop: int) -> dict[int, bool | None]:
    """Return whether the records of some points, the oldest, some of the newest and some between, are the same."""
    step = max(1, (stop - first) // SAMPLES_MAX)
    chosen = {*range(first, stop, step), *range(max(first, stop - NEWEST_TRIED_MAX), stop)}
    return {index: sides.has_record(points, index) for index in sorted(chosen)}
