"""Sweeps over the source: topics with their ids, and log start, last stable offset and end of every partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import AccessDenied, NotFound, ReplicatorError, WrongCluster
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ClusterDescription, TopicDescription
from replicator.model.flow import Flow
from replicator.model.names import TopicName, TopicPartition
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import SourceSample

SWEEP_SECONDS_MIN, SWEEP_SECONDS_MAX = 5.0, 15.0
"""A cluster that has not answered a sweep by then has failed it; the listeners are asked long before."""
PARTITIONS_A_SECOND = 1000
"""So many more partitions are given a second more, on a machine that has other things to do."""
DISCOVERY_SECONDS_MIN = 2.0
DISCOVERY_SECONDS_MAX = 10.0
DISCOVERY_SHARE = 10
"""Listing topics may take a tenth of the time: a cluster of many thousand topics is listed less often."""


def discovery_period(last_seconds: float) -> float:
    """Return the seconds between two listings of topics, when one takes `last_seconds`."""
    return min(DISCOVERY_SECONDS_MAX, max(DISCOVERY_SECONDS_MIN, last_seconds * DISCOVERY_SHARE))


def sweep_seconds(partitions: int) -> float:
    """Return how long one sweep over so many partitions may take."""
    return min(SWEEP_SECONDS_MAX, SWEEP_SECONDS_MIN + partitions / PARTITIONS_A_SECOND)


def partitions_of(topics: Mapping[TopicName, TopicDescription]) -> list[TopicPartition]:
    """Return every partition of the topics."""
    return [TopicPartition(name, part.partition) for name, topic in topics.items() for part in topic.partitions]


class SourceObserver:
    """Reads one flow's topics on its source. One thread at a time."""

    def __init__(self, flow: Flow, cluster: KafkaCluster, watch: ClusterWatch, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._flow = flow
        self._cluster = cluster
        self._watch = watch
        self._clock = clock
        self._topics: Mapping[TopicName, TopicDescription] = {}
        self._description: ClusterDescription | None = None
        self._count: int | None = None
        self._listed_at: float | None = None
        self._listing_seconds = 0.0

    def observe(self, deadline: Deadline) -> SourceSample:
        """Return one sweep over everything the flow carries, and tell the watch how it went.

        Raises: what the cluster refused or failed with; the watch has been told.
        """
        limit = SWEEP_SECONDS_MAX if self._count is None else sweep_seconds(self._count)
        within = Deadline.after(deadline.capped(limit), clock=self._clock)
        try:
            sample = self._sweep_again_if_changed(within)
        except (AccessDenied, WrongCluster) as error:
            self._listed_at = None
            self._watch.note_denied(str(error))
            raise
        except ReplicatorError as error:
            self._listed_at = None
            self._watch.note_failed_read(str(error))
            raise
        self._watch.note_read(began_at=sample.began_at, description=self._description)
        return sample

    def _sweep_again_if_changed(self, deadline: Deadline) -> SourceSample:
        """Sweep; when a topic has gone since it was listed, list and sweep once more."""
        try:
            return self._sweep(deadline)
        except NotFound:
            self._listed_at = None
            return self._sweep(deadline)

    def _sweep(self, deadline: Deadline) -> SourceSample:
        if self._is_listing_due():
            self._list_topics(deadline)
        began_at = self._clock.now()
        ends = self._cluster.positions.ends(partitions_of(self._topics), deadline)
        return SourceSample(began_at=began_at, ended_at=self._clock.now(), topics=self._topics, ends=ends)

    def _is_listing_due(self) -> bool:
        if self._listed_at is None:
            return True
        return self._clock.monotonic() - self._listed_at >= discovery_period(self._listing_seconds)

    def _list_topics(self, deadline: Deadline) -> None:
        began = self._clock.monotonic()
        self._description = self._cluster.verify_identity(deadline)
        carried = self._carried(self._cluster.topics.names(deadline))
        self._topics = self._cluster.topics.describe(carried, deadline)
        self._count = len(partitions_of(self._topics))
        self._listed_at = self._clock.monotonic()
        self._listing_seconds = self._listed_at - began

    def _carried(self, names: Iterable[TopicName]) -> list[TopicName]:
        return sorted(name for name in names if self._flow.carries_topic(name))
