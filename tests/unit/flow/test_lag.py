"""Lag from observations: records, seconds, rates, ETA and stalls; unknown stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.flow import LagObservation, LagRules, LagSeries
from replicator.flow.measuring.trail import BEHIND_MAX, RECENT_MAX, resolve
from replicator.model.lag import FlowLag, PartitionLag
from replicator.model.names import FlowName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds, TailCount

START = datetime(2026, 11, 22, tzinfo=UTC)
P0 = TopicPartition(TopicName("orders"), 0)
P1 = TopicPartition(TopicName("orders"), 1)


def at(seconds: float) -> datetime:
    """A moment of the test."""
    return START + timedelta(seconds=seconds)


def ends(end: int, log_start: int = 0, number: int = 0) -> PartitionEnds:
    """Ends without open transactions."""
    return PartitionEnds(partition=number, log_start=log_start, last_stable=end, end=end)


def tail(start: int, stop: int, visible: int) -> TailCount:
    """A count of visible records."""
    return TailCount(partition=0, from_offset=start, to_offset=stop, visible_records=visible)


def seen(
    seconds: float, end: int | None, position: int | None, *, log_start: int = 0, count: TailCount | None = None
) -> LagObservation:
    """An observation of one partition; `end` None: the source was not read, `position` -1: never mirrored."""
    positions: Mapping[TopicPartition, int] | None = None
    if position is not None:
        positions = {} if position < 0 else {P0: position}
    return LagObservation(
        observed_at=at(seconds),
        ends=None if end is None else {P0: ends(end, log_start)},
        positions=positions,
        tails={} if count is None else {P0: count},
    )


def measure(*observations: LagObservation, now: float | None = None, rules: LagRules | None = None) -> FlowLag:
    """The flow's lag after these observations."""
    series = LagSeries(FlowName("shop"), rules or LagRules())
    for observation in observations:
        series.add(observation)
    moment = observations[-1].observed_at if now is None else at(now)
    return series.measure(moment)


def one(lag: FlowLag) -> PartitionLag:
    """The only partition."""
    return lag.topics[0].partitions[0]


@pytest.mark.parametrize(
    ("observations", "records", "seconds"),
    [
        ([seen(0, 100, 100)], 0, 0.0),
        ([seen(0, 100, 40)], 60, None),
        ([seen(0, 100, 40), seen(2, 100, 40)], 60, 2.0),
        ([seen(0, 100, 100), seen(2, 150, 100), seen(4, 150, 100)], 50, 2.0),
        ([seen(0, 100, 100), seen(2, 150, 100), seen(4, 200, 150)], 50, 0.0),
        ([seen(0, 100, 100), seen(2, 150, 100), seen(4, 200, 149)], 51, 2.0),
        ([seen(0, 100, 100), seen(2, 150, 100), seen(4, 200, 200)], 0, 0.0),
        ([seen(0, 100, -1)], 100, None),
        ([seen(0, 100, -1, log_start=100)], 0, 0.0),
        ([seen(0, 100, 10, log_start=60)], 40, None),
        ([seen(0, 100, 101)], None, None),
        ([seen(0, 100, None)], None, None),
    ],
)
def test_lag_by_table(observations: list[LagObservation], records: int | None, seconds: float | None) -> None:
    """Records from offsets, seconds since an end beyond the mirrored position was first seen."""
    found = one(measure(*observations))
    assert (found.lag_records, found.lag_seconds) == (records, seconds)


def test_lag_seconds_goes_on_rising_between_observations() -> None:
    """The age is taken at the moment of asking, so it rises while nothing moves."""
    assert one(measure(seen(0, 9, 9), seen(2, 19, 9), now=7)).lag_seconds == 5.0


@pytest.mark.parametrize(
    ("observations", "now"),
    [
        ([seen(0, 100, 100), seen(2, None, 100)], 2.0),
        ([seen(0, 100, 100)], 60.0),
        ([seen(0, 100, 40), seen(2, None, None)], 3.0),
    ],
    ids=["unreachable", "old", "all away"],
)
def test_a_source_that_is_not_read_makes_lag_unknown(observations: list[LagObservation], now: float) -> None:
    """Never 0, never the last figure: unknown, with the age of what was known."""
    lag = measure(*observations, now=now)
    assert lag.lag_records is None
    assert lag.lag_seconds is None
    assert lag.eta_seconds is None
    assert lag.stalled_partitions is None
    assert lag.observed_at == at(0)


def test_nothing_observed_is_unknown() -> None:
    """A series without observations knows nothing."""
    lag = LagSeries(FlowName("shop")).measure(at(0))
    assert (lag.lag_records, lag.lag_seconds, lag.topics) == (None, None, ())


def test_one_unknown_partition_makes_the_sum_unknown() -> None:
    """A sum over what could not be read would be too small."""
    observation = LagObservation(
        observed_at=at(0), ends={P0: ends(10), P1: ends(10, number=1)}, positions={P0: 4, P1: 99}
    )
    lag = measure(observation)
    assert [p.lag_records for p in lag.topics[0].partitions] == [6, None]
    assert lag.lag_records is None


def test_partitions_sum_and_seconds_take_the_worst() -> None:
    """A topic's records are a sum, its seconds a maximum."""

    def both(seconds: float, first: int, second: int) -> LagObservation:
        return LagObservation(
            observed_at=at(seconds),
            ends={P0: ends(first), P1: ends(second, number=1)},
            positions={P0: 10, P1: 10},
        )

    lag = measure(both(0, 10, 10), both(2, 30, 10), both(5, 30, 15))
    assert (lag.lag_records, lag.lag_seconds) == (25, 3.0)
    assert lag.topics[0].topic == "orders"


def test_a_trailing_marker_is_no_lag() -> None:
    """Offsets that hold no visible record are resolved by the count that was read."""
    found = one(measure(seen(0, 101, 100), seen(2, 101, 100, count=tail(100, 101, 0))))
    assert (found.lag_records, found.lag_seconds, found.is_stalled) == (0, 0.0, False)


def test_a_resolved_marker_does_not_age_what_comes_after_it() -> None:
    """New records behind an old marker are as old as themselves, also when a later count spans both."""
    lag = measure(
        seen(0, 101, 100, count=tail(100, 101, 0)),
        seen(600, 201, 100, count=tail(100, 201, 100)),
        seen(602, 201, 100, count=tail(100, 201, 100)),
    )
    assert (one(lag).lag_records, one(lag).lag_seconds) == (100, 2.0)


@pytest.mark.parametrize(
    ("start", "end", "count", "expected"),
    [
        (100, 200, None, (100, 100)),
        (100, 200, tail(100, 200, 50), (100, 50)),
        (100, 200, tail(100, 150, 10), (100, 60)),
        (100, 200, tail(100, 150, 0), (150, 50)),
        (120, 200, tail(100, 200, 90), (120, 80)),
        (120, 200, tail(100, 200, 10), (120, 10)),
        (100, 200, tail(110, 200, 5), (100, 100)),
        (100, 150, tail(100, 200, 0), (150, 0)),
    ],
)
def test_counts_resolve_what_they_cover(
    start: int, end: int, count: TailCount | None, expected: tuple[int, int]
) -> None:
    """A count is used only from where it was taken, and never beyond the end."""
    assert resolve(start, end, count) == expected


def test_rates_and_eta() -> None:
    """In 100/s, out 150/s, 500 behind: ten seconds to go."""
    found = one(measure(seen(0, 1000, 0), seen(10, 2000, 1500)))
    assert (found.rate_in, found.rate_out, found.eta_seconds) == (100.0, 150.0, 10.0)


def test_falling_behind_has_no_eta() -> None:
    """Slower out than in never ends; caught up takes no time."""
    assert one(measure(seen(0, 1000, 0), seen(10, 2000, 500))).eta_seconds is None
    assert one(measure(seen(0, 1000, 0), seen(10, 2000, 2000))).eta_seconds == 0.0


def test_rates_are_those_of_the_recent_window() -> None:
    """What happened before the window no longer counts."""
    series = [seen(second, 1000 + 10 * second, 1000) for second in range(0, 100, 2)]
    series += [seen(second, 1990, 1000) for second in range(100, 160, 2)]
    assert one(measure(*series)).rate_in == 0.0


@pytest.mark.parametrize(
    ("observations", "is_stalled"),
    [
        ([seen(0, 10, 5), seen(2, 20, 5)], None),
        ([seen(0, 10, 5), seen(2, 20, 5), seen(4, 30, 5)], True),
        ([seen(0, 10, 5), seen(2, 20, 6), seen(4, 30, 6)], False),
        ([seen(0, 10, 10), seen(2, 10, 10), seen(4, 10, 10)], False),
        ([seen(0, 10, 10), seen(2, 20, 10), seen(4, 30, 10)], False),
        ([seen(0, 10, 10), seen(2, 20, 10), seen(4, 30, 10), seen(6, 30, 10)], True),
        ([seen(0, 10, -1), seen(2, 20, -1), seen(4, 30, -1)], True),
    ],
)
def test_stalled_is_standing_still_with_work_to_do(observations: list[LagObservation], is_stalled: bool | None) -> None:
    """Three observations with the same mirrored position and something behind it."""
    assert one(measure(*observations)).is_stalled is is_stalled


def test_rarely_stored_positions_are_no_stall() -> None:
    """Where positions are stored every few seconds only, standing still for less than that proves nothing."""
    rules = LagRules(stalled_seconds=10)
    standing = [seen(second, 10 + second, 5) for second in range(0, 9, 2)]
    assert one(measure(*standing, rules=rules)).is_stalled is False
    assert one(measure(*standing, seen(10, 30, 5), rules=rules)).is_stalled is True


def test_a_topic_that_is_gone_is_forgotten() -> None:
    """A deleted topic leaves no lag behind."""
    series = LagSeries(FlowName("shop"))
    series.add(seen(0, 10, 5))
    series.add(LagObservation(observed_at=at(2), ends={}, positions={}))
    assert series.measure(at(2)).topics == ()


def test_a_topic_made_again_starts_over() -> None:
    """An end that fell back forgets the old offsets and their ages."""
    lag = measure(seen(0, 100, 50), seen(60, 10, 5), seen(62, 10, 5))
    assert (one(lag).lag_records, one(lag).lag_seconds) == (5, 2.0)


def test_what_was_behind_before_anybody_watched_is_at_least_as_late() -> None:
    """The first observation finds the copy behind: since when, nobody saw, until that much is mirrored."""
    story = [seen(0, 100, 40), seen(2, 150, 40), seen(4, 150, 90), seen(6, 150, 100), seen(8, 150, 150)]
    found = [measure(*story[: count + 1]) for count in range(1, len(story))]
    assert [lag.is_seconds_minimum for lag in found] == [True, True, False, False]
    assert [lag.lag_seconds for lag in found] == [2.0, 4.0, 4.0, 0.0]


def remembered(seconds: float, end: int, position: int, since: float | None) -> LagObservation:
    """What another watcher left behind."""
    found = seen(seconds, end, position)
    return replace(found, unmirrored_since={P0.topic: None if since is None else at(since)})


@pytest.mark.parametrize(
    ("earlier", "seconds", "is_minimum", "since"),
    [
        # Nothing known: since the first look, at least.
        (None, 2.0, True, None),
        # What is not mirrored yet was seen by the one before us, and is as old as that one knew.
        (remembered(-300, 60, 30, -900), 902.0, False, -900),
        (remembered(-300, 60, 30, None), 302.0, True, None),
        # All that one saw is mirrored: what is behind came while nobody watched, or just now.
        (remembered(-300, 40, 30, -900), 2.0, True, -300),
        (remembered(-10, 40, 30, -900), 2.0, False, -10),
        # The flow reads again what it had mirrored then; that memory says nothing of its age.
        (remembered(-300, 60, 50, -300), 302.0, True, None),
        # Another log, or one that was read after us.
        (remembered(-300, 101, 30, -900), 2.0, True, None),
        (remembered(1, 60, 30, -900), 2.0, True, None),
    ],
)
def test_what_was_known_before_we_watched_gives_lag_its_age(
    earlier: LagObservation | None, seconds: float, is_minimum: bool, since: float | None
) -> None:
    """A memory of the standby gives old lag its age; no age is told that may be too short, unless as a minimum."""
    series = LagSeries(FlowName("shop"))
    series.add(seen(0, 100, 40))
    series.add(seen(2, 110, 40))
    if earlier is not None:
        series.remember(earlier)
    lag = series.measure(at(2))
    assert (lag.lag_seconds, lag.is_seconds_minimum) == (seconds, is_minimum)
    assert series.unmirrored_since() == {P0.topic: None if since is None else at(since)}


def test_what_came_while_the_source_could_not_be_read_is_at_least_as_late() -> None:
    """An end first seen after a long silence may be as old as the silence: its age is told as a minimum."""
    story = [seen(0, 100, 100), seen(2, None, 100), seen(600, 150, 100), seen(602, 160, 100)]
    assert (measure(*story).lag_seconds, measure(*story).is_seconds_minimum) == (2.0, True)
    assert not measure(*story, seen(604, 160, 150)).is_seconds_minimum
    short = measure(seen(0, 100, 100), seen(10, 150, 100), seen(12, 150, 100))
    assert (short.lag_seconds, short.is_seconds_minimum) == (2.0, False)


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=40),
    parts=st.tuples(st.integers(1, 38), st.integers(1, 38)),
)
def test_one_watcher_after_another_knows_what_one_would(steps: list[tuple[int, int]], parts: tuple[int, int]) -> None:
    """Whoever watches on with what the one before left tells no age that is too short, and no time that is too late."""
    left, begun = sorted(min(part, len(steps) - 1) for part in parts)
    first, second, written, position = LagSeries(FlowName("a")), LagSeries(FlowName("b")), list[int](), 0
    for moment, (arrived, moved) in enumerate(steps):
        written += [moment - 1] * arrived
        position = min(len(written), position + moved)
        look = seen(moment, len(written), position)
        if moment <= left:
            first.add(look)
            memory = replace(look, unmirrored_since=first.unmirrored_since())
        if moment >= begun:
            second.add(look)
            second.remember(memory)
    since, told = second.unmirrored_since()[P0.topic], one(second.measure(at(moment)))
    unmirrored = written[position:]
    assert since is None or all(at(one_written) >= since for one_written in unmirrored)
    if unmirrored and told.lag_seconds is not None and not told.is_seconds_minimum:
        assert told.lag_seconds >= moment - unmirrored[0] - 1 - (begun - left)


def test_a_rewind_is_told_too_long_rather_than_too_short() -> None:
    """After a rewind the lag is as old as the oldest observation kept."""
    lag = measure(seen(0, 100, 100), seen(2, 100, 100), seen(4, 100, 20))
    assert (one(lag).lag_records, one(lag).lag_seconds, one(lag).is_seconds_minimum) == (80, 4.0, True)


@given(steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=60))
def test_lag_seconds_is_what_the_definition_says(steps: list[tuple[int, int]]) -> None:
    """Against the definition, computed from the whole history."""
    history, end, position = [], 0, 0
    for second, (arrived, moved) in enumerate(steps):
        end += arrived
        position = min(end, position + moved)
        history.append(seen(second, end, position))
    found = one(measure(*history))
    expected = next((len(steps) - 1 - s for s, o in enumerate(history) if o.ends and o.ends[P0].end > position), 0)
    assert found.lag_seconds == float(expected)
    assert found.lag_records == end - position
    assert found.is_seconds_minimum == (0 < expected == len(steps) - 1)


@given(steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_what_is_not_mirrored_was_written_since_then(steps: list[tuple[int, int]]) -> None:
    """Records are written right after a look; none that is not mirrored is older than the moment told."""
    series, written, position = LagSeries(FlowName("shop")), list[int](), 0
    for second, (arrived, moved) in enumerate(steps):
        written += [second - 1] * arrived
        position = min(len(written), position + moved)
        series.add(seen(second, len(written), position))
        since = series.unmirrored_since()[P0.topic]
        assert since is None or all(at(moment) >= since for moment in written[position:])
        assert since is not None or 0 in [moment + 1 for moment in written[position:]]


def test_what_is_not_mirrored_is_of_unknown_age_after_a_rewind() -> None:
    """Records mirrored long ago are to be mirrored again: when they were written nobody noted."""
    series = LagSeries(FlowName("shop"))
    for observation in (seen(0, 100, 100), seen(2, 150, 100), seen(4, 150, 20)):
        series.add(observation)
    assert series.unmirrored_since() == {P0.topic: None}


def test_memory_is_bounded_and_ages_are_never_told_too_short() -> None:
    """A flow that stands still for hours keeps few samples, and its age stays at least the true one."""
    series = LagSeries(FlowName("shop"))
    for second in range(0, 20_000, 2):
        series.add(seen(second, 100 + second, 100))
    trail = series._trails[P0]
    assert len(trail._behind) <= BEHIND_MAX
    assert len(trail._recent) <= RECENT_MAX
    assert one(series.measure(at(20_000))).lag_seconds == 20_000.0 - 2
    series.add(seen(20_000, 20_100, 10_100))
    behind = one(series.measure(at(20_000))).lag_seconds
    assert behind is not None
    assert 10_000 - 2 <= behind <= 10_000 + 200


def test_a_source_without_a_topic_of_ours_leaves_nothing_to_mirror() -> None:
    """0 of 0 partitions is known; once the source is not read, or not any more, it is unknown again."""
    empty = LagObservation(observed_at=at(0), ends={}, positions=None)
    found = measure(empty)
    assert (found.lag_records, found.lag_seconds, found.stalled_partitions, found.topics) == (0, 0.0, 0, ())
    assert measure(empty, now=LagRules().age_seconds_max + 1).lag_records is None
    assert measure(empty, seen(1, None, None)).lag_records is None
    assert measure(empty, seen(1, 5, -1)).lag_records == 5
