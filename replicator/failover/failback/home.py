"""`seed_forward` and `start_forward`: clients are home; the other cluster is the standby again.

Everything the old new active held came home with the difference. So the configured flow reads on from where the
copies at home ended at the cut: nothing travels back, and orphans stay where they are.
"""

from __future__ import annotations

from replicator.connect import ConnectClient
from replicator.errors import OperationHalted
from replicator.failover.access import withdraw_rules
from replicator.failover.engine.runbook import Step
from replicator.failover.failback.owning import require_own
from replicator.failover.failback.reconcile import forward_of
from replicator.failover.failback.reverse import connect_of
from replicator.failover.fences import LIFTED_ITEM, rule_to_row, standing_fences
from replicator.failover.steps.cut import read_cut
from replicator.failover.steps.stop_flow import ask_connect, connector_names
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.journal import merge_records
from replicator.model.acls import EVERYBODY, AclBinding
from replicator.model.connectors import ConnectorState
from replicator.model.names import TopicPartition
from replicator.model.operations import Done, Finding, Ready

SEED_NAME = "seed_forward"
START_NAME = "start_forward"
SEEDED = "seeded"
STARTED = "started"


def home_positions(world: World) -> dict[TopicPartition, int]:
    """Return from where the configured flow reads on: the ends at home when the cut was taken.

    Raises:
        OperationHalted: the operation has no cut.
    """
    cut = read_cut(world.logbook)
    if cut is None:
        raise OperationHalted(
            "the operation has no cut", hint=f"replicator op resume {world.logbook.request.operation_id}"
        )
    return {row.target: row.ends.end for row in cut.partitions if row.ends is not None}


def check_seeded(world: World) -> Finding:
    """Done once the configured flow's positions were set; from then on it may have moved on."""
    if world.log is None:
        return Ready("the configured flow is to read on where the copies at home ended")
    if world.log.fact(SEED_NAME, SEEDED) is None:
        return Ready(f"{len(home_positions(world))} positions of the configured flow are to be set")
    return Done({"partitions": len(home_positions(world))})


def do_seed(world: World) -> None:
    """Take the reverse connectors away, and set the configured flow's positions, journaled before they are."""
    connect, forward = connect_of(world), forward_of(world)
    for name in connector_names(world):
        require_own(connect, name, world)
        connect.delete(name, world.deadline(ACT_SECONDS))
    positions = home_positions(world)
    rows = [[tp.topic, tp.partition, at] for tp, at in sorted(positions.items())]
    world.logbook.add_fact(SEED_NAME, "positions", {"rows": rows})
    world.crashpoint(f"{SEED_NAME}.before_positions")
    west = connect_of(forward)
    source = forward.flow.source_connector
    world.logbook.require_lease()
    west.stop(source, world.deadline(ACT_SECONDS))
    stored = west.positions(source, world.deadline(ACT_SECONDS))
    wanted = {tp: at for tp, at in positions.items() if stored.get(tp, 0) != at}
    world.logbook.require_lease()
    west.set_positions(source, source_alias=forward.flow.source, positions=wanted, deadline=world.deadline(ACT_SECONDS))
    world.logbook.add_fact(SEED_NAME, SEEDED, {"partitions": len(positions)})


def check_started(world: World) -> Finding:
    """Done once the configured flow runs again."""
    if world.log is None:
        return Ready("the configured flow is to run again")
    if world.log.fact(START_NAME, STARTED) is None:
        return Ready(f"{world.flow.source} becomes the standby")
    statuses = ask_connect(forward_of(world))
    status = (statuses or {}).get(forward_of(world).flow.source_connector)
    if status is None or not status.is_wholly(ConnectorState.RUNNING) or not status.tasks:
        return Ready("its connectors are starting")
    return Done({"connectors": sorted(statuses or {})})


def do_start(world: World) -> None:
    """Resume the configured flow. Before that a rule that would deny everybody, MirrorMaker too, is lifted, and what
    applications were given there is taken back: it is a standby again."""
    forward = forward_of(world)
    _lift_for_mirror(world)
    withdraw_rules(world, world.source, world.flow.source, step=START_NAME)
    west: ConnectClient = connect_of(forward)
    for name in connector_names(forward):
        if west.find(name, world.deadline(ACT_SECONDS)) is None:
            continue
        world.logbook.require_lease()
        tasks_min = 1 if name == forward.flow.source_connector else 0
        west.resume(name, world.deadline(READ_SECONDS), tasks_min=tasks_min)
        world.crashpoint(f"{START_NAME}.between_connectors")
    world.logbook.add_fact(START_NAME, STARTED, {"flow": forward.flow.name})


def blanket_rules(world: World) -> tuple[AclBinding, ...]:
    """Return the rules of our fences on the new standby that deny everybody: its flow could not write through them."""
    records = merge_records([world.logbook.all_records, world.peer_records])
    return tuple(rule for rule in standing_fences(records, world.flow.source) if rule.principal == EVERYBODY)


def _lift_for_mirror(world: World) -> None:
    rules = blanket_rules(world)
    if not rules:
        return
    world.logbook.require_lease()
    world.source.acls.delete(rules, world.deadline(ACT_SECONDS))
    body = {"cluster": world.flow.source, "rows": [rule_to_row(rule) for rule in rules]}
    world.logbook.add_fact(START_NAME, LIFTED_ITEM, body)


SEED_FORWARD = Step(
    name=SEED_NAME,
    says="Seed the configured flow: it reads on where the copies at home ended",
    check=check_seeded,
    do=do_seed,
    proof_seconds=ACT_SECONDS,
    kill_points=("before_positions",),
)

START_FORWARD = Step(
    name=START_NAME,
    says="Start the configured flow: the other cluster is the standby again",
    check=check_started,
    do=do_start,
    proof_seconds=READ_SECONDS,
    kill_points=("between_connectors",),
)
