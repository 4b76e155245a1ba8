"""A whole repository on Azure's interface: taken, taken again, proven, cleared out."""

from __future__ import annotations

import random

import pytest

from replicator.model.archive.keeping import KeepRule
from replicator.model.archive.snapshots import VerifyLevel
from replicator.snapshot import Repository, apply_prune, verify_snapshot
from replicator.storage import open_store
from tests.clouds import Cloud, open_bucket
from tests.unit.snapshot.conftest import FixedClock, Workshop, make_batch, make_slice

pytestmark = pytest.mark.long
IDS = ("20261101T000000Z-aaaaaa", "20261102T000000Z-bbbbbb")


def test_a_repository_lives_there(azure: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a prefix; packs of many parts, nothing twice; what retention lets go is gone and the rest is whole."""
    url = open_bucket(azure, monkeypatch) + "/some/prefix"
    store = open_store(url)
    repository, is_new = Repository.init(store, clock=FixedClock(), tool="test")
    assert is_new
    assert not Repository.init(store, clock=FixedClock(), tool="test")[1]
    workshop = Workshop(store, repository)  # type: ignore[arg-type]
    records = [random.Random(number).randbytes(1_000_000) for number in range(40)]
    slices = [make_slice(make_batch(n, [value]), start=n, stop=n + 1) for n, value in enumerate(records)]
    first = workshop.take(IDS[0], slices, stop=len(records), chunk_bytes=8_000_000)
    packs = workshop.keys_of("packs")
    second = workshop.take(IDS[1], slices, stop=len(records), chunk_bytes=8_000_000)
    assert workshop.keys_of("packs") == packs
    for snapshot in (first, second):
        assert verify_snapshot(repository, snapshot.id, level=VerifyLevel.RECORDS, clock=FixedClock()).is_ok
    apply_prune(repository, [KeepRule(last=1)], clock=FixedClock())
    assert repository.list_ids() == [IDS[1]]
    assert verify_snapshot(repository, IDS[1], clock=FixedClock()).is_ok  # type: ignore[arg-type]
