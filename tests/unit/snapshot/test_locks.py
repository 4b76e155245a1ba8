"""What a locked bucket protects too briefly: shared packs whose lock ends before the snapshots that need them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from replicator.cli.main import run
from replicator.model.names import SnapshotId
from replicator.snapshot import Repository, report_locks
from replicator.snapshot.keeping.locks import find_early_ends
from replicator.storage import StoredObject
from tests.unit.snapshot.test_encryption import FIRST, SECOND, ours, pieces

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW = SnapshotId("20260101T000000Z-aaaaaa"), SnapshotId("20261101T000000Z-bbbbbb")


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)


@pytest.mark.parametrize(
    ("put_days_ago", "needed_days", "expected"),
    [
        (1, 29, ()),  # put with the snapshot: both locked to the same day
        (29, 1, ()),  # needed no longer than it is locked
        (29, 2, (NEW,)),  # unlocked tomorrow, needed the day after
        (400, 29, (NEW,)),  # unlocked long ago
        (400, -1, ()),  # nobody has to protect it any more
    ],
)
def test_an_early_end_is_one_before_the_need_ends(put_days_ago, needed_days, expected) -> None:
    """An object is told when its lock of 30 days ends before the time a snapshot needs it until."""
    entry = StoredObject("packs/aa/x", 10, NOW - days(put_days_ago))
    found = find_early_ends([entry], {NEW: (NOW + days(needed_days), {entry.key})}, lock=days(30), now=NOW)
    assert tuple(snapshot for one in found for snapshot in one.snapshots) == expected
    assert all(one.locked_until == entry.modified_at + days(30) for one in found)


def test_the_longest_need_counts_and_the_soonest_end_comes_first() -> None:
    """Of several snapshots the last is told as the need, all that are affected by name."""
    shared = StoredObject("packs/aa/shared", 10, NOW - days(25))
    older = StoredObject("packs/bb/older", 20, NOW - days(28))
    own = StoredObject("packs/cc/own", 30, NOW)
    both = {shared.key, older.key}
    uses = {OLD: (NOW + days(4), both), NEW: (NOW + days(30), {*both, own.key})}
    found = find_early_ends([own, shared, older], uses, lock=days(30), now=NOW)
    assert [(one.key, one.needed_until, one.snapshots) for one in found] == [
        (older.key, NOW + days(30), (OLD, NEW)),
        (shared.key, NOW + days(30), (NEW,)),
    ]


class AgedStore:
    """The workshop's store, whose objects with certain keys were put days before the others."""

    def __init__(self, store, old_keys: set[str], age: timedelta) -> None:
        self._store, self._old, self._age = store, old_keys, age

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def list(self, prefix: str):
        """The listing: everything is of now, but for what is to be earlier."""
        for entry in self._store.list(prefix):
            yield StoredObject(
                entry.key, entry.size_bytes, NOW - (self._age if entry.key in self._old else timedelta())
            )


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_shared_pack_of_an_old_snapshot_is_told(tools, is_encrypted) -> None:
    """The second snapshot shares the first one's pack and states, which are unlocked first; keys count where needed."""
    shop = tools["workshop"](ours() if is_encrypted else None)
    shop.take(FIRST, pieces(tools), stop=5)
    early = set(shop.keys_of())
    shop.take(SECOND, pieces(tools), stop=5)
    aged = AgedStore(shop.store, early, days(10))
    repository = Repository.open(aged, keys=ours() if is_encrypted else None)
    found = report_locks(repository, lock=days(30), needed=None, now=NOW)
    assert {one.key.split("/")[0] for one in found.early} == {
        "packs", "states", "repository.json", *(["keys"] if is_encrypted else []),
    }  # fmt: skip
    assert {one.snapshots for one in found.early} == {(SECOND,)}
    assert not found.is_ok
    assert report_locks(repository, lock=days(30), needed=days(19), now=NOW).is_ok
    young = Repository.open(AgedStore(shop.store, set(), days(0)), keys=ours() if is_encrypted else None)
    assert report_locks(young, lock=days(30), needed=None, now=NOW).early == ()


def test_the_verb_tells_and_its_status_says_so(tools, tmp_path, capsys) -> None:
    """A bucket that locks longer than snapshots are needed is in order; one that does not is not; unknown is asked."""
    store = tmp_path / "store"
    assert run(["repo", "init", str(store), "-q"]) == 0
    capsys.readouterr()
    assert run(["repo", "lock-report", str(store), "--lock", "30d", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["item"]["early"] == []
    assert run(["repo", "lock-report", str(store), "--lock", "soon"]) == 2
