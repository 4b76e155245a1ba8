"""`replicator config`: validate, show, schema, path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replicator.cli.context import App
from replicator.cli.main import run

EXAMPLE = str(Path(__file__).parents[3] / "configs" / "example.yaml")
Captured = pytest.CaptureFixture[str]


def test_validate_reports_what_the_file_holds(capsys: Captured) -> None:
    """A good file exits 0 and names its clusters, flows and schedules."""
    assert run(["-c", EXAMPLE, "config", "validate", "-o", "json"], app=App(environ={})) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "ConfigReport"
    assert document["item"] == {
        "path": EXAMPLE, "is_valid": True, "clusters": ["east", "west"], "flows": ["orders"],
        "schedules": ["nightly", "proofs", "rehearsal"], "are_secrets_checked": False,
    }  # fmt: skip
    assert document["warnings"] == ["clusters.west has no cluster_id: a wrong cluster at the right address goes unseen"]


def test_validate_exits_14_with_the_place(tmp_path: Path, capsys: Captured) -> None:
    """A bad file exits 14; the first line names file, line, column, key and what was meant."""
    path = tmp_path / "bad.yaml"
    path.write_text("apiVersion: replicator/v1\nclusterz: {}\n")
    assert run(["config", "validate", "-c", str(path)]) == 14
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == f"error: {path}:2:1: clusterz: unknown key; did you mean clusters?"


def test_validate_may_fetch_the_secrets(capsys: Captured) -> None:
    """With --secrets a secret that cannot be had is told, by key and variable."""
    assert run(["-c", EXAMPLE, "config", "validate", "--secrets"], app=App(environ={})) == 14
    assert "clusters.east.security.password: the environment variable EAST_PASSWORD" in capsys.readouterr().err


@pytest.mark.security
def test_validate_refuses_a_token_that_run_would_refuse(tmp_path: Path, capsys: Captured) -> None:
    """With --secrets a weak API token is refused with its place and what makes one; its value is not told."""
    path = tmp_path / "weak.yaml"
    path.write_text(
        "apiVersion: replicator/v1\nsupervisor:\n  api:\n    tokens:\n      ops: {role: operator, secret: env:OPTOK}\n"
    )
    app = App(environ={"OPTOK": "hunter2hunter2"})
    assert run(["-c", str(path), "config", "validate", "--secrets"], app=app) == 14
    err = capsys.readouterr().err
    assert err.startswith(f"error: {path}:5:")
    assert "supervisor.api.tokens.ops.secret" in err
    assert "at least 20 printable characters" in err
    assert "token_urlsafe" in err
    assert "hunter2" not in err


@pytest.mark.security
def test_a_literal_secret_shows_nowhere_even_with_a_traceback(tmp_path: Path, capsys: Captured) -> None:
    """The traceback of a refused secret holds no value, neither its own nor that of the parser below."""
    path = tmp_path / "bad.yaml"
    text = Path(EXAMPLE).read_text().replace("env:EAST_PASSWORD", "c4n4ry")
    for literal in ("c4n4ry", "[c4n4ry]", "'c4n4ry", "*c4n4ry", "c4n4ry: x"):
        path.write_text(text.replace("c4n4ry", literal))
        assert run(["-vv", "-c", str(path), "config", "show", "-o", "json"]) == 14
        captured = capsys.readouterr()
        assert "Traceback" in captured.err
        assert "c4n4ry" not in captured.out + captured.err


def test_show_is_the_configuration_in_force(capsys: Captured) -> None:
    """Overrides and defaults are in it; secrets are references."""
    app = App(environ={"REPLICATOR_SUPERVISOR__ID": "second", "EAST_PASSWORD": "c4n4ry"})
    assert run(["-c", EXAMPLE, "config", "show", "-o", "json"], app=app) == 0
    text = capsys.readouterr().out
    item = json.loads(text)["item"]
    expected = {"id": "second", "listen": "127.0.0.1:9108", "topic_prefix": "__replicator", "session_seconds": 10.0}
    assert {key: item["supervisor"][key] for key in expected} == expected
    assert item["supervisor"]["api"]["tokens"]["ops"]["secret"] == "file:/run/secrets/ops-token"
    assert item["clusters"]["east"]["security"]["password"] == "env:EAST_PASSWORD"
    assert item["flows"]["orders"]["connector"] == {"tasks.max": "8"}
    assert "c4n4ry" not in text


def test_show_for_people_is_yaml_that_loads(tmp_path: Path, capsys: Captured) -> None:
    """What `config show` prints is itself a configuration."""
    assert run(["-c", EXAMPLE, "config", "show"], app=App(environ={})) == 0
    path = tmp_path / "shown.yaml"
    path.write_text(capsys.readouterr().out)
    assert run(["-c", str(path), "config", "validate"], app=App(environ={})) == 0


def test_show_origin_names_the_source_of_each_value(capsys: Captured) -> None:
    """Each key tells whether a line, a variable or the default set it."""
    app = App(environ={"REPLICATOR_SUPERVISOR__ID": "second"})
    assert run(["-c", EXAMPLE, "config", "show", "--origin", "-o", "json"], app=app) == 0
    origins = {item["key"]: item["origin"] for item in json.loads(capsys.readouterr().out)["items"]}
    assert origins["supervisor.id"] == "environment variable REPLICATOR_SUPERVISOR__ID"
    assert origins["flows.orders.source"].startswith(f"{EXAMPLE}:")
    assert origins["connect.west.heap_mib"] == "default"


def test_schema_is_raw_for_people_and_wrapped_for_programs(capsys: Captured) -> None:
    """`config schema > file` is a JSON Schema; `-o json` has the envelope like every verb."""
    assert run(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert run(["config", "schema", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["item"] == schema


def test_path_says_where_it_looks(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """`config path` answers even without any configuration."""
    monkeypatch.chdir(tmp_path)
    assert run(["config", "path", "-o", "json"], app=App(environ={"HOME": str(tmp_path)})) == 0
    item = json.loads(capsys.readouterr().out)["item"]
    assert item["candidates"][0] == "replicator.yaml"
    assert item["candidates"][1] == str(tmp_path / ".config/replicator/config.yaml")


def test_completion_scripts_call_us(capsys: Captured) -> None:
    """Each shell's script asks replicator itself what fits."""
    for shell in ("bash", "zsh", "fish"):
        assert run(["completion", shell]) == 0
        assert "_REPLICATOR_COMPLETE" in capsys.readouterr().out


def test_without_schedules_none_is_asked_for(tmp_path: Path, capsys: Captured) -> None:
    """`schedule list` says that none is configured, and nothing of a supervisor that it never asked."""
    path = tmp_path / "bare.yaml"
    path.write_text("apiVersion: replicator/v1\n")
    assert run(["-c", str(path), "schedule", "list"], app=App(environ={})) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no schedules are configured\n")


def test_the_first_of_many_mistakes_is_told_once(tmp_path: Path, capsys: Captured) -> None:
    """The message is the first mistake; below it stand the others alone."""
    path = tmp_path / "bad.yaml"
    path.write_text("apiVersion: replicator/v1\nclusterz: {}\nflowz: {}\n")
    assert run(["config", "validate", "-c", str(path)]) == 14
    err = capsys.readouterr().err
    assert (err.count("clusterz"), err.count("flowz")) == (1, 1)
