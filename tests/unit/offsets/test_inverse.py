"""The way home: tables, and the worlds' truth about every position of every copy."""

from __future__ import annotations

import random
from array import array
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.model.observations import PartitionEnds
from replicator.model.offsets import Grade, Translation
from replicator.offsets.anchors import matched_offsets
from replicator.offsets.inverse import INVERSE_RULES, invert_offset
from replicator.offsets.points import EMPTY_MAP, PartitionMap
from replicator.offsets.reads import Standing, Visible
from tests.examples import examples
from tests.unit.offsets.homeward import find_inverse_faults, invert_all
from tests.unit.offsets.mutants import INVERSE_MUTANTS, Mutant, planted
from tests.unit.offsets.test_points import ORDERS, map_of
from tests.unit.offsets.test_rules import COPY, HOLED, MARKED, LogReads, Logs, answer, ends
from tests.unit.offsets.test_worlds import SHAPES, world_of
from tests.unit.offsets.world import find_faults, make_world

WORLDS_A_MUTANT_MEETS = 6_000
WITNESSES = {
    "come_back_to_a_source_taken_for_whole": [("compacted_source", 80)],
    "come_back_as_if_in_order": [("at_least_once", 46)],
}
"""Worlds that show the rarer bugs at once."""


def ask_back(
    offset: int,
    points: PartitionMap,
    logs: Logs,
    *,
    target: PartitionEnds | None,
    source: PartitionEnds | None = None,
    mirrored: int | None = None,
    **flags: bool,
) -> Translation:
    """Return the way home from one position."""
    standing = Standing(
        partition=ORDERS, target_partition=COPY, target=target, target_now=target, mirrored=mirrored, **flags
    )
    return invert_offset(offset, standing, points, LogReads(logs), source=source or ends(1000))


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, (0, "EXACT", 0, "sync_point")),
        (1, (1, "EXACT", 0, "after_sync_point")),
        (3, (3, "EXACT", 0, "rank")),
        (4, (3, "EXACT", 0, "rank")),
        (6, (5, "EXACT", 0, "rank")),
        (10, (8, "EXACT", 0, "sync_point")),
        (11, (9, "EXACT", 0, "after_sync_point")),
        (12, (9, "EXACT", 0, "end_of_mirror")),
        (40, (9, "EXACT", 0, "end_of_mirror")),
    ],
)
def test_markers_on_the_copy_do_not_matter(offset: int, expected: tuple[object, ...]) -> None:
    """Under exactly-once rank is the map in both directions, from the copy alone; beyond its end one is clamped."""
    found = ask_back(offset, map_of((0, 0), (8, 10)), MARKED, target=ends(12), mirrored=9)
    assert answer(found) == expected
    assert found.is_clamped == (offset > 12)
    assert (found.partition, found.target_partition) == (COPY, ORDERS)
    assert found.rule in INVERSE_RULES


@pytest.mark.parametrize(
    ("offset", "unread", "read"),
    [
        (3, (3, "BOUNDED", 2, "rank"), (3, "EXACT", 0, "counted_at_source")),
        (4, (4, "BOUNDED", 3, "rank"), (6, "EXACT", 0, "counted_at_source")),
        (6, (10, "EXACT", 0, "sync_point"), (10, "EXACT", 0, "sync_point")),
    ],
)
def test_holes_are_bounded_until_the_source_is_counted(
    offset: int, unread: tuple[object, ...], read: tuple[object, ...]
) -> None:
    """At most as many as there are holes, and never more than were read; counting the source settles it."""
    points = map_of((0, 0), (10, 6))
    assert answer(ask_back(offset, points, HOLED, target=ends(7), mirrored=11)) == unread
    lively = Logs(HOLED.copy, source=[0, 1, 2, 5, 6, 9, 10])
    assert answer(ask_back(offset, points, lively, target=ends(7), mirrored=11)) == read


@pytest.mark.parametrize(
    ("points", "target", "expected"),
    [
        (map_of((100, 0)), ends(20), (100, "EXACT", 0, "sync_point")),
        (EMPTY_MAP, ends(20), (30, "EXACT", 0, "floor")),
        (EMPTY_MAP, None, (None, "UNAVAILABLE", None, "not_mirrored")),
    ],
    ids=["the first point", "no map", "no copy"],
)
def test_what_a_group_at_the_start_has_read_is_nothing(
    points: PartitionMap, target: PartitionEnds | None, expected: tuple[object, ...]
) -> None:
    """A group at the copy's first record has everything ahead of it: the first point, or the source's log start."""
    found = ask_back(0, points, Logs({}), target=target, source=ends(1000, start=30))
    assert answer(found) == expected


def test_without_a_map_the_whole_copy_is_read_again() -> None:
    """Nothing is known: the source's log start, and every record read so far may come again."""
    logs = Logs({at: at for at in range(20)})
    found = ask_back(12, EMPTY_MAP, logs, target=ends(20), source=ends(1000, start=4))
    assert answer(found) == (4, "FLOOR", 12, "floor")


def test_a_position_before_a_rewind_comes_back_no_later_than_the_rewind() -> None:
    """A later position never resumes earlier, and what was read before it is counted."""
    points = map_of((0, 0), (100, 100), (50, 101), (140, 191))
    logs = Logs({at: at for at in range(192)})
    before = ask_back(80, points, logs, target=ends(192), mirrored=141)
    behind = ask_back(111, points, logs, target=ends(192), mirrored=141)
    assert (before.target_offset, before.reread_records_max) == (50, 30)
    assert (behind.target_offset, behind.grade) == (60, Grade.BOUNDED)
    assert behind.reread_records_max is not None
    assert behind.reread_records_max >= 41


def test_a_place_that_retention_has_passed_is_clamped() -> None:
    """Below the source's log start a consumer would use its own reset."""
    found = ask_back(0, map_of((10, 0)), Logs({0: 10}), target=ends(1), source=ends(100, start=40), mirrored=11)
    assert (found.target_offset, found.is_clamped) == (40, True)
    assert found.evidence["clamped_from"] == 10


def test_matches_out_of_order_are_no_anchors() -> None:
    """Two sides that contradict each other prove nothing."""
    source = Visible(array("q", [1, 2]), array("q", [7, 8]))
    assert matched_offsets(source, Visible(array("q", [5, 6]), array("q", [7, 8]))) == [(1, 5), (2, 6)]
    assert matched_offsets(source, Visible(array("q", [5, 6]), array("q", [8, 7]))) == []


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=examples(80), deadline=None)
@given(seed=st.integers(0, 2**40))
def test_no_world_finds_a_fault_on_the_way_home(shape: str, seed: int) -> None:
    """Nothing is skipped, not even by groups that came from the source; bounds hold; a later position is no earlier."""
    assert find_inverse_faults(world_of(shape, seed)) == []


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=examples(15), deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_no_world_drawn_choice_by_choice_finds_a_fault(shape: str, rng: random.Random) -> None:
    """Holes, aborts, restarts, rewinds, compaction on either side: each is drawn, so that a fault comes out small."""
    world = make_world(rng, SHAPES[shape])
    assert find_faults(world) == []
    assert find_inverse_faults(world) == []


@pytest.mark.parametrize("shape", [name for name, shape in SHAPES.items() if not shape.is_target_compacted])
def test_there_and_straight_back_is_never_later_than_the_start(shape: str) -> None:
    """No record of the source lies between a position and the way home from its place, while the copy is whole."""
    compared = 0
    for seed in range(examples(60)):
        world = world_of(shape, seed)
        if world.is_anew or world.copy_start:
            continue
        homes = invert_all(world)
        for sent in world.translate_all():
            home = homes[sent.target_offset or 0].target_offset or 0
            start = max(sent.source_offset, world.source_start)
            assert not [u for u in world.source if start <= u < home], (seed, sent)
            compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    ("shape", "seed"),
    [
        ("compacted_both", 107544),  # the flow went back after the sweep: what it stored since is not visible yet
        ("at_least_once", 3045823),  # a restart went back beyond the first record of a copy made anew
        ("compacted_source", 1629340),  # fewer hidden records were counted back further than more of them
    ],
)
def test_worlds_that_once_found_a_fault_find_none(shape: str, seed: int) -> None:
    """Each was a fault once."""
    assert find_inverse_faults(world_of(shape, seed)) == []


@pytest.mark.parametrize("mutant", INVERSE_MUTANTS, ids=lambda m: m.__name__)
def test_a_bug_planted_on_the_way_home_is_caught(mutant: Mutant) -> None:
    """Each planted bug makes at least one world find a fault, and that world finds none without it."""
    anywhere = ((shape, seed) for seed in range(WORLDS_A_MUTANT_MEETS // len(SHAPES)) for shape in SHAPES)
    worlds = chain(WITNESSES.get(mutant.__name__, []), anywhere)
    with planted(mutant):
        caught = next((found for found in worlds if find_inverse_faults(world_of(*found))), None)
    assert caught is not None
    assert find_inverse_faults(world_of(*caught)) == []
