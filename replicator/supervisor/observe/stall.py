"""Looks for the reason of a stall: at the target's topics, the source's rules, and by reading what is not mirrored."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import AccessDenied, ReplicatorError
from replicator.kafka import KafkaCluster
from replicator.model.acls import AclBinding
from replicator.model.connectors import ConnectorStatus
from replicator.model.flow import Flow
from replicator.model.lag import FlowLag
from replicator.model.names import TopicName, TopicPartition
from replicator.supervisor.decide.stall import StallFacts
from replicator.supervisor.samples import SourceSample

STALLED_MAX = 50
"""So many stalled partitions are looked at: their causes are few."""
READ_SECONDS_MAX = 2.0
RIGHTS_SECONDS = 60.0
MIN_IN_SYNC = "min.insync.replicas"


def stalled_partitions(lag: FlowLag) -> list[TopicPartition]:
    """Return the partitions that have records to mirror and stand still."""
    found = [one.partition for topic in lag.topics for one in topic.partitions if one.is_stalled]
    return found[:STALLED_MAX]


class StallProbe:
    """Reads what can explain a stall of one flow. One thread at a time."""

    def __init__(self, flow: Flow, *, source: KafkaCluster, target: KafkaCluster, clock: Clock = SYSTEM_CLOCK) -> None:
        self._flow = flow
        self._source = source
        self._target = target
        self._clock = clock
        self._rights_before: tuple[AclBinding, ...] | None = None
        self._noted_at: float | None = None

    def note_moving(self, deadline: Deadline) -> None:
        """Remember the source's rules, once a minute: what differs when the flow stands still explains it best."""
        now = self._clock.monotonic()
        if self._noted_at is None or now - self._noted_at >= RIGHTS_SECONDS:
            self._noted_at = now
            self._rights_before = self._rights(deadline)

    def observe(
        self,
        stalled: Sequence[TopicPartition],
        *,
        sample: SourceSample,
        positions: Mapping[TopicPartition, int],
        connector: ConnectorStatus | None,
        deadline: Deadline,
    ) -> StallFacts:
        """Return what was read. What may not be read is left out, since that alone is no cause.

        Raises: Unreachable, DeadlineExceeded: a cluster fell silent; then the flow is not stalled but unknown.
        """
        remote = sorted({self._flow.remote_topic(tp.topic) for tp in stalled})
        topics = self._target.topics.describe(remote, deadline)
        return StallFacts(
            flow=self._flow,
            stalled=stalled,
            ends=sample.ends,
            positions=positions,
            connector=connector,
            target_topics=topics,
            min_in_sync=self._min_in_sync(sorted(topics), deadline),
            rights=self._rights(deadline),
            rights_before=self._rights_before,
            read_denial=self._read_denial(stalled[0], sample, positions),
        )

    def _min_in_sync(self, topics: Sequence[TopicName], deadline: Deadline) -> dict[TopicName, int]:
        with contextlib.suppress(AccessDenied):
            configs = self._target.topics.configs(topics, deadline)
            told = {name: values[MIN_IN_SYNC].value for name, values in configs.items() if MIN_IN_SYNC in values}
            return {name: int(value) for name, value in told.items() if value is not None}
        return {}

    def _rights(self, deadline: Deadline) -> tuple[AclBinding, ...] | None:
        """Return the source's rules; None where it checks no rights or does not tell us its rules."""
        try:
            rules = self._source.acls.list(deadline)
            return rules if rules or self._source.acls.has_authorizer(deadline) else None
        except ReplicatorError:
            return None

    def _read_denial(
        self, tp: TopicPartition, sample: SourceSample, positions: Mapping[TopicPartition, int]
    ) -> str | None:
        """Return what we are told when reading one record ourselves is refused; None when it is not."""
        ends = sample.ends[tp]
        start = max(positions.get(tp, ends.log_start), ends.log_start)
        within = Deadline.after(READ_SECONDS_MAX, clock=self._clock)
        try:
            self._source.read_range(tp, start, ends.last_stable, deadline=within, records_max=1)
        except AccessDenied as error:
            return error.message
        except ReplicatorError:
            return None
        return None
