"""The steps of looking at one flow: each asks one cluster, or Connect, and puts what it saw on the board."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import AccessDenied, ReplicatorError, WrongCluster
from replicator.flow import MirroredPositions
from replicator.journal import Observed, active_cluster
from replicator.model.names import ClusterName, TopicName, TopicPartition
from replicator.model.observations import TailCount
from replicator.model.status import Role
from replicator.supervisor.assemble import FlowWorld, World
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.status import FlowView
from replicator.supervisor.flows.lagfeed import LagFeed
from replicator.supervisor.observe.connectors import ConnectObserver
from replicator.supervisor.observe.groups import GroupsObserver
from replicator.supervisor.observe.source import SourceObserver
from replicator.supervisor.observe.tails import CountVisible, TailCounter
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import MirroredSample

if TYPE_CHECKING:
    from replicator.wire import RawClient


class FlowSteps:
    """Looks at one flow. Each step is run by one thread at a time; different steps may run at once."""

    def __init__(self, world: World, parts: FlowWorld, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.flow = parts.flow
        self.parts = parts
        self._clock = clock
        self.board = FlowBoard(
            source_watch=ClusterWatch(parts.source.access, clock=clock),
            target_watch=ClusterWatch(parts.target.access, clock=clock),
        )
        self.lag = LagFeed(self.flow, self.board)
        self._source = SourceObserver(self.flow, parts.source, self.board.source_watch, clock=clock)
        self._groups = GroupsObserver(self.flow, parts.source, topic_prefix=parts.topic_prefix, clock=clock)
        self._tails = TailCounter(_counter(world, self.flow.source))
        self._connect = ConnectObserver(self.flow, parts.connect, clock=clock)
        self._mirrored = MirroredPositions(
            parts.target, TopicName(parts.connect_access.offsets_topic), self.flow.source_connector
        )

    def sweep(self, deadline: Deadline) -> None:
        """Put one sweep over the source on the board."""
        self.board.put_source(self._source.observe(deadline))

    def count_tails(self, deadline: Deadline) -> None:
        """Put on the board what of the source is not mirrored, counted."""
        source, mirrored = self.board.source, self.board.mirrored
        if source is None or mirrored is None:
            return
        try:
            self._tails.observe(source, mirrored, deadline)
        finally:
            self.board.tails = self._tails.tails

    def read_groups(self, deadline: Deadline) -> None:
        """Put on the board where the groups stand on the source."""
        self.board.put_groups(self._groups.observe(deadline))

    def read_mirrored(self, deadline: Deadline) -> None:
        """Put on the board how far the target is, and tell the target's watch how it answers."""
        began_at = self._clock.now()
        watch = self.board.target_watch
        try:
            is_known = watch.observation.cluster_id is not None and watch.cause is None
            description = None if is_known else self.parts.target.verify_identity(deadline)
            positions = self._mirrored.refresh(deadline)
        except (AccessDenied, WrongCluster) as error:
            watch.note_denied(str(error))
            raise
        except ReplicatorError as error:
            watch.note_failed_read(str(error))
            raise
        watch.note_read(began_at=began_at, description=description)
        self.board.put_mirrored(MirroredSample(began_at=began_at, ended_at=self._clock.now(), positions=positions))

    def read_connectors(self, deadline: Deadline) -> None:
        """Put on the board what Connect says."""
        self.board.connect = self._connect.observe(deadline)

    def read_journal(self, deadline: Deadline) -> None:
        """Put on the board which cluster the journal says is active."""
        self.board.active = active_cluster(self.parts.journal.read(deadline), self.flow.name)

    def read_observations(self, deadline: Deadline) -> Observed:
        """Return what the standby remembers, and take it over where we have not looked ourselves."""
        observed = self.parts.observations.read(self.flow.name, deadline)
        if self.flow.source in observed.clusters:
            self.board.source_watch.remember(observed.clusters[self.flow.source])
        self.board.remember(observed.topics, observed.groups)
        return observed

    def view(self, now: datetime, *, role: Role, connect_cause: str | None, recorded_at: datetime | None) -> FlowView:
        """Return everything known of the flow, for the decider."""
        board = self.board
        return FlowView(
            flow=self.flow,
            role=role,
            source=board.source_watch.observation,
            source_cause=board.source_watch.cause,
            target=board.target_watch.observation,
            target_cause=board.target_watch.cause,
            connect=board.connect,
            connect_cause=connect_cause,
            groups=board.groups,
            active=board.active or self.flow.source,
            lag=self.lag.measure(now),
            heartbeat_sent_at=board.heartbeat_sent_at,
            recorded_at=recorded_at,
        )

    def close(self) -> None:
        """Let go of what only this flow's steps use."""
        self._mirrored.close()


def _counter(world: World, cluster: ClusterName) -> CountVisible:
    """Return what counts visible records on a cluster; the raw path is loaded and opened at its first use."""
    opened: list[RawClient] = []

    def count(
        partition: TopicPartition, *, from_offset: int, to_offset: int, deadline: Deadline, max_bytes: int
    ) -> TailCount:
        from replicator.wire import count_visible

        if not opened:
            opened.append(world.raw(cluster))
        return count_visible(
            opened[0], partition, from_offset=from_offset, to_offset=to_offset, deadline=deadline, max_bytes=max_bytes
        )

    return count
