"""The demo's judge must see every way in which a history can be wrong."""

from __future__ import annotations

from array import array

from replicator.cli.demo.ledger import GroupTrace, Ledger, judge_data, judge_group
from replicator.model.names import GroupName, TopicName, TopicPartition

FLIGHTS, PLANES = TopicName("flights"), TopicName("planes")
P0 = TopicPartition(FLIGHTS, 0)


def good_ledger() -> Ledger:
    """Five acknowledged flights (0-4), one unknown (5), one aborted (6); planes 0 superseded by 1."""
    ledger = Ledger.of([FLIGHTS, PLANES], compacted=frozenset({PLANES}))
    for _ in range(7):
        ledger.topics[FLIGHTS].send(None)
    for number in range(5):
        ledger.topics[FLIGHTS].acknowledge(number)
    ledger.topics[FLIGHTS].abort(6)
    for _ in range(2):
        ledger.topics[PLANES].acknowledge(ledger.topics[PLANES].send(b"N1"))
    return ledger


def test_a_whole_copy_is_neither_loss_nor_ghost() -> None:
    """All acknowledged records there, the superseded one gone: nothing is wrong."""
    verdict = judge_data(good_ledger(), {FLIGHTS: {0, 1, 2, 3, 4}, PLANES: {1}})
    assert (verdict.true_lost, verdict.ghosts, verdict.aborted_seen) == (0, 0, 0)


def test_a_missing_record_is_a_loss() -> None:
    """An acknowledged record that is not there counts, by topic."""
    verdict = judge_data(good_ledger(), {FLIGHTS: {0, 1, 3, 4}, PLANES: set()})
    assert verdict.lost == {FLIGHTS: 1, PLANES: 1}


def test_the_age_of_a_loss_is_that_of_its_oldest_record() -> None:
    """Acknowledgements are timed; what nobody lost has no age."""
    ledger = good_ledger()
    ledger.topics[FLIGHTS].acked_at[1:4] = array("d", [7.0, 5.0, 6.0])
    assert judge_data(ledger, {FLIGHTS: {0, 4}, PLANES: {1}}).oldest_lost_at == 5.0
    assert judge_data(ledger, {FLIGHTS: {0, 1, 2, 3, 4}, PLANES: {1}}).oldest_lost_at is None


def test_an_unacknowledged_record_is_neither() -> None:
    """A record nobody heard of again may be there or not."""
    with_it = judge_data(good_ledger(), {FLIGHTS: {0, 1, 2, 3, 4, 5}, PLANES: {1}})
    assert (with_it.true_lost, with_it.ghosts) == (0, 0)


def test_an_aborted_record_is_seen() -> None:
    """Aborted data that came back is a ghost and is named as aborted."""
    verdict = judge_data(good_ledger(), {FLIGHTS: {0, 1, 2, 3, 4, 6}, PLANES: {1}})
    assert (verdict.ghosts, verdict.aborted_seen) == (1, 1)


def test_a_record_nobody_sent_is_a_ghost() -> None:
    """A number the ledger never gave out is a ghost."""
    assert judge_data(good_ledger(), {FLIGHTS: {0, 1, 2, 3, 4, 99}, PLANES: {1}}).ghosts == 1


def trace(*, before: range, committed: int, after: range) -> GroupTrace:
    """A group that was handed `before`, committed `committed`, and was handed `after` on the other side."""
    return GroupTrace(
        group=GroupName("g"),
        topics=(FLIGHTS,),
        before={(FLIGHTS, n): (P0, n) for n in before},
        after={(FLIGHTS, n) for n in after},
        committed={P0: committed},
    )


def test_a_group_that_goes_on_where_it_stood_costs_nothing() -> None:
    """Exactly the records it had not committed: nothing skipped, nothing read twice."""
    verdict = judge_group(trace(before=range(5), committed=5, after=range(5, 8)), {FLIGHTS: set(range(8))}, {P0: 5})
    assert (verdict.skipped, verdict.reread, verdict.commits_after_last_observation) == (0, 0, 0)


def test_a_skipped_record_is_seen() -> None:
    """A record handed out on neither side is a skip."""
    verdict = judge_group(trace(before=range(5), committed=5, after=range(6, 8)), {FLIGHTS: set(range(8))}, {P0: 5})
    assert verdict.skipped == 1


def test_re_reads_are_told_apart_by_what_was_observed() -> None:
    """Below the observed commit a re-read is the translation's, above it nobody could know."""
    verdict = judge_group(trace(before=range(6), committed=6, after=range(2, 8)), {FLIGHTS: set(range(8))}, {P0: 4})
    assert (verdict.reread, verdict.commits_after_last_observation) == (2, 2)


def test_records_handed_out_but_never_committed_are_not_re_reads() -> None:
    """Any consumer reads on from its commit, outage or not."""
    verdict = judge_group(trace(before=range(6), committed=3, after=range(3, 8)), {FLIGHTS: set(range(8))}, {P0: 3})
    assert (verdict.reread, verdict.commits_after_last_observation) == (0, 0)
