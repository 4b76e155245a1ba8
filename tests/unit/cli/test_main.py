"""One command line: verbs found, global options anywhere, errors told once with the right status."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from replicator import errors
from replicator.cli import main as main_module
from replicator.cli.context import App, pass_app
from replicator.cli.exits import EXIT_MEANINGS
from replicator.cli.main import VERBS, LazyGroup, Verb, load_command, run, wants_json
from replicator.cli.output import OutputFormat

Body = Callable[[App], object]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Body], None]:
    """Put a verb `probe` that runs a given body into the table, grouped and alone."""
    bodies: list[Body] = []

    @click.command()
    @click.option("--own")
    @pass_app
    def probe(app: App, own: str | None) -> None:
        bodies[-1](app)

    @click.group()
    def nest() -> None:
        """Hold the probe one level deeper."""

    nest.add_command(probe)
    verbs: Mapping[str, Verb] = {"probe": Verb("replicator.cli.version:probe", "Probe."), "nest": Verb("x:y", "Nest.")}
    monkeypatch.setattr(LazyGroup, "verbs", {**VERBS, **verbs})
    commands: dict[str, click.Command] = {"probe": probe, "nest": nest}
    monkeypatch.setattr(main_module, "load_command", lambda name, verb: commands.get(name) or load_command(name, verb))
    return bodies.append


def test_errors_become_a_line_a_hint_and_their_status(probe: Callable[[Body], None], capsys: Captured) -> None:
    """Every class of the tree ends the command with its own status and is told on stderr alone."""
    classes = [errors.ReplicatorError, *_all_below(errors.ReplicatorError)]
    assert len(classes) > 15
    for class_ in classes:

        def fail(_app: App, class_: type[errors.ReplicatorError] = class_) -> None:
            raise class_("flow orders: gone", detail="a\nb", hint="`replicator flow list`", operation_id="op-1")

        probe(fail)
        assert run(["probe"]) == class_.exit_status
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines() == [
            "error: flow orders: gone", "  a", "  b", "operation: op-1", "hint: `replicator flow list`",
        ]  # fmt: skip
        assert class_.exit_status in EXIT_MEANINGS


@pytest.mark.parametrize("argv", [["-o", "json", "probe"], ["probe", "-ojson"], ["nest", "probe", "--output=json"]])
def test_under_json_the_last_line_of_stderr_is_the_error(
    probe: Callable[[Body], None], capsys: Captured, argv: list[str]
) -> None:
    """Programs read one JSON object: status, stable word, message, hint, operation."""

    def fail(_app: App) -> None:
        raise errors.LockHeld("flow orders: an operation runs", hint="wait", operation_id="op-7")

    probe(fail)
    assert run(argv) == 11
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err.splitlines()[-1]) == {
        "apiVersion": "replicator/v1", "kind": "Error", "code": 11, "reason": "lease.held",
        "message": "flow orders: an operation runs", "detail": None, "hint": "wait", "operation_id": "op-7",
    }  # fmt: skip


@pytest.mark.security
def test_an_error_cannot_write_to_the_terminal(probe: Callable[[Body], None], capsys: Captured) -> None:
    """Names inside messages, details and hints are shown escaped."""

    def fail(_app: App) -> None:
        raise errors.NotFound("group \x1b[31m\n", detail="log\x1b]0;x\x07", hint="\u202e", operation_id="\x9b")

    probe(fail)
    assert run(["probe", "-o", "json"]) == 10
    text = capsys.readouterr().err
    assert all(char == "\n" or (char.isprintable() and char != "\x9b") for char in text)


def test_options_are_taken_before_and_after_the_verb(probe: Callable[[Body], None], tmp_path: Path) -> None:
    """The same global options mean the same wherever they stand; the last one wins, -v adds up."""
    seen: list[App] = []
    probe(seen.append)
    config = str(tmp_path / "c.yaml")
    for argv in (
        f"-c {config} -o json -q -v --timeout 2m --no-input --standalone nest probe -v",
        f"-o yaml nest -v probe -c {config} -o json -qv --timeout=120 --no-input --standalone",
    ):
        assert run(argv.split()) == 0
        app = seen[-1]
        assert (app.config, app.output.format) == (Path(config), OutputFormat.JSON)
        assert (app.is_quiet, app.verbosity, app.is_input_allowed, app.is_standalone) == (True, 2, False, True)
        assert app.timeout_seconds == app.deadline_seconds == 120
        assert 119 < app.deadline(5).left <= 120


def test_defaults(probe: Callable[[Body], None]) -> None:
    """Without options: a table, input allowed, no budget but the verb's own."""
    seen: list[App] = []
    probe(seen.append)
    assert run(["probe"]) == 0
    app = seen[0]
    assert (app.output.format, app.timeout_seconds, app.is_input_allowed) == (OutputFormat.TABLE, None, True)
    assert 4 < app.deadline(5).left <= 5


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("1.5", 1.5), ("500ms", 0.5), ("5m", 300), ("1h", 3600)])
def test_budgets_have_units(probe: Callable[[Body], None], text: str, seconds: float) -> None:
    """A budget is seconds, or a number with ms, s, m or h."""
    seen: list[App] = []
    probe(seen.append)
    assert run(["probe", "--timeout", text]) == 0
    assert seen[0].timeout_seconds == seconds


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["probe", "--timeout", "0"], "is no duration"),
        (["probe", "--timeout", "soon"], "is no duration"),
        (["probe", "--nope"], "No such option"),
        (["prob"], "Did you mean"),
        (["probe", "-o", "xml"], "'xml' is not one of"),
        (["nest", "nothing"], "No such command"),
    ],
)
def test_bad_command_lines_exit_2(probe: Callable[[Body], None], capsys: Captured, argv: list[str], told: str) -> None:
    """What cannot be meant is refused with the command that lists what can."""
    probe(lambda _app: pytest.fail("must not run"))
    assert run(argv) == 2
    err = capsys.readouterr().err
    assert told in err.splitlines()[0]
    assert "--help` lists what it takes" in err


def test_no_verb_is_help_and_2(capsys: Captured) -> None:
    """`replicator` alone shows help on stderr; `--help` shows it on stdout and succeeds."""
    assert run([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Commands:" in captured.err
    assert run(["--help"]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_unexpected_faults_are_short_unless_asked(probe: Callable[[Body], None], capsys: Captured) -> None:
    """A fault of our own exits 1 on one line; -v shows where it happened, disarmed."""

    def fail(_app: App) -> None:
        raise ValueError("x\x1b[2J\nmore")

    probe(fail)
    assert run(["probe"]) == 1
    err = capsys.readouterr().err
    assert err.splitlines()[0] == "error: unexpected ValueError: x\\x1b[2J"
    assert "Traceback" not in err
    assert run(["probe", "-v"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("how", [KeyboardInterrupt, click.Abort])
def test_interruption_exits_130_and_names_the_operation(
    probe: Callable[[Body], None], capsys: Captured, how: type[BaseException]
) -> None:
    """Ctrl-C ends with one clean line, and says how to go on if an operation had begun."""

    def interrupt(app: App) -> None:
        app.announce_operation("op-9")
        raise how

    probe(interrupt)
    assert run(["probe"]) == 130
    err = capsys.readouterr().err
    assert "error: interrupted" in err.splitlines()
    assert "hint: `replicator op resume op-9` goes on from its journal" in err
    assert "Traceback" not in err


def test_interruption_tells_what_was_done_where_a_verb_has_begun_to_change_things(
    probe: Callable[[Body], None], capsys: Captured
) -> None:
    """A verb without an operation says itself what stands and how to go on; one that changes nothing has no hint."""

    def interrupt(app: App) -> None:
        app.hint_if_interrupted = "what was told is done"
        raise KeyboardInterrupt

    def look(_app: App) -> None:
        raise KeyboardInterrupt

    for body, told in (
        (interrupt, ["error: interrupted", "hint: what was told is done"]),
        (look, ["error: interrupted"]),
    ):
        probe(body)
        assert run(["probe"]) == 130
        assert capsys.readouterr().err.strip().splitlines() == told


@pytest.mark.parametrize("fault", [BrokenPipeError(32, "Broken pipe"), EOFError("stream ended")])
def test_a_broken_pipe_of_ours_is_no_closed_terminal(
    probe: Callable[[Body], None], capsys: Captured, fault: Exception
) -> None:
    """An error on somebody else's stream is told like any fault, not taken for a terminal that went away."""

    def fail(_app: App) -> None:
        raise fault

    probe(fail)
    assert run(["probe"]) == 1
    assert f"unexpected {type(fault).__name__}" in capsys.readouterr().err


@pytest.mark.parametrize("is_buffered", [True, False])
def test_a_reader_that_went_away_is_no_fault(
    probe: Callable[[Body], None], monkeypatch: pytest.MonkeyPatch, capsys: Captured, is_buffered: bool
) -> None:
    """Whether something waits to be flushed or nothing is left: 141, and not a word on stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=-1 if is_buffered else 0) as raw:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, write_through=not is_buffered))
        probe(lambda _app: click.echo("line"))
        assert run(["probe"]) == 141
    assert capsys.readouterr().err == ""


def test_a_missing_package_names_its_extra(probe: Callable[[Body], None], capsys: Captured) -> None:
    """A verb whose extra is not installed says which to install."""

    def fail(_app: App) -> None:
        raise ModuleNotFoundError("No module named 'textual'", name="textual")

    probe(fail)
    assert run(["probe"]) == 1
    assert "pip install 'replicator[tui]'" in capsys.readouterr().err


def test_a_verb_of_another_version_is_told(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb in the table whose module is not there is refused readably, and help does not list it."""
    monkeypatch.setattr(LazyGroup, "verbs", {"gone": Verb("replicator.cli.gone:gone", "Gone.")})
    assert run(["gone"]) == 1
    assert "not part of this version" in capsys.readouterr().err
    assert run(["--help"]) == 0
    assert "gone" not in capsys.readouterr().out


def test_the_verbs_own_exit_status_is_kept(probe: Callable[[Body], None]) -> None:
    """A verb may end with a status of its own through click."""
    probe(lambda _app: click.get_current_context().exit(4))
    assert run(["probe"]) == 4


@pytest.mark.parametrize(
    ("argv", "is_json"),
    [("-o json", True), ("-ojsonl", True), ("--output=json", True), ("x -o table", False), ("json", False)],
)
def test_json_is_recognised_in_a_broken_command_line(argv: str, is_json: bool) -> None:
    """Even a line that cannot be parsed gets its error as JSON when it asked for JSON."""
    assert wants_json(argv.split()) is is_json


def test_the_table_names_every_verb_people_count_on() -> None:
    """The verbs of the design are in the table, each once, each with a line of help."""
    promised = "status lag plan apply flow group failover op snapshot repo run lab demo config version"
    later = "doctor tui switchover failback drill forecast schedule events audit acl"
    assert set(VERBS) >= {*promised.split(), *later.split()}
    assert all(verb.help.endswith(".") for verb in VERBS.values())


VISIBLE = [name for name, verb in VERBS.items() if find_spec(verb.module)]


@pytest.mark.parametrize("name", VISIBLE)
def test_every_verb_that_help_lists_can_be_loaded(name: str, capsys: Captured) -> None:
    """Whatever `--help` shows has a command behind it, with help of its own."""
    assert run([name, "--help"]) == 0
    assert "Usage: replicator" in capsys.readouterr().out


def _all_below(class_: type[errors.ReplicatorError]) -> list[type[errors.ReplicatorError]]:
    return [found for below in class_.__subclasses__() for found in (below, *_all_below(below))]
