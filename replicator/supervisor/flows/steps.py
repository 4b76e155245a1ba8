"""The steps of looking at one flow: each asks one cluster, or Connect, and puts what it saw on the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import AccessDenied, ReplicatorError, WrongCluster
from replicator.failover import expected_rto, last_drill, rto_told
from replicator.flow import JournalFacts, MirroredPositions, plan_flow, read_facts
from replicator.journal import Observed, active_cluster, list_operations, open_operation
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition
from replicator.model.observations import CopyHistory, ListedGroup, Reachability, TailCount
from replicator.model.operations import JournalRecord, OperationKind, OperationState
from replicator.model.supervision.status import Restarted, Role
from replicator.supervisor.assemble import FlowWorld, World
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.drift import drift_of
from replicator.supervisor.decide.stall import explain_stall
from replicator.supervisor.decide.status import FlowView
from replicator.supervisor.flows.damage import DamageWatch
from replicator.supervisor.flows.lagfeed import LagFeed
from replicator.supervisor.observe.connectors import ConnectObserver
from replicator.supervisor.observe.groups import GroupsObserver, ListGroups
from replicator.supervisor.observe.source import SourceObserver
from replicator.supervisor.observe.stall import StallProbe
from replicator.supervisor.observe.tails import CountVisible, TailCounter
from replicator.supervisor.observe.translations import TranslationObserver
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import DriftSample, MirroredSample

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
        self.damage = DamageWatch()
        self._stall = StallProbe(self.flow, source=parts.source, target=parts.target, clock=clock)
        self._source = SourceObserver(self.flow, parts.source, self.board.source_watch, clock=clock)
        self._groups = GroupsObserver(
            self.flow,
            parts.source,
            topic_prefix=parts.topic_prefix,
            list_groups=_lister(world, self.flow.source),
            clock=clock,
        )
        self._tails = TailCounter(_counter(world, self.flow.source))
        self._connect = ConnectObserver(self.flow, parts.connect, clock=clock)
        offsets_topic = TopicName(parts.connect_access.offsets_topic)
        self._mirrored = MirroredPositions(parts.target, offsets_topic, self.flow.source_connector)
        self._translations = TranslationObserver(
            self.flow,
            parts.target,
            offsets_topic=offsets_topic,
            list_groups=_lister(world, self.flow.target),
            source=parts.source,
            is_source_answering=self._is_source_answering,
            clock=clock,
        )

    def _is_source_answering(self) -> bool:
        watch = self.board.source_watch
        return watch.observation.reachability is Reachability.REACHABLE and watch.cause is None

    @property
    def copies(self) -> Mapping[TopicName, CopyHistory]:
        """Which part of each copy is of the topic that exists now, by source topic."""
        return self._translations.copies

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

    def translate_groups(self, deadline: Deadline) -> None:
        """Put on the board where the groups would resume if the source were lost now."""
        if self.board.groups is not None:
            self.board.translations = self._translations.observe(self.board.groups, deadline)

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
        """Put on the board what the target's journal says: who is active, what runs, how long the last move took."""
        self.board.put_journal(self.flow.target, self.parts.journal.read(deadline))
        self._judge_journals()

    def read_source_journal(self, deadline: Deadline) -> None:
        """The same of the source's journal: a move back is written there."""
        self.board.put_journal(self.flow.source, self.parts.source_journal.read(deadline))
        self._judge_journals()

    def _judge_journals(self) -> None:
        records = self.board.records()
        operation = open_operation(records, self.flow.name)
        self.board.active = active_cluster(records, self.flow.name)
        self.board.operation_id = None if operation is None else operation.id
        self.board.last_rto_seconds = last_rto(records, self.flow)
        self.board.expected_rto = expected_rto(records, self.flow.name)
        self.board.last_drill_at = last_drill(records, self.flow.name)
        self.board.home_at = last_home(records, self.flow)

    def read_drift(self, deadline: Deadline) -> None:
        """Put on the board how the flow differs from its configuration; nothing while it must not be applied."""
        if self.board.operation_id is not None or self.board.active == self.flow.target:
            self.board.drift = None
            return
        began_at, parts = self._clock.now(), self.parts
        journal = JournalFacts(active=self.board.active, operation_id=None)
        facts = read_facts(self.flow, handles=parts.handles, wiring=parts.wiring, journal=journal, deadline=deadline)
        plan = plan_flow(self.flow, others=parts.all_flows, facts=facts, wiring=parts.wiring)
        self.board.drift = DriftSample(began_at=began_at, drift=drift_of(plan))

    def explain_stall(self, stalled: Sequence[TopicPartition], deadline: Deadline) -> None:
        """Put on the board why these partitions stand still; with none of them, note how it is while all move."""
        board = self.board
        sample, mirrored = board.source, board.mirrored
        known = [] if sample is None else [tp for tp in stalled if tp in sample.ends]
        if not known or sample is None or mirrored is None:
            board.stall_cause = None
            self._stall.note_moving(deadline)
            return
        statuses = board.connect.statuses if board.connect is not None else ()
        connector = next((status for status in statuses if status.name == self.flow.source_connector), None)
        facts = self._stall.observe(
            known,
            sample=sample,
            positions=mirrored.positions,
            connector=connector,
            deadline=deadline,
        )
        board.stall_cause = explain_stall(facts)

    def read_observations(self, deadline: Deadline) -> Observed:
        """Return what the standby remembers, and take it over where we have not looked ourselves."""
        observed = self.parts.observations.read(self.flow.name, deadline)
        if self.flow.source in observed.clusters:
            self.board.source_watch.remember(observed.clusters[self.flow.source])
        self.board.remember(observed)
        self.lag.remember(observed)
        self.damage.remember(observed.topics)
        self._translations.remember(observed)
        return observed

    def view(
        self,
        now: datetime,
        *,
        role: Role,
        connect_cause: str | None,
        recorded_at: datetime | None,
        is_budget_spent: bool = True,
        restarts: Mapping[Restarted, int] = MappingProxyType({}),
    ) -> FlowView:
        """Return everything known of the flow, for the decider. One thread at a time."""
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
            heartbeat_arrived_at=board.heartbeat_arrived_at,
            recorded_at=recorded_at,
            stall_cause=board.stall_cause,
            damage=self.damage.find(board.source, board.mirrored_samples, home_at=board.home_at),
            is_budget_spent=is_budget_spent,
            last_rto_seconds=board.last_rto_seconds,
            drift=board.drift,
            restarts=restarts,
            operation_id=board.operation_id,
            sweep_seconds=0.0 if board.source is None else board.source.took_seconds,
        )

    def close(self) -> None:
        """Let go of what only this flow's steps use."""
        self._mirrored.close()
        self._translations.close()


def last_rto(records: Sequence[JournalRecord], flow: Flow) -> float | None:
    """Return how long the flow's last verified move took; None before the first."""
    operations = [operation for operation in list_operations(records).values() if operation.flow == flow.name]
    for operation in reversed(operations):
        if operation.kind is not OperationKind.DRILL:
            seconds = rto_told(operation.records)
            if seconds is not None:
                return seconds
    return None


def last_home(records: Sequence[JournalRecord], flow: Flow) -> datetime | None:
    """Return when the flow last came home by a failback; None: never."""
    ended = (
        operation.ended_at
        for operation in list_operations(records).values()
        if (operation.flow, operation.kind) == (flow.name, OperationKind.FAILBACK)
        and operation.state in (OperationState.DONE, OperationState.DONE_WITH_EXCEPTIONS)
    )
    return max((moment for moment in ended if moment is not None), default=None)


def _lister(world: World, cluster: ClusterName) -> ListGroups:
    """Return what lists a cluster's groups of every kind; the raw path is loaded and opened at its first use."""
    opened: list[RawClient] = []

    def list_groups(deadline: Deadline) -> Mapping[GroupName, ListedGroup]:
        if not opened:
            opened.append(world.raw(cluster))
        return opened[0].list_groups(deadline)

    return list_groups


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
