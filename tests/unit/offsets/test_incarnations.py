"""A topic deleted and made again ends its map: generated pasts of both sides, judged by the truth."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.clock import Clock, Deadline
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import CopyHistory, GroupObservation, GroupState, PartitionEnds, TopicObservation
from replicator.model.offsets import Grade, OffsetSync, Translation
from replicator.offsets import (
    OffsetMapBuilder,
    SourceView,
    TargetView,
    Translator,
    copies_observed,
    examine_copies,
    with_proof,
)
from replicator.offsets.reads import Visible
from replicator.offsets.views import TopicState
from tests.examples import examples

ORDERS = TopicName("orders")
TP = TopicPartition(ORDERS, 0)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FLOW = Flow(
    name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"), topics=Selection(("orders",))
)


@dataclass
class Past:
    """Both logs of one partition, whose topic is made anew on either side now and then. A record of the copy is
    (incarnation of the source's topic, its source offset); what is missing there is a marker."""

    rng: random.Random
    source_id: int = 0
    copy_id: int = 0
    source_end: int = 0
    mirrored: int = 0
    copy: dict[int, tuple[int, int]] = field(default_factory=dict)
    copy_end: int = 0
    syncs: list[OffsetSync] = field(default_factory=list)
    last_sync: tuple[int, int] = (-1, -1)
    has_append_times: bool = False
    seconds: int = 0

    def write(self, count: int) -> None:
        """Append to the source."""
        self.source_end += count

    def mirror(self, count: int) -> None:
        """Copy on as MM2 does, the first sync of a task and some others lost to its throttle."""
        for _ in range(min(count, self.source_end - self.mirrored)):
            self.copy[self.copy_end] = self.source_id, self.mirrored
            previous_source, previous_target = self.last_sync
            is_step = self.mirrored != previous_source + 1 or self.copy_end < previous_target
            if (is_step and self.rng.random() < 0.8) or self.rng.random() < 0.15:
                self.syncs.append(OffsetSync(TP, self.mirrored, self.copy_end))
            self.last_sync = self.mirrored, self.copy_end
            self.mirrored += 1
            self.copy_end += 1
            if self.rng.random() < 0.1:
                self.copy_end += 1

    def remake_source(self) -> None:
        """Delete the source's topic and make it again; MM2 goes on where it was, or begins anew."""
        self.source_id += 1
        self.source_end = 0
        if self.rng.random() < 0.5:
            self.write(self.mirrored + self.rng.randint(1, 20))
        if self.source_end < self.mirrored or self.rng.random() < 0.3:
            self.mirrored = 0

    def remake_copy(self) -> None:
        """Delete the copy and make it again; MM2 goes on where it was."""
        self.copy_id += 1
        self.copy, self.copy_end = {}, 0

    def now(self) -> datetime:
        """Return a moment later than all before."""
        self.seconds += 1
        return BEGAN + timedelta(seconds=self.seconds)

    def ends(self, count: int) -> dict[TopicPartition, PartitionEnds]:
        """Return the ends of a log of so many offsets."""
        return {TP: PartitionEnds(partition=0, log_start=0, last_stable=count, end=count)}

    def print_of(self, incarnation: int, offset: int) -> int:
        """Return the content of a record: another in each incarnation."""
        return incarnation * 10**6 + offset


class View:
    """One side of the past, as a translator asks for it."""

    def __init__(self, past: Past, *, is_source: bool) -> None:
        self._past, self._is_source = past, is_source
        number = past.source_id if is_source else past.copy_id
        state = TopicState(f"id-{number}", is_compacted=False, has_append_times=past.has_append_times and not is_source)
        self.states = {ORDERS: state}
        self.ends = past.ends(past.source_end if is_source else past.copy_end)
        self.ends_now = self.ends
        self.is_timely = True

    def read_ahead(self, *_: object) -> None:
        """Nothing is gained by reading ahead here."""

    def read(self, _tp: object, start: int, stop: int, *, records_max: int | None = None, **_: object) -> Visible:
        """Return records of the copy."""
        kept = [at for at in range(start, stop) if at in self._past.copy][:records_max]
        return Visible(array("q", kept), array("q", [self._past.print_of(*self._past.copy[at]) for at in kept]))

    def read_source(self, _tp: object, start: int, stop: int | None, **_: object) -> Visible:
        """Return records of the source."""
        end = self._past.source_end if stop is None else min(stop, self._past.source_end)
        kept = list(range(start, end))
        return Visible(array("q", kept), array("q", [self._past.print_of(self._past.source_id, at) for at in kept]))


class PastClock:
    """The past's own time."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def now(self) -> datetime:
        """Return a moment later than all before."""
        return self._past.now()

    def monotonic(self) -> float:
        """Return nothing that passes."""
        return 0.0

    def sleep(self, _seconds: float) -> None:
        """Return at once."""


def look(
    past: Past, known: dict[TopicName, CopyHistory], *, is_source_alive: bool = True
) -> tuple[dict[TopicName, CopyHistory], Translator]:
    """Return what is known of the copy after a look at both sides, and the product's translator on them."""
    builder = OffsetMapBuilder()
    for sync in past.syncs:
        builder.add(sync)
    offset_map = builder.build()
    target = cast("TargetView", View(past, is_source=False))
    source = cast("SourceView", View(past, is_source=True)) if is_source_alive else None
    deadline = Deadline.after(60, clock=cast("Clock", PastClock(past)))
    copies = examine_copies(FLOW, known, offset_map=offset_map, target=target, source=source, deadline=deadline)
    mirrored = {TP: past.mirrored}
    return copies, Translator(
        FLOW,
        offset_map=offset_map,
        mirrored=mirrored,
        target=target,
        source=source,
        deadline=deadline,
        copies=copies,
    )


def group_at(offset: int, read_at: datetime) -> GroupObservation:
    """Return a group that was seen at an offset."""
    return GroupObservation(
        cluster=ClusterName("east"),
        group=GroupName("billing"),
        state=GroupState.EMPTY,
        observed_at=read_at,
        committed={TP: offset},
    )


def misjudged(past: Past, incarnation: int, found: Translation) -> str | None:
    """Return what is wrong with a translation of a position on one incarnation, by the truth; None for nothing."""
    place, at = found.target_offset, found.source_offset
    if place is None or found.reread_records_max is None:
        return f"no place: {found}"
    unread = {d for d, (which, u) in past.copy.items() if which > incarnation or (which == incarnation and u >= at)}
    skipped = [d for d in unread if d < place]
    again = [d for d in past.copy if d >= place and d not in unread]
    if skipped:
        return f"skips {len(skipped)}: {found}"
    if len(again) > found.reread_records_max or (found.grade is Grade.EXACT and again):
        return f"reads {len(again)} again: {found}"
    return None


def live(seed: int) -> tuple[Past, dict[TopicName, CopyHistory]]:
    """Return a past that was looked at now and then, and what is known of it by the looks."""
    rng = random.Random(seed)
    past = Past(rng)
    known: dict[TopicName, CopyHistory] = {}
    acts = [lambda: past.write(rng.randint(1, 30)), lambda: past.mirror(rng.randint(1, 40))] * 3
    acts += [past.remake_source, past.remake_copy]
    for _ in range(rng.randint(3, 18)):
        rng.choice(acts)()
        if rng.random() < 0.5:
            known |= look(past, known)[0]
    return past, known


@settings(max_examples=examples(600), deadline=None)
@given(seed=st.integers(0, 2**40), is_watched=st.booleans(), is_source_alive=st.booleans())
def test_no_position_is_placed_by_the_syncs_of_a_former_topic(
    seed: int, is_watched: bool, is_source_alive: bool
) -> None:
    """Whatever was made anew and whenever: nothing is skipped, EXACT costs nothing, and every bound holds; with the
    source dead too, by what the last look has left."""
    past, known = live(seed)
    known = look(past, known if is_watched else {})[0]
    copies, translator = look(past, known, is_source_alive=is_source_alive)
    read_at = past.now()
    wrong = []
    for offset in range(past.source_end + 2):
        found = translator.translate(group_at(offset, read_at)).translations[0]
        wrong.append(misjudged(past, past.source_id, found))
    assert [one for one in wrong if one] == [], (copies, past.syncs, past.copy)


@settings(max_examples=examples(400), deadline=None)
@given(seed=st.integers(0, 2**40))
def test_a_position_on_the_former_topic_never_skips_it(seed: int) -> None:
    """A position that was read before the topic was seen made anew is not placed by the new topic's syncs."""
    past, known = live(seed)
    known = look(past, known)[0]
    read_at, former, end = past.now(), past.source_id, past.source_end
    past.remake_source()
    past.write(past.rng.randint(0, 60))
    past.mirror(past.rng.randint(0, 80))
    known = look(past, known)[0]
    for is_source_alive in (True, False):
        translator = look(past, known, is_source_alive=is_source_alive)[1]
        for offset in range(end + 1):
            found = translator.translate(group_at(offset, read_at)).translations[0]
            assert misjudged(past, former, found) is None


@settings(max_examples=examples(200), deadline=None)
@given(seed=st.integers(0, 2**40), written=st.integers(1, 90), mirrored=st.integers(1, 90))
def test_a_topic_made_again_just_before_the_source_died_is_not_skipped(seed: int, written: int, mirrored: int) -> None:
    """Nobody saw the new topic, and MM2 began it at 0: positions on the former one resume before all that it wrote."""
    past = Past(random.Random(seed))
    past.write(50)
    past.mirror(50)
    known, translator = look(past, {})
    read_at = past.now()
    assert translator.translate(group_at(50, read_at)).translations[0].rule == "end_of_mirror"
    past.source_id, past.source_end, past.mirrored = 1, written, 0
    past.syncs.append(OffsetSync(TP, 0, past.copy_end))
    past.mirror(mirrored)
    translator = look(past, known, is_source_alive=False)[1]
    for offset in range(51):
        found = translator.translate(group_at(offset, read_at)).translations[0]
        assert misjudged(past, 0, found) is None


@settings(max_examples=examples(400), deadline=None)
@given(seed=st.integers(0, 2**40))
def test_the_way_back_never_leads_past_what_a_group_has_read(seed: int) -> None:
    """From any position of the copy: what lies ahead of it there is not behind the answer at home."""
    past, known = live(seed)
    translator = look(past, look(past, known)[0])[1]
    for at in range(past.copy_end + 1):
        found = translator.translate_back(group_at(at, past.now())).translations[0]
        ahead = [u for d, (which, u) in past.copy.items() if d >= at and which == past.source_id]
        assert found.target_offset is not None
        assert min(ahead, default=10**9) >= found.target_offset, found


def test_a_proof_under_a_former_topic_is_worth_nothing() -> None:
    """What was proven exact of the topic's former incarnation does not make the same position exact in the next."""
    past = Past(random.Random(3))
    past.write(50)
    past.mirror(50)
    known, translator = look(past, {})
    proven = translator.translate(group_at(20, past.now())).translations[0]
    assert proven.grade is Grade.EXACT
    past.source_id, past.source_end = 1, 200
    known, translator = look(past, known)
    fresh = translator.translate(group_at(20, past.now())).translations[0]
    assert fresh.grade is not Grade.EXACT
    assert with_proof(fresh, proven) == fresh
    assert "deleted and made again" in str(fresh.evidence["made_anew"])
    assert misjudged(past, 1, fresh) is None


def test_what_the_flow_mirrors_of_the_new_topic_is_exact_again() -> None:
    """From the first record on that is proven to be of the new topic positions are exact, the source dead or alive."""
    past = Past(random.Random(5))
    past.write(50)
    past.mirror(50)
    known = look(past, {})[0]
    past.source_id, past.source_end, past.mirrored = 1, 80, 0
    known = look(past, known)[0]
    past.mirror(80)
    known = look(past, known)[0]
    for is_source_alive in (True, False):
        translator = look(past, known, is_source_alive=is_source_alive)[1]
        first = min(sync.source_offset for sync in past.syncs if past.copy[sync.target_offset][0] == 1)
        grades = [translator.translate(group_at(at, past.now())).translations[0] for at in range(first, 81)]
        assert {found.grade for found in grades} == {Grade.EXACT}
        assert [misjudged(past, 1, found) for found in grades if misjudged(past, 1, found)] == []


def test_contents_that_cannot_be_compared_prove_nothing() -> None:
    """A copy with times of its own: of a topic that was made anew nothing is exact below the end of the mirror."""
    past = Past(random.Random(5), has_append_times=True)
    past.write(50)
    past.mirror(50)
    known = look(past, {})[0]
    assert look(past, known)[1].translate(group_at(7, past.now())).grade is Grade.EXACT
    past.source_id, past.source_end, past.mirrored = 1, 80, 0
    known = look(past, known)[0]
    past.mirror(80)
    translator = look(past, look(past, known)[0])[1]
    found = translator.translate(group_at(7, past.now())).translations[0]
    assert found.grade is not Grade.EXACT
    assert misjudged(past, 1, found) is None


@pytest.mark.parametrize(
    ("mirrored_id", "history_id", "is_left_out", "has_proof"),
    [
        ("a", None, True, True),
        (None, None, True, True),
        ("former", None, False, False),
        ("a", "a", False, True),
        ("a", "former", False, False),
    ],
)
def test_observations_tell_what_a_dead_source_cannot(
    mirrored_id: str | None, history_id: str | None, is_left_out: bool, has_proof: bool
) -> None:
    """A topic that was seen made anew, and whose copy nobody has looked into since, has nothing proven."""
    history = None
    if history_id is not None:
        history = CopyHistory(source_topic_id=history_id, copy_topic_id="c", settled_to={0: 9})
    seen = TopicObservation(
        cluster=ClusterName("east"),
        topic=ORDERS,
        topic_id="a",
        observed_at=BEGAN,
        partitions=(PartitionEnds(partition=0, log_start=0, last_stable=9, end=9),),
        mirrored_topic_id=mirrored_id,
        copy=history,
    )
    found = copies_observed({ORDERS: seen})
    assert (ORDERS not in found) is is_left_out
    if not is_left_out:
        assert (found[ORDERS].proven_from.get(0, 0) == 0) is has_proof
        assert found[ORDERS].source_topic_id == "a"
    assert copies_observed({ORDERS: replace(seen, copy=found.get(ORDERS))}) == found
