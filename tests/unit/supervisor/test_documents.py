"""Reports and heads in a store: signed, proven before they are believed, never overwritten."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import DataCorrupt, NotFound, OperationFailed
from replicator.failover import report_of
from replicator.failover.engine.logbook import Logbook, Request
from replicator.journal import Journal, KeptHead, MemoryLog
from replicator.journal.journal import JournalWriter
from replicator.model.names import ClusterName, FlowName, OperationId
from replicator.model.objectives import Objectives
from replicator.model.operations import OperationKind, OperationState
from replicator.settings import Settings, load_settings
from replicator.snapshot import Repository
from replicator.supervisor.reports import keep_report, read_report
from replicator.supervisor.witnesses import put_head, read_heads

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEST = ClusterName("west")


def write_key(path: Path) -> None:
    """Leave a fresh private key."""
    key = Ed25519PrivateKey.generate()
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*pem))
    path.chmod(0o600)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A configuration with a store that signs."""
    write_key(tmp_path / "signing.pem")
    path = tmp_path / "replicator.yaml"
    path.write_text(
        "apiVersion: replicator/v1\n"
        f"snapshots: {{store: '{tmp_path}/store', signing_key: 'file:{tmp_path}/signing.pem'}}\n"
    )
    loaded = load_settings(path, {})
    Repository.init(loaded.store or "", clock=SYSTEM_CLOCK, tool="test")
    return loaded


def drilled(state: OperationState) -> Logbook:
    """Return the journal of a drill that ended so."""
    writer: JournalWriter = Journal(MemoryLog()).open_writer(
        "main", is_allowed=lambda: True, deadline=Deadline.after(5)
    )
    request = Request(operation_id=OperationId("drill-1"), flow=FlowName("f"), kind=OperationKind.DRILL, actor="ann")
    log = Logbook(writer, request)
    log.begin({"source": "east", "target": "west", "commanded_at": "2026-11-22T12:00:00Z"})
    log.end(state)
    return log


def test_a_report_proves_who_signed_it(settings: Settings, tmp_path: Path) -> None:
    """Kept, read back, kept again; changed by a byte, or signed by another key, it is refused."""
    report = report_of(drilled(OperationState.DONE).records, objectives=Objectives())
    assert keep_report(settings, report) == "reports/drill-1"
    assert keep_report(settings, report) == "reports/drill-1"
    document, signed_by = read_report(settings, "drill-1")
    assert document["is_passed"] is True
    assert document["report"]["operation_id"] == "drill-1"
    assert signed_by is not None
    with pytest.raises(NotFound, match="drill-2"):
        read_report(settings, "drill-2")

    path = tmp_path / "store" / "reports" / "drill-1"
    whole = path.read_bytes()
    for place in (10, len(whole) - 10):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataCorrupt):
            read_report(settings, "drill-1")
    path.write_bytes(whole)
    write_key(tmp_path / "signing.pem")
    with pytest.raises(DataCorrupt, match="signed by key"):
        read_report(load_settings(tmp_path / "replicator.yaml", {}), "drill-1")


def test_a_drill_with_exceptions_has_not_passed(settings: Settings) -> None:
    """Done is not passed."""
    report = report_of(drilled(OperationState.DONE_WITH_EXCEPTIONS).records, objectives=Objectives())
    keep_report(settings, report)
    assert read_report(settings, "drill-1")[0]["is_passed"] is False


def test_heads_are_kept_once_and_the_oldest_and_newest_are_read(settings: Settings) -> None:
    """Another head of the same number is refused: the chain was written anew."""
    heads = [KeptHead(cluster=WEST, writer="main", sequence=n, digest=f"d{n}", kept_at=NOW) for n in range(1, 31)]
    for head in heads:
        put_head(settings, head)
    put_head(settings, heads[3])
    with pytest.raises(OperationFailed, match="another document"):
        put_head(settings, KeptHead(cluster=WEST, writer="main", sequence=4, digest="other", kept_at=NOW))
    assert [head.sequence for head in read_heads(settings)] == [1, *range(11, 31)]
    assert read_heads(settings)[0] == heads[0]
