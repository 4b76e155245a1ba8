"""When the listeners are asked, and what their answer changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName
from replicator.model.observations import Reachability
from replicator.supervisor.observe.watch import ClusterWatch

R = Reachability


class Listeners:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, answer: Reachability) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self, addresses: Iterable[str], timeout_seconds: float) -> Reachability:
        assert list(addresses) == ["east:9092"]
        assert timeout_seconds <= 1.0
        self.asked += 1
        return self.answer


def watch(clock: Any, listeners: Listeners) -> ClusterWatch:
    return ClusterWatch(ClusterAccess(name=ClusterName("east"), bootstrap="east:9092"), clock=clock, ask=listeners)


def test_a_cluster_that_is_read_is_never_probed(clock: Any) -> None:
    """Plain connections leave traces in a broker's log: none while reads succeed."""
    listeners = Listeners(R.REACHABLE)
    watched = watch(clock, listeners)
    watched.note_read(began_at=clock.now())
    clock.seconds = 1.0
    watched.probe_if_suspect(Deadline.after(1, clock=clock))
    assert listeners.asked == 0


def test_a_refusal_counts_before_the_read_has_failed(clock: Any) -> None:
    """A read waits out its budget on a dead cluster; the listeners tell at once."""
    watched = watch(clock, Listeners(R.REFUSED))
    watched.note_read(began_at=clock.now())
    clock.seconds = 1.6
    watched.probe_if_suspect(Deadline.after(1, clock=clock))
    assert watched.observation.reachability is R.REFUSED
    assert watched.observation.unreachable_since == clock.now()


@pytest.mark.parametrize("answer", [R.REACHABLE, R.SILENT])
def test_a_slow_read_is_not_silence(clock: Any, answer: Reachability) -> None:
    """While a sweep is under way only a refusal decides; a big cluster may take its time."""
    watched = watch(clock, Listeners(answer))
    watched.note_read(began_at=clock.now())
    clock.seconds = 4.0
    watched.probe_if_suspect(Deadline.after(1, clock=clock))
    assert watched.observation.reachability is R.REACHABLE


def test_a_failed_read_with_an_open_port_is_silence(clock: Any) -> None:
    """A frozen broker accepts connections and answers nothing."""
    watched = watch(clock, Listeners(R.REACHABLE))
    watched.note_read(began_at=clock.now())
    watched.note_failed_read("no answer in time")
    watched.probe_if_suspect(Deadline.after(1, clock=clock))
    assert watched.observation.reachability is R.SILENT
    assert watched.cause == "no answer in time"


def test_a_read_that_ends_during_the_probe_wins(clock: Any) -> None:
    """The probe's answer is older than the read it would override."""
    watched = watch(clock, Listeners(R.REFUSED))

    class Late(Listeners):
        def __call__(self, addresses: Iterable[str], timeout_seconds: float) -> Reachability:
            clock.seconds += 0.5
            watched.note_read(began_at=clock.now())
            return super().__call__(addresses, timeout_seconds)

    watched._ask = Late(R.REFUSED)
    clock.seconds = 10.0
    watched.probe_if_suspect(Deadline.after(1, clock=clock))
    assert watched.observation.reachability is R.REACHABLE


def test_a_refused_right_is_no_outage(clock: Any) -> None:
    """The cluster answers, only not us; its port is open."""
    watched = watch(clock, Listeners(R.REACHABLE))
    watched.note_denied("TOPIC_AUTHORIZATION_FAILED")
    clock.seconds = 10.0
    watched.probe_if_suspect(Deadline.after(1, clock=clock))
    assert watched.observation.reachability is R.REACHABLE
    assert watched.observation.last_reached_at is None


def test_a_failed_read_is_silence_a_refusal_is_not(clock: Any) -> None:
    """Whoever asks a silent cluster more only waits; one that refuses something answers the rest."""
    watched = watch(clock, Listeners(R.REACHABLE))
    assert not watched.is_silent
    watched.note_failed_read("no answer in time")
    assert watched.is_silent
    watched.note_denied("TOPIC_AUTHORIZATION_FAILED")
    assert not watched.is_silent
    watched.note_failed_read("no answer in time")
    watched.note_read(began_at=clock.now())
    assert not watched.is_silent
