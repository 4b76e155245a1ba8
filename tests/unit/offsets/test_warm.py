"""The warm map answers as the rules do when nothing may be read; its bound is never below theirs."""

from __future__ import annotations

import pytest

from replicator.offsets.ground import prepare
from replicator.offsets.reads import Standing
from replicator.offsets.rules import translate_offset
from replicator.offsets.warm import WarmPlaces
from tests.unit.offsets.test_points import ORDERS, map_of
from tests.unit.offsets.test_rules import COPY, LogReads, Logs, ends
from tests.unit.offsets.test_worlds import SHAPES, world_of
from tests.unit.offsets.world import World, WorldReads


@pytest.mark.parametrize("shape", SHAPES)
def test_every_place_is_the_rules_own(shape: str) -> None:
    """For every offset of many worlds: the same place, a bound that holds, and points that cost nothing extra."""
    for seed in range(80):
        world = world_of(shape, seed)
        world.unread = {"target", "source"}
        world.is_source_alive = False
        _compare(world)


def _compare(world: World) -> None:
    reads, standing = WorldReads(world), world.standing()
    ground = prepare(standing, world.points(), reads)
    assert ground is not None
    offsets = range(world.source_end + 5)
    for offset, (place, cost) in zip(offsets, WarmPlaces(ground).places_of(offsets), strict=True):
        found = translate_offset(offset, standing, ground, reads)
        assert found.target_offset == place
        assert found.reread_records_max is not None
        assert found.reread_records_max <= cost
        if found.rule == "sync_point":
            assert found.reread_records_max == cost


def test_equal_answers_are_one_run() -> None:
    """Neighbours on the target share one entry: a map holds no more than its answers differ."""
    standing = Standing(
        partition=ORDERS, target_partition=COPY, target=ends(300), target_now=None, mirrored=None, is_exactly_once=True
    )
    ground = prepare(standing, map_of((0, 0), (100, 101), (200, 202)), LogReads(Logs({}, is_copy_readable=False)))
    assert ground is not None
    places = WarmPlaces(ground)
    assert len(places) <= 7
    assert places.places_of([0, 1, 50, 100, 101]) == [(0, 0), (1, 98), (1, 98), (101, 0), (102, 98)]
