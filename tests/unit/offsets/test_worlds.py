"""The rules against the truth: worlds with holes, aborts, markers, restarts, rewinds, compaction, retention.

Checked for every source offset of every world: nothing at or above it is missed, EXACT costs nothing,
BOUNDED and FLOOR cost at most what they say, and a later position never resumes earlier.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.model.offsets import Grade
from tests.examples import examples
from tests.unit.offsets.mutants import MUTANTS, Mutant, planted
from tests.unit.offsets.world import Shape, World, find_faults, make_world

SHAPES = {
    "exactly_once": Shape(),
    "exactly_once_quiet": Shape(has_rewinds=False, has_gaps=False, has_retention=False, has_new_targets=False),
    "at_least_once": Shape(is_exactly_once=False),
    "compacted_both": Shape(is_target_compacted=True, is_source_compacted=True),
    "compacted_source": Shape(is_source_compacted=True),
    "compacted_target": Shape(is_target_compacted=True),
}
WORLDS_A_MUTANT_MEETS = 24_000


def world_of(shape: str, seed: int) -> World:
    """Return the world of a shape and a seed; a failure names both."""
    return make_world(random.Random(f"{shape}/{seed}"), SHAPES[shape])


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=examples(250), deadline=None)
@given(seed=st.integers(0, 2**40))
def test_no_world_finds_a_fault(shape: str, seed: int) -> None:
    """Whatever happened to a partition, no translation skips, and none costs more than it says."""
    assert find_faults(world_of(shape, seed)) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_a_thinned_map_finds_no_fault_either(shape: str) -> None:
    """Dropping points to stay within a bound costs exactness, never a record nor the truth of a bound."""
    for seed in range(examples(150)):
        world = world_of(shape, seed)
        world.points_max = 3
        assert find_faults(world) == [], seed


def test_a_map_pruned_behind_the_slowest_group_answers_the_same() -> None:
    """Under exactly-once no position at or above the slowest group's is answered otherwise than from the whole map."""
    shape = Shape(has_rewinds=False, has_gaps=False)
    compared = 0
    for seed in range(200):
        world = make_world(random.Random(f"slowest/{seed}"), shape)
        whole = world.translate_all()
        world.slowest = random.Random(seed).randint(0, world.source_end)
        assert world.translate_all()[world.slowest :] == whole[world.slowest :], seed
        compared += len(world.points()) < len(whole)
    assert compared > 100


def test_a_quiet_exactly_once_flow_is_exact_from_the_standby_alone() -> None:
    """Without holes on the source, every position is EXACT with the source dead, those below the first point too."""
    shape = Shape(
        has_holes=False,
        has_rewinds=False,
        has_gaps=False,
        has_retention=False,
        has_unknowns=False,
        has_new_targets=False,
    )
    answers = []
    for seed in range(300):
        world = make_world(random.Random(seed), shape)
        world.is_source_alive = False
        world.swept = world.ends_now()
        points = world.points()
        if len(points):
            answers += world.translate_all()
    assert len(answers) > 5000
    assert {a.grade for a in answers} == {Grade.EXACT}


WITNESSES = {
    "ignore_a_set_position": [("exactly_once", 850)],
    "trust_a_gap": [("exactly_once", 2897)],
    "forget_what_gaps_hide": [("compacted_target", 303)],
    "match_older_twins": [("compacted_source", 1536)],
}
"""Worlds that show the rarer bugs at once; when worlds change, the search below finds others."""


def worlds_for(mutant: Mutant) -> Iterator[tuple[str, int]]:
    """Yield the mutant's witnesses, then worlds of every shape."""
    yield from WITNESSES.get(mutant.__name__, [])
    for seed in range(WORLDS_A_MUTANT_MEETS // len(SHAPES)):
        yield from ((shape, seed) for shape in SHAPES)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    """Each planted bug makes at least one world find a fault, and that world finds none without it."""
    with planted(mutant):
        caught = next((found for found in worlds_for(mutant) if find_faults(world_of(*found))), None)
    assert caught is not None
    assert find_faults(world_of(*caught)) == []


def test_records_before_the_first_point_are_never_passed() -> None:
    """A copy made anew while the flow stood far up the source, then set back: what it took before is not skipped."""
    assert find_faults(world_of("exactly_once", 4330)) == []
    assert find_faults(world_of("at_least_once", 1610240)) == []
