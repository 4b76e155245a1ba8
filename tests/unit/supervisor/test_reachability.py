"""Since when a cluster does not answer, and how sure we are of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from replicator.model.cluster import Broker, ClusterDescription
from replicator.model.names import ClusterName
from replicator.model.observations import ClusterObservation, Reachability
from replicator.supervisor.decide.reachability import (
    after_denial,
    after_failure,
    after_read,
    first_contact,
    is_readable,
    known_listeners,
    take_over,
)
from replicator.supervisor.decide.status import can_read, unread_window
from replicator.supervisor.observe.source import sweep_seconds

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
R = Reachability


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def read(seconds: float, before: ClusterObservation | None = None) -> ClusterObservation:
    before = before or first_contact(ClusterName("east"), at=START)
    description = ClusterDescription("abc", (Broker(1, "b1", 9092), Broker(2, "b2", 9092)))
    return after_read(before, began_at=at(seconds), ended_at=at(seconds + 0.2), description=description)


def fold(*answers: tuple[float, Reachability]) -> ClusterObservation:
    seen = read(0)
    for seconds, answer in answers:
        seen = after_failure(seen, answer=answer, at=at(seconds))
    return seen


@pytest.mark.parametrize(
    ("answers", "since"),
    [
        ([(1.5, R.REFUSED)], 1.5),
        ([(1.5, R.REFUSED), (2.0, R.REFUSED), (2.5, R.REFUSED)], 1.5),
        # A hole in the run: between 2 and 9 nobody asked, so somebody may have written.
        ([(1.5, R.REFUSED), (2.0, R.REFUSED), (9.0, R.REFUSED)], 9.0),
        # Silence before or between refusals proves nothing about writers.
        ([(1.5, R.SILENT), (2.0, R.REFUSED)], 2.0),
        ([(1.5, R.REFUSED), (2.0, R.SILENT), (2.5, R.REFUSED)], 2.5),
        ([(1.5, R.SILENT), (2.0, R.SILENT)], 1.5),
        ([(1.5, R.REFUSED), (2.0, R.SILENT)], 1.5),
        # An open port whose process answers nothing is silent, not reachable.
        ([(5.0, R.REACHABLE), (6.0, R.REACHABLE)], 5.0),
    ],
)
def test_unreachable_since(answers: list[tuple[float, Reachability]], since: float) -> None:
    """REFUSED counts from the first refusal of an unbroken run, SILENT from the first failed read."""
    assert fold(*answers).unreachable_since == at(since)


def test_an_open_port_without_answers_is_silent() -> None:
    """A frozen broker's port accepts connections; it must not pass for reachable."""
    assert fold((5.0, R.REACHABLE)).reachability is R.SILENT


def test_the_window_of_a_refusing_source_stands_still() -> None:
    """Once every listener refuses nobody can write: the window ends there, however late it is."""
    seen = fold((1.5, R.REFUSED), (2.0, R.REFUSED))
    assert unread_window(seen, now=at(3600)) == 1.5


def test_the_window_of_a_silent_source_grows() -> None:
    """A silent source may be alive for others: the window runs on."""
    assert unread_window(fold((1.5, R.SILENT)), now=at(100)) == 100


def test_the_window_is_unknown_for_a_source_never_read() -> None:
    """Nothing read means no window, not a window of 0."""
    assert unread_window(first_contact(ClusterName("east"), at=START), now=at(5)) is None


def test_the_window_is_unknown_where_the_clock_stepped_back() -> None:
    """Nothing was read in the future: a window of 0 would be a number that nobody read."""
    assert unread_window(fold((1.5, R.SILENT)), now=at(-3600)) is None
    assert unread_window(fold((1.5, R.SILENT)), now=at(-0.9)) == 0


def test_refusals_across_a_step_back_are_no_unbroken_run() -> None:
    """What lay between them may have been an hour: the source refuses since the later one."""
    seen = fold((1.5, R.REFUSED), (2.0, R.REFUSED))
    assert after_failure(seen, answer=R.REFUSED, at=at(1.0)).unreachable_since == at(1.0)


def test_a_read_forgets_the_outage() -> None:
    """After a whole read the cluster is reachable, since the sweep began and not since it ended."""
    seen = read(10, fold((1.5, R.REFUSED)))
    assert (seen.reachability, seen.last_reached_at, seen.unreachable_since) == (R.REACHABLE, at(10), None)


def test_a_denied_read_does_not_count_as_a_read() -> None:
    """A cluster that refuses our rights is alive, yet nothing of it was read."""
    seen = after_denial(read(0), at=at(30))
    assert seen.reachability is R.REACHABLE
    assert seen.last_reached_at == at(0)
    assert not is_readable(seen, now=at(30), age_seconds_max=6)


@pytest.mark.parametrize(("now", "answer"), [(5.9, True), (6.1, False)])
def test_readable_ends_with_age(now: float, answer: bool) -> None:
    """What was read long ago is not readable, even where nothing failed."""
    assert is_readable(read(0), now=at(now), age_seconds_max=6) is answer


def test_a_newcomer_takes_over_the_last_read_but_not_the_refusal() -> None:
    """Nobody watched between two supervisors: since when it refuses must be proven anew."""
    earlier = fold((1.5, R.REFUSED))
    mine = take_over(first_contact(ClusterName("east"), at=at(60)), earlier=earlier)
    refused = after_failure(mine, answer=R.REFUSED, at=at(61))
    assert refused.last_reached_at == at(0)
    assert refused.unreachable_since == at(61)
    assert refused.listeners == ("b1:9092", "b2:9092")
    assert unread_window(refused, now=at(90)) == 61


def test_listeners_are_those_advertised_and_those_we_were_told() -> None:
    """A refusal must come from every address known, once each."""
    seen = replace(read(0), listeners=("b1:9092", "b2:9092"))
    assert known_listeners(seen, bootstrap="b2:9092, vip:9092") == ("b1:9092", "b2:9092", "vip:9092")


@pytest.mark.parametrize(
    ("age", "took", "is_fresh"), [(5.9, 0.1, True), (6.1, 0.1, False), (11.0, 3.0, True), (12.1, 3.0, False)]
)
def test_a_large_cluster_may_be_read_less_often(age: float, took: float, is_fresh: bool) -> None:
    """What a whole read takes decides how old it may be; of a small cluster 6 s are always too old."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    began = now - timedelta(seconds=age)
    contact = first_contact(ClusterName("east"), at=began)
    seen = after_read(contact, began_at=began, ended_at=began, description=None)
    assert can_read(seen, now=now, read_seconds=took) is is_fresh


@pytest.mark.parametrize(("partitions", "seconds"), [(0, 5.0), (1_000, 6.0), (10_000, 15.0), (100_000, 15.0)])
def test_a_sweep_over_more_partitions_may_take_longer(partitions: int, seconds: float) -> None:
    """The time a sweep is given grows with what it sweeps, and is bounded."""
    assert sweep_seconds(partitions) == seconds
