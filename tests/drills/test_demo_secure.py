"""The demo's story on secured clusters: TLS, SCRAM and ACLs on every path, and the rights of `acl show` alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.drill, pytest.mark.lab, pytest.mark.security, pytest.mark.long]


def test_the_story_passes_with_least_rights(tmp_path: Path) -> None:
    """Every promise of the plain story is kept, with the rights that are printed and nothing in plain text."""
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "replicator", "demo", "--secure", "--json", str(path), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=570, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(path.read_text())
    assert report["ok"] is True
    promises = {promise["name"] for promise in report["promises"]}
    assert {"Just the rights of acl show", "Nothing travels in plain text", "No skip", "Honest loss"} <= promises
    assert all(promise["ok"] and promise["evidence"] for promise in report["promises"])
