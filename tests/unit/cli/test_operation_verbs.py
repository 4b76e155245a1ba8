"""`failover` and `op` before anything is asked of a cluster: what they refuse, and with which status."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replicator.cli.main import run


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@pytest.fixture
def config(tmp_path: Path, closed_port: int) -> str:
    """A configuration whose clusters are gone."""
    cluster = {"bootstrap": f"127.0.0.1:{closed_port}", "security": {"protocol": "PLAINTEXT", "insecure": True}}
    document = {
        "apiVersion": "replicator/v1",
        "clusters": {"east": cluster, "west": {**cluster, "bootstrap": f"localhost:{closed_port}"}},
        "connect": {"west": {"runtime": "external", "url": f"http://127.0.0.1:{closed_port}"}},
        "flows": {"orders": {"source": "east", "target": "west"}},
    }
    path = tmp_path / "replicator.yaml"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        pytest.param(["failover", "order", "--confirm", "order"], 10, "did you mean orders", id="unknown flow"),
        pytest.param(["failover", "orders"], 6, "--confirm orders", id="not confirmed"),
        pytest.param(["failover", "orders", "--confirm", "order"], 6, "nothing was changed", id="another name"),
        pytest.param(
            ["failover", "orders", "--accept", "split-brian"], 2, "split-brain, stale-groups, loss", id="typo"
        ),
        pytest.param(["failover", "orders", "--hold-before", "promot"], 10, "promote", id="unknown step"),
        pytest.param(["failover", "orders", "--max-loss", "-1"], 2, "max-loss", id="negative limit"),
        pytest.param(["failover"], 2, "FLOW", id="no flow"),
        pytest.param(["failover", "orders", "--confirm", "orders"], 13, "west", id="the standby is gone too"),
        pytest.param(["op", "list"], 13, "no cluster's journal can be read", id="no journal"),
        pytest.param(["op", "show", "op-1"], 13, "no cluster's journal can be read", id="no journal to look into"),
    ],
)
def test_what_is_refused_before_anything_is_changed(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, told: str
) -> None:
    """The status says what kind of no it is, the text which object and what comes next; stdout stays empty."""
    assert run(["-c", config, "--timeout", "3", "--no-input", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


def test_overrides_add_up_and_may_stand_in_one_word() -> None:
    """`--accept a,b --accept c` accepts three."""
    from replicator.cli.operations.doors import parse_choices
    from replicator.failover import Override

    assert parse_choices(["split-brain,loss", " stale-groups"]).accepted == set(Override)
    assert parse_choices([], loss_max=3).loss_max == 3


def test_the_actor_is_named_even_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that no database knows acts under its number."""
    from replicator.cli.operations import doors as operation_doors

    def unknown() -> str:
        raise KeyError("uid")

    monkeypatch.setattr(operation_doors.getpass, "getuser", unknown)
    assert operation_doors.actor().startswith("uid-")
