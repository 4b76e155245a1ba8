"""Where each group would resume if the source were lost now: the same rules as a failover, proven while it lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import DeadlineExceeded
from replicator.flow import MirroredPositions
from replicator.journal import Observed
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import CopyHistory, GroupObservation, GroupState, PartitionEnds
from replicator.model.offsets import Grade, GroupTranslation
from replicator.offsets import (
    OffsetHistory,
    OffsetMap,
    SourceView,
    TargetView,
    Translator,
    WarmMap,
    copies_observed,
    examine_copies,
    open_source,
    topics_of,
    with_proofs,
)
from replicator.supervisor.observe.groups import ListGroups, Turns
from replicator.supervisor.samples import GroupsSample, TranslationsSample

GROUPS_MAX = 200
"""So many groups are translated in one step; with more of them each waits its turn, the stalest first."""
POINTS_MANY = 1_000_000
"""With more points than this, those behind the slowest group are forgotten, too."""
ALL_PRUNED_SECONDS = 300.0
"""So often the log starts of copies without groups are asked for, too."""
READ_RECORDS_MAX = 20_000
"""How much of each side one partition's proof may read; what needs more is bounded instead of exact."""
SOURCE_SECONDS = 3.0
"""A source that does not tell its ends within this is left out of one round of proofs."""


class TranslationObserver:
    """Translates one flow's groups, some at a time. One thread at a time."""

    def __init__(
        self,
        flow: Flow,
        target: KafkaCluster,
        *,
        offsets_topic: TopicName,
        list_groups: ListGroups,
        source: KafkaCluster | None = None,
        is_source_answering: Callable[[], bool] = lambda: True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._flow = flow
        self._source = source
        self._is_source_answering = is_source_answering
        self._target = target
        self._list_groups = list_groups
        self._clock = clock
        self._offsets_topic = offsets_topic
        self._mirrored: MirroredPositions | None = None
        self._history = OffsetHistory(target, flow)
        self._warm = WarmMap()
        self._turns = Turns(flow, what="translated", at_once=GROUPS_MAX)
        self._all_pruned_at = float("-inf")
        self._all_groups: Mapping[GroupName, GroupObservation] = {}
        self._known: dict[GroupName, tuple[float, GroupTranslation]] = {}
        self._copies: Mapping[TopicName, CopyHistory] = {}

    @property
    def copies(self) -> Mapping[TopicName, CopyHistory]:
        """Which part of each copy is of the topic that exists now, by source topic."""
        return self._copies

    def remember(self, observed: Observed) -> None:
        """Take over what a supervisor before us had proven: without the source it could not be proven again."""
        translations = observed.translations
        self._copies = {**self._copies, **copies_observed(observed.topics)}
        self._known = {**{name: (float("-inf"), earlier) for name, earlier in translations.items()}, **self._known}

    def observe(self, groups: GroupsSample, deadline: Deadline) -> TranslationsSample:
        """Return every group's newest translation, and which of them already run on the target.

        Raises: what the target refused or failed with.
        """
        began_at = self._clock.now()
        self._all_groups = groups.groups
        self._turns.note(len(groups.groups))
        listed = self._list_groups(deadline)
        self._known = {name: known for name, known in self._known.items() if name in groups.groups}
        chosen = stalest(groups.groups, {name: at for name, (at, _) in self._known.items()}, count=GROUPS_MAX)
        for group, translation in self._translate([groups.groups[name] for name in chosen], deadline):
            self._remember_set_back(translation)
            _, earlier = self._known.get(group, (0.0, None))
            self._known[group] = (self._clock.monotonic(), with_proofs(translation, earlier))
        return TranslationsSample(
            began_at=began_at,
            translations={name: translation for name, (_, translation) in self._known.items()},
            active_on_target=frozenset(
                name
                for name in groups.groups
                if (seen := listed.get(name)) is not None and seen.state is GroupState.ACTIVE
            ),
        )

    def _translate(
        self, groups: Sequence[GroupObservation], deadline: Deadline
    ) -> Iterator[tuple[GroupName, GroupTranslation]]:
        """Yield as many translations as the time allows; the others keep what was known of them."""
        if not groups:
            return
        translator = self._open_translator(groups, deadline)
        for group in groups:
            if deadline.is_over:
                return
            try:
                yield group.group, translator.translate(group)
            except DeadlineExceeded:
                return

    def _remember_set_back(self, translation: GroupTranslation) -> None:
        """Have the history read again where a group stands below what is left of the map; of a topic that was made anew
        it would not help."""
        floored = (tp for tp in floored_partitions(translation) if not self._is_made_anew(tp))
        any(self._history.read_anew(partition) for partition in floored)

    def _is_made_anew(self, partition: TopicPartition) -> bool:
        history = self._copies.get(partition.topic)
        return history is not None and partition.partition in history.former_to

    def _open_translator(self, groups: Sequence[GroupObservation], deadline: Deadline) -> Translator:
        """Open the target before the positions are read: only what was visible then is sure to lie below them."""
        topics = sorted({self._flow.remote_topic(tp.topic) for group in groups for tp in group.committed})
        view = TargetView.open(self._target, topics, deadline, records_max=READ_RECORDS_MAX)
        offset_map = self._history.refresh(deadline)
        self._prune(view, offset_map, deadline)
        if self._mirrored is None:
            self._mirrored = MirroredPositions(self._target, self._offsets_topic, self._flow.source_connector)
        positions = self._mirrored.refresh(deadline)
        view.sweep_again(deadline)
        source = self._open_source(groups, deadline)
        found = examine_copies(
            self._flow, self._copies, offset_map=offset_map, target=view, source=source, deadline=deadline
        )
        self._copies = {**self._copies, **found}
        return Translator(
            self._flow,
            offset_map=offset_map,
            mirrored=positions,
            target=view,
            source=source,
            deadline=deadline,
            warm=self._warm,
            copies=found,
        )

    def _prune(self, view: TargetView, offset_map: OffsetMap, deadline: Deadline) -> None:
        """Forget what is known below the copies' log starts, and of a large map what all groups have passed."""
        ends = self._ends_by_source(view) | self._ends_of_all(offset_map, deadline)
        self._history.prune({tp: seen.log_start for tp, seen in ends.items()})
        if offset_map.points_count > POINTS_MANY:
            visible_to = {tp: seen.last_stable for tp, seen in ends.items()}
            self._history.prune_behind(slowest_positions(self._all_groups), visible_to=visible_to)

    def _ends_of_all(self, offset_map: OffsetMap, deadline: Deadline) -> dict[TopicPartition, PartitionEnds]:
        """Return the ends of every copy in the map, now and then; else none. A view holds those with groups alone."""
        if self._clock.monotonic() - self._all_pruned_at < ALL_PRUNED_SECONDS:
            return {}
        self._all_pruned_at = self._clock.monotonic()
        copies = {self._flow.remote_topic(tp.topic) for tp in offset_map.partitions}
        return self._ends_by_source(TargetView.open(self._target, copies, deadline))

    def _ends_by_source(self, view: TargetView) -> dict[TopicPartition, PartitionEnds]:
        topics = {copy: self._flow.source_topic(copy) for copy in view.states}
        named = {copy: topics[copy.topic] for copy in view.ends}
        return {TopicPartition(topic, copy.partition): view.ends[copy] for copy, topic in named.items() if topic}

    def _open_source(self, groups: Sequence[GroupObservation], deadline: Deadline) -> SourceView | None:
        if self._source is None or not self._is_source_answering():
            return None
        soon = Deadline.after(deadline.capped(SOURCE_SECONDS), clock=self._clock)
        topics = topics_of(self._flow, groups)[0]
        return open_source(self._source, topics, soon, records_max=READ_RECORDS_MAX)

    def close(self) -> None:
        """Let go of the reader."""
        if self._mirrored is not None:
            self._mirrored.close()


def floored_partitions(translation: GroupTranslation) -> tuple[TopicPartition, ...]:
    """Return the source partitions on which the group has the floor alone, whatever the grade of its others."""
    if translation.grade not in (Grade.FLOOR, Grade.UNAVAILABLE):
        return ()
    return tuple(t.partition for t in translation.translations if t.grade is Grade.FLOOR)


def slowest_positions(groups: Mapping[GroupName, GroupObservation]) -> dict[TopicPartition, int]:
    """Return the lowest position that any group has, by partition."""
    slowest: dict[TopicPartition, int] = {}
    for seen in groups.values():
        for tp, at in seen.committed.items():
            slowest[tp] = min(at, slowest.get(tp, at))
    return slowest


def stalest(
    groups: Mapping[GroupName, GroupObservation], translated_at: Mapping[GroupName, float], *, count: int
) -> list[GroupName]:
    """Return the groups to translate next: those never translated, then those longest ago."""
    return sorted(groups, key=lambda name: (translated_at.get(name, float("-inf")), name))[:count]
