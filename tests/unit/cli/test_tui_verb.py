"""`replicator tui` before it draws: what it refuses, whom it would ask, and how it finds the dashboard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from replicator.cli.context import App
from replicator.cli.main import run
from replicator.cli.supervision.tui import load_dashboard, make_client, read_token
from replicator.errors import ConfigInvalid

TOKEN = "a-token-of-enough-letters"


def test_without_a_terminal_it_says_what_to_run_instead(capsys: pytest.CaptureFixture[str]) -> None:
    """Where stdin and stdout are no terminal it ends with a usage error and names `status`."""
    assert run(["tui", "--url", "http://127.0.0.1:1"]) == 2
    told = capsys.readouterr()
    assert "needs a terminal" in told.err
    assert "replicator status" in told.err
    assert told.out == ""


def test_replay_and_record_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both together cannot be meant, and no file is made."""
    record = tmp_path / "new.jsonl"
    assert run(["tui", "--replay", "x.jsonl", "--record", str(record)]) == 2
    assert "cannot be meant together" in capsys.readouterr().err
    assert not record.exists()


def test_the_dashboard_is_found_by_name() -> None:
    """The entry point leads to the dashboard's own function."""
    assert load_dashboard().__module__ == "tui.app"


def test_nothing_of_the_dashboard_is_imported_for_help() -> None:
    """The verb's help loads neither Textual nor the dashboard nor FastAPI."""
    code = (
        "import sys; from replicator.cli.main import run; run(['tui', '--help']);"
        "print([name for name in ('textual', 'tui', 'fastapi', 'httpx2') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip().endswith("[]")
    assert "--allow-actions" in done.stdout


def test_the_url_is_the_option_then_the_variable() -> None:
    """--url wins over REPLICATOR_URL."""
    app = App(environ={"REPLICATOR_URL": "http://127.0.0.1:7777"})
    assert make_client(app, url=None, token=None, ca_file=None).url == "http://127.0.0.1:7777"
    assert make_client(app, url="http://127.0.0.1:8888/", token=None, ca_file=None).url == "http://127.0.0.1:8888"


@pytest.mark.security
def test_a_token_is_never_given_on_the_command_line() -> None:
    """A literal token is refused, and the refusal does not repeat it; references and the variable are taken."""
    with pytest.raises(ConfigInvalid) as caught:
        read_token(App(environ={}), TOKEN)
    assert TOKEN not in str(caught.value)
    assert read_token(App(environ={}), None) is None
    assert read_token(App(environ={"MINE": TOKEN}), "env:MINE").value == TOKEN  # type: ignore[union-attr]  # it is set
    found = read_token(App(environ={"REPLICATOR_TOKEN": TOKEN}), None)
    assert found is not None
    assert TOKEN not in repr(found)
    with pytest.raises(ConfigInvalid, match="is not set"):
        read_token(App(environ={}), "env:MISSING")
