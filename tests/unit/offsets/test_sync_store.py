"""Our rules beside the kept answers of Kafka's own OffsetSyncStore (tests/data/mm2): the class itself needs javac."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.unit.offsets import mutants
from tests.unit.offsets.sync_store import Tally, answers_of, compare_log, read_golden, runs_of

QUERIES_MIN = 40_000


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Every kept log, compared."""
    found = Tally()
    for log, answers in read_golden():
        compare_log(log, answers, found)
    return found


def test_ours_is_never_above_the_truth_nor_below_a_true_answer_of_the_store(tally: Tally) -> None:
    """On logs with holes, aborts, rewinds and restarts we never skip, and lose to the store nowhere it is right."""
    assert tally.faults == []
    assert tally.counts["queries"] >= QUERIES_MIN


def test_the_logs_show_what_the_store_cannot_know(tally: Tally) -> None:
    """The comparison is no comparison of equals: the store skips in some logs and reads far more twice in others."""
    assert tally.counts["theirs: above the truth, would skip"] > 0
    assert tally.counts["theirs: none"] > 0
    assert tally.counts["ours EXACT"] > QUERIES_MIN / 3
    assert tally.counts["records they read twice and we do not"] > tally.counts["records we read twice"]


def test_a_rule_that_skips_would_be_found() -> None:
    """With a bug planted the comparison finds faults."""
    found = Tally()
    with ExitStack() as stack:
        mutants.skip_by_one(stack)
        for log, answers in read_golden()[:12]:
            compare_log(log, answers, found)
    assert any("above the true place" in fault for fault in found.faults)


def test_answers_are_kept_as_they_were() -> None:
    """Packing the answers as differences loses nothing."""
    answers = [-1, -1, 0, 7, 7, 3]
    assert answers_of(runs_of(answers)) == answers
