"""The faults: each does its harm to a flow under traffic, and returns the proof that the harm was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.errors import ReplicatorError
from replicator.jvm import ProcessState
from replicator.kafka import probe_listeners
from replicator.model.names import TopicPartition
from replicator.model.observations import Reachability
from tests.chaos.play import PATIENCE_SECONDS, Play, revive
from tests.lab.stage import wait_until

BEHIND_RECORDS = 800
WRITTEN_ON_EAST = 300

Strike = Callable[[Play], str]


def nothing_more(_play: Play) -> None:
    """Leave it at that."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its harm, the move that meets it, and what happens afterwards.

    `words` is the command; `statuses` are how it may end. `loses` is whether something must be lost: else nothing may.
    `leaks` is whether the forward flow comes back by itself, with its worker, and mirrors from the old active.
    `is_met_unasked` is whether nobody runs a command: the supervisor must begin the failover by itself. `replicas` is
    how many the events have on east; -1 is the broker's own number.
    """

    name: str
    strike: Strike
    words: tuple[str, ...] = ("failover",)
    statuses: tuple[int, ...] = (0,)
    loses: bool = True
    leaks: bool = False
    is_met_unasked: bool = False
    replicas: int = -1
    afterwards: Callable[[Play], None] = nothing_more
    sections: dict[str, Any] = field(default_factory=dict)


def state_of(play: Play, member: str) -> ProcessState:
    """Return whether a member of the lab runs, is frozen or is gone."""
    return next((one.state for one in play.lab.status() if one.member == member), ProcessState.GONE)


def acked_events(play: Play) -> int:
    """Return how many events are acknowledged by now."""
    return len(play.acked()[play.events])


def let_records_pile_up(play: Play, count: int = BEHIND_RECORDS) -> None:
    """Return once so many more events are acknowledged."""
    before = acked_events(play)
    wait_until(lambda: acked_events(play) >= before + count, seconds=PATIENCE_SECONDS, what=f"{count} more events")


def kill_east(play: Play) -> str:
    """Kill every broker of east under load and prove that its ports refuse."""
    play.lab.kill("east")
    play.stop_traffic()
    play.note_strike()
    assert state_of(play, "east/broker-1") is ProcessState.GONE
    answer = probe_listeners(play.lab.east.bootstrap.split(","))
    assert answer is Reachability.REFUSED
    unknown = sum(len(play.ledger.topics[t].fates) for t in play.topics) - sum(map(len, play.struck.values()))
    return f"every broker gone by SIGKILL, ports refuse; {unknown} records sent and not acknowledged or aborted"


def cut_line_and_kill_source(play: Play) -> str:
    """Freeze the worker until the standby is behind, then kill every broker of east."""
    play.lab.freeze("west/connect")
    let_records_pile_up(play)
    told = kill_east(play)
    play.lab.thaw("west/connect")
    return told


def kill_worker(play: Play) -> str:
    """Kill the worker under load; once records have piled up it starts again, and catches up."""
    play.lab.kill("west/connect")
    assert state_of(play, "west/connect") is ProcessState.GONE
    let_records_pile_up(play)
    behind = acked_events(play) - mirrored_events(play)
    assert behind > 0, "nothing was mirrored meanwhile"
    revive(play.lab, "west/connect")
    acked = acked_events(play)
    wait_until(lambda: mirrored_events(play) >= acked, seconds=PATIENCE_SECONDS, what="the flow goes on")
    play.stop_traffic()
    play.note_strike()
    return f"the worker gone by SIGKILL, {behind} events piled up; started again it went on"


def mirrored_events(play: Play) -> int:
    """Return how far the flow is seen in the events, as a sum of positions."""
    return sum(play.position(TopicPartition(play.events, n)) for n in range(3))


def kill_source_and_worker(play: Play) -> str:
    """Kill every broker of east and the worker beside west, which was frozen before, in one moment."""
    play.lab.freeze("west/connect")
    let_records_pile_up(play)
    play.lab.kill("east", "west/connect")
    told = kill_east(play)
    assert state_of(play, "west/connect") is ProcessState.GONE
    return f"{told}; the worker beside west gone with them"


def freeze_source(play: Play) -> str:
    """Freeze every broker of east; an unforced failover is refused, for who does not refuse may live."""
    play.lab.freeze("west/connect")
    let_records_pile_up(play)
    play.lab.freeze("east")
    play.lab.thaw("west/connect")
    assert state_of(play, "east/broker-1") is ProcessState.FROZEN
    with pytest.raises(ReplicatorError):
        play.east.describe(Deadline.after(3))
    assert probe_listeners(play.lab.east.bootstrap.split(",")) is not Reachability.REFUSED
    play.note_strike()
    refused = play.move("failover", "--confirm", play.name, allowed=(4,))
    assert refused.exit_status == 4
    return "every broker stopped by SIGSTOP: ports accept, nobody answers; without --accept split-brain it is refused"


def wake_source(play: Play) -> None:
    """Let the frozen brokers wake up, and their producers write on."""
    before = sum(map(len, play.acked().values()))
    play.lab.thaw("east")
    play.lab.wait_ready("east", Deadline.after(PATIENCE_SECONDS))
    play.write(play.east, events=WRITTEN_ON_EAST, bookings=3)
    play.stop_traffic()
    assert sum(map(len, play.acked().values())) >= before + WRITTEN_ON_EAST


FAULTS = (
    Fault("source-killed", cut_line_and_kill_source),
    Fault("worker-killed", kill_worker, words=("switchover", "--fence", "attested"), loses=False),
    Fault("both-killed", kill_source_and_worker, statuses=(3,), leaks=True),
    Fault(
        "source-frozen",
        freeze_source,
        words=("failover", "--accept", "split-brain"),
        afterwards=wake_source,
    ),
)
