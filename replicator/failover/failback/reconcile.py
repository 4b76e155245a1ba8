"""`reconcile`: the old active is back; what only it has is known to the record, and nothing mirrors from it.

A forward flow that came back RUNNING is stopped here: MirrorMaker reads no epoch, so nobody else would. What it
mirrored since the cut is counted: those records stand on the new active behind its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from replicator.errors import DeadlineExceeded, ReplicatorError, Unreachable
from replicator.failover.engine.logbook import Logbook
from replicator.failover.engine.runbook import Step
from replicator.failover.facts import CutPartition
from replicator.failover.failback.seams import (
    MOVE,
    NAME,
    REBUILDING_ITEM,
    SEED_STEP,
    Move,
    Seam,
    earlier_orphan_ends,
    find_move,
    orphan_count,
    read_seams,
    seams_to_facts,
)
from replicator.failover.steps.stop_flow import ask_connect, connector_names, running_connectors
from replicator.failover.tails import open_transactions
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.journal import merge_records
from replicator.model.flow import Naming
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.operations import Blocked, Done, Finding, JournalRecord, Ready
from replicator.wire import RawClient, count_visible

LISTED_MAX = 3
SETTLE_SECONDS = 120.0
"""A transaction whose application died hides all that lies behind it until its broker ends it: after the producer's
transaction.timeout.ms, a minute unless set, and the ten seconds between two looks of the broker."""
SETTLE_POLL_SECONDS = 0.5


def check_reconciled(world: World) -> Finding:
    """Done when the seams are journaled, the forward flow stands, and the old active's tail is as it was counted."""
    move = find_last_move(world)
    blocked = find_obstacle(world, move)
    if blocked is not None or move is None:
        return blocked or Blocked("no journal holds the move that is to be taken back", "replicator op list")
    running = running_forward(world)
    if running:
        return Ready(f"{', '.join(running)} runs and is stopped: nothing may mirror from {world.flow.target} now")
    seams = read_seams(world.log) if world.log is not None else None
    if seams is None:
        hidden = open_transactions(_target_ends(world, move.cut.partitions))
        told = f"{len(move.cut.partitions)} partitions to be compared with the cut of {move.operation.id}"
        return Ready(f"{told}, once the transactions that died on {_listed(hidden)} are ended" if hidden else told)
    if world.log is not None and not _has_written_home(world.log):
        grown = _grown(world, seams)
        if grown:
            return Ready(f"{world.flow.target} was written again: {_listed(grown)}")
    leaked = sum(seam.leaked for seam in seams)
    return Done({"of": move.operation.id, "orphans": orphan_count(seams), "leaked": leaked})


def _listed(partitions: list[TopicPartition]) -> str:
    more = f" and {len(partitions) - LISTED_MAX} more" if len(partitions) > LISTED_MAX else ""
    return ", ".join(map(str, partitions[:LISTED_MAX])) + more


def _has_written_home(log: Logbook) -> bool:
    """Whether this operation itself has begun to write the old active: then its ends prove nothing any more."""
    places = (("export_orphans", "mending"), (SEED_STEP, REBUILDING_ITEM), ("start_reverse", "begun"))
    return any(log.fact(step, item) is not None for step, item in places)


def find_last_move(world: World) -> Move | None:
    """Return the operation that made the other cluster active, by both journals."""
    return find_move(known_records(world), world.name, world.flow.source)


def find_obstacle(world: World, move: Move | None) -> Blocked | None:
    """Return why there is no way home by the difference alone; or None."""
    if world.flow.naming is not Naming.IDENTITY:
        return Blocked("only identity naming has a way back: a prefixed copy has another name", "replicator flow list")
    if move is None:
        return Blocked("no journal holds the move that is to be taken back", "replicator op list")
    return _find_broken_seam(world, move)


def _find_broken_seam(world: World, move: Move) -> Blocked | None:
    """Return why some topic has no way home: nothing to rebuild it from, or a broken seam that nobody accepted."""
    wanted = world.choices.rebuild
    held = world.source.topics.describe(wanted, world.deadline(ACT_SECONDS))
    for name in sorted(wanted):
        if name not in held or not world.flow.carries_topic(name):
            why = "the flow does not carry it" if name in held else f"{world.flow.source} does not hold it"
            return Blocked(f"topic {name} cannot be rebuilt: {why}", f"replicator flow show {world.name}")
    broken = {name: why for name, why in broken_seams(world, move).items() if name not in wanted}
    if not broken:
        return None
    name, why = min(broken.items())
    return Blocked(
        f"topic {name}: {why}: its difference cannot be told",
        f"make it anew at home: `replicator failback {world.name} --rebuild {name}`; or leave it out of the flow",
    )


def broken_seams(world: World, move: Move) -> dict[TopicName, str]:
    """Return the topics whose two histories cannot be told apart any more, each with the reason."""
    broken: dict[TopicName, str] = {}
    source = world.source.topics.describe(move.cut.topic_ids, world.deadline(ACT_SECONDS))
    for name, topic_id in move.cut.topic_ids.items():
        if name not in source or source[name].topic_id != topic_id:
            broken[name] = f"was deleted or made anew on {world.flow.source} since the cut"
    ends = _target_ends(world, move.cut.partitions)
    for row in move.cut.partitions:
        found = ends.get(row.source)
        if row.mirrored is not None and (found is None or found.end < row.mirrored):
            holds = "is gone" if found is None else f"ends at {found.end}"
            told = f"{row.source} {holds} on {world.flow.target}; {row.mirrored} is mirrored"
            broken.setdefault(row.source.topic, told)
    return broken


def _target_ends(world: World, rows: tuple[CutPartition, ...]) -> dict[TopicPartition, PartitionEnds]:
    described = world.target.topics.describe(sorted({row.source.topic for row in rows}), world.deadline(ACT_SECONDS))
    partitions = [TopicPartition(name, p.partition) for name, topic in described.items() for p in topic.partitions]
    return world.target.positions.ends(partitions, world.deadline(ACT_SECONDS))


def _grown(world: World, seams: tuple[Seam, ...]) -> list[TopicPartition]:
    """Return the partitions of the old active that end elsewhere than when its orphans were counted."""
    described = world.target.topics.describe(
        sorted({seam.partition.topic for seam in seams}), world.deadline(ACT_SECONDS)
    )
    known = {TopicPartition(name, p.partition) for name, topic in described.items() for p in topic.partitions}
    ends = world.target.positions.ends(sorted(known), world.deadline(ACT_SECONDS))
    return [s.partition for s in seams if s.partition in ends and ends[s.partition].end != s.end]


def running_forward(world: World) -> list[str]:
    """Return the connectors of the configured flow that run, or would as soon as a worker starts."""
    forward = forward_of(world)
    return running_connectors(forward, ask_connect(forward))


def forward_of(world: World) -> World:
    """Return the configured flow's own world; only a failback has one."""
    if world.forward is None:
        raise AssertionError("a failback knows the flow it takes back")
    return world.forward


def do_reconcile(world: World) -> None:
    """Stop the forward flow, then journal what each side has that the other has not."""
    move = find_last_move(world)
    if move is None:
        return
    stop_forward(world)
    await_settled(world, move)
    world.crashpoint(f"{NAME}.before_facts")
    seams = compare(world, move)
    facts = seams_to_facts(seams)
    world.logbook.add_facts(NAME, facts)
    world.crashpoint(f"{NAME}.before_move")
    body = {"operation_id": move.operation.id, "parts": len(facts), "partitions": len(seams)}
    world.logbook.add_fact(NAME, MOVE, body)


def stop_forward(world: World) -> None:
    """Leave no task of the configured flow, and its transactional ids fenced: what it had open is ended.

    Raises:
        Unreachable: a connector is to run as soon as a worker starts, and no worker answers to be told otherwise.
    """
    forward = forward_of(world)
    for name in running_forward(world):
        world.logbook.require_lease()
        if forward.connect is None:
            raise Unreachable(f"connector {name} is to run, and no Connect is configured that could stop it")
        forward.connect.stop(name, world.deadline(ACT_SECONDS))
        world.logbook.require_lease()
        ids = [f"{forward.worker.group_id}-{name}-{n}" for n in range(forward.worker.tasks_max)]
        forward.target.fence_transactional_ids(ids, world.deadline(ACT_SECONDS))


def await_settled(world: World, move: Move) -> None:
    """Return once no transaction is open on the old active: what lies behind one is seen by nobody, and is an orphan.

    Raises:
        DeadlineExceeded: one is open for longer than an application that died leaves it.
    """
    deadline = world.deadline(SETTLE_SECONDS)
    while hidden := open_transactions(_target_ends(world, move.cut.partitions)):
        if deadline.is_over:
            raise DeadlineExceeded(
                f"a transaction is open on {_listed(hidden)} of {world.flow.target}: what is behind it cannot be told",
                hint="stop its producer, or end it with `kafka-transactions.sh abort`; then the same command goes on",
            )
        world.logbook.require_lease()
        world.clock.sleep(SETTLE_POLL_SECONDS)


def compare(world: World, move: Move) -> tuple[Seam, ...]:
    """Return the seam of every partition of the cut: orphans counted on the old active, to the record.

    A topic that is rebuilt because its seam is broken has none.
    """
    broken = broken_seams(world, move)
    mirrored_now = forward_of(world).read_mirrored()
    ends = _target_ends(world, move.cut.partitions)
    stops = earlier_orphan_ends(known_records(world), move.operation.id)
    with RawClient(world.target.access, client_id="replicator-reconcile", clock=world.clock) as raw:
        return tuple(
            _seam(world, raw, row, ends[row.source], mirrored_now, stop=stops.get(row.source))
            for row in move.cut.partitions
            if row.source in ends and row.source.topic not in broken
        )


def known_records(world: World) -> tuple[JournalRecord, ...]:
    """Return the records of both journals, as far as they are known."""
    own = world.log.all_records if world.log is not None else ()
    return merge_records([own, world.peer_records])


def _seam(
    world: World,
    raw: RawClient,
    row: CutPartition,
    ends: PartitionEnds,
    mirrored_now: Mapping[TopicPartition, int],
    *,
    stop: int | None,
) -> Seam:
    orphans_end = ends.end if stop is None else min(stop, ends.end)
    mirrored = row.mirrored if row.mirrored is not None else ends.log_start
    start = max(ends.log_start, mirrored)
    reached = min(ends.last_stable, mirrored_now.get(row.source, mirrored))
    return Seam(
        partition=row.source,
        mirrored=mirrored,
        orphans_end=orphans_end,
        orphans=count_all(world, raw, row.source, start, min(orphans_end, ends.last_stable)),
        end=ends.end,
        seed=0 if row.ends is None else row.ends.end,
        leaked=count_all(world, raw, row.source, start, reached),
    )


def count_all(world: World, raw: RawClient, tp: TopicPartition, start: int, stop: int) -> int:
    """Return how many visible records stand in [start, stop) of the old active."""
    count = 0
    while start < stop:
        found = count_visible(raw, tp, from_offset=start, to_offset=stop, deadline=world.deadline(READ_SECONDS))
        count += found.visible_records
        if found.to_offset <= start:
            break
        start = found.to_offset
    return count


def told_leak(world: World) -> list[str]:
    """Return what a forward flow that came back has mirrored, as an exception in words."""
    try:
        seams = read_seams(world.logbook) or ()
    except ReplicatorError:
        return []
    name = connector_names(forward_of(world))[0]
    leaked = sum(seam.leaked for seam in seams)
    return [f"{name} had come back and mirrored {leaked} records after the cut"] if leaked else []


RECONCILE = Step(
    name=NAME,
    says="Reconcile: find, to the record, what only the old active has; nothing mirrors from it",
    check=check_reconciled,
    do=do_reconcile,
    proof_seconds=ACT_SECONDS,
    kill_points=("before_facts", "before_move"),
)
