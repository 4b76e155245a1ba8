"""`seed_reverse` and `start_reverse`: the way home mirrors the difference and nothing else.

The reverse flow is made STOPPED and its positions are set to where the copies ended at the cut; resumed, it
reads on from there. What an earlier try has brought home already it does not bring again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from replicator.connect import ConnectClient
from replicator.errors import PreflightBlocked, ReplicatorError, Unreachable
from replicator.failover.engine.runbook import Step
from replicator.failover.failback.owning import require_own
from replicator.failover.failback.rebuilding import (
    delete_rebuilt,
    is_rebuilt,
    note_rebuilt,
    sizes_of_rebuilt,
    tell_rebuild,
)
from replicator.failover.failback.reconcile import find_last_move, known_records
from replicator.failover.failback.seams import (
    SEED_STEP,
    SEEDS_ITEM,
    Seam,
    earlier_bases,
    read_seams,
    rebuilt_topics,
    seeds_of,
)
from replicator.failover.steps.stop_flow import ask_connect, connector_names, running_connectors
from replicator.failover.tails import count_records, source_ends
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.flow import DesiredFlow, desired_flow, read_cluster, travelling_topics
from replicator.flow.planning.facts import ClusterFacts, FlowWiring
from replicator.model.connectors import ConnectorState
from replicator.model.names import TopicName, TopicPartition
from replicator.model.operations import Blocked, Done, Finding, Ready

SEED_NAME = SEED_STEP
START_NAME = "start_reverse"
SEEDS = SEEDS_ITEM
BEGUN = "begun"
CATCH_UP_SECONDS = 3600.0
"""Bringing the difference home takes as long as it takes; clients are not kept from writing meanwhile."""


def check_seeded(world: World) -> Finding:
    """Done when the reverse connectors exist and stand where the difference begins; once begun they move on."""
    if world.log is not None and world.log.fact(START_NAME, BEGUN) is not None:
        return Done({"begun": True})
    connect = connect_of(world)
    try:
        connect.worker(world.deadline(ACT_SECONDS))
    except Unreachable:
        return Blocked(
            f"the Connect beside {world.flow.target} does not answer ({connect.url}): the way home needs one",
            f"start it, then the same command goes on; its url is connect.{world.flow.target}.url",
        )
    seams = read_seams(world.log) if world.log is not None else None
    if seams is None or world.log is None or world.log.fact(SEED_NAME, SEEDS) is None:
        return Ready(f"flow {world.flow.name} is to be made STOPPED, its positions at the cut")
    statuses = ask_connect(world)
    if statuses is None or set(statuses) != set(connector_names(world)):
        return Ready("its connectors are to be made")
    stored = connect.positions(world.flow.source_connector, world.deadline(ACT_SECONDS))
    if not is_rebuilt(world):
        return Ready(f"topics are to be made anew: {', '.join(sorted(world.choices.rebuild))}")
    behind = [tp for tp, at in _wanted(world, seams, stored).items() if stored.get(tp, 0) != at]
    if behind:
        return Ready(f"{len(behind)} positions are to be set")
    return Done({"partitions": len(seams)})


def connect_of(world: World) -> ConnectClient:
    """Return the Connect beside the flow's target.

    Raises:
        PreflightBlocked: none is configured.
    """
    if world.connect is None:
        raise PreflightBlocked(
            f"no Connect is configured beside {world.flow.target}",
            hint=f"set connect.{world.flow.target}, then the same command goes on",
        )
    return world.connect


def do_seed(world: World) -> None:
    """Make topics and connectors that are missing, STOPPED, and set every position, journaled before it is set."""
    connect, flow = connect_of(world), world.flow
    desired = _desired(world)
    delete_rebuilt(world)
    world.crashpoint(f"{SEED_NAME}.before_topics")
    _make_topics(world, desired)
    note_rebuilt(world)
    for name, config in desired.connectors.items():
        _make_connector(world, connect, name, config)
        world.crashpoint(f"{SEED_NAME}.between_connectors")
    stored = connect.positions(flow.source_connector, world.deadline(ACT_SECONDS))
    seams = _homeward(world, read_seams(world.logbook) or ())
    seeds = seeds_of(seams, stored)
    ends = world.target.positions.ends(sorted(seeds), world.deadline(ACT_SECONDS))
    rows = [[tp.topic, tp.partition, at, ends[tp].end] for tp, at in sorted(seeds.items())]
    if world.logbook.fact(SEED_NAME, SEEDS) is None:
        world.logbook.add_fact(SEED_NAME, SEEDS, {"rows": rows})
    world.crashpoint(f"{SEED_NAME}.before_positions")
    wanted = {tp: at for tp, at in _wanted(world, seams, stored).items() if stored.get(tp, 0) != at}
    require_own(connect, flow.source_connector, world)
    connect.set_positions(
        flow.source_connector, source_alias=flow.source, positions=wanted, deadline=world.deadline(ACT_SECONDS)
    )


def _homeward(world: World, seams: tuple[Seam, ...]) -> tuple[Seam, ...]:
    """Return the seams of the topics of which the difference alone goes home."""
    return tuple(seam for seam in seams if seam.partition.topic not in world.choices.rebuild)


def _wanted(world: World, seams: tuple[Seam, ...], stored: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return where the reverse flow has to read on; a topic that goes home whole is read from its beginning."""
    whole = dict.fromkeys((tp for tp in stored if tp.topic in world.choices.rebuild), 0)
    return {**whole, **seeds_of(_homeward(world, seams), stored)}


def foresee_seed(world: World) -> str:
    """Return what is to be made, and what a rebuild moves: bytes and time."""
    told = f"flow {world.flow.name} is to be made STOPPED, its positions at the cut"
    sizes = sizes_of_rebuilt(world)
    return f"{told}; {tell_rebuild(sizes)}" if sizes else told


def first_bases(world: World) -> dict[TopicPartition, tuple[int, int]]:
    """Return, by partition, the source offset from which the reverse flow read first, and the target's end then."""
    move = find_last_move(world)
    if move is None:
        return {}
    records = known_records(world)
    whole = rebuilt_topics(records, move.operation.id)
    return {tp: base for tp, base in earlier_bases(records, move.operation.id).items() if tp.topic not in whole}


def _desired(world: World) -> DesiredFlow:
    if world.wiring is None:
        raise PreflightBlocked("a failback knows how MirrorMaker reaches both clusters", hint="replicator failback")
    return _desired_of(world, replace(world.wiring, epoch=world.logbook.epoch))


def _desired_of(world: World, wiring: FlowWiring) -> DesiredFlow:
    deadline = world.deadline(READ_SECONDS)
    source, target = read_cluster(world.source, deadline), read_cluster(world.target, deadline)
    names = sorted(travelling_topics(world.flow, source.topics))
    configs = world.source.topics.configs([name for name in names if name in source.topics], deadline)
    seen = ClusterFacts(cluster_id=source.cluster_id, brokers=source.brokers, topics=source.topics, configs=configs)
    return desired_flow(world.flow, wiring=wiring, source=seen, target=target)


def _make_topics(world: World, desired: DesiredFlow) -> None:
    """Leave every topic there that the flow writes; one that exists is only given partitions it lacks."""
    deadline = world.deadline(READ_SECONDS)
    specs = [*desired.internal_topics.values(), *(remote.spec for remote in desired.remote_topics.values())]
    described = world.target.topics.describe([spec.name for spec in specs], deadline)
    world.target.topics.create([spec for spec in specs if spec.name not in described], deadline)
    for spec in specs:
        if spec.name in described and len(described[spec.name].partitions) < spec.partitions:
            world.logbook.require_lease()
            world.target.topics.grow(spec.name, partitions=spec.partitions, deadline=deadline)
    on_source = world.source.topics.describe(list(desired.source_topics), deadline)
    missing = [spec for name, spec in desired.source_topics.items() if name not in on_source]
    world.source.topics.create(missing, deadline)


def _make_connector(world: World, connect: ConnectClient, name: str, config: Mapping[str, str]) -> None:
    """Leave the connector STOPPED with this configuration, whatever an earlier failback left of it."""
    found = connect.find(name, world.deadline(ACT_SECONDS))
    require_own(connect, name, world)
    if found is None:
        connect.create(name, config, deadline=world.deadline(ACT_SECONDS))
        require_own(connect, name, world)
        return
    connect.stop(name, world.deadline(ACT_SECONDS))
    if dict(found.config) != dict(config):
        require_own(connect, name, world)
        connect.configure(name, config, world.deadline(ACT_SECONDS))
        require_own(connect, name, world)
        connect.stop(name, world.deadline(ACT_SECONDS))


def undo_seed(world: World) -> None:
    """Leave no reverse connector. Its stored positions stay: what came home is not brought again by another try."""
    connect = connect_of(world)
    for name in connector_names(world):
        require_own(connect, name, world)
        connect.delete(name, world.deadline(ACT_SECONDS))


def check_started(world: World) -> Finding:
    """Done once the reverse flow has mirrored all that the new active held when it was started."""
    begun = world.log.fact(START_NAME, BEGUN) if world.log is not None else None
    if begun is None:
        return Ready("the reverse flow is to mirror the difference")
    if world.log is not None and world.log.fact("fence_source", "fenced") is not None:
        return Done({"caught_up": True})
    statuses = ask_connect(world)
    status = (statuses or {}).get(world.flow.source_connector)
    if status is None or status.is_stopped:
        return Ready("its connectors are to be resumed")
    failure = status.first_failure()
    if failure is not None:
        return Blocked(f"connector {world.flow.source_connector} failed: {failure}", "mend its cause; the same command")
    left = _left_of(world, begun)
    if left or not status.is_wholly(ConnectorState.RUNNING):
        return Ready(f"{left} offsets or fewer are still to be mirrored")
    return Done({"caught_up": True, "ends": len(begun["rows"])})


def _left_of(world: World, begun: Mapping[str, list[list[str | int]]]) -> int:
    """Return how many offsets of what was there at the start are not mirrored, trailing markers left out."""
    mirrored, ends = world.read_mirrored(), source_ends(world)
    left = 0
    for topic, number, end in begun["rows"]:
        tp = TopicPartition(TopicName(str(topic)), int(number))
        start = max(mirrored.get(tp, 0), ends[tp].log_start if tp in ends else 0)
        if start < int(end) and count_records(world, tp, start, int(end), records_max=1):
            left += int(end) - start
    return left


def do_start(world: World) -> None:
    """Resume the reverse connectors, having journaled where the new active ended before."""
    connect = connect_of(world)
    if world.logbook.fact(START_NAME, BEGUN) is None:
        world.look_again()
        rows = [[tp.topic, tp.partition, ends.end] for tp, ends in sorted(source_ends(world).items())]
        world.logbook.add_fact(START_NAME, BEGUN, {"rows": rows})
    world.crashpoint(f"{START_NAME}.before_resume")
    for name in connector_names(world):
        require_own(connect, name, world)
        connect.resume(name, world.deadline(READ_SECONDS), tasks_min=1 if name == world.flow.source_connector else 0)


def undo_start(world: World) -> None:
    """Leave the reverse connectors STOPPED."""
    try:
        running = running_connectors(world, ask_connect(world))
    except ReplicatorError:
        running = list(connector_names(world))
    connect = connect_of(world)
    for name in running:
        require_own(connect, name, world)
        connect.stop(name, world.deadline(ACT_SECONDS))


SEED_REVERSE = Step(
    name=SEED_NAME,
    says="Seed the reverse flow: made STOPPED, its positions where the copies ended at the cut",
    check=check_seeded,
    do=do_seed,
    undo=undo_seed,
    foresee=foresee_seed,
    proof_seconds=ACT_SECONDS,
    kill_points=("before_topics", "between_connectors", "before_positions"),
)

START_REVERSE = Step(
    name=START_NAME,
    says="Start the reverse flow: only the difference moves; clients write on meanwhile",
    check=check_started,
    do=do_start,
    undo=undo_start,
    lays_ground=True,
    proof_seconds=CATCH_UP_SECONDS,
    kill_points=("before_resume",),
)
