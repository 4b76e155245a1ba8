"""Ctrl-C while librdkafka waits: the wait ends at once, wherever it is."""

from __future__ import annotations

import signal
import threading

import pytest

from replicator.kafka.connection import interruptible


def test_ctrl_c_ends_the_wait_for_a_call_that_goes_on() -> None:
    """The call is still at work when the command ends; nobody waits for it."""
    begun, may_end, has_ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        may_end.wait(60)
        has_ended.set()

    def interrupt() -> None:
        begun.wait(60)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        interruptible(call)
    assert not has_ended.is_set()
    may_end.set()
    assert has_ended.wait(60)


def test_what_a_call_answers_is_told_as_it_is() -> None:
    """Answers and errors alike; a thread that is not the main one asks by itself, since no signal reaches it."""
    assert interruptible(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)
    asked_by: list[tuple[bool, threading.Thread]] = []

    def ask() -> None:
        here = threading.current_thread()
        asked_by.append((interruptible(threading.current_thread) is here, here))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    assert asked_by == [(True, thread)]
    assert interruptible(threading.current_thread) is not threading.current_thread()
