"""Faults that need three brokers a cluster: leaders that die under the flow and under the move, and a leader elected
uncleanly, which takes acknowledged records with it."""

from __future__ import annotations

import threading
from collections import Counter

from replicator.clock import Deadline
from replicator.journal import Journal
from replicator.jvm import ProcessState
from replicator.model.names import TopicPartition
from replicator.model.operations import StepPhase
from replicator.wire import RawClient
from tests.chaos.faults import (
    BEHIND_RECORDS,
    Fault,
    acked_events,
    cut_line_and_kill_source,
    kill_east,
    let_records_pile_up,
    mirrored_events,
    state_of,
)
from tests.chaos.judge import read_all_numbers
from tests.chaos.play import PATIENCE_SECONDS, Play, revive
from tests.chaos.twists import journaled_steps
from tests.lab.stage import wait_until

PAUSE = "REPLICATOR_PAUSE_AT"
UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}
WRITTEN_ALONE = 600
STRUCK = "at-the-commit"


def leader_of(play: Play, tp: TopicPartition, cluster: str = "east") -> int | None:
    """Return which broker leads a partition now."""
    door = play.east if cluster == "east" else play.west
    described = door.topics.describe([tp.topic], Deadline.after(60))[tp.topic]
    return next((part.leader for part in described.partitions if part.partition == tp.partition), None)


def other_leader(play: Play, tp: TopicPartition, first: int | None, cluster: str = "east") -> int | None:
    """Return who leads the partition, if that is another broker."""
    found = leader_of(play, tp, cluster)
    return found if found not in (None, -1, first) else None


def kill_leader(play: Play, tp: TopicPartition, cluster: str = "east") -> str:
    """Kill the broker that leads a partition; return who led it and who does now."""
    first = leader_of(play, tp, cluster)
    play.lab.kill(f"{cluster}/broker-{first}")
    assert state_of(play, f"{cluster}/broker-{first}") is ProcessState.GONE
    second = wait_until(
        lambda: other_leader(play, tp, first, cluster), seconds=PATIENCE_SECONDS, what=f"another leader on {cluster}"
    )
    return f"{tp} led by {cluster}/broker-{first}, gone by SIGKILL, then by broker-{second}"


def change_leaders(play: Play) -> str:
    """Kill a leader under the flow, which goes on with another; lose all of east; a broker of west dies at commit."""
    tp = TopicPartition(play.events, 0)
    told = kill_leader(play, tp)
    play.stop_traffic()
    play.start_traffic()  # an application whose coordinator died with the broker may have given up
    let_records_pile_up(play)
    acked = acked_events(play)
    wait_until(lambda: mirrored_events(play) >= acked, seconds=PATIENCE_SECONDS, what="the flow goes on")
    play.lab.freeze("west/connect")
    let_records_pile_up(play)
    lost = kill_east(play)
    play.lab.thaw("west/connect")
    play.shell.environ[PAUSE] = "commit.after_intent"
    threading.Thread(target=strike_at_commit, args=(play,), daemon=True).start()
    return f"{told}; the flow went on; {lost}"


def strike_at_commit(play: Play) -> None:
    """Wait for the move's commit step, and kill the broker of west that has a group of it and leads a copy."""
    wait_until(lambda: "commit" in journaled_steps(play), seconds=PATIENCE_SECONDS, what="the commit's intent")
    with RawClient(play.lab.west) as raw:
        found = raw.find_coordinators(list(play.traces), deadline=Deadline.after(60))
    coordinators = Counter(broker for _, broker in found.values())
    broker, groups = coordinators.most_common(1)[0]
    led = [tp for n in range(3) if leader_of(play, tp := TopicPartition(play.events, n), "west") == broker]
    play.lab.kill(f"west/broker-{broker}")
    assert state_of(play, f"west/broker-{broker}") is ProcessState.GONE
    for tp in led:
        wait_until(lambda tp=tp: other_leader(play, tp, broker, "west"), seconds=PATIENCE_SECONDS, what="a leader")
    assert not commit_facts(play), "no group was set before the broker died"
    told = f"west/broker-{broker}, coordinator of {groups} of {len(found)} groups and leader of {len(led)} copies"
    (play.folder / STRUCK).write_text(f"at the commit step {told}, gone by SIGKILL before any group was set")


def commit_facts(play: Play) -> list[str]:
    """Return what the commit step of this flow's operations has journaled of groups."""
    records = Journal(play.west).read(Deadline.after(60))
    return [str(r.item) for r in records if r.flow == play.name and r.step == "commit" and r.phase == StepPhase.FACT]


def assert_struck_at_commit(play: Play) -> None:
    """A broker of west was killed while the move stood at its commit step; west is whole again."""
    del play.shell.environ[PAUSE]
    print((play.folder / STRUCK).read_text())
    revive(play.lab, "west")


def elect_uncleanly(play: Play) -> str:
    """Let one broker alone acknowledge records that are mirrored, then let one lead that never had them; lose east."""
    tp = TopicPartition(play.events, 0)
    play.east.topics.alter_configs(play.events, UNCLEAN, Deadline.after(60))
    leader, follower = replicas_of(play, tp)
    play.stop_traffic()
    play.lab.kill(f"east/broker-{follower}")
    wait_until(lambda: in_sync(play, tp) == {leader}, seconds=PATIENCE_SECONDS, what="one replica in sync")
    kept = end_of(play, tp)
    play.write(play.east, events=WRITTEN_ALONE)
    reached = end_of(play, tp)
    assert reached > kept, "the leader alone acknowledged records"
    wait_until(
        lambda: play.acked()[play.events] <= set(read_all_numbers(play.west, play.events)),
        seconds=PATIENCE_SECONDS,
        what="all of it is on west",
    )
    play.lab.kill(f"east/broker-{leader}")
    revive(play.lab, f"east/broker-{follower}")
    wait_until(lambda: leader_of(play, tp) == follower, seconds=PATIENCE_SECONDS, what="an unclean leader")
    revive(play.lab, f"east/broker-{leader}")
    wait_until(lambda: in_sync(play, tp) == {leader, follower}, seconds=PATIENCE_SECONDS, what="both in sync")
    assert end_of(play, tp) == kept, "what the former leader alone had is gone"
    gone = play.acked()[play.events] - set(read_all_numbers(play.east, play.events))
    assert len(gone) >= reached - kept
    play.deleted = {(play.events, number) for number in gone}
    cause = wait_until(
        lambda: told if "truncated" in (told := play.state()[1]) else None,
        seconds=PATIENCE_SECONDS,
        what="it is told",
        told=play.state,
    )
    play.start_traffic()
    let_records_pile_up(play, reached - kept + BEHIND_RECORDS)
    return (
        f"broker-{follower} led uncleanly: {len(gone)} records that broker-{leader} alone had acknowledged, and that "
        f"were mirrored, are gone from east; told: {cause}; {cut_line_and_kill_source(play)}"
    )


def replicas_of(play: Play, tp: TopicPartition) -> tuple[int, int]:
    """Return the leader of a partition of two replicas, and the other."""
    part = play.east.topics.describe([tp.topic], Deadline.after(60))[tp.topic].partitions[tp.partition]
    assert part.leader is not None
    (other,) = set(part.replicas) - {part.leader}
    return part.leader, other


def in_sync(play: Play, tp: TopicPartition) -> set[int]:
    """Return the replicas of a partition that are in sync."""
    return set(play.east.topics.describe([tp.topic], Deadline.after(60))[tp.topic].partitions[tp.partition].in_sync)


def end_of(play: Play, tp: TopicPartition) -> int:
    """Return where a partition of east ends."""
    return play.east.positions.ends([tp], Deadline.after(60))[tp].end


CHANGED_LEADERS = Fault("leaders-changed", change_leaders, statuses=(0, 3), afterwards=assert_struck_at_commit)
UNCLEAN_ELECTION = Fault("unclean-election", elect_uncleanly, statuses=(0, 3), replicas=2)
TRIO = (CHANGED_LEADERS, UNCLEAN_ELECTION)
