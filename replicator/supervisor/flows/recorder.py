"""Writes what changed to the standby's observations: all that a failover will know of a lost source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName
from replicator.model.observations import (
    AccessObservation,
    ClusterObservation,
    CopyHistory,
    GroupObservation,
    OvertakenSpan,
    TopicObservation,
)
from replicator.model.offsets import GroupTranslation
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.changes import changed_items, changed_translations, honest_contact, topic_observations
from replicator.supervisor.samples import SourceSample

REFRESH_SECONDS = 10.0
"""What did not change is written again after this long, so that its age tells that it was looked at."""

ACCESS_REFRESH_SECONDS = 600.0
"""Access rules change seldom, and grow with the principals."""

Item = AccessObservation | TopicObservation | GroupObservation | GroupTranslation | ClusterObservation


class WriteObservations(Protocol):
    """Leaves the items written, in this order, acknowledged."""

    def __call__(self, items: list[Item], deadline: Deadline) -> None: ...


class Recorder:
    """Remembers what was written of one flow and writes the difference. One thread at a time.

    The source's own observation is written last: whoever reads `last_reached_at` there may rely on every
    topic being as it was at that moment. What a failed write left undone is in the next difference.
    """

    def __init__(
        self,
        flow: Flow,
        board: FlowBoard,
        write: WriteObservations,
        *,
        clock: Clock = SYSTEM_CLOCK,
        is_allowed: Callable[[], bool],
        known_ids: Callable[[], Mapping[TopicName, str]] = dict,
        overtaken: Callable[[], Mapping[TopicName, tuple[OvertakenSpan, ...]]] = dict,
        copies: Callable[[], Mapping[TopicName, CopyHistory]] = dict,
    ) -> None:
        self._flow = flow
        self._board = board
        self._write = write
        self._clock = clock
        self._is_allowed = is_allowed
        self._known_ids = known_ids
        self._overtaken = overtaken
        self._copies = copies
        self._topics: Mapping[TopicName, TopicObservation] = {}
        self._groups: Mapping[GroupName, GroupObservation] = {}
        self._translations: Mapping[GroupName, GroupTranslation] = {}
        self._access: Mapping[str, AccessObservation] = {}
        self.recorded_at: datetime | None = None

    def forget(self) -> None:
        """Write everything at the next call: another supervisor may have written in between."""
        self._topics, self._groups, self._translations, self._access = {}, {}, {}, {}

    def record(self, deadline: Deadline) -> None:
        """Leave the standby knowing what the board knows.

        Raises: what the target refused or failed with.
        """
        began_at = self._clock.now()
        sample = self._board.source
        topics = changed_items(self._topics, self._current_topics(sample), refresh_seconds=REFRESH_SECONDS)
        groups = changed_items(self._groups, self._board.groups_to_record(), refresh_seconds=REFRESH_SECONDS)
        source = honest_contact(self._board.source_watch.observation, sample)
        access = changed_items(self._access, self._board.access, refresh_seconds=ACCESS_REFRESH_SECONDS)
        if not self._is_allowed():
            return
        translations = changed_translations(self._translations, self._current_translations())
        self._write([*topics.values(), *groups.values(), *access.values(), *translations.values(), source], deadline)
        self._translations = {**self._translations, **translations}
        self._topics = {**self._topics, **topics}
        self._groups = {**self._groups, **groups}
        self._access = {**self._access, **access}
        self.recorded_at = began_at

    def _current_translations(self) -> Mapping[GroupName, GroupTranslation]:
        sample = self._board.translations
        return {} if sample is None else sample.translations

    def _current_topics(self, sample: SourceSample | None) -> dict[TopicName, TopicObservation]:
        if sample is None:
            return {}
        return topic_observations(
            self._flow.source,
            sample=sample,
            mirrored=self._board.mirrored,
            tails=self._board.tails,
            peaks=self._board.peaks,
            known_ids=self._known_ids(),
            overtaken=self._overtaken(),
            unmirrored_since=self._board.unmirrored_since,
            copies=self._copies(),
        )
