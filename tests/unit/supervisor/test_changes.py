"""What is recorded: only what changed, with the highest rate ever seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from replicator.flow import PEAK_DAYS, PeakTrail
from replicator.model.cluster import PartitionDescription, TopicDescription
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    PartitionEnds,
    Reachability,
    TailCount,
    TopicObservation,
)
from replicator.supervisor.decide.changes import (
    changed_items,
    honest_contact,
    join_peaks,
    note_peaks,
    remembered_peaks,
    topic_observations,
)
from replicator.supervisor.observe.groups import with_departed
from replicator.supervisor.samples import MirroredSample, SourceSample

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDERS, EAST = TopicName("orders"), ClusterName("east")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sweep(seconds: float, *ends: int, topic_id: str = "id-1") -> SourceSample:
    topic = TopicDescription(ORDERS, topic_id, tuple(PartitionDescription(p, 1, (1,), (1,)) for p in range(len(ends))))
    return SourceSample(
        began_at=at(seconds),
        ended_at=at(seconds + 0.1),
        topics={ORDERS: topic},
        ends={
            TopicPartition(ORDERS, p): PartitionEnds(partition=p, log_start=0, last_stable=end, end=end)
            for p, end in enumerate(ends)
        },
    )


@pytest.mark.parametrize(
    ("before", "after", "known", "peak"),
    [
        (sweep(0, 100, 100), sweep(2, 300, 200), {}, 150.0),
        (sweep(0, 100), sweep(2, 120), {ORDERS: 99.0}, 99.0),
        (sweep(0, 100), sweep(2, 500), {ORDERS: 99.0}, 200.0),
        # Nothing is known of a rate from one sweep, nor from two that are as good as one.
        (None, sweep(2, 500), {}, None),
        (sweep(0, 100), sweep(0.1, 500), {}, None),
        # An end that went back is a truncation, not a negative rate.
        (sweep(0, 500), sweep(2, 100), {}, 0.0),
        # Another topic under the same name has no history.
        (sweep(0, 100), sweep(2, 500, topic_id="id-2"), {ORDERS: 99.0}, None),
        # A new partition counts from its log start.
        (sweep(0, 100), sweep(1, 100, 40), {}, 40.0),
        # What a supervisor before us saw stays until the topic turns out to be another.
        (None, sweep(2, 500), {ORDERS: 99.0}, 99.0),
    ],
)
def test_peak_rates(
    before: SourceSample | None, after: SourceSample, known: dict[TopicName, float], peak: float | None
) -> None:
    """The peak is the highest rate of a whole topic over two successive sweeps."""
    trails = {name: PeakTrail().noted(rate, START) for name, rate in known.items()}
    found = note_peaks(trails, before, after).get(ORDERS)
    assert (found.highest(after.ended_at) if found else None) == peak


def test_a_peak_is_forgotten_after_a_week() -> None:
    """A backfill of last month does not swell tonight's bound; what was seen within the week does."""
    trail = PeakTrail().noted(500_000.0, START)
    for day in range(1, 7):
        trail = trail.noted(100.0 + day, START + timedelta(days=day))
        assert trail.highest(START + timedelta(days=day)) == 500_000.0
    later = START + timedelta(days=PEAK_DAYS + 1)
    assert trail.highest(later) == 106.0
    assert len(trail.noted(1.0, later).days) == PEAK_DAYS


def test_a_restart_takes_over_the_peaks_it_finds() -> None:
    """What the standby remembers counts from when it was written, beside what was seen since."""
    written = {ORDERS: replace(observation(0)[ORDERS], peak_rate=9.0)}
    seen = {ORDERS: PeakTrail().noted(4.0, at(60))}
    joined = join_peaks(remembered_peaks(written), seen)
    assert joined[ORDERS].highest(at(61)) == 9.0
    assert joined[ORDERS].highest(START + timedelta(days=PEAK_DAYS + 2)) is None


def test_a_topic_observation_says_what_is_mirrored_and_counted() -> None:
    """One record holds all partitions: ends, positions where known, counts where counted."""
    tail = TailCount(partition=1, from_offset=15, to_offset=20, visible_records=4)
    later = TailCount(partition=1, from_offset=20, to_offset=22, visible_records=0)
    found = topic_observations(
        EAST,
        sample=sweep(3, 10, 20),
        mirrored=MirroredSample(began_at=at(3), ended_at=at(3), positions={TopicPartition(ORDERS, 1): 15}),
        tails={TopicPartition(ORDERS, 1): (tail, later)},
        peaks={ORDERS: PeakTrail().noted(7.5, START)},
    )[ORDERS]
    assert found.observed_at == at(3)
    assert [part.end for part in found.partitions] == [10, 20]
    assert (found.mirrored_positions, found.tails, found.peak_rate) == ({1: 15}, (tail, later), 7.5)


def observation(seconds: float, end: int = 10) -> dict[TopicName, TopicObservation]:
    return topic_observations(EAST, sample=sweep(seconds, end), mirrored=None, tails={}, peaks={})


@pytest.mark.parametrize(
    ("seconds", "end", "is_written"),
    [
        (0, 10, False),
        (1, 10, False),
        (1, 11, True),
        (9.9, 10, False),
        (10, 10, True),
        (-0.1, 10, True),
        (-3600, 10, True),
    ],
)
def test_only_changes_are_written(seconds: float, end: int, is_written: bool) -> None:
    """The moment alone is no change; after ten seconds it is one, so that the age can be trusted; and so it is once the
    clock has stepped back, for what was written then lies in the future."""
    changed = changed_items(observation(0), observation(seconds, end), refresh_seconds=10)
    assert (ORDERS in changed) is is_written


@pytest.mark.parametrize(
    ("before", "now", "is_written"),
    [(None, 3, True), (3, None, True), (3, 5, False), (None, None, False)],
)
def test_that_time_went_on_is_not_written_and_that_it_became_known_is(
    before: float | None, now: float | None, is_written: bool
) -> None:
    """While nothing is behind the moment moves at every look; a topic that stands would be written each time."""
    first, second = (
        replace(observation(0)[ORDERS], unmirrored_since=None if seconds is None else at(seconds))
        for seconds in (before, now)
    )
    assert bool(changed_items({ORDERS: first}, {ORDERS: second}, refresh_seconds=10)) is is_written


def test_what_was_never_written_is_written() -> None:
    """The first observation of a topic is a change."""
    assert ORDERS in changed_items({}, observation(0), refresh_seconds=10)


def test_no_later_read_is_claimed_than_was_written() -> None:
    """A sweep that ended while the record was put together must not vouch for topics it did not bring."""
    contact = ClusterObservation(
        cluster=EAST,
        cluster_id="abc",
        reachability=Reachability.REACHABLE,
        observed_at=at(5),
        last_reached_at=at(5),
    )
    assert honest_contact(contact, sweep(4, 10)).last_reached_at == at(4)
    assert honest_contact(contact, sweep(6, 10)).last_reached_at == at(5)
    assert honest_contact(contact, None) == contact


def group(name: str, seconds: float) -> GroupObservation:
    return GroupObservation(
        cluster=EAST,
        group=GroupName(name),
        state=GroupState.EMPTY,
        observed_at=at(seconds),
        committed={TopicPartition(ORDERS, 0): 5},
    )


def test_a_group_that_has_gone_is_recorded_dead_once_and_then_forgotten() -> None:
    """A deleted group must not come back to life on the standby, nor be remembered for ever."""
    billing, audit = GroupName("billing"), GroupName("audit")
    before = {billing: group("billing", 0), audit: group("audit", 0)}
    after = with_departed(before, {audit: group("audit", 2)}, at=at(2))
    assert (after[billing].state, after[billing].committed, after[billing].observed_at) == (GroupState.DEAD, {}, at(2))
    later = with_departed(after, {audit: group("audit", 4)}, at=at(4))
    assert later[billing] == after[billing]
    assert billing not in with_departed(later, {audit: group("audit", 900)}, at=at(900))


def test_a_group_that_comes_back_lives() -> None:
    """A group seen again is as it was seen."""
    dead = replace(group("billing", 0), state=GroupState.DEAD, committed={})
    alive = group("billing", 4)
    assert with_departed({dead.group: dead}, {alive.group: alive}, at=at(4)) == {alive.group: alive}
