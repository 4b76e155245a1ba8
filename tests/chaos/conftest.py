"""What the faults share: one lab, a folder for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.lab import Lab


@pytest.fixture(scope="module")
def arena(private_lab: Lab) -> Lab:
    """A lab with a worker beside each cluster, to be harmed by one fault after the other."""
    private_lab.start("east/connect", wait=Deadline.after(120))
    return private_lab


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where a play may keep its files."""
    return tmp_path / "play"
