"""The demo is a drill: a real stream, a real outage, a failover, and the ledger's word on each promise."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.drill, pytest.mark.lab]

PROMISES = {
    "No skip",
    "Re-reads are counted and bounded",
    "Honest loss",
    "Honest about its age",
    "The window nobody read is short",
    "No ghosts",
    "Aborted bookings stay aborted",
    "A deleted topic comes back identical",
    "Orphans are found to the record",
    "What was written meanwhile comes home",
    "No skip on the way home",
    "A drill passes and leaves nothing",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The demo's own report, told by a process of its own."""
    path = tmp_path_factory.mktemp("demo") / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "replicator", "demo", "--json", str(path), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(path.read_text())


def test_every_promise_is_kept(report: dict) -> None:
    """Each promise is in the report, with figures, and held."""
    assert report["ok"] is True
    assert {promise["name"] for promise in report["promises"]} == PROMISES
    assert all(promise["ok"] and promise["evidence"] for promise in report["promises"])


def test_every_group_moved_without_a_skip(report: dict) -> None:
    """Four groups in four conditions; what is EXACT is read once."""
    assert len(report["groups"]) == 4
    for group in report["groups"]:
        assert group["skipped"] == 0
        assert group["reread"] <= group["predicted_reread_max"]
        if group["grade"] == "EXACT":
            assert group["reread"] == 0


def test_the_loss_lies_between_what_was_known_and_what_was_possible(report: dict) -> None:
    """The outage came in mid-traffic; the report brackets the true loss."""
    loss = report["loss"]
    assert loss["known_lost"] <= loss["true_records"] <= loss["possible_lost_max"]
    assert 0 <= loss["unknown_window_seconds"] <= 4.0


def test_the_objectives_have_verdicts_with_evidence(report: dict) -> None:
    """A verdict says what was promised, whether it held, and by which figures."""
    assert {verdict["objective"] for verdict in report["verdicts"]} >= {"rpo_seconds", "rto_seconds"}
    assert all(verdict["evidence"] for verdict in report["verdicts"])
    assert report["rto_seconds"] > 0


def test_the_snapshot_holds_the_standby(report: dict) -> None:
    """Hundreds of thousands of real records were captured."""
    assert report["snapshot"]["records"] > 300_000
