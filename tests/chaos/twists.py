"""More faults: those in which the supervisors, the standby or the topics themselves are what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from replicator.cli.demo.shell import Shell
from replicator.cli.demo.traffic import number_of
from replicator.clock import Deadline
from replicator.journal import Journal
from replicator.jvm import ProcessState
from replicator.model.names import TopicPartition
from tests.chaos.faults import (
    BEHIND_RECORDS,
    Fault,
    cut_line_and_kill_source,
    kill_east,
    let_records_pile_up,
    state_of,
)
from tests.chaos.play import PATIENCE_SECONDS, Play, revive
from tests.lab.stage import wait_until

GAP_RECORDS = 500
GROWN = 5
GROWN_RECORDS = 100


def let_retention_overtake(play: Play) -> str:
    """Delete records on east that were not mirrored yet, as retention does; then lose east for good."""
    tp = TopicPartition(play.events, 0)
    play.lab.kill("west/connect")
    let_records_pile_up(play, 3 * (BEHIND_RECORDS + GAP_RECORDS))
    position = play.position(tp)
    start = position + GAP_RECORDS
    read = play.east.read_range(tp, 0, start, deadline=Deadline.after(60), records_max=start)
    play.deleted = {(tp.topic, number_of(record)) for record in read.records}
    assert len(play.deleted) == start, "a record at every offset"
    play.east.positions.delete_records({tp: start}, Deadline.after(30))
    assert play.east.positions.ends([tp], Deadline.after(30))[tp].log_start == start > position
    # A broker writes this down once a minute; killed before, it would come back with what it had deleted.
    kept = play.lab.folders.node("east", 1) / "data" / "log-start-offset-checkpoint"
    told = f"{tp.topic} {tp.partition} {start}"
    wait_until(lambda: told in kept.read_text().splitlines(), seconds=PATIENCE_SECONDS, what="the deletion is kept")
    revive(play.lab, "west/connect")
    wait_until(lambda: play.position(tp) > start, seconds=PATIENCE_SECONDS, what="the flow jumped over the gap")
    cause = wait_until(lambda: damage_told(play, tp), seconds=PATIENCE_SECONDS, what="the gap is told", told=play.state)
    return f"{GAP_RECORDS} records deleted before they were mirrored; {cause}; then {kill_east(play)}"


def damage_told(play: Play, tp: TopicPartition) -> str | None:
    """Return the cause of a DEGRADED flow if it names offsets of the partition."""
    state, cause = play.state()
    return cause if state == "DEGRADED" and f"{tp}: offsets " in cause else None


def add_partitions(play: Play) -> str:
    """Give the events more partitions, which the flow has not found when east is lost."""
    play.lab.freeze("west/connect")
    play.east.topics.grow(play.events, partitions=GROWN, deadline=Deadline.after(60))
    play.stop_traffic()
    play.start_traffic()  # applications that know of them from the beginning
    new = [TopicPartition(play.events, number) for number in range(3, GROWN)]

    def is_seen() -> bool:
        seen = play.observed().topics[play.events]
        ends = {part.partition: part.end for part in seen.partitions}
        return all(ends.get(tp.partition, 0) >= GROWN_RECORDS for tp in new)

    wait_until(is_seen, seconds=PATIENCE_SECONDS, what="records in the new partitions, observed")
    held = {
        part.partition for part in play.west.topics.describe([play.events], Deadline.after(30))[play.events].partitions
    }
    assert held == {0, 1, 2}, "the standby has none of the new partitions"
    told = kill_east(play)
    play.lab.thaw("west/connect")
    return f"{len(new)} partitions of {play.events} grown and written, none of them on west; {told}"


def kill_standby_at_commit(play: Play) -> str:
    """Lose east; then lose the standby's broker while the failover is at its commit step, and bring it back."""
    told = cut_line_and_kill_source(play)
    argv = [sys.executable, "-m", "replicator", "failover", play.name, "--confirm", play.name, "--no-input"]
    environ = {**play.shell.environ, "REPLICATOR_PAUSE_AT": "commit.after_intent"}
    with (play.folder / "first.log").open("wb") as log:
        first = subprocess.Popen(argv, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    play.others.append(first)
    wait_until(lambda: "commit" in journaled_steps(play), seconds=PATIENCE_SECONDS, what="the commit's intent")
    assert first.poll() is None, "it stands still, alive"
    play.lab.kill("west")
    assert state_of(play, "west/broker-1") is ProcessState.GONE
    ended = first.wait(timeout=PATIENCE_SECONDS)
    assert ended not in (0, 3), "without its standby no failover is done"
    revive(play.lab, "west")
    wait_until(lambda: play.lab.is_ready("west/connect"), seconds=PATIENCE_SECONDS, what="the worker is back")
    return f"{told}; west's broker gone by SIGKILL at the commit step, the command ended with {ended}; both back"


def journaled_steps(play: Play) -> set[str]:
    """Return the steps of this flow's operations that the journal on west tells of."""
    return {r.step for r in Journal(play.west).read(Deadline.after(30)) if r.flow == play.name}


def run_two_supervisors(play: Play) -> str:
    """Start a second supervisor, freeze the one that leads until the other does, wake it up; then lose east."""
    assert play.supervisor is not None
    folder = play.folder / "second"
    folder.mkdir()
    other = Shell(config=play.folder / "replicator.yaml", folder=folder)
    second = other.spawn("run", log="supervisor.log")
    play.others.append(second)
    wait_until(lambda: roles(play, other) == ["leader", "standby"], seconds=PATIENCE_SECONDS, what="one of two leads")
    os.kill(play.supervisor.pid, signal.SIGSTOP)
    wait_until(lambda: roles(other) == ["leader"], seconds=PATIENCE_SECONDS, what="the second leads")
    os.kill(play.supervisor.pid, signal.SIGCONT)
    wait_until(
        lambda: roles(play, other) == ["standby", "leader"], seconds=PATIENCE_SECONDS, what="the first stands by"
    )
    told = cut_line_and_kill_source(play)
    assert play.supervisor.poll() is second.poll() is None, "both live"
    return f"of two supervisors the leader was frozen, the other led, the frozen one woke up and stood by; {told}"


def roles(*desks: Play | Shell) -> list[str]:
    """Return which part each supervisor says it has."""
    shells = [desk.shell if isinstance(desk, Play) else desk for desk in desks]
    return [role_told(shell) for shell in shells]


def role_told(shell: Shell) -> str:
    """Return the part of one supervisor in its only flow, `none` where it does not answer."""
    answer = shell.run("status", "--timeout", "10s", allowed=(0, 1, 3, 7, 13))
    flows = answer.envelope.get("item", {}).get("flows", []) if answer.envelope else []
    return str(flows[0]["role"]) if flows else "none"


TWISTS = (
    Fault("retention", let_retention_overtake, statuses=(3,)),
    Fault("partitions-added", add_partitions, statuses=(3,)),
    Fault("standby-killed", kill_standby_at_commit, statuses=(0, 3)),
    Fault("two-supervisors", run_two_supervisors),
)
