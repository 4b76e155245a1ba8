"""Three brokers a cluster: leaders that die under the flow and under the move, and one that is elected uncleanly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.jvm import Guardian
from replicator.lab import Lab, LabSpec
from tests.chaos.acts import play_out
from tests.chaos.faults import Fault
from tests.chaos.trio import TRIO
from tests.conftest import run_lab

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def wide_arena(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """Three brokers a cluster, with a worker beside each."""
    for made in run_lab(tmp_path_factory.mktemp("wide"), LabSpec(brokers=3), _guardian):
        made.start("east/connect", wait=Deadline.after(120))
        yield made


@pytest.mark.parametrize("fault", TRIO, ids=[fault.name for fault in TRIO])
def test_the_ledger_agrees_with_what_is_told(wide_arena: Lab, scratch: Path, fault: Fault) -> None:
    """Flow and move go on with the next leaders; loss and re-reads are as told, and at home the orphans are exact."""
    assert play_out(wide_arena, scratch, fault).skipped == 0
