"""Groups: translated whole, committed on the target, compared with what stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster
from replicator.model.flow import Delivery, Flow
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.model.offsets import GroupTranslation, Translation
from replicator.offsets.ground import Ground, prepare
from replicator.offsets.inverse import invert_offset
from replicator.offsets.points import OffsetMap
from replicator.offsets.proofs import COPY_ID
from replicator.offsets.reads import Standing
from replicator.offsets.rules import translate_offset
from replicator.offsets.views import PartitionReads, SourceView, TargetView, open_source

Mirrored = Mapping[TopicPartition, int]

SETTLE_ATTEMPTS = 5
SETTLE_SECONDS = 0.05


class Translator:
    """Translates groups of one flow on one view of both sides; what groups share is read once."""

    def __init__(
        self,
        flow: Flow,
        *,
        offset_map: OffsetMap,
        mirrored: Mirrored,
        target: TargetView,
        source: SourceView | None,
        deadline: Deadline,
    ) -> None:
        self._flow = flow
        self._offset_map = offset_map
        self._mirrored = mirrored
        self._target = target
        self._source = source
        self._deadline = deadline
        self._grounds: dict[TopicPartition, tuple[Standing, Ground | None, PartitionReads]] = {}

    def translate(self, observation: GroupObservation) -> GroupTranslation:
        """Return every position of the group on topics the flow carries, translated."""
        carried = {tp: at for tp, at in observation.committed.items() if self._flow.carries_topic(tp.topic)}
        answers = tuple(self._translate(tp, at, observation) for tp, at in sorted(carried.items()))
        return GroupTranslation(self._flow.name, observation.group, answers)

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
        return replace(found, observed_at=observation.observed_at)

    def _translate(self, tp: TopicPartition, offset: int, observation: GroupObservation) -> Translation:
        standing, ground, reads = self._ground_of(tp)
        found = translate_offset(offset, standing, ground, reads)
        state = self._target.states.get(standing.target_partition.topic)
        evidence = found.evidence if state is None else {**found.evidence, COPY_ID: state.topic_id}
        return replace(found, observed_at=observation.observed_at, evidence=evidence)

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
) -> tuple[GroupTranslation, ...]:
    """Return the translations of many groups; brackets they share are read once."""
    target.sweep_again(deadline)
    translator = Translator(
        flow, offset_map=offset_map, mirrored=mirrored, target=target, source=source, deadline=deadline
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
) -> tuple[GroupTranslation, ...]:
    """Return the translations of the groups on what both sides hold now, everything read in the safe order:
    the map and the copies' ends, then the mirrored positions, then the ends again."""
    seen = list(observations)
    source_topics, target_topics = topics_of(flow, seen)
    offset_map = read_map(deadline)
    view = TargetView.open(target, target_topics, deadline)
    mirrored = _read_settled(read_mirrored, offset_map, deadline)
    return translate_groups(
        flow,
        seen,
        offset_map=offset_map,
        mirrored=mirrored,
        target=view,
        source=None if source is None else open_source(source, source_topics, deadline),
        deadline=deadline,
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
