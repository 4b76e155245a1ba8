"""What a proof made while the source lived is worth once it is dead: by table, and in worlds."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from replicator.model.names import FlowName, GroupName, Offset, TopicPartition
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import with_proof, with_proofs
from replicator.offsets.incarnations import COPY_ID
from replicator.offsets.incarnations.copies import FORMER_TOPIC, SOURCE_ID
from replicator.offsets.proofs import STORED_AGAIN
from replicator.offsets.warm import Placed, PlacedGroup
from tests.unit.offsets.test_points import ORDERS
from tests.unit.offsets.test_rules import COPY
from tests.unit.offsets.test_worlds import SHAPES, world_of

SEEN_AT = datetime(2026, 1, 2, tzinfo=UTC)


def answer(source: int, target: int, rereads: int, *, copy_id: str = "one", again: int = 0) -> Translation:
    """Return a translation of `source` to `target`."""
    evidence: dict[str, int | str] = {COPY_ID: copy_id}
    return Translation(
        partition=ORDERS,
        target_partition=COPY,
        source_offset=Offset(source),
        target_offset=Offset(target),
        grade=Grade.EXACT if rereads == 0 else Grade.BOUNDED,
        reread_records_max=rereads,
        rule="rank",
        evidence=evidence | ({"stored_again_max": again} if again else {}),
        observed_at=SEEN_AT,
    )


@pytest.mark.parametrize(
    ("fresh", "proven", "place", "rereads"),
    [
        (answer(50, 40, 9), answer(50, 49, 0), 49, 0),
        (answer(50, 40, 9), answer(50, 45, 4), 45, 4),
        (answer(50, 49, 0), answer(50, 40, 9), 49, 0),
        (answer(50, 40, 9), None, 40, 9),
        (answer(50, 40, 9), answer(50, 49, 0, copy_id="another"), 40, 9),
        (answer(60, 40, 19), answer(50, 49, 0), 49, 19),
        (answer(60, 58, 2), answer(50, 49, 0), 58, 2),
        (answer(40, 30, 9), answer(50, 49, 0), 30, 9),
        (answer(50, 40, 30, again=21), answer(50, 49, 0), 49, 21),
    ],
    ids=[
        "proven exact",
        "proven closer",
        "fresh is better",
        "no proof",
        "another copy",
        "the group has moved on",
        "the group has moved on, and the map is better",
        "the group was set back",
        "the flow has gone back since",
    ],
)
def test_the_better_of_proof_and_map_answers(
    fresh: Translation, proven: Translation | None, place: int, rereads: int
) -> None:
    """The higher of two places that are not above the truth, with the bound that holds for it."""
    found = with_proof(fresh, proven)
    assert (found.target_offset, found.reread_records_max) == (place, rereads)
    assert (found.grade is Grade.EXACT) == (rereads == 0)
    assert found.source_offset == fresh.source_offset
    assert ("proven_at" in found.evidence) == (place != fresh.target_offset)


def test_a_lost_map_makes_its_proofs_worthless() -> None:
    """The copy is shorter than what was known of it: nothing proven earlier is about it."""
    fresh = answer(50, 0, 5)
    lost = replace(fresh, evidence={**fresh.evidence, "lost_map": "made anew"})
    assert with_proof(lost, answer(50, 49, 0)) is lost


def test_a_group_takes_each_proof_by_its_partition() -> None:
    """A group without any keeps what is fresh."""
    fresh = GroupTranslation(FlowName("orders"), GroupName("billing"), (answer(50, 40, 9),))
    proven = replace(fresh, translations=(answer(50, 49, 0),))
    assert with_proofs(fresh, None) is fresh
    assert with_proofs(fresh, proven).grade is Grade.EXACT


def altered(found: Translation, **evidence: int | str) -> Translation:
    """Return the translation with more evidence."""
    return replace(found, evidence={**found.evidence, **evidence})


@pytest.mark.parametrize(
    "other",
    [
        altered(answer(50, 49, 0), **{FORMER_TOPIC: "gone"}),
        altered(answer(50, 49, 0), **{SOURCE_ID: "another"}),
        altered(answer(50, 49, 0), **{STORED_AGAIN: "many"}),
        replace(answer(50, 49, 0), evidence={}),
        replace(answer(50, 49, 0), target_partition=TopicPartition(COPY.topic, 1)),
        replace(answer(50, 49, 0), target_offset=None),
        replace(answer(50, 49, 0), reread_records_max=None),
        answer(50, 39, 0),
        answer(50, 49, 9),
    ],
    ids=[
        "former topic",
        "another source topic",
        "evidence of another kind",
        "no copy named",
        "another partition",
        "no place",
        "no bound",
        "an earlier place",
        "as dear",
    ],
)
def test_what_is_no_better_proof_changes_nothing(other: Translation) -> None:
    """Of another incarnation on either side, of another partition, without numbers, or of no more worth."""
    fresh = altered(answer(50, 40, 9), **{SOURCE_ID: "one"})
    assert with_proof(fresh, other) is fresh
    assert with_proof(fresh, answer(50, 49, 0)).target_offset == 49


def test_a_fresh_answer_without_numbers_takes_what_can_be_proven() -> None:
    """Where nothing is placed a proof places nothing; where only the bound is missing the proof brings it."""
    nowhere = replace(answer(50, 40, 9), target_offset=None)
    assert with_proof(nowhere, answer(50, 49, 0)) is nowhere
    former = altered(answer(50, 40, 9), **{FORMER_TOPIC: "gone"})
    assert with_proof(former, answer(50, 49, 0)) is former
    unbounded = replace(answer(50, 40, 9), reread_records_max=None)
    assert with_proof(unbounded, answer(50, 49, 3)).reread_records_max == 3


@pytest.mark.parametrize(
    ("again", "known", "rereads"),
    [(21, 0, 23), (21, 20, 3), (20, 21, 2), (0, 0, 2)],
    ids=["all since", "one since", "fewer than then", "none"],
)
def test_what_was_stored_again_since_the_proof_is_added(again: int, known: int, rereads: int) -> None:
    """Only what came since: the proof's own bound held what was known then."""
    found = with_proof(answer(50, 40, 30, again=again), answer(50, 49, 2, again=known))
    assert (found.target_offset, found.reread_records_max, found.grade) == (49, rereads, Grade.BOUNDED)


@pytest.mark.parametrize(
    ("fresh", "proven", "place", "rereads"),
    [
        (answer(50, 49, 5), answer(50, 49, 2), 49, 2),
        (answer(50, 40, 5, again=3), answer(50, 49, 2), 40, 5),
        (answer(50, 40, 6, again=3), answer(50, 49, 2), 49, 5),
    ],
    ids=["the same place", "as dear with what came since", "one dearer"],
)
def test_the_smaller_bound_answers(fresh: Translation, proven: Translation, place: int, rereads: int) -> None:
    """A proof need not resume later to be worth more; what was stored again since counts on its side."""
    found = with_proof(fresh, proven)
    assert (found.target_offset, found.reread_records_max) == (place, rereads)


def test_a_group_in_columns_takes_proofs_for_rows_that_cost_something() -> None:
    """Rows that cost nothing stay as they are, also where the proofs are in columns themselves."""
    tps = [TopicPartition(ORDERS.topic, number) for number in range(3)]

    def row(number: int, target: int, rereads: int) -> Translation:
        found = answer(50, target, rereads)
        return replace(found, partition=tps[number], target_partition=TopicPartition(COPY.topic, number))

    def group(told: dict[int, Translation]) -> PlacedGroup:
        places = array("q", [49, 49, 49])
        placed = Placed(tps, array("q", [50, 50, 50]), places, told, lambda tp, _at, place: row(tp.partition, place, 0))
        return PlacedGroup(FlowName("orders"), GroupName("billing"), placed)

    costly = group({1: row(1, 40, 9)})
    plain = GroupTranslation(FlowName("orders"), GroupName("billing"), (row(0, 45, 0), row(1, 48, 1)))
    for proven, place in (
        (plain, 48),
        (group({}), 49),
        (group({1: row(1, 44, 5)}), 44),
        (group({0: row(0, 1, 5)}), 49),
    ):
        found = with_proofs(costly, proven)
        assert isinstance(found, PlacedGroup)
        assert [one.target_offset for one in found.translations] == [49, place, 49]
    untold = with_proofs(group({}), plain)
    assert [one.target_offset for one in untold.translations] == [49, 49, 49]


def test_a_proof_says_when_it_was_made_and_from_where() -> None:
    """A place raised by a proof of an earlier position names that position; the time is that of the fresh answer."""
    later = datetime(2026, 1, 3, tzinfo=UTC)
    raised = with_proof(replace(answer(60, 40, 19), observed_at=later), answer(50, 49, 0))
    assert (raised.evidence["proven_from"], raised.evidence["proven_at"]) == (50, SEEN_AT.isoformat())
    assert raised.observed_at == later
    proven = with_proof(replace(answer(50, 40, 9), observed_at=later), answer(50, 49, 0))
    assert (proven.evidence["proven_at"], proven.observed_at) == (SEEN_AT.isoformat(), later)
    unsaid = with_proof(answer(50, 40, 9), replace(answer(50, 49, 0), observed_at=None))
    assert "proven_at" not in unsaid.evidence
    assert with_proof(answer(60, 49, 19), answer(50, 49, 0)).evidence == answer(60, 49, 19).evidence


@pytest.mark.parametrize("shape", SHAPES)
def test_no_proof_makes_a_group_skip_or_breaks_a_bound(shape: str) -> None:
    """Every answer made with the source alive, taken for the same and for later positions once it is dead."""
    better = 0
    for seed in range(25):
        world = world_of(shape, seed)
        world.unread = set()
        world.is_source_alive, world.source_start = True, 0
        proofs = [replace(t, evidence={**t.evidence, COPY_ID: "one"}) for t in world.translate_all()]
        world.is_source_alive = False
        for fresh in world.translate_all():
            named = replace(fresh, evidence={**fresh.evidence, COPY_ID: "one"})
            for back in (0, 3):
                proven = proofs[max(0, fresh.source_offset - back)]
                found = with_proof(named, proven)
                assert found.target_offset is not None
                assert found.reread_records_max is not None
                assert world.missed(fresh.source_offset, found.target_offset) == []
                assert world.rereads(fresh.source_offset, found.target_offset) <= found.reread_records_max
                better += found.grade is Grade.EXACT and fresh.grade is not Grade.EXACT
    assert better > 0
