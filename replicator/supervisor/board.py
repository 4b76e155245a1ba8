"""The board of one flow: the newest sample of each kind. Observers put, deciders read; nothing changes in place."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime

from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, TailCount, TopicObservation
from replicator.supervisor.decide.changes import note_peaks
from replicator.supervisor.observe.groups import with_departed
from replicator.supervisor.samples import ConnectSample, GroupsSample, MirroredSample, SourceSample
from replicator.supervisor.watch import ClusterWatch


class FlowBoard:
    """Newest samples of one flow. Each attribute is replaced whole, so that a reader never sees half of one."""

    def __init__(self, *, source_watch: ClusterWatch, target_watch: ClusterWatch) -> None:
        self.source_watch = source_watch
        self.target_watch = target_watch
        self.source: SourceSample | None = None
        self.mirrored: MirroredSample | None = None
        self.groups: GroupsSample | None = None
        self.connect: ConnectSample | None = None
        self.tails: Mapping[TopicPartition, TailCount] = {}
        self.peaks: Mapping[TopicName, float] = {}
        self.heartbeat_sent_at: datetime | None = None
        self._known_groups: Mapping[GroupName, GroupObservation] = {}
        self._lock = threading.Lock()

    def put_source(self, sample: SourceSample) -> None:
        """Make this sweep the newest, and note the rates that it shows."""
        with self._lock:
            self.peaks = note_peaks(self.peaks, self.source, sample)
            self.source = sample

    def put_groups(self, sample: GroupsSample) -> None:
        """Make this the newest reading of the groups; one that has gone is kept as DEAD."""
        with self._lock:
            self._known_groups = with_departed(self._known_groups, sample.groups, at=sample.began_at)
            self.groups = sample

    def groups_to_record(self) -> Mapping[GroupName, GroupObservation]:
        """Return the groups as the standby should know them."""
        return self._known_groups

    def remember(
        self, topics: Mapping[TopicName, TopicObservation], groups: Mapping[GroupName, GroupObservation]
    ) -> None:
        """Take over what a supervisor before us recorded: peak rates, and the groups it knew."""
        with self._lock:
            earlier = {name: seen.peak_rate for name, seen in topics.items() if seen.peak_rate is not None}
            self.peaks = {**earlier, **self.peaks}
            self._known_groups = {**groups, **self._known_groups}
