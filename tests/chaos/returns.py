"""Faults of a source that comes back: as another topic under the same name, or again and again for a moment."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from replicator.clock import Deadline
from replicator.jvm import ProcessState
from replicator.kafka import probe_listeners
from replicator.model.names import ClusterName, TopicPartition
from replicator.model.observations import Reachability
from tests.chaos.faults import (
    Fault,
    acked_events,
    cut_line_and_kill_source,
    let_records_pile_up,
    mirrored_events,
    state_of,
)
from tests.chaos.judge import read_all_numbers
from tests.chaos.play import PATIENCE_SECONDS, Play, revive
from tests.lab.stage import wait_until

NOWHERE = 2**62
"""The offset of a record whose topic is gone: above every position, so that nobody had committed it."""
OUTAGE_SECONDS = 60
FLAPS_MIN, FLAPS_MAX = 4, 20
UNREACHED = (Reachability.REFUSED, Reachability.SILENT)


def recreate_topic(play: Play) -> str:
    """Delete the events and make them again under the same name while the flow runs; then lose east."""
    play.stop_traffic()
    ends = play.east.positions.ends(event_partitions(play), Deadline.after(30)).values()
    written = sum(end.end for end in ends)
    wait_until(lambda: mirrored_events(play) >= written, seconds=PATIENCE_SECONDS, what="all of it is mirrored")
    first = play.east.topics.describe([play.events], Deadline.after(30))[play.events].topic_id
    play.east.topics.delete([play.events], Deadline.after(60))
    wait_until(
        lambda: play.events not in play.east.topics.names(Deadline.after(30)), seconds=60, what="the topic is gone"
    )
    play.east.topics.create([play.event_spec()], Deadline.after(60))
    second = play.east.topics.describe([play.events], Deadline.after(30))[play.events].topic_id
    assert first != second
    former = play.acked()[play.events]
    play.deleted = {(play.events, number) for number in former}
    forget_places(play)
    play.write(play.east, events=300)
    wait_until(
        lambda: set(read_all_numbers(play.west, play.events)) - former,
        seconds=PATIENCE_SECONDS,
        what="records of the new topic on west",
    )
    play.start_traffic()
    let_records_pile_up(play)
    wait_until(
        lambda: "deleted and made again" in play.state()[1],
        seconds=PATIENCE_SECONDS,
        what="it is told",
        told=play.state,
    )
    state, cause = play.state()
    assert state == "DEGRADED"
    return f"{play.events} deleted and made again; told: {cause}; {cut_line_and_kill_source(play)}"


def event_partitions(play: Play) -> list[TopicPartition]:
    """Return the partitions of the events as they were made."""
    return [TopicPartition(play.events, number) for number in range(3)]


def forget_places(play: Play) -> None:
    """Groups lost their places in the events with the topic; what they were handed of it stays handed. The group that
    had none but these is gone."""
    del play.traces[play.group("behind")]
    for trace in play.traces.values():
        for entry, (tp, _) in list(trace.before.items()):
            if tp.topic == play.events:
                trace.before[entry] = (tp, NOWHERE)
        trace.committed = {tp: at for tp, at in trace.committed.items() if tp.topic != play.events}


def flap(play: Play) -> str:
    """Kill or freeze east and bring it back, over and over, for longer in all than an outage must last; then lose it.

    Nothing is begun unasked meanwhile, and the flow goes on after it.
    """
    down_seconds, count = 0.0, 0
    while count < FLAPS_MIN or down_seconds <= OUTAGE_SECONDS:
        assert count < FLAPS_MAX, f"{count} times were {down_seconds:.0f} s in all"
        lasted = vanish_for_a_moment(play, is_killed=count % 2 == 0)
        assert lasted < OUTAGE_SECONDS, "an outage so long is met, and rightly"
        down_seconds, count = down_seconds + lasted, count + 1
    assert operations(play) == [], "nothing was begun unasked"
    assert "failover_begun_unasked" not in (play.folder / "supervisor.log").read_text()
    assert "confirmed" not in phases(play), "none of them lasted long enough"
    play.stop_traffic()
    play.start_traffic()
    let_records_pile_up(play)
    acked = acked_events(play)
    wait_until(lambda: mirrored_events(play) >= acked, seconds=PATIENCE_SECONDS, what="the flow goes on")
    lost = cut_line_and_kill_source(play)
    return (
        f"{count} times gone and back, {down_seconds:.0f} s in all of {OUTAGE_SECONDS} at a time, nothing begun; "
        f"then {lost}; the supervisor began the failover, once"
    )


def vanish_for_a_moment(play: Play, *, is_killed: bool) -> float:
    """Return for how many seconds east was away: seen to be gone, brought back, seen to be back."""
    began = time.monotonic()
    if is_killed:
        play.lab.kill("east")
        assert probe_listeners(play.lab.east.bootstrap.split(",")) is Reachability.REFUSED
    else:
        play.lab.freeze("east")
        assert state_of(play, "east/broker-1") is ProcessState.FROZEN
    wait_until(
        lambda: contact(play) in UNREACHED and phases(play)[-1:] == ["suspected"],
        seconds=OUTAGE_SECONDS,
        what="an outage is suspected",
    )
    revive(play.lab, "east")
    wait_until(lambda: contact(play) is Reachability.REACHABLE, seconds=PATIENCE_SECONDS, what="it is seen to be back")
    return time.monotonic() - began


def contact(play: Play) -> Reachability:
    """Return how the standby last saw east answer."""
    return play.observed().clusters[ClusterName("east")].reachability


def operations(play: Play) -> list[dict[str, Any]]:
    """Return this flow's operations."""
    return [one for one in play.shell.run("op", "list").items if one["flow"] == play.name]


def phases(play: Play) -> list[str]:
    """Return the phases of an outage that the supervisor's log tells, in order."""
    log = (play.folder / "supervisor.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if "outage_phase_changed" in line]
    return [str(line["phase"]) for line in lines]


VOUCHED = (sys.executable, "-c", "raise SystemExit(0)")
"""Stands for the operator's fence and its proof: on this stage it is the test itself that has killed every broker."""
AUTO = {
    "failover": {
        "mode": "auto",
        "outage_seconds": OUTAGE_SECONDS,
        "loss_max": 1_000_000,
        "fence": "hook",
        "hooks": {"fence": [{"argv": VOUCHED, "verify": VOUCHED}]},
    }
}
RETURNS = (
    Fault("topic-recreated", recreate_topic, statuses=(0, 3)),
    Fault("source-flapping", flap, is_met_unasked=True, sections=AUTO),
)
