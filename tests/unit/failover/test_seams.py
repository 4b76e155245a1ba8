"""Where two histories part, by table: seams in the journal, seeds, and what an earlier try has brought home."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from replicator.clock import Deadline
from replicator.failover.engine.logbook import Logbook, Request
from replicator.failover.facts import Cut, CutPartition, cut_to_facts
from replicator.failover.failback.reconcile import find_obstacle
from replicator.failover.failback.seams import (
    MOVE,
    NAME,
    REBUILDING_ITEM,
    SEED_STEP,
    SEEDS_ITEM,
    Seam,
    earlier_bases,
    earlier_orphan_ends,
    find_move,
    orphan_count,
    read_seams,
    rebuilt_topics,
    reverse_of,
    seams_to_facts,
    seeds_of,
)
from replicator.failover.world import World
from replicator.journal import ACTIVE_ITEM, PROMOTE_STEP, Journal, JournalWriter, MemoryLog
from replicator.model.flow import Flow, Naming
from replicator.model.names import ClusterName, FlowName, OperationId, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.operations import OperationKind

EAST, WEST = ClusterName("east"), ClusterName("west")
FLOW = Flow(name=FlowName("shop"), source=EAST, target=WEST)
TP = TopicPartition(TopicName("orders"), 0)
CUT = Cut(
    taken_at=datetime(2026, 11, 22, tzinfo=UTC),
    partitions=(
        CutPartition(
            source=TP, target=TP, mirrored=90, ends=PartitionEnds(partition=0, log_start=0, last_stable=95, end=95)
        ),
    ),
)
SEAM = Seam(partition=TP, mirrored=90, orphans_end=100, orphans=7, seed=95, end=100)


def open_journal() -> JournalWriter:
    """Return a journal to write in."""
    return Journal(MemoryLog()).open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5))


def begin(writer: JournalWriter, id_: str, kind: OperationKind, *, source: str, target: str) -> Logbook:
    """Begin an operation of the flow."""
    log = Logbook(writer, Request(operation_id=OperationId(id_), flow=FLOW.name, kind=kind, actor="ann"))
    log.begin({"source": source, "target": target})
    return log


def move_to_west(writer: JournalWriter, id_: str, *, cut: Cut = CUT) -> Logbook:
    """Journal a failover that made west active."""
    log = begin(writer, id_, OperationKind.FAILOVER, source=EAST, target=WEST)
    log.add_facts("cut", cut_to_facts(cut))
    log.add_fact(PROMOTE_STEP, ACTIVE_ITEM, {"cluster": WEST, "was": EAST, "epoch": 1})
    return log


def test_the_newest_move_is_taken_back() -> None:
    """Of several moves to west the last one counts, with its own cut; of none there is nothing to take back."""
    writer = open_journal()
    assert find_move(writer.records, FLOW.name, WEST) is None
    move_to_west(writer, "op-1")
    later = replace(CUT, partitions=(replace(CUT.partitions[0], mirrored=120),))
    move_to_west(writer, "op-2", cut=later)
    found = find_move(writer.records, FLOW.name, WEST)
    assert found is not None
    assert (found.operation.id, found.cut.mirrored) == ("op-2", {TP: 120})
    assert find_move(writer.records, FLOW.name, EAST) is None
    assert find_move(writer.records, FlowName("other"), WEST) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 50), *[st.integers(0, 10**12)] * 6), max_size=20, unique_by=lambda numbers: numbers[0]
    )
)
def test_seams_survive_the_journal(numbers: list[tuple[int, ...]]) -> None:
    """What was compared is what later steps read; without its last fact it is nothing."""
    seams = tuple(
        Seam(
            partition=TopicPartition(TopicName("t"), n),
            mirrored=a,
            orphans_end=b,
            orphans=c,
            seed=d,
            end=e,
            leaked=f,
        )
        for n, a, b, c, d, e, f in numbers
    )
    log = begin(open_journal(), "back-1", OperationKind.FAILBACK, source=WEST, target=EAST)
    facts = seams_to_facts(seams)
    log.add_facts(NAME, facts)
    assert read_seams(log) is None
    log.add_fact(NAME, MOVE, {"operation_id": "op-1", "parts": len(facts), "partitions": len(seams)})
    assert read_seams(log) == seams
    assert orphan_count(seams) == sum(seam.orphans for seam in seams)


def test_half_the_seams_are_none() -> None:
    """A part that is missing is noticed."""
    log = begin(open_journal(), "back-1", OperationKind.FAILBACK, source=WEST, target=EAST)
    log.add_fact(NAME, MOVE, {"operation_id": "op-1", "parts": 1, "partitions": 1})
    assert read_seams(log) is None


def test_what_an_earlier_try_brought_home_is_not_brought_again() -> None:
    """The seed is where the copy ended at the cut, or further on where the flow stands already."""
    assert seeds_of([SEAM], {}) == {TP: 95}
    assert seeds_of([SEAM], {TP: 20}) == {TP: 95}
    assert seeds_of([SEAM], {TP: 130}) == {TP: 130}
    assert seeds_of([replace(SEAM, seed=0)], {}) == {TP: 0}


def test_the_first_try_of_this_move_says_where_orphans_end() -> None:
    """Later tries find its records behind the orphans; a try of another move says nothing of this one."""
    writer = open_journal()
    for id_, of, base in (("back-0", "op-0", 50), ("back-1", "op-1", 100), ("back-2", "op-1", 160)):
        log = begin(writer, id_, OperationKind.FAILBACK, source=WEST, target=EAST)
        facts = seams_to_facts([replace(SEAM, orphans_end=base - 2, end=base)])
        log.add_facts(NAME, facts)
        log.add_fact(NAME, MOVE, {"operation_id": of, "parts": len(facts), "partitions": 1})
        log.add_fact(SEED_STEP, SEEDS_ITEM, {"rows": [[TP.topic, TP.partition, 95, base]]})
    assert earlier_bases(writer.records, "op-1") == {TP: (95, 100)}
    assert earlier_orphan_ends(writer.records, "op-1") == {TP: 98}
    assert earlier_bases(writer.records, "op-9") == earlier_orphan_ends(writer.records, "op-9") == {}


def test_the_way_home_has_connectors_of_its_own() -> None:
    """Same topics and groups, the other direction, another name."""
    back = reverse_of(FLOW)
    assert (back.source, back.target) == (WEST, EAST)
    assert back.source_connector != FLOW.source_connector
    assert (back.topics, back.groups) == (FLOW.topics, FLOW.groups)


def test_a_rebuilt_topic_is_known_to_later_tries() -> None:
    """Made anew by one failback of the move, a topic's old offsets mean nothing to the next; not to another move's."""
    writer = open_journal()
    move_to_west(writer, "op-1")
    back = begin(writer, "back-1", OperationKind.FAILBACK, source=WEST, target=EAST)
    back.add_fact(NAME, MOVE, {"operation_id": "op-1", "parts": 0, "partitions": 0})
    assert rebuilt_topics(writer.records, "op-1") == frozenset()
    back.add_fact(SEED_STEP, REBUILDING_ITEM, {"topics": {"orders": "id"}, "untold": []})
    assert rebuilt_topics(writer.records, "op-1") == {"orders"}
    assert rebuilt_topics(writer.records, "op-2") == frozenset()


def test_a_prefixed_flow_has_no_way_back() -> None:
    """The refusal comes before anything is asked, and says why."""
    world = cast("World", SimpleNamespace(flow=replace(FLOW, naming=Naming.PREFIX)))
    blocked = find_obstacle(world, None)
    assert blocked is not None
    assert "only identity naming has a way back" in blocked.reason
