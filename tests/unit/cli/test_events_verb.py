"""`replicator events`: which are shown, and a stream that goes on where it was cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.api.schema import EventView, MissedView
from replicator.cli.context import App
from replicator.cli.main import run
from replicator.cli.supervision.events import ABSENT_SECONDS_MAX, Choice, follow
from replicator.cli.supervision.look import ask_supervisor
from replicator.clock import Deadline
from replicator.errors import AccessDenied, Unreachable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Timepiece:
    """A clock that only sleeps move."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def event(id_: str, **changes: Any) -> EventView:
    return EventView(**{"id": id_, "at": NOW, "kind": "k", "severity": "info", "text": id_, **changes})


@dataclass
class Script:
    """Connections in turn: what each tells before it breaks; `asked` are the ids they were resumed from."""

    connections: list[Any]
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def follow(self, *, last_event_id: str = "") -> Iterator[Iterator[Any]]:
        self.asked.append(last_event_id)
        told = self.connections.pop(0) if self.connections else AccessDenied("the end of the script")
        if isinstance(told, Exception):
            raise told
        yield self._tell(told)

    def _tell(self, told: list[Any]) -> Iterator[Any]:
        yield from told
        raise Unreachable("cut")


def told(script: Script, clock: Timepiece, **options: Any) -> list[str]:
    """Return the ids of what was told until the script refuses us."""
    app = App(environ={}, clock=clock)
    app.is_quiet = True
    found: list[str] = []
    events = follow(app, script, after_id=options.get("after_id", ""), budget=None)  # type: ignore[arg-type]  # told
    with pytest.raises(AccessDenied):
        found.extend(one.id for one in events)
    return found


def test_a_cut_stream_goes_on_after_the_last_event() -> None:
    """Each new connection names the last event that was told; pauses grow while nobody answers, and begin anew."""
    gone = Unreachable("nobody")
    script = Script([[event("a-1"), event("a-2")], gone, gone, [event("a-3")]])
    clock = Timepiece()
    assert told(script, clock) == ["a-1", "a-2", "a-3"]
    assert script.asked == ["", "a-2", "a-2", "a-2", "a-3"]
    assert clock.slept == [0.5, 1.0, 2.0, 0.5]


def test_a_reader_begins_after_the_event_it_names() -> None:
    """`--after` is where the first connection resumes."""
    script = Script([[event("a-8")]])
    assert told(script, Timepiece(), after_id="a-7") == ["a-8"]
    assert script.asked[0] == "a-7"


def test_what_was_missed_is_told_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Events that are gone are no events; that they are gone is said on stderr."""
    script = Script([[MissedView(reason="started again", count=None), event("b-1")]])
    assert told(script, Timepiece()) == ["b-1"]
    assert "some events were missed: started again" in capsys.readouterr().err


def test_a_supervisor_that_never_answered_is_not_waited_for() -> None:
    """The error names the commands that help."""
    with pytest.raises(Unreachable) as caught:
        list(follow(App(environ={}, clock=Timepiece()), Script([Unreachable("nobody")]), after_id="", budget=None))  # type: ignore[arg-type]
    assert "replicator run" in (caught.value.hint or "")


def test_a_supervisor_that_stays_away_is_given_up() -> None:
    """After an hour without an answer the reader ends."""
    script = Script([[event("a-1")], *[Unreachable("nobody") for _ in range(1000)]])
    clock = Timepiece()
    app = App(environ={}, clock=clock)
    app.is_quiet = True
    with pytest.raises(Unreachable):
        list(follow(app, script, after_id="", budget=None))  # type: ignore[arg-type]
    assert ABSENT_SECONDS_MAX < clock.seconds < ABSENT_SECONDS_MAX + 60


def test_a_budget_ends_it() -> None:
    """With `--timeout` it ends by itself, also while nobody answers."""
    script = Script([[event("a-1")], *[Unreachable("nobody") for _ in range(1000)]])
    clock = Timepiece()
    app = App(environ={}, clock=clock)
    app.is_quiet = True
    found = list(follow(app, script, after_id="", budget=Deadline.after(5, clock=clock)))  # type: ignore[arg-type]
    assert [one.id for one in found] == ["a-1"]
    assert clock.seconds <= 5


@pytest.mark.parametrize(
    ("choice", "given", "is_taken"),
    [
        (Choice(), event("x"), True),
        (Choice(severity="warning"), event("x"), False),
        (Choice(severity="warning"), event("x", severity="critical"), True),
        (Choice(severity="critical"), event("x", severity="fatal"), True),
        (Choice(flow="a"), event("x", flow="a"), True),
        (Choice(flow="a"), event("x", flow="b"), False),
        (Choice(flow="a"), event("x"), False),
    ],
)
def test_only_what_was_asked_for_is_shown(choice: Choice, given: EventView, is_taken: bool) -> None:
    """Flow and severity choose; a severity we do not know is never hidden."""
    assert choice.takes(given) is is_taken


@pytest.mark.parametrize(
    "words", [["--follow", "--limit", "3"], ["--after", "a-1"], ["--severity", "loud"]], ids=["limit", "after", "word"]
)
def test_options_that_cannot_be_meant_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and nothing on stdout."""
    assert run(["events", "--url", "http://127.0.0.1:1", *words]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verb", [["events"], ["events", "--follow"]])
def test_without_a_supervisor_the_commands_that_help_are_named(
    capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    """Nobody at the address: which address, and what to run."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert run(["--url", url, *verb], app=App(environ={})) == 13
    err = capsys.readouterr().err
    assert url in err
    assert "Errno" not in err
    assert "`replicator run` starts a supervisor" in err


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Unreachable("GET http://x/v1/status: gone"), "no supervisor answers at http://x:1 (gone); looking from here"),
        (AccessDenied("GET http://x: refused: 401", hint="name a token"), "refused: 401 (name a token); looking from"),
    ],
)
def test_why_the_supervisor_is_not_asked_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: Exception, told: str
) -> None:
    """A look of our own says which address did not answer, or what would let us in."""

    class Nobody:
        """A client whose supervisor does not answer."""

        url = "http://x:1"

        def status(self) -> None:
            """Fail."""
            raise fault

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("replicator.cli.supervision.look.make_client", lambda *_a, **_k: Nobody())
    assert ask_supervisor(App(environ={}), []) is None
    assert told in capsys.readouterr().err
