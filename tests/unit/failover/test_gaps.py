"""What was deleted at the source before it was mirrored: which offsets, what forbids a planned move, what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.failover.steps.gaps import (
    Gap,
    count_offsets,
    find_gap_blocker,
    find_gaps,
    gaps_from_fact,
    gaps_of_spans,
    gaps_to_fact,
    join_gaps,
    with_gaps,
)
from replicator.failover.world import Choices, Override
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import OvertakenSpan, PartitionEnds
from replicator.model.operations import LossReport, PartitionLoss

ORDERS = TopicName("orders")
TP, OTHER = TopicPartition(ORDERS, 0), TopicPartition(ORDERS, 1)
NOTHING_LOST = LossReport(known_lost=0, unknown_window_seconds=0.0, possible_lost_max=0, lost_seconds_max=0.0)


def ends(start: int, end: int = 100) -> PartitionEnds:
    """Return where a partition of the source begins and ends."""
    return PartitionEnds(partition=0, log_start=start, last_stable=end, end=end)


@pytest.mark.parametrize(
    ("noted", "log_start", "position", "expected"),
    [
        pytest.param([], 0, 50, [], id="nothing was deleted"),
        pytest.param([], 50, 50, [], id="deleted up to what is mirrored"),
        pytest.param([], 51, 50, [(50, 51)], id="one offset further"),
        pytest.param([(10, 40)], 40, 90, [(10, 40)], id="noted, and jumped over"),
        pytest.param([(10, 40)], 40, 10, [(10, 40)], id="noted, and not jumped over yet: once"),
        pytest.param([(10, 40)], 60, 10, [(10, 60)], id="more was deleted meanwhile"),
        pytest.param(
            [(10, 40)], 0, 10, [], id="noted, and the topic begins below again: nothing is known to be missing"
        ),
        pytest.param([(10, 40)], 40, 25, [(10, 40)], id="set back into it"),
        pytest.param([(10, 40), (30, 50)], 50, 90, [(10, 50)], id="noted twice, counted once"),
        pytest.param([(10, 20), (30, 40)], 40, 90, [(10, 20), (30, 40)], id="two apart"),
        pytest.param([(10, 40)], 40, None, [], id="never mirrored: nothing was promised"),
    ],
)
def test_which_offsets_are_on_neither_side(
    noted: list[tuple[int, int]], log_start: int, position: int | None, expected: list[tuple[int, int]]
) -> None:
    """Offsets below what is mirrored that nobody mirrored, each once."""
    mirrored = {} if position is None else {TP: position}
    found = find_gaps([Gap(TP, *span) for span in noted], {TP: ends(log_start)}, mirrored)
    assert [(gap.start, gap.stop) for gap in found] == expected


def test_topics_that_do_not_travel_have_no_gap() -> None:
    """A position of a topic that the flow does not carry tells nothing."""
    assert find_gaps([Gap(OTHER, 1, 2)], {TP: ends(0)}, {TP: 5, OTHER: 9}) == ()


SPANS = st.lists(st.tuples(st.sampled_from([TP, OTHER]), st.integers(0, 30), st.integers(0, 30)), max_size=12)


@given(SPANS)
def test_joined_gaps_hold_the_same_offsets_once_each(spans: list[tuple[TopicPartition, int, int]]) -> None:
    """However they overlap."""
    gaps = [Gap(*span) for span in spans]
    meant = {(gap.partition, at) for gap in gaps for at in range(gap.start, gap.stop)}
    found = join_gaps(gaps)
    assert count_offsets(found) == len(meant)
    assert {(gap.partition, at) for gap in found for at in range(gap.start, gap.stop)} == meant


def test_gaps_survive_the_journal_and_come_from_what_supervisors_noted() -> None:
    """The widest are kept where there are too many; all are counted."""
    span = OvertakenSpan(partition=1, from_offset=3, to_offset=9, seen_at=datetime(2026, 11, 23, tzinfo=UTC))
    gaps = gaps_of_spans({ORDERS: (span,)})
    assert gaps == [Gap(OTHER, 3, 9)]
    assert gaps_from_fact(gaps_to_fact(gaps)) == gaps
    many = [Gap(TP, 10 * n, 10 * n + 1 + n % 2) for n in range(2_500)]
    fact = gaps_to_fact(many)
    assert (len(fact["rows"]), fact["offsets"]) == (2_000, count_offsets(many))
    assert sum(row[3] - row[2] == 2 for row in fact["rows"]) == 1_250
    assert gaps_from_fact(gaps_to_fact([])) == []


@pytest.mark.parametrize(
    ("accepted", "is_blocked"),
    [((), True), ((Override.SPLIT_BRAIN, Override.STALE_GROUPS), True), ((Override.LOSS,), False)],
)
def test_a_planned_move_goes_on_without_only_where_that_was_accepted_by_name(
    accepted: tuple[Override, ...], is_blocked: bool
) -> None:
    """It names what is missing and where, and the command that goes on."""
    world: Any = SimpleNamespace(
        choices=Choices(accepted=frozenset(accepted)),
        name="shop",
        flow=SimpleNamespace(source="east", target="west"),
    )
    gaps = [Gap(TP, 10 * n, 10 * n + 5) for n in range(5)]
    blocked = find_gap_blocker(world, gaps)
    assert (blocked is not None) is is_blocked
    assert find_gap_blocker(world, []) is None
    if blocked is not None:
        assert "25 offsets of east" in blocked.reason
        assert "orders[0] 0-4, orders[0] 10-14, orders[0] 20-24 and 2 more" in blocked.reason
        assert blocked.hint.endswith("`replicator switchover shop --confirm shop --accept loss` moves without it")


def test_the_account_of_a_planned_move_holds_what_was_deleted_first() -> None:
    """None of it is known to be lost, all of it may be, and nobody knows of when it is."""
    row = PartitionLoss(partition=TP, mirrored_position=90, observed_end=None, known_lost=2, possible_lost_max=2)
    loss = replace(NOTHING_LOST, known_lost=2, possible_lost_max=2, partitions=(row,))
    found = with_gaps(loss, [Gap(TP, 10, 40), Gap(OTHER, 0, 1), Gap(TP, 50, 55)])
    assert (found.known_lost, found.possible_lost_max, found.lost_seconds_max) == (2, 2 + 36, None)
    assert [(p.partition, p.known_lost, p.possible_lost_max, p.overtaken_offsets) for p in found.partitions] == [
        (TP, 2, 37, 35),
        (OTHER, 0, 1, 1),
    ]
    assert with_gaps(NOTHING_LOST, []) == NOTHING_LOST
