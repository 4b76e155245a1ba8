"""What replication cannot mend by itself, remembered beyond the moment at which it shows. One thread at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from replicator.flow import find_damage
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import OvertakenSpan, TopicObservation
from replicator.supervisor.decide.pairing import positions_before
from replicator.supervisor.samples import MirroredSample, SourceSample

KEPT_SECONDS = 24 * 3600.0
KEPT_MAX = 1000
SETTLING = timedelta(seconds=30)
"""Journals are read every few seconds: for so long a supervisor may not know yet that the flow came home."""


class DamageWatch:
    """Knows under which id the flow began to mirror each topic, and what damage was seen in the last day.

    MM2 jumps over what retention deleted within seconds: the gap stays in the copy, though no position shows
    it any more.
    """

    def __init__(self) -> None:
        self._known_ids: dict[TopicName, tuple[str, datetime]] = {}
        self._seen: dict[str, tuple[str, datetime]] = {}
        self._overtaken: dict[tuple[TopicPartition, int], OvertakenSpan] = {}

    @property
    def known_ids(self) -> Mapping[TopicName, str]:
        """The ids under which topics began to be mirrored."""
        return {name: topic_id for name, (topic_id, _) in self._known_ids.items()}

    @property
    def overtaken(self) -> Mapping[TopicName, tuple[OvertakenSpan, ...]]:
        """The spans of the last day that were deleted before they were mirrored, by topic."""
        found: dict[TopicName, tuple[OvertakenSpan, ...]] = {}
        for (tp, _), span in sorted(self._overtaken.items(), key=lambda item: item[0]):
            found[tp.topic] = (*found.get(tp.topic, ()), span)
        return found

    def remember(self, topics: Mapping[TopicName, TopicObservation]) -> None:
        """Take over the ids and the spans that a supervisor before us knew."""
        for name, seen in topics.items():
            self._known_ids[name] = seen.mirrored_topic_id or seen.topic_id, seen.observed_at
            for span in seen.overtaken:
                self._overtaken.setdefault((TopicPartition(name, span.partition), span.from_offset), span)

    def find(
        self, sample: SourceSample | None, mirrored: tuple[MirroredSample, ...], *, home_at: datetime | None = None
    ) -> tuple[str, ...]:
        """Return the damage of the last day, each in one line, what shows now first.

        `home_at` is when the flow last came home: from then on it mirrors anew, and what was before is over, also where
        it was noted a little later by one who did not know yet.
        """
        if home_at is not None:
            self._forget_before(home_at + SETTLING)
        if sample is None or (home_at is not None and sample.began_at < home_at):
            return ()
        oldest = sample.began_at - timedelta(seconds=KEPT_SECONDS)
        self._seen = {key: (told, at) for key, (told, at) in self._seen.items() if at > oldest}
        self._overtaken = {key: span for key, span in self._overtaken.items() if span.seen_at > oldest}
        paired = positions_before(mirrored, moment=sample.began_at)
        now = () if paired is None else self._find_now(sample, paired)
        for told in now[:KEPT_MAX]:
            self._seen[_key(told)] = (told, sample.began_at)
        return (*now, *(told for told, _ in self._seen.values() if told not in now))[:KEPT_MAX]

    def _forget_before(self, moment: datetime) -> None:
        self._known_ids = {name: known for name, known in self._known_ids.items() if known[1] >= moment}
        self._seen = {key: seen for key, seen in self._seen.items() if seen[1] >= moment}
        self._overtaken = {key: span for key, span in self._overtaken.items() if span.seen_at >= moment}

    def _find_now(self, sample: SourceSample, paired: MirroredSample) -> tuple[str, ...]:
        ids = {name: topic.topic_id for name, topic in sample.topics.items()}
        self._note_ids(ids, begun={tp.topic for tp in paired.positions}, at=sample.began_at)
        self._note_overtaken(sample, paired)
        return find_damage(ends=sample.ends, positions=paired.positions, topic_ids=ids, known_ids=self.known_ids)

    def _note_overtaken(self, sample: SourceSample, paired: MirroredSample) -> None:
        """Remember what lies between a position and the log start above it, each offset once: a flow that has mirrored
        a little of it since has lost so much less. A topic made again begins anew."""
        for tp, position in paired.positions.items():
            seen, topic = sample.ends.get(tp), sample.topics.get(tp.topic)
            if seen is None or topic is None or self.known_ids.get(tp.topic) != topic.topic_id:
                continue
            if position < seen.log_start:
                self._replace_span(tp, position, stop=seen.log_start, seen_at=sample.began_at)

    def _replace_span(self, tp: TopicPartition, start: int, *, stop: int, seen_at: datetime) -> None:
        kept = {key: span for key, span in self._overtaken.items() if key[0] != tp or span.to_offset <= start}
        if len(kept) < KEPT_MAX:
            kept[(tp, start)] = OvertakenSpan(
                partition=tp.partition, from_offset=start, to_offset=stop, seen_at=seen_at
            )
        self._overtaken = kept

    def _note_ids(self, ids: Mapping[TopicName, str], *, begun: Iterable[TopicName], at: datetime) -> None:
        """A topic nothing of which is mirrored begins under its id of now; another keeps the one it began under."""
        for name, topic_id in ids.items():
            if name not in begun:
                self._known_ids[name] = topic_id, at
            self._known_ids.setdefault(name, (topic_id, at))


def _key(told: str) -> str:
    """Return what stays the same while a damage grows: a gap's partition and beginning, not its end."""
    return told.partition(" to ")[0]
