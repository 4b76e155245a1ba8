"""What the steps of a failover act upon: doors, values, the operation's journal, and how long each may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import ConnectClient, StoredConnector, fold_connectors
from replicator.failover.engine.crash import Crashpoint, never_crash
from replicator.failover.engine.logbook import Logbook
from replicator.failover.facts import Survey
from replicator.failover.hooks import HookCommand
from replicator.failover.sources import read_ends_again, read_source
from replicator.flow import FlowWiring, MirroredPositions
from replicator.journal import SESSION_SECONDS, TOPIC_PREFIX, KeptHead, Observations, Observed
from replicator.kafka import KafkaCluster, Record, Tail
from replicator.model.cluster import ClusterAccess
from replicator.model.flow import Flow
from replicator.model.names import FlowName, GroupName, OperationId, TopicName, TopicPartition
from replicator.model.observations import CopyHistory
from replicator.model.operations import JournalRecord
from replicator.model.rights import is_own_group
from replicator.offsets import copies_observed

if TYPE_CHECKING:
    from replicator.failover.groups.moves import GroupMove

ASK_SECONDS = 10.0
"""A cluster that lives answers a question within this."""
ACT_SECONDS = 30.0
"""Stopping, fencing and committing take seconds; more than this means that something does not answer."""
READ_SECONDS = 60.0
"""Reading a whole topic of ours."""
DRAIN_SECONDS = 120.0
"""How long clients may be kept from writing while the flow catches up; then the operation halts."""


class FenceGrade(StrEnum):
    """How the source is kept from taking writes while it answers: by rules of its authorizer, by commands of the
    operator, by the operator's word alone, or not at all."""

    ACL = "acl"
    HOOK = "hook"
    ATTESTED = "attested"
    NONE = "none"


class Override(StrEnum):
    """What an operator may accept by name. Nothing of it is ever implied."""

    SPLIT_BRAIN = "split-brain"
    STALE_GROUPS = "stale-groups"
    LOSS = "loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the operator asked for. `loss_max` None sets no limit; a failback makes the topics of `rebuild` anew.
    `needs_fence`: nobody decides here, so that nothing is cut before a fence of the source is verified."""

    accepted: frozenset[Override] = frozenset()
    loss_max: int | None = None
    rebuild: frozenset[TopicName] = frozenset()
    needs_fence: bool = False

    def accepts(self, override: Override) -> bool:
        """Whether the operator accepted this by name."""
        return override in self.accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The Connect beside the target, as far as Kafka needs to know it. `tasks_max` is what the configuration
    gives a connector; the one that Connect stores may be higher."""

    group_id: str
    offsets_topic: TopicName
    configs_topic: TopicName
    tasks_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose lease and journal an operation uses."""

    supervisor_id: str = "main"
    topic_prefix: str = TOPIC_PREFIX
    session_seconds: float = SESSION_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Fencing:
    """How the source of a move is fenced. `is_asked`: the operator named the grade now; else it is the
    configured one, and gives way to the one an operation was begun with.

    `exempt` principals are ours and MirrorMaker's: no rule denies them. `probe_source` and `probe_target` are the
    clusters as an application logs in; None: nobody to probe as.
    """

    grade: FenceGrade = FenceGrade.ACL
    is_asked: bool = False
    fence_hooks: tuple[HookCommand, ...] = ()
    unfence_hooks: tuple[HookCommand, ...] = ()
    exempt: frozenset[str] = frozenset()
    probe_source: ClusterAccess | None = None
    probe_target: ClusterAccess | None = None


Capture = Callable[[KafkaCluster, tuple[TopicName, ...], tuple[str, ...], Callable[[], None]], str]
"""Captures topics of a cluster as a snapshot under tags, and returns its id. Right before it becomes visible the last
argument is called, which may raise: then none is."""

HasSnapshot = Callable[[str], bool | None]
"""Says whether the store holds a snapshot; None where it does not tell."""


KeepHead = Callable[[KeptHead], None]
"""Keeps the head of a journal's chain where neither cluster can change it."""


@dataclass(slots=True, kw_only=True)
class World:
    """One flow's world. `connect` None or dead is met by fencing through Kafka alone; `log` None is a rehearsal.

    `hooks` run at promote, before the new active is journaled; each must be repeatable. `journaled_as` is the
    name of the configured flow where `flow` is derived from it. `is_planned`: the source lives, and is itself
    asked instead of what was observed of it. `peer_records` are the journal of the source's cluster, as far as
    it could be read. `forward` is the configured flow of a failback, whose own flow runs the other way; `wiring`
    says how MirrorMaker reaches both clusters. Where there is a store, `capture` keeps orphans as a snapshot,
    `has_snapshot` tells whether it is there still, and `keep_head` keeps the end of the journal. `plan_digest` is that
    of the plan which is carried out, where one was given.
    `activates_rules`: a promotion gives applications the rights on the target that they have on the source.
    `takes_over` is the open operation that a failover which begins now goes on in the place of.
    `read_facts` keeps the moves that were read from the journal, each beside the fact it was read from.
    """

    flow: Flow
    source: KafkaCluster
    target: KafkaCluster
    connect: ConnectClient | None
    worker: Worker
    identity: Identity
    choices: Choices = Choices()
    hooks: tuple[HookCommand, ...] = ()
    journaled_as: FlowName | None = None
    is_planned: bool = False
    fencing: Fencing = Fencing()
    peer_records: tuple[JournalRecord, ...] = ()
    forward: World | None = None
    wiring: FlowWiring | None = None
    capture: Capture | None = None
    has_snapshot: HasSnapshot | None = None
    keep_head: KeepHead | None = None
    plan_digest: str | None = None
    activates_rules: bool = True
    takes_over: OperationId | None = None
    log: Logbook | None = None
    clock: Clock = SYSTEM_CLOCK
    crashpoint: Crashpoint = never_crash
    budget: Deadline | None = None
    survey: Survey | None = None
    read_facts: dict[GroupName, tuple[Mapping[str, Any], GroupMove]] = field(default_factory=dict, init=False)
    _observed: Observed | None = field(default=None, init=False)
    _copies: Mapping[TopicName, CopyHistory] | None = field(default=None, init=False)
    _positions: MirroredPositions | None = field(default=None, init=False)
    _stored_tail: Tail | None = field(default=None, init=False)
    _stored: list[Record] = field(default_factory=list, init=False)

    @property
    def logbook(self) -> Logbook:
        """The journal of the operation; a rehearsal has none and runs no act."""
        if self.log is None:
            raise AssertionError("a rehearsal acts on nothing")
        return self.log

    def deadline(self, seconds: float) -> Deadline:
        """Start a budget of `seconds`, within what is left of the whole operation's."""
        left = seconds if self.budget is None else self.budget.capped(seconds)
        return Deadline.after(left, clock=self.clock)

    @contextmanager
    def within(self, seconds: float) -> Iterator[Deadline]:
        """Let every question that is asked inside have no more than what is left of `seconds` in all."""
        before = self.budget
        self.budget = within = self.deadline(seconds)
        try:
            yield within
        finally:
            self.budget = before

    def now(self) -> datetime:
        """Return the wall time."""
        return self.clock.now()

    @property
    def name(self) -> FlowName:
        """The flow's name as the journal has it."""
        return self.journaled_as or self.flow.name

    @property
    def observed(self) -> Observed:
        """What is known of the flow's source: observed before, read once from the target; or, in a planned move,
        as the source itself told when it was asked last."""
        if self._observed is None:
            self._observed = self._look_at_source()
        return self._observed

    def look_again(self) -> Observed:
        """Return what is known of the source, asked anew where it lives."""
        if self.is_planned:
            self._observed = None
        return self.observed

    def look_at_ends(self) -> Observed:
        """Return what is known of the source, its topics and ends asked anew where it lives; its groups are not: asking
        a thousand of them takes seconds in which nobody may write."""
        if self.is_planned and self._observed is not None:
            deadline = self.deadline(READ_SECONDS)
            self._observed = read_ends_again(self.source, self.flow, self._observed, self.clock, deadline)
        return self.observed

    def _look_at_source(self) -> Observed:
        if self.is_planned:
            _ = self.copies  # read while everybody may still write, not between fence and promotion
            return read_source(self.source, self.flow, self.moves_group, self.clock, self.deadline(READ_SECONDS))
        return self._read_observations()

    def _read_observations(self) -> Observed:
        observations = Observations(self.target, self.identity.topic_prefix)
        return observations.read(self.flow.name, self.deadline(READ_SECONDS))

    @property
    def copies(self) -> Mapping[TopicName, CopyHistory]:
        """What was observed of copies whose topic was made anew on either side; read once."""
        if self._copies is None:
            observed = self._read_observations() if self.is_planned else self.observed
            self._copies = copies_observed(observed.topics)
        return self._copies

    def read_mirrored(self) -> dict[TopicPartition, int]:
        """Return how far the flow has mirrored each source partition, as of now: the next offset to mirror."""
        if self._positions is None:
            self._positions = MirroredPositions(self.target, self.worker.offsets_topic, self.flow.source_connector)
        return self._positions.refresh(self.deadline(READ_SECONDS))

    def read_stored_connectors(self) -> dict[str, StoredConnector]:
        """Return the connectors as Connect has stored them on the target, durable and readable without it."""
        if self._stored_tail is None:
            self._stored_tail = self.target.tail([self.worker.configs_topic])
        self._stored += self._stored_tail.poll_to_end(self.deadline(READ_SECONDS))
        return fold_connectors((record.key, record.value) for record in self._stored)

    def close(self) -> None:
        """Let go of what was opened to read; the doors themselves belong to whoever opened them."""
        if self._stored_tail is not None:
            self._stored_tail.close()
            self._stored_tail = None
            self._stored = []
        if self._positions is not None:
            self._positions.close()
            self._positions = None

    def moves_group(self, group: GroupName) -> bool:
        """Whether the flow moves this group: selected, and none of our own."""
        is_own = is_own_group(group, topic_prefix=self.identity.topic_prefix)
        return self.flow.moves_group(group) and not is_own
