"""The catalog that is served: manifests and proofs are read once, and a snapshot is sound only once it was proven."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from replicator.api.wiring import Catalog
from replicator.clock import Deadline
from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import VerifyLevel
from replicator.model.names import SnapshotId
from replicator.snapshot import note_verified, verify_snapshot
from tests.unit.snapshot.conftest import NOW
from tests.unit.snapshot.test_keeping import IDS, Yard, make_yard


def prove(yard: Yard, snapshot_id: str, *, days: int = 0, level: VerifyLevel = VerifyLevel.BATCHES) -> bool:
    """Verify a snapshot and let the repository remember it."""
    report = verify_snapshot(yard.repository, SnapshotId(snapshot_id), level=level, clock=yard.clock)
    return note_verified(yard.repository, report, now=NOW + timedelta(days=days))


def test_a_snapshot_is_sound_from_its_newest_proof_on(tmp_path: Path) -> None:
    """Nothing is said of one nobody proved; a proof shows with its moment, and a later one in its place."""
    yard = make_yard(tmp_path)
    yard.fill()
    catalog = Catalog(lambda: yard.repository)
    assert catalog.entries is None

    def told() -> dict[str, tuple[object, object]]:
        catalog.read(Deadline.after(30))
        return {one.id: (one.verified_at, one.is_sound) for one in catalog.entries or ()}

    assert told() == dict.fromkeys(IDS, (None, None))
    assert prove(yard, IDS[1])
    assert not prove(yard, IDS[2], level=VerifyLevel.PRESENCE)
    assert told() == dict.fromkeys(IDS, (None, None)) | {IDS[1]: (NOW, True)}
    assert prove(yard, IDS[1], days=1)
    assert told()[IDS[1]] == (NOW + timedelta(days=1), True)


def test_a_proof_is_read_once(tmp_path: Path) -> None:
    """What was read is remembered: a look at an unchanged catalog lists, and fetches no object."""
    yard = make_yard(tmp_path)
    yard.fill()
    assert prove(yard, IDS[0])
    catalog = Catalog(lambda: yard.repository)
    catalog.read(Deadline.after(30))
    first, fetched = catalog.entries, list[str]()
    fetch = yard.aged.inner.get
    yard.aged.get = lambda key: fetched.append(key) or fetch(key)  # type: ignore[attr-defined]
    catalog.read(Deadline.after(30))
    assert catalog.entries == first
    assert fetched == []
    assert prove(yard, IDS[1])
    fetched.clear()
    catalog.read(Deadline.after(30))
    assert [key.split("/")[:2] for key in fetched] == [["verifications", IDS[1]]]


def test_a_broken_manifest_hides_no_other_snapshot(tmp_path: Path) -> None:
    """What somebody else left among the manifests is an error of the catalog's loop; every sound snapshot is listed,
    its proof too."""
    yard = make_yard(tmp_path)
    yard.fill()
    assert prove(yard, IDS[1])
    yard.repository.store.put("manifests/20991231T235959Z-ffffff", [b"junk"])
    catalog = Catalog(lambda: yard.repository)
    for _ in range(2):
        with pytest.raises(DataCorrupt, match="20991231T235959Z-ffffff"):
            catalog.read(Deadline.after(30))
        assert {one.id: one.is_sound for one in catalog.entries or ()} == dict.fromkeys(IDS) | {IDS[1]: True}
