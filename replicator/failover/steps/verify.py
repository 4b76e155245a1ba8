"""`verify`: clients can work on the target: a record goes in and comes out, groups stand where they can read on,
and nothing writes the copies any more."""

from __future__ import annotations

from typing import Any

from replicator.errors import OperationFailed, ReplicatorError
from replicator.failover.copies import describe_copies, read_ends
from replicator.failover.engine.runbook import Step
from replicator.failover.fences import probe_topics
from replicator.failover.groups.moves import GroupMove, Outcome, is_inside
from replicator.failover.steps.cut import read_cut
from replicator.failover.steps.groups import current_moves, read_outcomes
from replicator.failover.steps.stop_flow import ask_connect, running_connectors, tell_to_stop
from replicator.failover.tails import count_unmirrored
from replicator.failover.world import ACT_SECONDS, World
from replicator.journal import internal_topic
from replicator.kafka import Outgoing
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, PartitionEnds
from replicator.model.operations import Done, Finding, Ready
from replicator.wire import WriteProbe

NAME = "verify"
ITEM = "verified"
PROBE_RETENTION_MS = 24 * 3600 * 1000
RIGHTS_SECONDS = 5.0
"""Rules that were given just now reach every broker within this."""
UNSTOPPED = "Connect does not answer: the flow is fenced until a worker starts; stop it before one does"


def check_verified(world: World) -> Finding:
    """Done once this operation has journaled what it verified."""
    fact = world.log.fact(NAME, ITEM) if world.log is not None else None
    if fact is None:
        return Ready("a canary, the groups and the connectors are to be checked")
    return Done({"canary_offset": fact["canary_offset"], "findings": fact["findings"]})


def do_verify(world: World) -> None:
    """Journal what was verified; what is not as it should be is a finding, listed as an exception."""
    findings = [
        *_stop_stragglers(world),
        *_check_groups(world),
        *_find_shrunk(world),
        *_find_leaks(world),
        *_find_closed(world),
    ]
    canary_offset = send_canary(world)
    world.crashpoint(f"{NAME}.before_fact")
    body: dict[str, Any] = {"canary_offset": canary_offset, "findings": findings}
    world.logbook.add_fact(NAME, ITEM, body)


def send_canary(world: World) -> int:
    """Return the offset of a record that was produced to our probe topic on the target and read back from it.

    Raises:
        OperationFailed: something else came back.
    """
    return write_probe(world, TopicName(f"{world.identity.topic_prefix}.probe"))


def write_probe(world: World, topic: TopicName) -> int:
    """Return the offset of a record that was produced to the topic, made if it was missing, and read back from it,
    byte for byte. It lies at or past the end that the topic had before: an older one would be somebody else's record.

    Raises:
        OperationFailed: something else came back, or an offset that was taken before the write.
    """
    partition = TopicPartition(topic, 0)
    deadline = world.deadline(ACT_SECONDS)
    brokers = len(world.target.describe(deadline).brokers)
    configs = {"cleanup.policy": "delete", "retention.ms": str(PROBE_RETENTION_MS)}
    world.logbook.require_lease()
    world.target.topics.create([internal_topic(topic, brokers=brokers, configs=configs)], deadline)
    value = f"{world.logbook.request.operation_id} epoch {world.logbook.epoch}".encode()
    world.logbook.require_lease()  # a holder that has taken over has removed the topic, perhaps
    before = world.target.positions.ends([partition], deadline)[partition].end
    world.logbook.require_lease()
    writer = world.target.writer("replicator.probe", acks="all")
    try:
        writer.send(Outgoing(topic, None, value, partition=0))
        offset = writer.flush(deadline)[partition]
    finally:
        writer.close()
    if offset < before:
        raise OperationFailed(
            f"cluster {world.flow.target}: {partition} acked offset {offset}, and ended at {before} before the write",
            hint="a broker has lost what it had acknowledged, or lies: look at its log, and at unclean elections",
        )
    end = world.target.positions.ends([partition], deadline)[partition].end
    if offset + 1 > end:
        raise OperationFailed(f"cluster {world.flow.target}: {partition} ends at {end}, below the acked {offset}")
    read = world.target.read_range(partition, offset, offset + 1, deadline=deadline)
    if [record.value for record in read.records] != [value]:
        raise OperationFailed(
            f"cluster {world.flow.target}: the canary at {partition} offset {offset} reads back otherwise"
        )
    return offset


def _stop_stragglers(world: World) -> list[str]:
    """Stop what runs again: from now on clients write the copies, and MM2 must not."""
    statuses = ask_connect(world)
    stragglers = running_connectors(world, statuses)
    if statuses is None:
        return [UNSTOPPED] if stragglers else []
    for name in stragglers:
        if world.connect is not None:
            tell_to_stop(world.connect, name, world)
    return [
        f"connector {name} ran again and was stopped: what it wrote since is not accounted for" for name in stragglers
    ]


def _find_shrunk(world: World) -> list[str]:
    """Return the copies that end below where they ended at the cut: what was acknowledged there is gone."""
    cut, now = read_cut(world.logbook), read_ends(world)
    before = {} if cut is None else cut.target_ends
    return [
        f"{tp}: ends at {now[tp].end} on {world.flow.target}, below the {found.end} it had at the cut"
        for tp, found in sorted(before.items())
        if tp in now and now[tp].end < found.end
    ]


def _find_leaks(world: World) -> list[str]:
    """Return what was written to a living source after the cut: the fence has leaked it, and only it has it."""
    cut = read_cut(world.logbook)
    if not world.is_planned or cut is None:
        return []
    known = {row.source: row.source_end for row in cut.partitions if row.source_end is not None}
    try:
        world.look_at_ends()
        left = count_unmirrored(world, known)
    except ReplicatorError as error:
        return [f"whether {world.flow.source} was written since the cut is not known: {error.message}"]
    return [
        f"{tp}: {count} records were written to {world.flow.source} after the cut" for tp, count in sorted(left.items())
    ]


def _find_closed(world: World) -> list[str]:
    """Return the topics that an application cannot write on the new active cluster."""
    access = world.fencing.probe_target
    if access is None:
        return []
    topics, deadline = sorted(describe_copies(world)), world.deadline(RIGHTS_SECONDS)
    answers = probe_topics(world, access, topics)
    while any(answer is not WriteProbe.OPEN for answer, _ in answers.values()) and not deadline.is_over:
        world.clock.sleep(0.2)
        answers = probe_topics(world, access, topics)
    return [
        f"topic {topic}: an application cannot write it on {world.flow.target}: {word}"
        for topic, (answer, word) in answers.items()
        if answer is not WriteProbe.OPEN
    ]


def _check_groups(world: World) -> list[str]:
    outcomes = read_outcomes(world)
    moves = {
        n: m for n, m in current_moves(world).items() if n in outcomes and outcomes[n].outcome is Outcome.COMMITTED
    }
    seen = world.target.groups.committed(moves, world.deadline(ACT_SECONDS))
    ends = read_ends(world)
    return [finding for name, move in moves.items() for finding in find_misplaced(name, move, seen[name], ends)]


def find_misplaced(
    name: GroupName, move: GroupMove, seen: GroupObservation, ends: dict[TopicPartition, PartitionEnds]
) -> list[str]:
    """Return what keeps a group from reading on where it was set."""
    findings = []
    for tp in sorted(move.positions):
        position, found = seen.committed.get(tp), ends.get(tp)
        if position is None or found is None:
            findings.append(f"group {name}: {tp}: no position reads back")
        elif not is_inside(position, log_start=found.log_start, end=found.end):
            findings.append(f"group {name}: {tp}: {position} is outside [{found.log_start}, {found.end}]")
    return findings


VERIFY = Step(
    name=NAME,
    says="Verify: a record goes in and out, groups can read on, nothing else writes",
    check=check_verified,
    do=do_verify,
    proof_seconds=0.0,
    kill_points=("before_fact",),
)
