"""What a proof made while the source lived is worth once it is dead: by table, and in worlds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from replicator.model.names import FlowName, GroupName, Offset
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import with_proof, with_proofs
from replicator.offsets.proofs import COPY_ID
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
