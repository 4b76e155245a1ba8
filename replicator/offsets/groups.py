"""Groups: translated whole, committed on the target, compared with what stands there."""

from __future__ import annotations

import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster
from replicator.model.flow import Delivery, Flow
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import CopyHistory, GroupObservation
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets.ground import Ground, prepare
from replicator.offsets.incarnations import (
    examine_copies,
    former_evidence,
    incarnation_evidence,
    is_of_former_topic,
    narrow_map,
)
from replicator.offsets.inverse import invert_offset
from replicator.offsets.points import EMPTY_MAP, OffsetMap
from replicator.offsets.reads import Standing
from replicator.offsets.rules import translate_offset
from replicator.offsets.views import ClusterView, PartitionReads, SourceView, TargetView, open_source
from replicator.offsets.warm import (
    EMPTY_CHART,
    Chart,
    Placed,
    PlacedGroup,
    RowMaker,
    TopicCharts,
    WarmMap,
    chart_of,
    runs_from,
)

Mirrored = Mapping[TopicPartition, int]
NO_COPIES: Mapping[TopicName, CopyHistory] = MappingProxyType({})
"""Nothing was observed of any copy."""

MISSING_HISTORY = "the offset-syncs topic was compacted or trimmed: syncs around the position are missing"
AHEAD_PASSES = 3
"""What a place hangs on shows in so many passes: the ground, the copy's bracket, the source's."""
PROBES_MAX = 20_000
SETTLE_ATTEMPTS = 5
SETTLE_SECONDS = 0.05


class Translator:
    """Translates groups of one flow on one view of both sides; what groups share is read once.

    What costs nothing and is proven is answered from the warm map, the rest by the rules; what these prove is put on
    the map. Give it the `warm` of an earlier translator of the flow, and nothing is proven twice.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        offset_map: OffsetMap,
        mirrored: Mirrored,
        target: TargetView,
        source: SourceView | None,
        deadline: Deadline,
        warm: WarmMap | None = None,
        copies: Mapping[TopicName, CopyHistory] = NO_COPIES,
    ) -> None:
        self._flow = flow
        self._copies = copies
        self._offset_map = narrow_map(offset_map, copies)
        self._mirrored = mirrored
        self._target = target
        self._source = source
        self._deadline = deadline
        self._warm = WarmMap() if warm is None else warm
        self._grounds: dict[TopicPartition, tuple[Standing, Ground | None, PartitionReads]] = {}
        self._told: dict[TopicPartition, dict[int, Translation]] = {}
        self._charts: dict[TopicName, TopicCharts] = {}
        self._is_carried: dict[TopicName, bool] = {}
        copy_ids = {topic: state.topic_id for topic, state in target.states.items()}
        self._rows = RowMaker(flow, copy_ids, copies, self._charts)

    def translate(self, observation: GroupObservation) -> GroupTranslation:
        """Return every position of the group on topics the flow carries, translated."""
        committed = observation.committed
        if not all(map(self._carries, {tp.topic for tp in committed})):
            committed = {tp: at for tp, at in committed.items() if self._carries(tp.topic)}
        told: dict[int, Translation] = {}
        committed, former = self._split_former(committed, observation.observed_at)
        places = self._place(committed, told, observation)
        for tp, at in former.items():
            found = self._place_former(tp, at, observation.observed_at)
            told[len(places)] = found
            places.append(-1 if found.target_offset is None else found.target_offset)
        committed = {**committed, **former} if former else committed
        make_row = self._rows.seen_at(observation.observed_at)
        placed = Placed(list(committed), array("q", committed.values()), places, told, make_row)
        return PlacedGroup(self._flow.name, observation.group, placed)

    def _split_former(
        self, committed: Mapping[TopicPartition, int], read_at: datetime
    ) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
        """Return the positions on the topics as they are, and those that may be on former topics of their names."""
        former = {topic for topic, one in self._copies.items() if is_of_former_topic(one, read_at=read_at)}
        if not former:
            return committed, {}
        kept = {tp: at for tp, at in committed.items() if tp.topic not in former}
        return kept, {tp: at for tp, at in committed.items() if tp.topic in former}

    def _place_former(self, tp: TopicPartition, offset: int, read_at: datetime) -> Translation:
        """Return the floor: the former topic's map is not kept apart, and the new one's would skip what it holds."""
        standing, reads = replace(self._standing_of(tp), mirrored=None), self._reads_of(tp)
        found = translate_offset(offset, standing, prepare(standing, EMPTY_MAP, reads), reads)
        found = replace(self._rows.with_ids(found), observed_at=read_at)
        return replace(found, evidence={**found.evidence, **former_evidence()})

    def read_ahead(self, observations: Iterable[GroupObservation]) -> None:
        """Have both sides read what these groups' places hang on, many partitions side by side.

        The rules are asked first with nothing but notes of what they would read: the copy's brackets, and from the
        next pass on, where these do not settle it, the source's. What is not foreseen is read when it is asked for.
        """
        probes = probes_of(observations, self._offset_map)
        for _ in range(AHEAD_PASSES):
            views: list[ClusterView] = [self._target] if self._source is None else [self._target, self._source]
            with ExitStack() as stack:
                noted = [stack.enter_context(view.noting()) for view in views]
                for tp, offsets in probes.items():
                    if self._carries(tp.topic):
                        self._rehearse(tp, offsets)
            if not any(noted):
                return
            for view, ranges in zip(views, noted, strict=True):
                view.read_ahead(ranges, self._deadline)

    def _rehearse(self, tp: TopicPartition, offsets: Iterable[int]) -> None:
        """Go through the rules for what they read, and forget what they say."""
        standing, reads = self._standing_of(tp), self._reads_of(tp)
        ground = prepare(standing, self._offset_map.of(tp), reads)
        if ground is not None:
            for offset in offsets:
                runs_from(translate_offset(offset, standing, ground, reads), ground, reads)

    def _place(
        self, committed: Mapping[TopicPartition, int], told: dict[int, Translation], observation: GroupObservation
    ) -> array[int]:
        """Return the place of every position; `told` gets those that the rules answered. The hot loop: no call in it
        but where a partition is met first, or the rules are asked."""
        places = array("q")
        charts, note, find = self._charts, places.append, bisect_right
        for index, (tp, at) in enumerate(committed.items()):
            mirrored, end, starts, stops, shifts = charts[tp.topic][tp.partition]
            if at >= mirrored:
                note(end)
                continue
            run = find(starts, at) - 1
            if at < stops[run]:
                note(at + shifts[run])
                continue
            found = self._tell(tp, at)
            told[index] = replace(found, observed_at=observation.observed_at)
            note(-1 if found.target_offset is None else found.target_offset)
        return places

    def _carries(self, topic: TopicName) -> bool:
        known = self._is_carried.get(topic)
        if known is None:
            known = self._is_carried[topic] = self._flow.carries_topic(topic)
            self._charts[topic] = TopicCharts(_chart_maker(weakref.ref(self), topic))
        return known

    def chart_of(self, tp: TopicPartition) -> Chart:
        """Return the chart of a source partition on what both sides hold."""
        standing, ground, _ = self._ground_of(tp)
        state = self._target.states.get(standing.target_partition.topic)
        copy_id, history = "" if state is None else state.topic_id, self._copies.get(tp.topic)
        return chart_of(
            ground, self._warm, copy_id=copy_id if history is None else f"{history.source_topic_id}/{copy_id}"
        )

    def _tell(self, tp: TopicPartition, offset: int) -> Translation:
        """Return the rules' answer, worked out once for all groups that stand there, and learn from it."""
        told = self._told.setdefault(tp, {})
        if offset not in told:
            standing, ground, reads = self._ground_of(tp)
            found = translate_offset(offset, standing, ground, reads)
            if ground is not None:
                self._warm.add(tp, runs_from(found, ground, reads))
            if found.grade is not Grade.EXACT and self._offset_map.of(tp).misses_history_at(offset):
                found = replace(found, evidence={**found.evidence, "missing_history": MISSING_HISTORY})
            told[offset] = self._rows.with_ids(found)
        return told[offset]

    def translate_back(self, observation: GroupObservation) -> GroupTranslation:
        """Return where on the source the group resumes, for every position it has on a copy of this flow.

        `observation` tells where it stands on the target; the target view ends where the flow stopped writing.
        The offset map must be whole, never pruned. Without the source every answer is UNAVAILABLE.
        """
        answers = []
        for copy, at in sorted(observation.committed.items()):
            topic = self._flow.source_topic(copy.topic)
            if topic is not None:
                answers.append(self._translate_back(TopicPartition(topic, copy.partition), at, observation))
        return GroupTranslation(self._flow.name, observation.group, tuple(answers))

    def _translate_back(self, tp: TopicPartition, offset: int, observation: GroupObservation) -> Translation:
        standing, reads = self._standing_of(tp), self._reads_of(tp)
        ends = None if self._source is None else self._source.ends.get(tp)
        found = invert_offset(offset, standing, self._offset_map.of(tp), reads, source=ends)
        told = incarnation_evidence(self._copies.get(tp.topic), tp.partition)
        return replace(found, observed_at=observation.observed_at, evidence={**found.evidence, **told})

    def _ground_of(self, tp: TopicPartition) -> tuple[Standing, Ground | None, PartitionReads]:
        if tp not in self._grounds:
            standing, reads = self._standing_of(tp), self._reads_of(tp)
            self._grounds[tp] = standing, prepare(standing, self._offset_map.of(tp), reads), reads
        return self._grounds[tp]

    def _reads_of(self, tp: TopicPartition) -> PartitionReads:
        copy = TopicPartition(self._flow.remote_topic(tp.topic), tp.partition)
        return PartitionReads(tp, copy, target=self._target, source=self._source, deadline=self._deadline)

    def _standing_of(self, tp: TopicPartition) -> Standing:
        copy = TopicPartition(self._flow.remote_topic(tp.topic), tp.partition)
        source_state = None if self._source is None else self._source.states.get(tp.topic)
        target_state = self._target.states.get(copy.topic)
        return Standing(
            partition=tp,
            target_partition=copy,
            target=self._target.ends.get(copy),
            target_now=self._target.ends_now.get(copy),
            mirrored=self._mirrored.get(tp),
            is_exactly_once=self._flow.delivery is Delivery.EXACTLY_ONCE,
            is_target_compacted=target_state is not None and target_state.is_compacted,
            is_source_compacted=source_state is not None and source_state.is_compacted,
        )


def probes_of(observations: Iterable[GroupObservation], offset_map: OffsetMap) -> dict[TopicPartition, tuple[int, ...]]:
    """Return a few positions of each partition that stand for all of them: the lowest and the highest between the
    same two points of the map, PROBES_MAX in all."""
    spans: dict[tuple[TopicPartition, int], tuple[int, int]] = {}
    for observation in observations:
        for tp, at in observation.committed.items():
            key = tp, bisect_right(offset_map.of(tp).sources, at)
            low, high = spans.get(key, (at, at))
            spans[key] = min(low, at), max(high, at)
        if len(spans) > PROBES_MAX:
            break
    found: dict[TopicPartition, tuple[int, ...]] = {}
    for (tp, _), (low, high) in spans.items():
        found[tp] = (*found.get(tp, ()), *sorted({low, high}))
    return found


def _chart_maker(owner: weakref.ref[Translator], topic: TopicName) -> Callable[[int], Chart]:
    """Return what makes a topic's charts. Results hold charts, and must not keep a translator with its views alive."""

    def make(number: int) -> Chart:
        translator = owner()
        return EMPTY_CHART if translator is None else translator.chart_of(TopicPartition(topic, number))

    return make


def translate_group(
    flow: Flow,
    observation: GroupObservation,
    *,
    offset_map: OffsetMap,
    mirrored: Mirrored,
    target: TargetView,
    source: SourceView | None,
    deadline: Deadline,
) -> GroupTranslation:
    """Return where the group resumes on the target, for every partition the flow carries.

    `mirrored` is the next source offset to mirror, read *after* the map and after `target` was opened.
    `source` None: it is gone, or must not be asked. What cannot be read in time is bounded by offsets.
    """
    return translate_groups(
        flow, [observation], offset_map=offset_map, mirrored=mirrored, target=target, source=source, deadline=deadline
    )[0]


def translate_groups(
    flow: Flow,
    observations: Iterable[GroupObservation],
    *,
    offset_map: OffsetMap,
    mirrored: Mirrored,
    target: TargetView,
    source: SourceView | None,
    deadline: Deadline,
    copies: Mapping[TopicName, CopyHistory] = NO_COPIES,
) -> tuple[GroupTranslation, ...]:
    """Return the translations of many groups; brackets they share are read once."""
    target.sweep_again(deadline)
    translator = Translator(
        flow, offset_map=offset_map, mirrored=mirrored, target=target, source=source, deadline=deadline, copies=copies
    )
    return tuple(translator.translate(observation) for observation in observations)


def topics_of(flow: Flow, observations: Iterable[GroupObservation]) -> tuple[set[TopicName], set[TopicName]]:
    """Return the source topics of the groups that the flow carries, and their names on the target."""
    topics = {tp.topic for seen in observations for tp in seen.committed if flow.carries_topic(tp.topic)}
    return topics, {flow.remote_topic(topic) for topic in topics}


def survey_groups(
    flow: Flow,
    observations: Iterable[GroupObservation],
    *,
    target: KafkaCluster,
    source: KafkaCluster | None,
    read_map: Callable[[Deadline], OffsetMap],
    read_mirrored: Callable[[Deadline], Mirrored],
    deadline: Deadline,
    copies: Mapping[TopicName, CopyHistory] = NO_COPIES,
) -> tuple[GroupTranslation, ...]:
    """Return the translations of the groups on what both sides hold now, everything read in the safe order:
    the map and the copies' ends, then the mirrored positions, then the ends again. `copies` is what was observed of
    topics that were made anew; a living source is asked whether it still holds."""
    seen = list(observations)
    source_topics, target_topics = topics_of(flow, seen)
    offset_map = read_map(deadline)
    view = TargetView.open(target, target_topics, deadline)
    mirrored = _read_settled(read_mirrored, offset_map, deadline)
    there = None if source is None else open_source(source, source_topics, deadline)
    copies = examine_copies(flow, copies, offset_map=offset_map, target=view, source=there, deadline=deadline)
    return translate_groups(
        flow,
        seen,
        offset_map=offset_map,
        mirrored=mirrored,
        target=view,
        source=there,
        deadline=deadline,
        copies=copies,
    )


def _read_settled(read_mirrored: Callable[[Deadline], Mirrored], offset_map: OffsetMap, deadline: Deadline) -> Mirrored:
    """Return the mirrored positions, asked again while one is behind a point of the map: the offsets topic may
    show a transaction some milliseconds after its sync was written. What stays behind was set back."""
    mirrored = read_mirrored(deadline)
    for _ in range(SETTLE_ATTEMPTS):
        if not any(tp in mirrored and mirrored[tp] <= m.last_source for tp, m in offset_map.partitions.items() if m):
            break
        deadline.clock.sleep(deadline.capped(SETTLE_SECONDS))
        mirrored = read_mirrored(deadline)
    return mirrored


def commit_group(
    cluster_target: KafkaCluster, translation: GroupTranslation, deadline: Deadline
) -> dict[TopicPartition, int]:
    """Leave the group at its translated positions and return those that were written; none, if it stood there.

    Positions are kept within the log as it is now. Partitions without a translation are left alone.

    Raises:
        PreflightBlocked: the group has members on the target. OperationFailed: the cluster refused, or reads
            back something else.
    """
    wanted = {
        answer.target_partition: int(answer.target_offset)
        for answer in translation.translations
        if answer.target_offset is not None
    }
    ends = cluster_target.positions.ends(wanted, deadline)
    wanted = {tp: min(max(at, ends[tp].log_start), ends[tp].end) for tp, at in wanted.items()}
    standing = cluster_target.groups.committed([translation.group], deadline)[translation.group].committed
    moved = {tp: at for tp, at in wanted.items() if standing.get(tp) != at}
    cluster_target.groups.commit(translation.group, moved, deadline)
    return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionComparison:
    """One partition of a group on both sides. `committed` is where it stands on the target now (None: nowhere);
    `ahead_offsets` how far that is ahead of the translation: above 0, records would be skipped."""

    translation: Translation
    committed: int | None

    @property
    def ahead_offsets(self) -> int | None:
        """How far the target's committed position is ahead of the translated one, in target offsets."""
        if self.committed is None or self.translation.target_offset is None:
            return None
        return self.committed - self.translation.target_offset


def compare_group(translation: GroupTranslation, on_target: GroupObservation) -> tuple[PartitionComparison, ...]:
    """Return every partition of a translated group beside what is committed on the target."""
    return tuple(
        PartitionComparison(translation=answer, committed=on_target.committed.get(answer.target_partition))
        for answer in translation.translations
    )
