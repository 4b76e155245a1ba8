"""The board of one flow: the newest sample of each kind. Observers put, deciders read; nothing changes in place."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from replicator.failover import MissingRight, Sides
from replicator.flow import HEARTBEATS
from replicator.journal import Observed, merge_records
from replicator.model.names import ClusterName, GroupName, OperationId, TopicName, TopicPartition
from replicator.model.observations import AccessObservation, GroupObservation, TopicObservation
from replicator.model.operations import JournalRecord
from replicator.supervisor.decide.changes import Peaks, join_peaks, note_peaks, remembered_peaks
from replicator.supervisor.decide.pairing import keep_mirrored
from replicator.supervisor.observe.groups import with_departed
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import (
    ConnectSample,
    DriftSample,
    GroupsSample,
    MirroredSample,
    SourceSample,
    Tails,
    TranslationsSample,
)

BEATS_MAX = 3600
"""Heartbeats that are waited for on the target: those of an hour."""


class FlowBoard:
    """Newest samples of one flow. Each attribute is replaced whole, so that a reader never sees half of one."""

    def __init__(self, *, source_watch: ClusterWatch, target_watch: ClusterWatch) -> None:
        self.source_watch = source_watch
        self.target_watch = target_watch
        self.source: SourceSample | None = None
        self.mirrored_samples: tuple[MirroredSample, ...] = ()
        self.groups: GroupsSample | None = None
        self.connect: ConnectSample | None = None
        self.translations: TranslationsSample | None = None
        self.tails: Tails = {}
        self.peaks: Peaks = {}
        self.unmirrored_since: Mapping[TopicName, datetime | None] = {}
        self.drift: DriftSample | None = None
        self.stall_cause: str | None = None
        self.active: ClusterName | None = None
        self.operation_id: OperationId | None = None
        self.last_rto_seconds: float | None = None
        self.expected_rto: tuple[float | None, int] = (None, 0)
        self.last_drill_at: datetime | None = None
        self.home_at: datetime | None = None
        self.sides: Sides | None = None
        self.missing_rights: tuple[MissingRight, ...] | None = None
        self.access: Mapping[str, AccessObservation] = {}
        self.journals: Mapping[ClusterName, tuple[JournalRecord, ...]] = {}
        self.heartbeat_sent_at: datetime | None = None
        self.heartbeat_arrived_at: datetime | None = None
        self._beats: tuple[tuple[int, datetime], ...] = ()
        self.remembered_topics: tuple[TopicObservation, ...] = ()
        self._known_groups: Mapping[GroupName, GroupObservation] = {}
        self._lock = threading.Lock()

    def put_source(self, sample: SourceSample) -> None:
        """Make this sweep the newest, and note the rates that it shows."""
        with self._lock:
            self.peaks = note_peaks(self.peaks, self.source, sample)
            self.source = sample

    def put_beat(self, sent_at: datetime, *, offset: int) -> None:
        """Note a heartbeat that the source has acknowledged at this offset; the last BEATS_MAX are waited for."""
        with self._lock:
            self.heartbeat_sent_at = sent_at
            self._beats = (*self._beats, (offset, sent_at))[-BEATS_MAX:]

    @property
    def mirrored(self) -> MirroredSample | None:
        """The newest mirrored positions."""
        samples = self.mirrored_samples
        return samples[-1] if samples else None

    def put_mirrored(self, sample: MirroredSample) -> None:
        """Make these the newest mirrored positions, and note which heartbeats lie below.

        Some earlier positions are kept to be paired with a sweep.
        """
        self.mirrored_samples = keep_mirrored(self.mirrored_samples, sample)
        position = sample.positions.get(TopicPartition(HEARTBEATS, 0), 0)
        with self._lock:
            arrived = [sent_at for offset, sent_at in self._beats if offset < position]
            self._beats = self._beats[len(arrived) :]
            self.heartbeat_arrived_at = arrived[-1] if arrived else self.heartbeat_arrived_at

    def put_journal(self, cluster: ClusterName, records: tuple[JournalRecord, ...]) -> None:
        """Make these the newest records of the journal on one cluster."""
        with self._lock:
            self.journals = {**self.journals, cluster: records}

    def records(self) -> tuple[JournalRecord, ...]:
        """Return the records of both clusters' journals, as far as they were read."""
        return merge_records(self.journals.values())

    def put_groups(self, sample: GroupsSample) -> None:
        """Make this the newest reading of the groups; one that has gone is kept as DEAD."""
        with self._lock:
            current = {**sample.shares, **sample.groups}
            self._known_groups = with_departed(self._known_groups, current, at=sample.began_at)
            self.groups = sample

    def put_access(self, found: Mapping[str, AccessObservation], *, at: datetime) -> None:
        """Make these the newest access rules; a principal that has none any more is kept, without rules."""
        with self._lock:
            gone = {name: replace(seen, rules=(), observed_at=at) for name, seen in self.access.items()}
            self.access = {**gone, **found}

    def groups_to_record(self) -> Mapping[GroupName, GroupObservation]:
        """Return the groups as the standby should know them."""
        return self._known_groups

    def remember(self, observed: Observed) -> None:
        """Take over what a supervisor before us recorded: topics, peak rates, the groups and the rules it knew."""
        with self._lock:
            self.remembered_topics = tuple(observed.topics.values())
            self.peaks = join_peaks(remembered_peaks(observed.topics), self.peaks)
            self._known_groups = {**observed.groups, **self._known_groups}
            self.access = {**observed.access, **self.access}
