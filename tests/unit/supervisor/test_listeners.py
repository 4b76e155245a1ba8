"""Listeners that are asked again and again: one connection each, noticed when it goes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import HeldListeners
from replicator.model.observations import Reachability

R = Reachability


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that takes connections and never answers, as a frozen broker's does."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        made.setblocking(False)
        yield made


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"{host}:{port}"


def waiting(listener: socket.socket) -> list[socket.socket]:
    """Return every connection that waits to be taken."""
    taken = []
    while True:
        try:
            taken.append(listener.accept()[0])
        except BlockingIOError:
            return taken


def ask_until(held: HeldListeners, address: str, answer: Reachability) -> None:
    """Return once the listener is told so."""
    deadline = Deadline.after(20)
    while held.ask([address], 1.0) is not answer:
        deadline.check(f"never {answer}")
        SYSTEM_CLOCK.sleep(0.02)


def test_however_often_it_is_asked_a_frozen_broker_holds_one_connection(listener: socket.socket) -> None:
    """A hundred looks leave one connection in the queue, so that it never fills; close leaves none open."""
    held = HeldListeners()
    assert {held.ask([address_of(listener)], 1.0) for _ in range(100)} == {R.REACHABLE}
    (taken,) = waiting(listener)
    held.close()
    taken.settimeout(10)
    assert taken.recv(1) == b""
    taken.close()


def test_a_connection_that_was_closed_is_made_anew(listener: socket.socket) -> None:
    """A broker that closes an idle connection still listens."""
    held, address = HeldListeners(), address_of(listener)
    assert held.ask([address], 1.0) is R.REACHABLE
    (first,) = waiting(listener)
    first.close()
    deadline = Deadline.after(20)
    while not (again := waiting(listener)):
        assert held.ask([address], 1.0) is R.REACHABLE
        deadline.check("no second connection")
        SYSTEM_CLOCK.sleep(0.02)
    assert len(again) == 1
    held.close()
    again[0].close()


def test_a_broker_that_died_refuses_though_a_connection_was_held(listener: socket.socket) -> None:
    """Its end resets what it held, and nobody takes another."""
    held, address = HeldListeners(), address_of(listener)
    assert held.ask([address], 1.0) is R.REACHABLE
    listener.close()
    ask_until(held, address, R.REFUSED)


def test_what_is_no_longer_asked_about_is_let_go(listener: socket.socket) -> None:
    """Addresses change with the cluster; one listener that takes connections is enough."""
    held, address = HeldListeners(), address_of(listener)
    assert held.ask([address, "no address"], 1.0) is R.REACHABLE
    assert held.ask(["no address"], 1.0) is R.SILENT
    (taken,) = waiting(listener)
    taken.settimeout(10)
    assert taken.recv(1) == b""
    taken.close()
    assert held.ask([], 1.0) is R.SILENT
