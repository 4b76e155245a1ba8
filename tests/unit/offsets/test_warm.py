"""The warm map answers as the rules do, through everything that happens to a flow, and stays within its bound."""

from __future__ import annotations

import gc
import random
import weakref
from datetime import UTC, datetime
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.clock import Deadline
from replicator.model.flow import Delivery, Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, Translation
from replicator.offsets import OffsetMap, PlacedGroup, SourceView, TargetView, Translator, WarmMap
from replicator.offsets.ground import prepare
from replicator.offsets.reads import Visible
from replicator.offsets.rules import RULES, translate_offset
from replicator.offsets.views import TopicState
from replicator.offsets.warm import ProvenRuns
from tests.examples import examples
from tests.unit.offsets import world as worlds
from tests.unit.offsets.test_worlds import SHAPES, world_of
from tests.unit.offsets.world import SOURCE, TARGET, Mirror, World, WorldReads

AT = datetime(2026, 1, 1, tzinfo=UTC)


class WorldView:
    """Both sides of a world, as a translator asks views."""

    def __init__(self, world: World) -> None:
        assert world.swept is not None
        self._world = world
        shape = world.shape
        self.reads_count = 0
        self.ends = {TARGET: world.swept}
        self.ends_now = {TARGET: world.ends_now()}
        self.states = {
            TARGET.topic: TopicState(str(id(world.copy)), shape.is_target_compacted),
            SOURCE.topic: TopicState("source", shape.is_source_compacted),
        }

    def read(
        self, _tp: object, start: int, stop: int, *, records_max: int | None = None, **_: object
    ) -> Visible | None:
        """Return records of the copy."""
        self.reads_count += 1
        return WorldReads(self._world).target(start, stop, records_max=records_max)

    def read_source(self, _tp: object, start: int, stop: int | None, **_: object) -> Visible | None:
        """Return records of the source."""
        self.reads_count += 1
        return WorldReads(self._world).source(start, stop)


def flow_of(world: World) -> Flow:
    """Return a flow that names and delivers as the world does."""
    return Flow(
        name=FlowName("shop"),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection(("orders",)),
        naming=Naming.PREFIX,
        delivery=Delivery.EXACTLY_ONCE if world.shape.is_exactly_once else Delivery.AT_LEAST_ONCE,
    )


def group_at(*offsets: int) -> GroupObservation:
    """Return a group that stands at an offset of each partition of the source."""
    return GroupObservation(
        cluster=ClusterName("east"),
        group=GroupName("billing"),
        state=GroupState.EMPTY,
        observed_at=AT,
        committed={TopicPartition(SOURCE.topic, number): at for number, at in enumerate(offsets)},
    )


def open_translator(world: World, warm: WarmMap, view: WorldView | None = None) -> Translator:
    """Return the product's own translator on a world."""
    view = view or WorldView(world)
    return Translator(
        flow_of(world),
        offset_map=OffsetMap({SOURCE: world.points()}),
        mirrored={SOURCE: world.mirrored} if world.is_mirrored_known else {},
        target=cast("TargetView", view),
        source=cast("SourceView", view),
        deadline=Deadline.after(60),
        warm=warm,
    )


def told(translator: Translator, offset: int) -> Translation:
    """Return the product's answer for one offset."""
    return translator.translate(group_at(offset)).translations[0]


def worth(found: Translation) -> tuple[int | None, Grade, int | None, bool]:
    """Return what a group gets of an answer."""
    return found.target_offset, found.grade, found.reread_records_max, found.is_clamped


def differences(world: World, warm: WarmMap, rng: random.Random) -> list[str]:
    """Return where the product's answers differ from the rules', each offset asked twice, in any order."""
    translator, reads = open_translator(world, warm), WorldReads(world)
    standing = world.standing()
    ground = prepare(standing, world.points(), reads)
    offsets = [*range(world.source_end + 3)] * 2
    rng.shuffle(offsets)
    found = []
    for offset in offsets:
        rules, ours = translate_offset(offset, standing, ground, reads), told(translator, offset)
        if worth(rules) != worth(ours):
            found.append(f"{rules} / {ours}")
    return found


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**40))
def test_every_answer_is_the_rules_own(shape: str, seed: int) -> None:
    """For every offset of every world the fast path gives the rules' place, grade, bound and clamp."""
    assert differences(world_of(shape, seed), WarmMap(), random.Random(seed)) == []


@pytest.mark.parametrize("shape", ["exactly_once", "exactly_once_quiet", "compacted_source"])
def test_what_was_proven_holds_through_all_that_happens(shape: str) -> None:
    """A warm map kept while the flow is set back, mirrored on, or its copy made anew, never skips."""
    answered = 0
    for seed in range(40):
        rng = random.Random(f"warm/{shape}/{seed}")
        warm, world = WarmMap(), World(SHAPES[shape], twin_rate=rng.choice([0.0, 0.8]))
        worlds._write_source(world, rng, rng.randint(5, 60))
        mirror = Mirror(world, rng)
        for _ in range(4):
            mirror.run(rng.randint(world.mirrored, world.source_end))
            world.swept = world.ends_now()
            translator = open_translator(world, warm)
            for offset in rng.sample(range(world.source_end + 2), world.source_end + 2):
                found = told(translator, offset)
                assert worlds._faults_of(world, found) == [], (shape, seed)
                answered += found.rule == "proven_run"
            worlds._disturb(world, mirror, rng)
            worlds._write_source(world, rng, rng.randint(0, 40))
    assert answered > 500


def settled_world(records: int = 60) -> World:
    """Return a world without holes, mirrored to its end, with markers on the copy."""
    world, rng = World(worlds.Shape(has_holes=False)), random.Random(7)
    for _ in range(3):
        worlds._write_source(world, rng, records // 3)
    Mirror(world, rng).run(world.source_end)
    world.swept = world.ends_now()
    return world


def test_what_is_proven_is_not_read_again() -> None:
    """The second look at the same brackets reads nothing, and says by which rule it knows."""
    world, warm = settled_world(), WarmMap()
    first, second = WorldView(world), WorldView(world)
    last = world.points().last_source
    for offset in range(last):
        told(open_translator(world, warm, first), offset)
    again = [told(open_translator(world, warm, second), offset) for offset in range(world.points().sources[0], last)]
    assert first.reads_count > 0
    assert second.reads_count == 0
    assert {(one.rule, one.grade) for one in again} == {("proven_run", Grade.EXACT)}
    assert all(one.rule in RULES for one in again)


def test_a_group_is_held_in_columns_until_somebody_asks() -> None:
    """Grade and sum of a whole group are known without making a translation of each row."""
    world, warm = settled_world(), WarmMap()
    placed = open_translator(world, warm).translate(group_at(world.mirrored + 5))
    assert isinstance(placed, PlacedGroup)
    assert placed.placed.told == {}
    assert (placed.grade, placed.reread_records_max) == (Grade.EXACT, 0)
    found = placed.translations[0]
    assert (found.rule, found.is_clamped, found.observed_at) == ("end_of_mirror", True, AT)
    assert found.evidence["never_mirrored"] == 5
    nowhere = open_translator(world, warm).translate(group_at())
    assert (nowhere.grade, nowhere.reread_records_max) == (Grade.UNAVAILABLE, 0)


@given(
    cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_runs_added_in_any_order_are_the_same_runs(cuts: list[tuple[int, int]], order: random.Random) -> None:
    """However brackets come to be proven, overlapping or not, each offset has its place, in as few runs as can be."""
    place = {u: u + 3 * (u // 10) for u in range(60)}
    pieces = [(a, place[a], min(length, 10 - a % 10)) for a, length in cuts]
    order.shuffle(pieces)
    proven = ProvenRuns()
    proven.add(pieces)
    covered = {a + k for a, _, n in pieces for k in range(n)}
    wanted = {u: place[u] if u in covered else None for u in range(-5, 60)}
    assert {u: proven.place_of(u) for u in range(-5, 60)} == wanted
    starts = [u for u in covered if u - 1 not in covered or place[u] != place[u - 1] + 1]
    assert len(proven) == len(starts)


@pytest.mark.parametrize("below", range(30))
def test_what_lies_below_a_place_is_forgotten(below: int) -> None:
    """Retention cuts runs to the record: what is left has the same places."""
    proven = ProvenRuns()
    proven.add([(0, 0, 5), (5, 8, 4), (20, 20, 5)])
    before = {u: proven.place_of(u) for u in range(40)}
    proven.forget_below(below)
    assert {u: proven.place_of(u) for u in range(40)} == {
        u: place if place is not None and place >= below else None for u, place in before.items()
    }


def test_a_warm_map_holds_no_more_than_it_may() -> None:
    """Beyond its bound the partitions asked about longest ago are forgotten; another copy begins with nothing."""
    warm = WarmMap(runs_max=100)
    tps = [TopicPartition(TopicName("orders"), number) for number in range(30)]
    for tp in tps:
        warm.of(tp, copy_id="a")
        warm.add(tp, [(10 * k, 20 * k, 1) for k in range(10)])
        assert warm.runs_count <= 100
    assert len(warm.of(tps[-1], copy_id="a")) == 10
    assert len(warm.of(tps[-1], copy_id="b")) == 0
    assert len(warm.of(tps[0], copy_id="a")) == 0
    assert warm.runs_count == 90


def test_a_thousand_records_in_a_row_are_one_run() -> None:
    """Neighbouring brackets with the same difference become one run, whatever their number."""
    proven = ProvenRuns()
    proven.add([(100 * k, 100 * k + 7, 100) for k in (4, 0, 2, 3, 1)])
    assert list(proven.runs()) == [(0, 7, 500)]


def test_results_do_not_keep_the_views_they_were_made_on() -> None:
    """A translation kept for the next round holds numbers, not the clusters' records."""
    world = settled_world()
    translator = open_translator(world, WarmMap())
    gone = weakref.ref(translator)
    placed = translator.translate(group_at(world.mirrored))
    del translator
    gc.collect()
    assert gone() is None
    assert placed.translations[0].rule == "end_of_mirror"
