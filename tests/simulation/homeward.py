"""What a failback begins with: clients were moved, worked on the new active, and the old one is back."""

from __future__ import annotations

from replicator.failover import FenceGrade, Fencing, reverse_of
from replicator.model.acls import ResourceType, Right
from replicator.model.names import TopicPartition
from replicator.model.operations import OperationKind
from tests.simulation.connect import Worker
from tests.simulation.stage import APP_WRITES_MAX, FLOW, MM2, Home, Stage, rule

WRITTEN_SINCE_MAX = 12
TRANSACTION_SECONDS = 60.0
"""A transaction whose application died is ended by its broker after so long."""


def turn_round(moved: Stage) -> Stage:
    """Return the world of a failback, made of one in which an operation has just moved the clients."""
    rng, east, west, forward = moved.rng, moved.source, moved.target, moved.worker
    seeds = {tp: west.log(tp).end for tp in moved.partitions}
    mirrored = {tp: forward.position(tp) for tp in moved.partitions}
    grade = rng.choice((FenceGrade.ACL, FenceGrade.ATTESTED))
    if grade is FenceGrade.ACL:
        west.has_authorizer = True
        west.rules |= {rule("User:app", ResourceType.TOPIC, "orders", Right.WRITE)}
    _orphan(moved)
    reverse = reverse_of(FLOW)
    stage = Stage(
        kind=OperationKind.FAILBACK,
        rng=rng,
        clock=moved.clock,
        source=west,
        target=east,
        worker=Worker(reverse, west, east, rng, moved.clock, is_made=False),
        fencing=Fencing(grade=grade, exempt=frozenset({MM2})),
        partitions=moved.partitions,
        truth={},
        aborts_after=rng.choice((None, None, 1, 2)),
        mirror_rate=rng.choice((0.04, 0.25)),
        goes_on=rng.random() < 0.7,
        flow=reverse,
        first_record=1_000_000,
    )
    for tp in moved.partitions:
        stage.write(tp, rng.randrange(WRITTEN_SINCE_MAX))
    _work(stage)
    east.is_down = False
    forward.herder.start_anew()
    if grade is FenceGrade.ACL:
        stage.app_writes = rng.randrange(APP_WRITES_MAX)
    orphans = {tp: _visible_behind(moved, tp, mirrored[tp]) for tp in moved.partitions}
    own_ends = {tp: east.log(tp).end for tp in moved.partitions}
    stage.home = Home(forward, orphans, own_ends, seeds, mirrored)
    stage.start = stage.standing()
    for cluster in (east, west):
        cluster.forget_proofs()
    return stage


def _orphan(moved: Stage) -> None:
    """Let somebody write the old active past its fence, or die there within a transaction."""
    rng, east, tp = moved.rng, moved.source, moved.rng.choice(moved.partitions)
    if moved.is_planned and rng.random() < 0.3:
        moved.write(tp, 1 + rng.randrange(3))
    if rng.random() < 0.3:
        east.begin("app-dead", east.own("app-dead"), expires_at=moved.clock.seconds + TRANSACTION_SECONDS)
        east.write_in("app-dead", [(tp, None, b"never committed")])
        if rng.random() < 0.7:
            moved.write(tp, 1 + rng.randrange(2))


def _visible_behind(moved: Stage, tp: TopicPartition, start: int) -> list[bytes | None]:
    """Return what is visible of the old active from an offset on once nothing is open there."""
    log = moved.source.log(tp)
    rows = [log.entries[at] for at in range(max(start, log.log_start), log.end)]
    is_seen = (not e.is_marker and (e.transaction is None or e.transaction.is_committed is True) for e in rows)
    return [entry.value for entry, seen in zip(rows, is_seen, strict=True) if seen]


def _work(stage: Stage) -> None:
    """Let the groups that resumed on the new active go on there, each so far; some are at home already, live."""
    rng, west, east = stage.rng, stage.source, stage.target
    for name, group in sorted(west.groups.items()):
        if not name.startswith("app.") or not group.committed:
            continue
        group.members = 0
        for tp, at in sorted(group.committed.items()):
            group.committed[tp] = at + rng.randrange(max(1, west.log(tp).end - at + 1))
        stage.truth[name] = dict(group.committed)
        if rng.random() < 0.1 and name in east.groups:
            east.groups[name].members = 1
            stage.live.add(name)
