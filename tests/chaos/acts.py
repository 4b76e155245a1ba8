"""The acts of a play: the fault, the move that meets it, and the way home, each judged by the ledger."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from replicator.clock import Deadline
from replicator.lab import Lab
from replicator.model.names import TopicName
from replicator.model.observations import GroupState
from replicator.supervisor.decide.outlook.outage import AUTOMATIC
from tests.chaos.faults import Fault
from tests.chaos.judge import (
    Figures,
    assert_move_kept_its_word,
    await_settled,
    judge_data,
    judge_groups,
    judge_home,
    orphans_kept,
    read_all_numbers,
    read_table,
    read_to_end,
)
from tests.chaos.play import KEYS, PATIENCE_SECONDS, WRITTEN_ON_WEST, Play, open_play, revive
from tests.lab.stage import wait_until


def play_out(lab: Lab, folder: Path, fault: Fault) -> Figures:
    """Return what a fault came to, the move that met it and the way home having kept their word."""
    began = time.monotonic()
    with open_play(lab, folder, f"chaos-{fault.name}", replicas=fault.replicas, **fault.sections) as play:
        figures = Figures(fault=fault.name, proof=fault.strike(play))
        meet(play, fault, figures)
        fault.afterwards(play)
        go_home(play, fault, figures)
    figures.seconds = round(time.monotonic() - began, 1)
    figures.keep()
    return figures


def meet(play: Play, fault: Fault, figures: Figures) -> None:
    """Run the move that meets the fault, and judge it."""
    if fault.is_met_unasked:
        play.verdict = await_unasked(play)
    else:
        play.verdict = play.move(*fault.words, "--confirm", play.name, allowed=fault.statuses).item
    play.found = judge_data(play, figures)
    judge_groups(play, play.found, figures)
    assert_move_kept_its_word(figures)
    assert (figures.true_lost > 0) is fault.loses, figures


def await_unasked(play: Play) -> dict[str, Any]:
    """Return what the failover tells that the supervisor began by itself; there is no other operation."""

    def begun() -> list[dict[str, Any]]:
        return [one for one in play.shell.run("op", "list").items if one["flow"] == play.name]

    wait_until(begun, seconds=PATIENCE_SECONDS, what="a failover that nobody ordered")
    (operation,) = begun()
    shown = wait_until(
        lambda: told if (told := play.shell.run("op", "show", operation["id"]).item)["ended_at"] else None,
        seconds=2 * PATIENCE_SECONDS,
        what="its end",
    )
    assert shown["actor"].startswith(AUTOMATIC)
    assert shown["kind"] == "failover"
    return shown


LEAK = re.compile(r"had come back and mirrored (\d+) records after the cut")


def go_home(play: Play, fault: Fault, figures: Figures) -> None:
    """Write on west, bring east back, fail back, and judge what came home and what was put aside."""
    before = play.acked()
    play.write(play.west, events=WRITTEN_ON_WEST, bookings=6)
    written = {topic: numbers - before[topic] for topic, numbers in play.acked().items()}
    for target in ("east", "west/connect", "east/connect"):
        revive(play.lab, target)
    await_settled(play)
    wait_until(lambda: are_empty(play), seconds=PATIENCE_SECONDS, what="east misses its last member")
    only_east = what_only_east_has(play)
    told = play.move("failback", "--confirm", play.name, "--fence", "attested", allowed=(0, 3)).item
    (play.folder / "failback.json").write_text(json.dumps(told, indent=2))
    leaked = leaked_records(told)
    assert (leaked > 0, len(told["exceptions"])) == (fault.leaks, int(fault.leaks)), told["exceptions"]
    judge_orphans(play, told, figures, only_east)
    judge_what_came(play, written, leaked=leaked)


def leaked_records(told: dict[str, Any]) -> int:
    """Return how many records a forward flow that had come back mirrored, as the report tells."""
    return sum(int(found[1]) for line in told["exceptions"] if (found := LEAK.search(line)))


def are_empty(play: Play) -> bool:
    """Whether no group has a member left on east."""
    seen = play.east.groups.committed(list(play.traces), Deadline.after(30))
    return all(group.state is not GroupState.ACTIVE for group in seen.values())


def what_only_east_has(play: Play) -> dict[TopicName, set[int]]:
    """Return the numbers visible on east that west did not have when the move was judged; none of them was aborted."""
    found = {topic: set(read_all_numbers(play.east, topic)) - play.found[topic] for topic in play.topics}
    for topic, numbers in found.items():
        assert not play.ledger.topics[topic].ghosts(numbers)
    # The cleaners of the two clusters do not keep step: which of the table's history is gone tells nothing.
    found[play.table] -= set(range(2 * KEYS))
    return found


def judge_orphans(play: Play, told: dict[str, Any], figures: Figures, only_east: dict[TopicName, set[int]]) -> None:
    """Told, kept and true orphans are the same, to the record."""
    judge_home(play, told, figures, only_east={topic: len(numbers) for topic, numbers in only_east.items()})
    kept = orphans_kept(play, told)
    assert kept == {topic: numbers for topic, numbers in only_east.items() if numbers}


def judge_what_came(play: Play, written: dict[TopicName, set[int]], *, leaked: int) -> None:
    """All that west has is on east, save what east itself had deleted; and once, save what had leaked to west and came
    home a second time. The table is the same on both; each group is handed what was written."""
    twice = 0
    for topic in (play.events, play.bookings):
        home = read_all_numbers(play.east, topic)
        deleted = {number for name, number in play.deleted if name == topic}
        missing = set(read_all_numbers(play.west, topic)) - deleted - set(home)
        assert not missing, f"{len(missing)} records of {topic} did not come home"
        twice += sum(home.values()) - len(home)
    assert twice <= leaked
    assert latest(play, "east") == latest(play, "west")
    for trace in play.traces.values():
        trace.after.clear()
        read_to_end(play.east, trace)
        missing = {(topic, number) for topic in trace.topics for number in written[topic]} - trace.after
        assert not missing, f"{trace.group} skips {len(missing)} on the way home"


def latest(play: Play, cluster: str) -> dict[bytes, int]:
    """Return the number of each key's latest record in the table, tombstones left out."""
    door = play.east if cluster == "east" else play.west
    return {key: number for key, number in read_table(door, play.table).items() if number is not None}
