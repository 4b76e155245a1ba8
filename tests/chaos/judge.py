"""The ledger's judgement of a play: what the promoted cluster lacks, what it should not have, what each group was
handed twice or never, and what the old active alone has."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from replicator.cli.demo.evidence import observed_positions
from replicator.cli.demo.ledger import GroupTrace, judge_group
from replicator.cli.demo.traffic import number_of, read_all, read_numbers
from replicator.clock import Deadline
from replicator.kafka import KafkaCluster
from replicator.model.names import TopicName, TopicPartition
from tests.chaos.play import KEYS, PATIENCE_SECONDS, Play
from tests.lab.stage import wait_until

POLL_RECORDS = 2_000
Found = Mapping[TopicName, set[int]]


@dataclass(kw_only=True)
class Figures:
    """What one fault came to. `rereads` maps each group to what it was handed twice and what was foretold at most."""

    fault: str
    proof: str
    skipped: int = 0
    ghosts: int = 0
    twice: int = 0
    known_lost: int = 0
    true_lost: int = 0
    possible_lost_max: int | None = None
    rereads: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    late_commits: int = 0
    orphans_told: int | None = None
    orphans_true: int | None = None
    seconds: float = 0.0

    def keep(self) -> None:
        """Print the figures as one line, and add them to the file that REPLICATOR_CHAOS_FIGURES names."""
        line = json.dumps(asdict(self))
        print(line)
        if path := os.environ.get("REPLICATOR_CHAOS_FIGURES"):
            with Path(path).open("a", encoding="utf-8") as out:
                out.write(line + "\n")


def read_all_numbers(cluster: KafkaCluster, topic: TopicName) -> Counter[int]:
    """Return how often each number is visible in a topic."""
    deadline = Deadline.after(PATIENCE_SECONDS)
    described = cluster.topics.describe([topic], deadline)
    found: Counter[int] = Counter()
    for part in described[topic].partitions if topic in described else ():
        found.update(number_of(r) for r in read_all(cluster, TopicPartition(topic, part.partition), deadline))
    return found


def lost(play: Play, acked: Found, found: Found) -> dict[TopicName, set[int]]:
    """Return what was acknowledged and is not there. The table's history may have been compacted: of it the latest of
    each key must be there; what was written live the cleaner leaves alone for an hour."""
    spared = {play.table: set(range(KEYS))}
    return {topic: acked[topic] - found[topic] - spared.get(topic, set()) for topic in play.topics}


def judge_data(play: Play, figures: Figures) -> dict[TopicName, set[int]]:
    """Enter what west lacks of what was acknowledged when the fault struck, and what it has too much."""
    counted = {topic: read_all_numbers(play.west, topic) for topic in play.topics}
    found = {topic: set(numbers) for topic, numbers in counted.items()}
    figures.twice = sum(sum(numbers.values()) - len(numbers) for numbers in counted.values())
    figures.ghosts = sum(len(play.ledger.topics[topic].ghosts(found[topic])) for topic in play.topics)
    figures.true_lost = sum(map(len, lost(play, play.struck, found).values()))
    loss = play.verdict["loss"]
    figures.known_lost, figures.possible_lost_max = loss["known_lost"], loss["possible_lost_max"]
    return found


def judge_groups(play: Play, found: Found, figures: Figures) -> None:
    """Let every group read on west to its end, and enter what it was handed twice or never."""
    observed = observed_positions(play.verdict)
    owed = {topic: {n for n in numbers if (topic, n) not in play.deleted} for topic, numbers in found.items()}
    told = {group["group"]: group for group in play.verdict["groups"]}
    for name, trace in play.traces.items():
        read_to_end(play.west, trace)
        cost = judge_group(trace, owed, observed.get(name, {}))
        figures.skipped += cost.skipped
        figures.late_commits += cost.commits_after_last_observation
        predicted = foretold(told[name]) if name in told else None
        figures.rereads[name.rpartition(".")[2]] = (cost.reread, predicted)


def foretold(group: Mapping[str, Any]) -> int | None:
    """Return how many records a group reads twice at most in the partitions that could be set; None: not told."""
    bounds = [one["reread_records_max"] for one in group["translations"] if one["target_offset"] is not None]
    return None if None in bounds else sum(bounds)


def read_to_end(cluster: KafkaCluster, trace: GroupTrace) -> None:
    """Let a group read on as a member, until it was handed all that lies ahead of where it stands."""
    deadline = Deadline.after(PATIENCE_SECONDS)
    stands = cluster.groups.committed([trace.group], deadline)[trace.group].committed
    ahead = {
        (topic, number)
        for topic in trace.topics
        for tp, offsets in read_numbers(cluster, topic, deadline).items()
        for number, offset in offsets.items()
        if offset >= stands.get(tp, 0)
    }
    with cluster.subscribe(trace.group, trace.topics) as member:
        while ahead:
            deadline.check(f"group {trace.group} was not handed {len(ahead)} records")
            handed = {
                (r.partition.topic, number_of(r)) for r in member.poll(timeout_seconds=0.5, records_max=POLL_RECORDS)
            }
            trace.after |= handed
            ahead -= handed
        member.commit()


def assert_move_kept_its_word(figures: Figures) -> None:
    """Nothing skipped, no ghost, nothing twice, the loss between its bounds, re-reads as foretold."""
    assert figures.skipped == 0, figures
    assert figures.ghosts == 0, figures
    assert figures.twice == 0, figures
    assert figures.known_lost <= figures.true_lost, figures
    assert figures.possible_lost_max is not None, figures
    assert figures.true_lost <= figures.possible_lost_max, figures
    for name, (real, predicted) in figures.rereads.items():
        assert predicted is not None, (name, figures)
        assert real <= predicted, (name, figures)


def judge_home(play: Play, told: Mapping[str, Any], figures: Figures, *, only_east: Mapping[TopicName, int]) -> None:
    """Enter the orphans, told and true; assert that they are the ledger's to the record, and that home has the rest.

    `only_east` are the numbers by topic that east held before the way home and west did not.
    """
    orphans = told["orphans"]
    figures.orphans_told = orphans["records"]
    figures.orphans_true = sum(only_east.values())
    assert figures.orphans_told == figures.orphans_true, (orphans, only_east)


def orphans_kept(play: Play, told: Mapping[str, Any]) -> dict[TopicName, set[int]]:
    """Return the numbers that were put aside in quarantine topics on east, by the topic they are of."""
    kept = {}
    for name in told["orphans"]["topics"]:
        topic = TopicName(name.partition(".orphans.")[0])
        kept[topic] = set(read_all_numbers(play.east, TopicName(name)))
    return kept


def await_settled(play: Play) -> None:
    """Return once no transaction hides anything on east."""

    def is_settled() -> bool:
        parts = play.east.topics.describe(play.topics, Deadline.after(30))
        tps = [TopicPartition(name, p.partition) for name, topic in parts.items() for p in topic.partitions]
        ends = play.east.positions.ends(tps, Deadline.after(30))
        return all(end.last_stable == end.end for end in ends.values())

    wait_until(is_settled, seconds=PATIENCE_SECONDS, what="transactions on east are ended")


def read_table(cluster: KafkaCluster, topic: TopicName) -> dict[bytes, int | None]:
    """Return the number of the latest record of each key, None for a tombstone."""
    deadline = Deadline.after(PATIENCE_SECONDS)
    latest: dict[bytes, int | None] = {}
    for part in cluster.topics.describe([topic], deadline)[topic].partitions:
        for record in read_all(cluster, TopicPartition(topic, part.partition), deadline):
            if record.key is not None:
                latest[record.key] = None if record.value is None else number_of(record)
    return latest
