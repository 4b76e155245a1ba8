"""No severe act without its typed name, no moderate one without a yes, and never a hang."""

from __future__ import annotations

import io
import sys

import pytest

from replicator.cli.context import App
from replicator.errors import ConfirmationMissing


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def app() -> App:
    return App(environ={})


def at_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def test_the_typed_name_is_enough(app: App) -> None:
    """`--confirm NAME` with the right name lets a severe act through, without a terminal."""
    app.confirm_severe("failover of orders", name="orders", given="orders")


@pytest.mark.parametrize("given", [None, "", "order", "Orders", "orders ", "yes"])
def test_anything_else_is_refused_and_names_the_flag(app: App, given: str | None) -> None:
    """Without the exact name the act does not happen, and the flag to add is told."""
    with pytest.raises(ConfirmationMissing) as caught:
        app.confirm_severe("failover of orders", name="orders", given=given)
    assert caught.value.hint == "add --confirm orders"
    assert caught.value.exit_status == 6


def test_a_moderate_act_needs_yes(app: App) -> None:
    """`--yes` lets a moderate act through; without it and without a terminal it is refused."""
    app.confirm_moderate("stop orders", is_agreed=True)
    with pytest.raises(ConfirmationMissing) as caught:
        app.confirm_moderate("stop orders", is_agreed=False)
    assert caught.value.hint == "add --yes"


def test_a_human_may_type_the_name(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the name is asked for; only the exact one goes on."""
    screen = at_terminal(monkeypatch, "orders\n")
    app.confirm_severe("failover of orders", name="orders", given=None)
    assert "Type orders to go on" in screen.getvalue()
    at_terminal(monkeypatch, "\n")
    with pytest.raises(ConfirmationMissing):
        app.confirm_severe("failover of orders", name="orders", given=None)


def test_a_human_may_say_no(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter alone is no, y is yes."""
    at_terminal(monkeypatch, "\n")
    with pytest.raises(ConfirmationMissing, match="declined"):
        app.confirm_moderate("stop orders", is_agreed=False)
    at_terminal(monkeypatch, "y\n")
    app.confirm_moderate("stop orders", is_agreed=False)


def test_no_input_never_asks(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --no-input nothing is asked even at a terminal."""
    app.is_input_allowed = False
    screen = at_terminal(monkeypatch, "orders\n")
    with pytest.raises(ConfirmationMissing):
        app.confirm_severe("failover of orders", name="orders", given=None)
    assert screen.getvalue() == ""


@pytest.mark.security
def test_a_hostile_name_is_shown_escaped(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt never sends a name's escape sequences to the terminal."""
    screen = at_terminal(monkeypatch, "\n")
    with pytest.raises(ConfirmationMissing):
        app.confirm_severe("drop \x1b[2J", name="\x1b[2J", given=None)
    assert "\x1b" not in screen.getvalue()
