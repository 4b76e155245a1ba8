"""Where the two histories part: one row a partition, from the cut of the move that made the other cluster active.

    old active    ────────────┤ mirrored ├── orphans ──┤ end
    new active    ────────────┤ seed (end of the copy at the cut) ├── delta ──→

Names are alike on both sides: only identity naming has a way back. Values only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from replicator.failover.engine.logbook import Logbook
from replicator.failover.facts import Cut, cut_from_facts
from replicator.journal import ACTIVE_ITEM, PROMOTE_STEP, facts_of, list_operations
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.operations import JournalRecord, Operation, StepPhase

NAME = "reconcile"
MOVE = "move"
PART_PREFIX = "part:"
SEED_STEP = "seed_reverse"
SEEDS_ITEM = "seeds"
REBUILDING_ITEM = "rebuilding"
REBUILT_ITEM = "rebuilt"
ROWS_PER_PART = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """One partition. `mirrored`, `orphans_end` and `end` are offsets of the old active, `seed` of the new one.

    `orphans` counts the visible records in [mirrored, orphans_end), `leaked` those of them that a forward flow
    which came back has mirrored after the cut; `end` is above `orphans_end` once an earlier try brought home
    a part of the difference.
    """

    partition: TopicPartition
    mirrored: int
    orphans_end: int
    orphans: int
    seed: int
    end: int
    leaked: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """The operation that made a cluster active, and its cut."""

    operation: Operation
    cut: Cut


def reverse_of(flow: Flow) -> Flow:
    """Return the flow that brings the difference home; its connectors have a name of their own."""
    return replace(flow, name=FlowName(f"{flow.name}.reverse"), source=flow.target, target=flow.source)


def find_move(records: Sequence[JournalRecord], flow: FlowName, active: ClusterName) -> Move | None:
    """Return the newest operation that made `active` the flow's active cluster; None where no journal holds it."""
    promoted = [
        r.operation_id
        for r in records
        if r.flow == flow
        and r.step == PROMOTE_STEP
        and r.phase == StepPhase.FACT
        and r.item == ACTIVE_ITEM
        and r.body.get("cluster") == active
    ]
    operation = list_operations(records).get(promoted[-1]) if promoted else None
    if operation is None:
        return None
    cut = cut_from_facts(facts_of(operation.records, "cut"))
    return None if cut is None else Move(operation, cut)


def seams_to_facts(seams: Sequence[Seam]) -> dict[str, dict[str, Any]]:
    """Return the seams as facts of the journal, some thousand rows to a fact."""
    rows = [
        [s.partition.topic, s.partition.partition, s.mirrored, s.orphans_end, s.orphans, s.seed, s.end, s.leaked]
        for s in seams
    ]
    parts = [rows[start : start + ROWS_PER_PART] for start in range(0, len(rows), ROWS_PER_PART)]
    return {f"{PART_PREFIX}{number}": {"rows": part} for number, part in enumerate(parts)}


def read_seams(log: Logbook) -> tuple[Seam, ...] | None:
    """Return the seams that this operation has journaled; None before it has, or where only a part of them is there."""
    facts = log.facts(NAME)
    move = facts.get(MOVE)
    if move is None:
        return None
    parts = [facts.get(f"{PART_PREFIX}{number}", {"rows": []})["rows"] for number in range(move["parts"])]
    seams = tuple(_from_row(row) for part in parts for row in part)
    return seams if len(seams) == move["partitions"] else None


def _from_row(row: Sequence[Any]) -> Seam:
    topic, number, mirrored, orphans_end, orphans, seed, end, leaked = row
    return Seam(
        partition=TopicPartition(TopicName(topic), number),
        mirrored=mirrored,
        orphans_end=orphans_end,
        orphans=orphans,
        seed=seed,
        end=end,
        leaked=leaked,
    )


def earlier_bases(records: Sequence[JournalRecord], operation_id: str) -> dict[TopicPartition, tuple[int, int]]:
    """Return where the first failback of this move began to write: source offset, and the target's end then.

    Empty before any has. What a later try seeds lies behind what the first one brought home.
    """
    first = _first_seeding(records, operation_id)
    rows = () if first is None else first.body["rows"]
    return {TopicPartition(TopicName(row[0]), row[1]): (row[2], row[3]) for row in rows}


def earlier_orphan_ends(records: Sequence[JournalRecord], operation_id: str) -> dict[TopicPartition, int]:
    """Return where the orphans of this move end, as the first failback that wrote home has found them."""
    first = _first_seeding(records, operation_id)
    if first is None:
        return {}
    own = [r for r in records if r.operation_id == first.operation_id and r.step == NAME]
    rows = [row for r in own if (r.item or "").startswith(PART_PREFIX) for row in r.body["rows"]]
    return {TopicPartition(TopicName(row[0]), row[1]): row[3] for row in rows}


def _first_seeding(records: Sequence[JournalRecord], operation_id: str) -> JournalRecord | None:
    """Return the record in which the first failback of this move fixed where its flow begins."""
    of_move = {
        r.operation_id
        for r in records
        if r.step == NAME and r.item == MOVE and r.body.get("operation_id") == operation_id
    }
    seeded = (r for r in records if r.step == SEED_STEP and r.item == SEEDS_ITEM and r.operation_id in of_move)
    return next(seeded, None)


def rebuilt_topics(records: Sequence[JournalRecord], operation_id: str) -> frozenset[TopicName]:
    """Return the topics that a failback of this move has made anew: none of their old offsets means anything."""
    of_move = {
        r.operation_id
        for r in records
        if r.step == NAME and r.item == MOVE and r.body.get("operation_id") == operation_id
    }
    told = [
        r.body["topics"]
        for r in records
        if r.step == SEED_STEP and r.item == REBUILDING_ITEM and r.operation_id in of_move
    ]
    return frozenset(TopicName(name) for names in told for name in names)


def orphan_count(seams: Iterable[Seam]) -> int:
    """Return how many records only the old active has."""
    return sum(seam.orphans for seam in seams)


def seeds_of(seams: Iterable[Seam], stored: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return where the reverse flow has to read on: where the copies ended at the cut, or further on, where an
    earlier try has brought the difference home already."""
    return {seam.partition: max(seam.seed, stored.get(seam.partition, 0)) for seam in seams}
