"""Honest loss: the table of the window, the table of counts, and a world in which the truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.failover.loss import SourceWatch, account_loss, unknown_window_seconds
from replicator.failover.steps.limit import account_flow
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    OvertakenSpan,
    PartitionEnds,
    Reachability,
    TailCount,
    TopicObservation,
)

T0 = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
TOPIC = TopicName("flights")
EAST = ClusterName("east")


def at(seconds: float) -> datetime:
    """Return a moment so many seconds after the start."""
    return T0 + timedelta(seconds=seconds)


def cluster(
    *,
    reached: float | None = 10.0,
    state: Reachability = Reachability.REACHABLE,
    since: float | None = None,
    observed: float = 10.0,
) -> ClusterObservation:
    """Return what a supervisor recorded last of the source."""
    return ClusterObservation(
        cluster=EAST,
        cluster_id="id",
        reachability=state,
        observed_at=at(observed),
        last_reached_at=None if reached is None else at(reached),
        unreachable_since=None if since is None else at(since),
    )


@pytest.mark.parametrize(
    ("observation", "answer", "expected"),
    [
        pytest.param(None, Reachability.REFUSED, None, id="never observed"),
        pytest.param(cluster(reached=None), Reachability.REFUSED, None, id="observed and never read"),
        pytest.param(cluster(), Reachability.REFUSED, 50.0, id="nobody saw it refuse: until our own probe"),
        pytest.param(
            cluster(state=Reachability.REFUSED, since=11.5, observed=58.0),
            Reachability.REFUSED,
            1.5,
            id="seen refusing since, without a break",
        ),
        pytest.param(
            cluster(state=Reachability.REFUSED, since=11.5, observed=20.0),
            Reachability.REFUSED,
            1.5 + 40.0,
            id="nobody looked for 40 s: it may have come back in between",
        ),
        pytest.param(
            cluster(state=Reachability.REFUSED, since=11.5, observed=58.0),
            Reachability.SILENT,
            60.0,
            id="silent now: it may write until now",
        ),
        pytest.param(
            cluster(state=Reachability.SILENT, since=11.5, observed=58.0),
            Reachability.REFUSED,
            50.0,
            id="silence is no refusal",
        ),
        pytest.param(cluster(), Reachability.REACHABLE, 60.0, id="alive: it writes until now"),
        pytest.param(cluster(reached=60.9, observed=60.9), Reachability.REFUSED, 0.0, id="clocks of two hosts"),
        pytest.param(cluster(reached=61.1, observed=61.1), Reachability.REFUSED, None, id="read in the future"),
        pytest.param(cluster(reached=71.1, observed=71.1), Reachability.SILENT, None, id="read in the future: silent"),
        pytest.param(
            cluster(reached=70.9, observed=70.9), Reachability.SILENT, 0.0, id="silent, and clocks of two hosts"
        ),
        pytest.param(
            cluster(state=Reachability.REFUSED, reached=3600.0, since=3601.5, observed=3658.0),
            Reachability.REFUSED,
            None,
            id="an hour back since: nobody knows",
        ),
        pytest.param(
            cluster(state=Reachability.REFUSED, reached=10.0, since=11.5, observed=65.0),
            Reachability.REFUSED,
            1.5,
            id="the refusals were seen by a clock a little ahead",
        ),
        pytest.param(
            cluster(state=Reachability.REFUSED, reached=10.0, since=11.5, observed=65.1),
            Reachability.REFUSED,
            50.0,
            id="a clock too far ahead joins no refusals: until our own probe",
        ),
        pytest.param(
            cluster(state=Reachability.REFUSED, reached=10.0, since=70.0, observed=80.0),
            Reachability.REFUSED,
            60.0,
            id="and never less than the supervisor's own clock told",
        ),
    ],
)
def test_the_window_nobody_read(
    observation: ClusterObservation | None, answer: Reachability, expected: float | None
) -> None:
    """From the last whole read to the first proven refusal; the probe was at 60 s, now is 70 s."""
    watch = SourceWatch(observation=observation, answer=answer, answered_at=at(60))
    assert unknown_window_seconds(watch, now=at(70)) == expected


@pytest.mark.parametrize(("unwatched", "expected"), [(5.0, 1.5), (5.001, 6.501)])
def test_refusals_join_over_five_seconds_and_no_more(unwatched: float, expected: float) -> None:
    """No broker comes up, takes a record and goes again in between; in more than that it might."""
    seen = cluster(state=Reachability.REFUSED, since=11.5, observed=60.0 - unwatched)
    watch = SourceWatch(observation=seen, answer=Reachability.REFUSED, answered_at=at(60))
    assert unknown_window_seconds(watch, now=at(70)) == pytest.approx(expected)


def test_a_source_that_refused_at_the_moment_of_its_last_read_had_no_window() -> None:
    """The refusal is of that moment, not of one before it."""
    seen = cluster(state=Reachability.REFUSED, reached=10.0, since=10.0, observed=58.0)
    watch = SourceWatch(observation=seen, answer=Reachability.REFUSED, answered_at=at(60))
    assert unknown_window_seconds(watch, now=at(70)) == 0.0


SPAN = OvertakenSpan(partition=0, from_offset=10, to_offset=40, seen_at=T0)


def topic(
    *,
    end: int = 100,
    stable: int | None = None,
    start: int = 0,
    mirrored: int | None = 60,
    visible: int | None = None,
    tail_from: int | None = None,
    rate: float | None = 10.0,
    since: datetime | None = None,
) -> TopicObservation:
    """Return the last observation of a topic with one partition."""
    tails: tuple[TailCount, ...] = ()
    if visible is not None:
        first = tail_from if tail_from is not None else (start if mirrored is None else mirrored)
        tails = (TailCount(partition=0, from_offset=first, to_offset=end, visible_records=visible),)
    return TopicObservation(
        cluster=EAST,
        topic=TOPIC,
        topic_id="id",
        observed_at=T0,
        partitions=(
            PartitionEnds(partition=0, log_start=start, last_stable=end if stable is None else stable, end=end),
        ),
        mirrored_positions={} if mirrored is None else {0: mirrored},
        tails=tails,
        peak_rate=rate,
        unmirrored_since=since,
    )


@pytest.mark.parametrize(
    ("seen", "position", "known", "possible"),
    [
        pytest.param(topic(visible=40), 60, 40, 60, id="no hole: every offset a record"),
        pytest.param(topic(visible=25), 60, 25, 60, id="holes: only what was counted"),
        pytest.param(topic(visible=25), 70, 15, 50, id="mirrored on since: at most one record an offset of it"),
        pytest.param(topic(visible=25), 90, 0, 30, id="mirrored past what was counted"),
        pytest.param(topic(visible=40), 120, 0, 20, id="mirrored past the last observation"),
        pytest.param(topic(), 60, 0, 60, id="nothing counted: nothing known"),
        pytest.param(topic(visible=40), 50, 0, 70, id="set back since: the position says too little"),
        pytest.param(topic(visible=40), None, 0, 120, id="position gone"),
        pytest.param(topic(mirrored=None, start=20, visible=80), None, 80, 100, id="never mirrored"),
        pytest.param(topic(start=70, visible=30, tail_from=70), 60, 30, 60, id="retention overtook the flow"),
        pytest.param(topic(visible=40, rate=None), 60, 40, None, id="no rate known"),
    ],
)
def test_what_one_partition_loses(
    seen: TopicObservation, position: int | None, known: int, possible: int | None
) -> None:
    """Known is counted, possible is every offset above plus the peak rate over a window of 2 s."""
    mirrored = {} if position is None else {TopicPartition(TOPIC, 0): position}
    loss = account_loss({TOPIC: seen}, mirrored, window_seconds=2.0, is_exactly_once=True)
    assert (loss.known_lost, loss.possible_lost_max) == (known, possible)
    assert (loss.partitions[0].known_lost, loss.partitions[0].possible_lost_max) == (known, possible)
    assert loss.unknown_window_seconds == 2.0


@pytest.mark.parametrize(
    ("position", "possible"),
    [
        pytest.param(60, 60 + 30, id="jumped over: all of it is in the bound"),
        pytest.param(
            15, 85 + 20 + 5, id="not jumped yet: what is above the position is missing already, and counts once"
        ),
        pytest.param(None, 100 + 20, id="position gone: everything is missing"),
    ],
)
def test_what_retention_deleted_first_is_in_the_bound(position: int | None, possible: int) -> None:
    """Nobody can count the records in there any more: none is known to be lost, all may be."""
    seen = replace(topic(), overtaken=(SPAN, replace(SPAN, partition=1)))
    mirrored = {} if position is None else {TopicPartition(TOPIC, 0): position}
    loss = account_loss({TOPIC: seen}, mirrored, window_seconds=2.0, is_exactly_once=True)
    assert (loss.known_lost, loss.possible_lost_max) == (0, possible)
    assert sum(p.overtaken_offsets for p in loss.partitions) == {60: 30, 15: 5, None: 0}[position]


@pytest.mark.parametrize(
    ("seen", "position", "read_at", "expected"),
    [
        pytest.param(topic(), 100, at(0), 2.0, id="all that was read is mirrored: the window alone"),
        pytest.param(topic(), 60, at(0), None, id="behind, and nobody knows since when"),
        pytest.param(topic(since=at(-3)), 60, at(0), 5.0, id="behind since then, and the window"),
        pytest.param(topic(since=at(-3)), 100, at(0), 2.0, id="caught up since"),
        pytest.param(topic(since=at(-3)), 80, at(1), 6.0, id="read once more since it was written"),
        pytest.param(topic(since=at(-3)), 50, at(0), None, id="set back: what was mirrored long before"),
        pytest.param(topic(since=at(-3)), None, at(0), None, id="position gone"),
        pytest.param(topic(since=at(-3), mirrored=None), None, at(0), 5.0, id="never mirrored"),
        pytest.param(topic(since=at(-3)), 60, None, None, id="never read"),
        pytest.param(replace(topic(since=at(-3)), overtaken=(SPAN,)), 100, at(0), None, id="some of it deleted first"),
    ],
)
def test_when_what_is_lost_was_written(
    seen: TopicObservation, position: int | None, read_at: datetime | None, expected: float | None
) -> None:
    """From the moment since which nothing written was missing, to the end of the window of 2 s; else unknown."""
    mirrored = {} if position is None else {TopicPartition(TOPIC, 0): position}
    loss = account_loss({TOPIC: seen}, mirrored, window_seconds=2.0, read_at=read_at, is_exactly_once=True)
    assert loss.lost_seconds_max == expected


@pytest.mark.parametrize(("position", "expected"), [(99, None), (100, 2.0)])
def test_one_record_behind_is_behind(position: int, expected: float | None) -> None:
    """Of one record that nobody knows the age of, nobody knows the age."""
    mirrored = {TopicPartition(TOPIC, 0): position}
    loss = account_loss({TOPIC: topic()}, mirrored, window_seconds=2.0, read_at=at(0), is_exactly_once=True)
    assert loss.lost_seconds_max == expected


def test_one_topic_without_a_rate_leaves_the_bound_unknown() -> None:
    """The others' bounds are no bound of the whole."""
    other = TopicName("other")
    both = {TOPIC: topic(), other: replace(topic(rate=None), topic=other)}
    mirrored = {TopicPartition(name, 0): 60 for name in both}
    assert account_loss(both, mirrored, window_seconds=2.0, is_exactly_once=True).possible_lost_max is None
    both[other] = replace(both[other], peak_rate=1.0)
    assert account_loss(both, mirrored, window_seconds=2.0, is_exactly_once=True).possible_lost_max == 80 + 20 + 2


def test_a_span_begins_where_a_flow_that_has_no_position_would() -> None:
    """A span from the first offset on is not below a position that nobody has."""
    first = OvertakenSpan(partition=0, from_offset=0, to_offset=40, seen_at=T0)
    seen = replace(topic(), overtaken=(first,))
    loss = account_loss({TOPIC: seen}, {}, window_seconds=0.0, is_exactly_once=True)
    assert sum(p.overtaken_offsets for p in loss.partitions) == 0


def test_the_oldest_of_several_topics_counts() -> None:
    """One topic behind for longer than the others; one of unknown age leaves all unknown."""
    other = TopicName("other")
    both = {TOPIC: topic(since=at(-3)), other: replace(topic(since=at(-7)), topic=other)}
    mirrored = {TopicPartition(name, 0): 60 for name in both}
    loss = account_loss(both, mirrored, window_seconds=2.0, read_at=at(0), is_exactly_once=True)
    assert loss.lost_seconds_max == 9.0
    both[other] = replace(both[other], unmirrored_since=None)
    loss = account_loss(both, mirrored, window_seconds=2.0, read_at=at(0), is_exactly_once=True)
    assert loss.lost_seconds_max is None


def test_without_exactly_once_nothing_is_known_lost() -> None:
    """Positions may be a minute old then: what seems lost may be on the target."""
    loss = account_loss(
        {TOPIC: topic(visible=40)}, {TopicPartition(TOPIC, 0): 60}, window_seconds=2.0, is_exactly_once=False
    )
    assert (loss.known_lost, loss.possible_lost_max) == (0, 60)


def test_without_any_observation_nothing_is_known_and_nothing_bounded() -> None:
    """Unknown is unknown, never 0 and never a guess."""
    loss = account_loss({}, {TopicPartition(TOPIC, 0): 60}, window_seconds=None, is_exactly_once=True)
    assert (loss.known_lost, loss.unknown_window_seconds, loss.possible_lost_max) == (0, None, None)
    assert loss.partitions[0].observed_end is None
    assert loss.partitions[0].possible_lost_max is None


def test_a_mirrored_topic_that_was_never_observed_leaves_the_bound_unknown() -> None:
    """One topic nobody looked at is enough: the sum must not pretend to hold it."""
    mirrored = {TopicPartition(TOPIC, 0): 60, TopicPartition(TopicName("other"), 0): 5}
    loss = account_loss({TOPIC: topic(visible=40)}, mirrored, window_seconds=2.0, is_exactly_once=True)
    assert (loss.known_lost, loss.possible_lost_max) == (40, None)


def test_a_closed_window_needs_no_rate() -> None:
    """When the source was read after it had refused, what is known is all there is."""
    loss = account_loss(
        {TOPIC: topic(visible=40, rate=None)}, {TopicPartition(TOPIC, 0): 60}, window_seconds=0.0, is_exactly_once=True
    )
    assert (loss.known_lost, loss.possible_lost_max) == (40, 40)


def test_partitions_share_one_rate() -> None:
    """The peak rate is the topic's: it counts once in the sum, and whole for each partition."""
    seen = topic(visible=40)
    both = replace(seen, partitions=(seen.partitions[0], replace(seen.partitions[0], partition=1)))
    mirrored = {TopicPartition(TOPIC, 0): 60, TopicPartition(TOPIC, 1): 100}
    loss = account_loss({TOPIC: both}, mirrored, window_seconds=2.0, is_exactly_once=True)
    assert loss.possible_lost_max == 40 + 20
    assert [p.possible_lost_max for p in loss.partitions] == [60, 20]


@dataclass
class Partition:
    """A source partition whose truth is known: for each offset, whether readers ever see a record there."""

    visible: list[bool] = field(default_factory=list)
    mirrored: int = 0
    at_observation: tuple[int, int, int] = (0, 0, 0)

    def observe(self, *, count_from: int) -> None:
        """Note mirrored position, start of the count and end, as a supervisor would."""
        self.at_observation = (self.mirrored, max(self.mirrored, count_from), len(self.visible))

    def true_loss(self) -> int:
        """Count the records that readers of the source could see and the target never got."""
        return sum(self.visible[self.mirrored :])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Partition], float, float, float | None]:
    """Partitions that lived through: traffic, an observation, more traffic and mirroring, death.

    Returns them with the true window, the rate the observation knows, and the window that was reported.
    """
    partitions = [Partition() for _ in range(draw(st.integers(1, 4)))]
    marks = st.sampled_from([True, True, True, False])  # a record, or a marker, an aborted record, a compacted hole
    for partition in partitions:
        partition.visible = draw(st.lists(marks, max_size=30))
        partition.mirrored = draw(st.integers(0, len(partition.visible)))
        partition.observe(count_from=draw(st.integers(0, len(partition.visible))))
    window = draw(st.floats(0.0, 10.0))
    peak = draw(st.floats(0.0, 20.0))
    budget = int(window * peak)
    for partition in partitions:
        arrived = draw(st.lists(marks, max_size=min(budget, 40)))
        budget -= len(arrived)
        partition.visible += arrived
        partition.mirrored = draw(st.integers(partition.mirrored, len(partition.visible)))
    reported = window + draw(st.floats(0.0, 3.0))
    return partitions, window, peak, reported


@settings(max_examples=1500, deadline=None)
@given(worlds())
def test_known_is_at_most_true_and_true_at_most_possible(
    world: tuple[list[Partition], float, float, float | None],
) -> None:
    """Markers, aborted records, mirroring after the observation, counts of a part: the truth stays in between."""
    partitions, _window, peak, reported = world
    seen = TopicObservation(
        cluster=EAST,
        topic=TOPIC,
        topic_id="id",
        observed_at=T0,
        partitions=tuple(
            PartitionEnds(partition=n, log_start=0, last_stable=p.at_observation[2], end=p.at_observation[2])
            for n, p in enumerate(partitions)
        ),
        mirrored_positions={n: p.at_observation[0] for n, p in enumerate(partitions)},
        tails=tuple(
            TailCount(
                partition=n,
                from_offset=p.at_observation[1],
                to_offset=p.at_observation[2],
                visible_records=sum(p.visible[p.at_observation[1] : p.at_observation[2]]),
            )
            for n, p in enumerate(partitions)
        ),
        peak_rate=peak,
    )
    mirrored = {TopicPartition(TOPIC, n): p.mirrored for n, p in enumerate(partitions)}
    loss = account_loss({TOPIC: seen}, mirrored, window_seconds=reported, is_exactly_once=True)
    truth = sum(p.true_loss() for p in partitions)
    assert loss.possible_lost_max is not None
    assert loss.known_lost <= truth <= loss.possible_lost_max
    for told, partition in zip(loss.partitions, partitions, strict=True):
        assert told.possible_lost_max is not None
        assert told.known_lost <= partition.true_loss() <= told.possible_lost_max


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_without_holes_or_a_window_all_three_meet(world: tuple[list[Partition], float, float, float | None]) -> None:
    """A source that was read after its last record, without a hole: known, true and possible are one number."""
    partitions, _window, peak, _reported = world
    for partition in partitions:
        partition.visible = [True] * len(partition.visible)
        partition.observe(count_from=0)
    seen = TopicObservation(
        cluster=EAST,
        topic=TOPIC,
        topic_id="id",
        observed_at=T0,
        partitions=tuple(
            PartitionEnds(partition=n, log_start=0, last_stable=len(p.visible), end=len(p.visible))
            for n, p in enumerate(partitions)
        ),
        mirrored_positions={n: p.mirrored for n, p in enumerate(partitions)},
        tails=tuple(
            TailCount(partition=n, from_offset=p.mirrored, to_offset=len(p.visible), visible_records=p.true_loss())
            for n, p in enumerate(partitions)
        ),
        peak_rate=peak,
    )
    mirrored = {TopicPartition(TOPIC, n): p.mirrored for n, p in enumerate(partitions)}
    loss = account_loss({TOPIC: seen}, mirrored, window_seconds=0.0, is_exactly_once=True)
    truth = sum(p.true_loss() for p in partitions)
    assert (loss.known_lost, loss.possible_lost_max) == (truth, truth)


def test_positions_of_what_no_flow_carries_leave_the_bound_known() -> None:
    """MirrorMaker stores how far its heartbeats are, too: they are nobody's loss, and bound nothing."""
    flow = Flow(name=FlowName("shop"), source=EAST, target=ClusterName("west"), topics=Selection((TOPIC,)))
    world = SimpleNamespace(flow=flow, observed=SimpleNamespace(topics={TOPIC: topic(visible=40)}))
    survey = SimpleNamespace(observation=cluster(), answer=Reachability.REFUSED, answered_at=at(12.0))
    mirrored = {TopicPartition(TOPIC, 0): 60, TopicPartition(TopicName("heartbeats"), 0): 5}
    loss = account_flow(world, survey, mirrored, now=at(12.0))  # type: ignore[arg-type]  # what is read of them
    assert loss.known_lost == 40
    assert loss.possible_lost_max == 40 + 20
