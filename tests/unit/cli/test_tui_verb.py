"""`replicator tui` before it draws: what it refuses, whom it would ask, and how it finds the dashboard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from replicator.cli.context import App
from replicator.cli.main import run
from replicator.cli.supervision.remote import make_client, read_token
from replicator.cli.supervision.tui import load_dashboard
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
    assert make_client(app).url == "http://127.0.0.1:7777"
    app.api_url = "http://127.0.0.1:8888/"
    assert make_client(app).url == "http://127.0.0.1:8888"


@pytest.mark.security
def test_a_token_is_never_given_on_the_command_line() -> None:
    """A literal token is refused, and the refusal does not repeat it; references and the variable are taken."""
    with pytest.raises(ConfigInvalid) as caught:
        read_token(with_token({}, TOKEN))
    assert TOKEN not in str(caught.value)
    assert read_token(App(environ={})) is None
    assert read_token(with_token({"MINE": TOKEN}, "env:MINE")).value == TOKEN  # type: ignore[union-attr]  # it is set
    found = read_token(App(environ={"REPLICATOR_TOKEN": TOKEN}))
    assert found is not None
    assert TOKEN not in repr(found)
    with pytest.raises(ConfigInvalid, match="is not set"):
        read_token(with_token({}, "env:MISSING"))


def with_token(environ: dict[str, str], reference: str) -> App:
    """Return a command line that names a token."""
    app = App(environ=environ)
    app.api_token = reference
    return app


@pytest.mark.security
def test_the_configured_token_goes_to_the_configured_address_alone(tmp_path: Path) -> None:
    """Who names another address sends no configured token there; and no token leaves the machine in plain text."""
    config = tmp_path / "replicator.yaml"
    config.write_text(
        'apiVersion: replicator/v1\nsupervisor: {listen: "127.0.0.1:9199", api: {client: {token: env:MINE}}}\n'
    )
    app = App(environ={"MINE": TOKEN})
    app.config = config
    assert make_client(app)._token is not None
    assert make_client(app).url == "http://127.0.0.1:9199"
    app.api_url = "http://127.0.0.1:7777"
    assert make_client(app)._token is None
    elsewhere = with_token({"MINE": TOKEN}, "env:MINE")
    elsewhere.api_url = "http://replicator.example:9108"
    with pytest.raises(ConfigInvalid, match="plain text"):
        make_client(elsewhere)
