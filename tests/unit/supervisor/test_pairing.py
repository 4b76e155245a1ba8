"""Lag is taken from readings that belong together; what was not read stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.flow import LagSeries
from replicator.journal import Observed
from replicator.model.cluster import ClusterAccess, PartitionDescription, TopicDescription
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.observations import ClusterObservation, PartitionEnds, Reachability, TopicObservation
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.pairing import (
    keep_mirrored,
    lag_observation,
    positions_before,
    remembered_observation,
)
from replicator.supervisor.flows.lagfeed import LagFeed
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import MirroredSample, SourceSample

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDERS, EAST = TopicName("orders"), ClusterName("east")
TP = TopicPartition(ORDERS, 0)
FLOW = Flow(name=FlowName("shop"), source=EAST, target=ClusterName("west"))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sweep(seconds: float, end: int, topic_id: str = "id-1") -> SourceSample:
    ends = PartitionEnds(partition=0, log_start=0, last_stable=end, end=end)
    topic = TopicDescription(ORDERS, topic_id, (PartitionDescription(0, 1, (1,), (1,)),))
    return SourceSample(began_at=at(seconds), ended_at=at(seconds), topics={ORDERS: topic}, ends={TP: ends})


def mirrored(seconds: float, position: int) -> MirroredSample:
    return MirroredSample(began_at=at(seconds - 0.1), ended_at=at(seconds), positions={TP: position})


@pytest.mark.parametrize(
    ("samples", "moment", "position"),
    [
        ([mirrored(1, 10), mirrored(2, 20), mirrored(3, 30)], 2.5, 20),
        ([mirrored(3, 30)], 2.5, None),
        ([], 2.5, None),
        # Old positions say nothing about now: the target may have gone on for minutes.
        ([mirrored(1, 10)], 60, None),
    ],
)
def test_positions_are_those_read_before(samples: list[MirroredSample], moment: float, position: int | None) -> None:
    """A position read after the ends could lie beyond them and would look like a truncated source."""
    found = positions_before(samples, moment=at(moment))
    assert (found.positions[TP] if found else None) == position


@pytest.mark.parametrize("sweep_seconds", [0.1, 1.0, 3.0, 5.0])
@pytest.mark.parametrize("period_seconds", [0.05, 0.5, 2.0])
def test_a_slow_sweep_still_finds_the_positions_from_before_it(sweep_seconds: float, period_seconds: float) -> None:
    """However slow the sweep and however quick the target, fresh enough positions are kept, and few."""
    samples: tuple[MirroredSample, ...] = ()
    for number in range(int(40 / period_seconds)):
        now = number * period_seconds
        samples = keep_mirrored(samples, mirrored(now, number))
        assert len(samples) <= 15
        began = now - sweep_seconds
        if began > 2:
            found = positions_before(samples, moment=at(began))
            assert found is not None
            assert 0 <= (at(began) - found.ended_at).total_seconds() <= max(1.0, period_seconds)


def test_without_a_sweep_nothing_is_known() -> None:
    """An unread source gives an observation without ends, and so unknown lag."""
    series = LagSeries(FLOW.name)
    series.add(lag_observation(sweep(1, 50), [mirrored(0.5, 40)], tails={}, now=at(1)))
    assert series.measure(at(1)).lag_records == 10
    series.add(lag_observation(None, [mirrored(2, 50)], tails={}, now=at(2)))
    assert series.measure(at(2)).lag_records is None


class Feed:
    """A lag feed with its board and clock."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        watches = [
            ClusterWatch(ClusterAccess(name=ClusterName(name), bootstrap=f"{name}:1"), clock=clock)
            for name in ("east", "west")
        ]
        self.board = FlowBoard(source_watch=watches[0], target_watch=watches[1])
        self.lag = LagFeed(FLOW, self.board)

    def look(self, seconds: float, *, end: int, position: int) -> None:
        self.clock.seconds = seconds
        self.board.put_mirrored(mirrored(seconds, position))
        self.board.put_source(sweep(seconds, end))
        self.board.source_watch.note_read(began_at=at(seconds))


def test_partitions_that_are_known_of_are_told_of_before_lag_can_be(clock: Any) -> None:
    """Before anything can be compared each partition is there, its lag unknown: from memory first, then as swept."""
    feed = Feed(clock)
    assert feed.lag.measure(at(0)).topics == ()
    observed = remembered()
    feed.board.remember(observed)
    told = feed.lag.measure(at(1))
    assert [(one.partition, one.lag_records) for topic in told.topics for one in topic.partitions] == [(TP, None)]
    assert told.lag_records is None
    assert told.observed_at == at(4)
    clock.seconds = 20
    feed.board.put_source(sweep(20, 100))
    feed.board.source_watch.note_read(began_at=at(20))
    told = feed.lag.measure(at(20))
    assert [(topic.topic, topic.lag_seconds, topic.observed_at) for topic in told.topics] == [(ORDERS, None, at(20))]
    feed.look(21, end=100, position=100)
    feed.look(22, end=100, position=100)
    assert feed.lag.measure(at(22)).lag_records == 0


def test_a_source_without_a_topic_of_the_flow_has_nothing_to_mirror(clock: Any) -> None:
    """A sweep that found no topic makes the lag 0, never unknown; it ages, and the first topic is measured."""
    feed = Feed(clock)
    feed.look(1, end=0, position=0)
    feed.board.put_source(replace(sweep(1, 0), topics={}, ends={}))
    empty = feed.lag.measure(at(1))
    assert (empty.lag_records, empty.lag_seconds, empty.topics) == (0, 0.0, ())
    assert feed.lag.measure(at(8)).lag_records is None
    feed.look(20, end=500, position=100)
    assert feed.lag.measure(at(20)).lag_records == 400


def test_lag_turns_unknown_with_age_and_comes_back(clock: Any) -> None:
    """A source that is not read any more has no lag of 0, and none that stands still."""
    feed = Feed(clock)
    feed.look(1, end=100, position=100)
    assert feed.lag.measure(at(1)).lag_records == 0
    assert feed.lag.measure(at(6)).lag_records == 0
    assert feed.lag.measure(at(8)).lag_records is None
    feed.look(20, end=500, position=100)
    assert feed.lag.measure(at(20)).lag_records == 400


def test_lag_seconds_rise_while_nothing_moves(clock: Any) -> None:
    """Stalled: the age of the first end beyond the position grows with every look, and the flow counts as stalled."""
    feed = Feed(clock)
    seen = []
    for second in range(1, 12):
        feed.look(second, end=100 + second, position=100)
        seen.append(feed.lag.measure(at(second)))
    assert seen[0].lag_seconds is None
    assert [one.lag_seconds for one in seen[1:]] == [float(second) for second in range(1, 11)]
    assert seen[-1].stalled_partitions == 1
    assert seen[2].stalled_partitions == 0


def remembered(topic_id: str = "id-1") -> Observed:
    contact = ClusterObservation(
        cluster=EAST,
        cluster_id="c",
        reachability=Reachability.REACHABLE,
        observed_at=at(10),
        last_reached_at=at(10),
    )
    topic = TopicObservation(
        cluster=EAST,
        topic=ORDERS,
        topic_id=topic_id,
        observed_at=at(4),
        partitions=(PartitionEnds(partition=0, log_start=0, last_stable=90, end=90),),
        mirrored_positions={0: 95},
        unmirrored_since=at(3),
    )
    return Observed(clusters={EAST: contact}, topics={ORDERS: topic})


def test_the_standbys_memory_is_the_first_observation() -> None:
    """Unchanged topics are as they were when the source was last read whole; positions count up to the ends."""
    observed = remembered()
    found = remembered_observation(observed, EAST, sweep(60, 100))
    assert found is not None
    assert found.observed_at == at(10)
    assert found.ends is not None
    assert found.ends[TP].end == 90
    assert found.positions == {TP: 90}
    assert found.unmirrored_since == {ORDERS: at(3)}


def test_memory_of_another_topic_is_left_out() -> None:
    """A topic made again under the same name has no past."""
    observed = remembered("id-0")
    found = remembered_observation(observed, EAST, sweep(60, 100))
    assert found is not None
    assert found.ends == {}


def test_memory_of_now_is_no_memory() -> None:
    """A supervisor that records right now tells nothing older than what we see ourselves."""
    assert remembered_observation(remembered(), EAST, sweep(10, 100)) is None
    assert remembered_observation(Observed(), EAST, sweep(20, 100)) is None


@pytest.mark.parametrize("is_early", [True, False])
def test_lag_that_was_there_when_we_came_is_as_old_as_it_was_known_to_be(clock: Any, is_early: bool) -> None:
    """Whether the memory is read before the first sweep or after it: the lag of what was behind goes on from there."""
    feed, observed = Feed(clock), remembered()
    seen = replace(observed.topics[ORDERS], mirrored_positions={0: 40}, unmirrored_since=at(3))
    observed = Observed(clusters=observed.clusters, topics={ORDERS: seen})
    if is_early:
        feed.lag.remember(observed)
    for second in (60, 62):
        feed.look(second, end=120, position=40)
        feed.lag.measure(at(second))
    if not is_early:
        assert feed.lag.measure(at(62)).is_seconds_minimum
        feed.lag.remember(observed)
        feed.look(64, end=120, position=40)
    told = feed.lag.measure(at(64))
    assert (told.lag_records, told.lag_seconds, told.is_seconds_minimum) == (80, 61.0, False)
