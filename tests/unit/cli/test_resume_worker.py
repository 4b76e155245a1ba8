"""Going on with a failback, or going back on it, needs the worker beside the old active: it is started first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replicator.cli import worker
from replicator.cli.main import run
from replicator.cli.operations import op
from replicator.errors import LabFailed
from replicator.failover import Order
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, OperationId
from replicator.model.operations import OperationKind

FLOW = Flow(name=FlowName("orders"), source=ClusterName("east"), target=ClusterName("west"))


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration whose clusters nobody asks."""
    cluster = {"bootstrap": "127.0.0.1:1", "security": {"protocol": "PLAINTEXT", "insecure": True}}
    document = {
        "apiVersion": "replicator/v1",
        "clusters": {"east": cluster, "west": {**cluster, "bootstrap": "localhost:1"}},
        "connect": {"west": {"runtime": "external", "url": "http://127.0.0.1:1"}},
        "flows": {"orders": {"source": "east", "target": "west"}},
    }
    path = tmp_path / "replicator.yaml"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("kind", "started"),
    [
        pytest.param(OperationKind.FAILBACK, ["east"], id="failback"),
        pytest.param(OperationKind.SWITCHOVER, [], id="switchover"),
    ],
)
@pytest.mark.parametrize("arguments", [["resume", "op-1"], ["abort", "op-1", "--yes"]], ids=["resume", "abort"])
def test_the_worker_of_a_failback_is_started_first(
    config: str, monkeypatch: pytest.MonkeyPatch, kind: OperationKind, started: list[str], arguments: list[str]
) -> None:
    """It is asked for beside the flow's source before any cluster is; other operations start none."""
    asked: list[str] = []

    def start(_app: object, cluster: str) -> None:
        asked.append(cluster)
        raise LabFailed("it does not come up")

    order = Order(kind=kind, actor="ann", commanded_at=datetime.now(UTC), operation_id=OperationId("op-1"))
    monkeypatch.setattr(worker, "ensure_worker", start)
    monkeypatch.setattr(op, "_order", lambda *_args, **_named: (FLOW, order))
    assert run(["-c", config, "--timeout", "3", "--no-input", "op", *arguments]) != 0
    assert asked == started
