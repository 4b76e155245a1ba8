"""The ring of events and the history of lag: bounded, honest about what is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from replicator.api.app import create_app
from replicator.api.live import EventRing, Feed, History
from replicator.api.routes.events import follow
from replicator.errors import Unreachable
from replicator.model.supervision.events import Event, Severity


def make_events(make: Any, count: int) -> list[Event]:
    """Return so many events."""
    at = make.status().computed_at
    return [Event(at=at, kind="thing_happened", severity=Severity.INFO, text=str(n)) for n in range(count)]


def test_a_reader_resumes_where_it_was(make: Any) -> None:
    """Whoever names the last event it saw gets exactly those that followed."""
    ring = EventRing("aa")
    ring.add(make_events(make, 5))
    reading = ring.resume("aa-3")
    assert [stored.id for stored in reading.events] == ["aa-4", "aa-5"]
    assert (reading.missed, reading.reason) == (0, None)


def test_what_is_gone_is_counted(make: Any) -> None:
    """A reader that was away too long is told how many events it missed, and gets the rest."""
    ring = EventRing("aa", events_max=3)
    ring.add(make_events(make, 10))
    reading = ring.resume("aa-2")
    assert [stored.id for stored in reading.events] == ["aa-8", "aa-9", "aa-10"]
    assert reading.missed == 5


@pytest.mark.parametrize("last", ["bb-3", "aa-99", "aa-", "aa-x", "aa-٣", "nonsense", "aa-9999999999999999999"])
def test_another_life_is_said(make: Any, last: str) -> None:
    """An id that this life never gave means that nobody knows what was missed."""
    ring = EventRing("aa")
    ring.add(make_events(make, 3))
    reading = ring.resume(last)
    assert len(reading.events) == 3
    assert reading.missed is None
    assert reading.reason is not None


def test_history_keeps_the_worst_of_a_step(make: Any) -> None:
    """Two statuses within five seconds make one point: the larger lag of the two."""
    history = History()
    for second, lag in ((0, 1.0), (1, 9.0), (2, 2.0), (6, 3.0)):
        status = make.status(make.flow(lag=make.lag(seconds=lag)))
        history.add(make.status(*status.flows, at=status.computed_at + timedelta(seconds=second)))
    found = history.slice("orders", window_seconds=3600, now=make.status().computed_at + timedelta(seconds=6))
    assert [point.lag_seconds for point in found.points] == [9.0, 3.0]


def test_unknown_lag_stays_unknown_in_history(make: Any) -> None:
    """A step in which lag was unknown once is unknown: never a number nobody read."""
    history = History()
    for lag in (2.0, None, 3.0):
        history.add(make.status(make.flow(lag=make.lag(seconds=lag, records=None))))
    found = history.slice("orders", window_seconds=60, now=make.status().computed_at)
    assert [point.lag_seconds for point in found.points] == [None]


def test_history_is_bounded_and_coarse_beyond_the_hour(make: Any) -> None:
    """A day of seconds is kept in a bounded number of points, fine for an hour and coarse for a day."""
    history = History()
    start = make.status().computed_at
    for minute in range(24 * 60 + 90):
        history.add(make.status(at=start + timedelta(minutes=minute)))
    now = start + timedelta(minutes=24 * 60 + 89)
    fine = history.slice("orders", window_seconds=3600, now=now)
    coarse = history.slice("orders", window_seconds=86_400, now=now)
    assert fine.step_seconds < coarse.step_seconds
    assert 60 <= len(fine.points) <= 61
    assert len(coarse.points) == 24 * 60 + 1


def test_history_forgets_flows_that_are_gone(make: Any) -> None:
    """A flow that is configured no more has no history."""
    history = History()
    history.add(make.status())
    history.add(make.status(make.flow(flow="other")))
    assert history.slice("orders", window_seconds=60, now=make.status().computed_at).points == ()


def test_a_failing_source_is_asked_again(make: Any) -> None:
    """The feed outlives a source that raises, says so meanwhile, and serves once it answers."""

    class Failing:
        def __init__(self) -> None:
            self.is_broken = True

        def overview(self) -> Any:
            if self.is_broken:
                raise RuntimeError("not yet")
            return make.overview()

    source = Failing()
    feed = Feed(source, life="aa")
    with pytest.raises(Unreachable, match="no status yet"):
        _ = feed.overview
    source.is_broken = False
    assert feed.overview.status.supervisor == "main"


def test_what_a_new_reader_is_told_comes_as_one_piece(stage: Any) -> None:
    """Facts and status are written at once: a busy supervisor makes every further write wait for its turn."""
    serving = create_app(stage, clock=stage.clock).state.serving

    async def first_pieces() -> tuple[bytes, bytes]:
        pieces = follow(serving, last_event_id=None, backlog=200)
        first, second = await anext(pieces), await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]  # it is an async generator
        return first, second

    retry, news = asyncio.run(first_pieces())
    assert retry.startswith(b"retry:")
    assert news.count(b"event: event\n") == 2
    assert news.count(b"event: status\n") == 1
