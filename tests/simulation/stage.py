"""What a seed makes: two clusters with records, copies, groups and rules, a flow between them, and an order.

Every fourth seed is a failback; what it begins with is made by `homeward`, from one of these worlds once it was moved.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from replicator.failover import FenceGrade, Fencing
from replicator.journal.observations import encode_observation, observations_topic
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    Reachability,
    TailCount,
    TopicObservation,
)
from replicator.model.operations import OperationKind
from tests.simulation.brokers import Broker, Group
from tests.simulation.connect import Worker
from tests.simulation.wires import SimClock, Violation

FLOW = Flow(
    name=FlowName("orders"),
    source=ClusterName("east"),
    target=ClusterName("west"),
    topics=Selection(("orders.*",)),
    groups=Selection(("app.*",)),
)
MM2 = "User:mm2"
APP_WRITES_MAX = 4
HOMEWARD_EVERY = 4
ANSWERING_SHARE = 0.3
KINDS = (OperationKind.FAILOVER, OperationKind.SWITCHOVER, OperationKind.DRILL)


def rule(principal: str, kind: ResourceType, name: str, right: Right) -> AclBinding:
    """Return a rule that allows, on a prefix."""
    return AclBinding(
        principal=principal,
        resource_type=kind,
        name=name,
        pattern=PatternType.PREFIXED,
        right=right,
        permission=Permission.ALLOW,
    )


@dataclass(slots=True)
class Start:
    """How the world stood before anybody ordered anything."""

    groups: dict[GroupName, dict[TopicPartition, int]]
    rules: frozenset[tuple[str, AclBinding]]
    states: dict[str, ConnectorState]


@dataclass(slots=True)
class Home:
    """What the old active held when it came back, and where the copies on the new one ended when it took over.

    `orphans` by partition: what is visible behind the last record that was mirrored in time. `own_ends`, `seeds` and
    `mirrored` are the old active's ends, the new one's, and how far it was mirrored, at the cut.
    """

    worker: Worker
    orphans: dict[TopicPartition, list[bytes | None]]
    own_ends: dict[TopicPartition, int]
    seeds: dict[TopicPartition, int]
    mirrored: dict[TopicPartition, int]


@dataclass(slots=True)
class Stage:
    """One seed's world. `truth` is where each group stood on the source when it was last alive; `live` groups have
    members on the target. The operator goes back `aborts_after` so many runs, and begins anew if he `goes_on`.
    Of a failback `flow` is the one that runs home, and `home` what it began with. `is_answering`: the source of a
    failover lives for us; its applications are cut off from it, and split-brain was accepted."""

    kind: OperationKind
    rng: random.Random
    clock: SimClock
    source: Broker
    target: Broker
    worker: Worker
    fencing: Fencing
    partitions: list[TopicPartition]
    truth: dict[GroupName, dict[TopicPartition, int]]
    aborts_after: int | None = None
    mirror_rate: float = 0.25
    goes_on: bool = True
    app_writes: int = 0
    flow: Flow = FLOW
    home: Home | None = None
    live: set[GroupName] = field(default_factory=set)
    rogue_calls: list[int] = field(default_factory=list)
    start: Start = field(default_factory=lambda: Start({}, frozenset(), {}))
    first_record: int = 0
    is_answering: bool = False
    _written: int = 0

    @property
    def is_planned(self) -> bool:
        """Whether the source lives."""
        return self.kind is not OperationKind.FAILOVER

    def write(self, tp: TopicPartition, count: int) -> None:
        """Write records to the source: plain, in transactions, and in some that are aborted."""
        log_id = f"app-{tp}"
        while count > 0:
            size = 1 + self.rng.randrange(min(4, count))
            rows = []
            for _ in range(size):
                self._written += 1
                rows.append((tp, None, f"{tp}-{self.first_record + self._written}".encode()))
            kind = self.rng.random()
            if kind < 0.5:
                for row in rows:
                    self.source.write(*row)
                count -= size
                continue
            generation = self.source.own(log_id)
            self.source.begin(log_id, generation)
            self.source.write_in(log_id, rows)
            if kind < 0.9:
                self.source.end(log_id, is_committed=True)
                count -= size
            else:
                self.source.own(log_id)

    def tick(self) -> None:
        """Let MirrorMaker and the applications do a little."""
        if self.rng.random() < self.mirror_rate:
            self.worker.mirror()
        if self.home is not None:
            self._tick_home(self.home.worker)
        if self.app_writes and self.rng.random() < 0.1 and not self.is_denied():
            self.app_writes -= 1
            self.write(self.rng.choice(self.partitions), 1)

    def _tick_home(self, forward: Worker) -> None:
        self.target.expire(self.clock.seconds)
        if self.rng.random() < self.mirror_rate:
            forward.mirror()
        if forward.is_mirroring and self.worker.is_mirroring and not self.rogue_calls:
            raise Violation("both directions run")

    def is_denied(self) -> bool:
        """Whether a rule of the source keeps the application from writing."""
        denied = {r.name for r in self.source.rules if r.permission is Permission.DENY and r.right is Right.WRITE}
        return {tp.topic for tp in self.partitions} <= denied

    def go_rogue(self, call: int) -> None:
        """Do what nobody should: lift the fence, write to the source, and start the flow again, perhaps."""
        if not self.is_planned:
            return
        self.rogue_calls.append(call)
        self.source.rules = {r for r in self.source.rules if r.permission is not Permission.DENY}
        self.app_writes = 0
        self.write(self.rng.choice(self.partitions), 2)
        if self.rng.random() < 0.5:
            self.worker.tell(self.flow.source_connector, ConnectorState.RUNNING)

    def unmirrored(self) -> dict[TopicPartition, int]:
        """Return how many visible records of the source the target does not have, by partition."""
        found = {tp: len(self.source.log(tp).visible(self.worker.position(tp), 1 << 30)) for tp in self.partitions}
        return {tp: count for tp, count in found.items() if count}

    def standing(self) -> Start:
        """Return how the world stands now, as far as an abort has to restore it."""
        groups = {name: dict(group.committed) for name, group in self.target.groups.items() if name.startswith("app.")}
        states = {**self.worker.states, **(self.home.worker.states if self.home is not None else {})}
        rules = {(cluster.name, rule) for cluster in (self.source, self.target) for rule in cluster.rules}
        return Start(groups, frozenset(rules), states)


def is_homeward(seed: int) -> bool:
    """Whether a seed plays a failback."""
    return seed % HOMEWARD_EVERY == HOMEWARD_EVERY - 1


def make_stage(seed: int) -> Stage:
    """Return the world of a seed, before anything was moved in it."""
    rng = random.Random(seed)
    kind = rng.choices(KINDS, weights=(2, 2, 0 if is_homeward(seed) else 1))[0]
    grade = rng.choice((FenceGrade.ACL, FenceGrade.ATTESTED))
    clock = SimClock()
    source = Broker("east", has_authorizer=grade is FenceGrade.ACL)
    target = Broker("west", has_authorizer=False)
    stage = Stage(
        kind=kind,
        rng=rng,
        clock=clock,
        source=source,
        target=target,
        worker=Worker(FLOW, source, target, rng, clock),
        fencing=Fencing(grade=grade, exempt=frozenset({MM2})),
        partitions=[TopicPartition(TopicName("orders.a"), number) for number in range(rng.choice((1, 2)))],
        truth={},
        aborts_after=rng.choice((None, None, 1, 2)),
        mirror_rate=rng.choice((0.04, 0.25)),
        goes_on=rng.random() < 0.5,
        is_answering=kind is OperationKind.FAILOVER and random.Random(seed + 4).random() < ANSWERING_SHARE,
    )
    if grade is FenceGrade.ACL:
        source.rules = {
            rule("User:app", ResourceType.TOPIC, "orders", Right.WRITE),
            rule(MM2, ResourceType.TOPIC, "orders", Right.READ),
        }
    for cluster in (source, target):
        cluster.create(TopicName("orders.a"), len(stage.partitions))
    _fill(stage)
    stage.start = stage.standing()
    return stage


def _fill(stage: Stage) -> None:
    rng = stage.rng
    for tp in stage.partitions:
        stage.write(tp, 3 + rng.randrange(14))
    while stage.unmirrored():
        stage.worker.mirror()
    _make_groups(stage)
    if rng.random() < 0.2:
        tp = rng.choice(stage.partitions)
        stage.target.log(tp).log_start = rng.randrange(stage.target.log(tp).end)
    for tp in stage.partitions:
        stage.write(tp, rng.randrange(6))
    if stage.is_planned:
        if stage.fencing.grade is FenceGrade.ACL:
            stage.app_writes = rng.randrange(APP_WRITES_MAX)
        return
    _lose_source(stage)


def _make_groups(stage: Stage) -> None:
    rng = stage.rng
    for number in range(1 + rng.randrange(3)):
        name = GroupName(f"app.{number}")
        chosen = rng.sample(stage.partitions, 1 + rng.randrange(len(stage.partitions)))
        at = {tp: rng.randrange(stage.source.log(tp).end + 1) for tp in chosen}
        stage.source.groups[name] = Group(dict(at))
        stage.truth[name] = at
        kind = rng.random()
        if kind < 0.3:
            prior = {tp: rng.randrange(stage.target.log(tp).end + 1) for tp in chosen}
            stage.target.groups[name] = Group(prior, members=1 if kind < 0.1 else 0)
            if kind < 0.1:
                stage.live.add(name)


def _lose_source(stage: Stage) -> None:
    """Observe the source as the supervisor does, let it go on unseen for a while, and let it die."""
    rng, clock = stage.rng, stage.clock
    seen_at = clock.now()
    for _ in range(rng.randrange(3)):
        stage.worker.mirror()
    ends = tuple(stage.source.ends(tp) for tp in stage.partitions)
    positions = {tp.partition: stage.worker.position(tp) for tp in stage.partitions}
    tails = tuple(
        TailCount(
            partition=tp.partition,
            from_offset=positions[tp.partition],
            to_offset=stage.source.log(tp).end,
            visible_records=len(stage.source.log(tp).visible(positions[tp.partition], 1 << 30)),
        )
        for tp in stage.partitions
    )
    unseen = rng.randrange(5)
    seconds = 1.0 + rng.random() * 3
    topic = TopicObservation(
        cluster=FLOW.source,
        topic=TopicName("orders.a"),
        topic_id=stage.source.topics[TopicName("orders.a")].topic_id,
        observed_at=seen_at,
        partitions=ends,
        mirrored_positions=positions,
        tails=tails,
        peak_rate=(unseen + 1) / seconds,
    )
    cluster = ClusterObservation(
        cluster=FLOW.source,
        cluster_id=stage.source.cluster_id,
        reachability=Reachability.REACHABLE,
        observed_at=seen_at,
        last_reached_at=seen_at,
        listeners=("east:9092",),
    )
    groups = [
        GroupObservation(
            cluster=FLOW.source, group=name, state=GroupState.EMPTY, observed_at=seen_at, committed=at, members=0
        )
        for name, at in stage.truth.items()
    ]
    place = TopicPartition(observations_topic(), 0)
    stage.target.create(place.topic, 1)
    for item in (cluster, topic, *groups):
        stage.target.write(place, *encode_observation(FLOW.name, item))
    for _ in range(unseen):
        stage.write(rng.choice(stage.partitions), 1)
    for _ in range(rng.randrange(3)):
        stage.worker.mirror()
    left = sorted(stage.unmirrored())
    if left and rng.random() < 0.4 and not stage.is_answering:
        stage.worker.leave_open(rng.choice(left))
    stage.source.is_down = not stage.is_answering
    clock.seconds += seconds
    if rng.random() < 0.2:
        stage.worker.herder.is_dead = True
