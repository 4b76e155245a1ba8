"""The matrix: a fault on real brokers, the move that meets it, the way home; and what the ledger says of all three."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.lab import Lab
from tests.chaos.acts import play_out
from tests.chaos.faults import FAULTS, Fault

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_the_ledger_agrees_with_what_is_told(arena: Lab, scratch: Path, fault: Fault) -> None:
    """After the fault nothing is skipped, nothing is there that should not be, and loss and re-reads are as told;
    at home again the orphans are the ledger's to the record."""
    assert play_out(arena, scratch, fault).skipped == 0
