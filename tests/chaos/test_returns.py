"""The matrix goes on: a source that comes back as something else, and one that comes back again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.lab import Lab
from tests.chaos.acts import play_out
from tests.chaos.faults import Fault
from tests.chaos.returns import RETURNS

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("fault", RETURNS, ids=[fault.name for fault in RETURNS])
def test_the_ledger_agrees_with_what_is_told(arena: Lab, scratch: Path, fault: Fault) -> None:
    """Nothing skipped, nothing there that should not be, loss and re-reads as told; at home the orphans are exact."""
    assert play_out(arena, scratch, fault).skipped == 0
