"""One suite for every store: what repositories rely on holds for a folder and behind obstore alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from replicator.errors import DataCorrupt, NotFound
from replicator.storage import ObjectStore, open_store
from replicator.storage.remote import open_memory
from tests.clouds import open_bucket


def make_folder(path: Path) -> ObjectStore:
    """A store in a fresh folder."""
    return open_store(str(path / "store"))


def make_memory(_path: Path) -> ObjectStore:
    """A store behind obstore, in memory."""
    return open_memory()


AZURE = pytest.param("azure", marks=pytest.mark.long)
"""It needs npm: `make azure`."""


@pytest.fixture(params=["folder", "memory", "s3", AZURE])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """Each store in turn, empty; S3 and Azure behind servers."""
    match request.param:
        case "folder":
            return make_folder(tmp_path)
        case "memory":
            return make_memory(tmp_path)
        case "s3":
            return open_store(request.getfixturevalue("bucket"))
        case _:
            return open_store(open_bucket(request.getfixturevalue("azure"), monkeypatch))


def test_the_store_keeps_the_time(store: ObjectStore) -> None:
    """A later put is never listed as older, and the time is that of now, in UTC."""
    store.put("a", [b"1"])
    store.put("b", [b"2"])
    times = {entry.key: entry.modified_at for entry in store.list("")}
    assert times["a"] <= times["b"]
    assert abs(datetime.now(UTC) - times["b"]) < timedelta(minutes=10)


def test_put_and_get(store: ObjectStore) -> None:
    """What was put in parts is got whole, and ranges of it are got."""
    assert store.put("a/b/c", [b"hello ", bytearray(b"big "), memoryview(b"world")])
    assert store.get("a/b/c") == b"hello big world"
    assert bytes(store.get_range("a/b/c", offset=6, size_bytes=3)) == b"big"
    assert bytes(store.get_range("a/b/c", offset=11, size_bytes=4)) == b"orld"
    assert bytes(store.get_range("a/b/c", offset=3, size_bytes=0)) == b""


def test_empty_and_large_objects(store: ObjectStore) -> None:
    """Nothing, and more than one multipart part, both come back."""
    assert store.put("empty", [])
    assert store.get("empty") == b""
    large = bytes(range(256)) * 160_000
    assert store.put("large", [large[:1000], large[1000:]])
    assert store.get("large") == large


def test_many_parts(store: ObjectStore) -> None:
    """Thousands of small parts make one object."""
    parts = [b"%05d" % number for number in range(3000)]
    assert store.put("many", parts)
    assert store.get("many") == b"".join(parts)


def test_parts_may_be_reused_after_the_put(store: ObjectStore) -> None:
    """A buffer that is overwritten after the put changes nothing in the store."""
    buffer = bytearray(b"first")
    store.put("x", [buffer])
    buffer[:] = b"other"
    assert store.get("x") == b"first"


def test_create_only_put_never_overwrites(store: ObjectStore) -> None:
    """The first create-only put wins, the second changes nothing and says so; a plain put overwrites."""
    assert store.put("once", [b"one"], is_create_only=True)
    assert not store.put("once", [b"two"], is_create_only=True)
    assert store.get("once") == b"one"
    assert store.put("once", [b"three"])
    assert store.get("once") == b"three"


def test_of_many_creators_one_wins(store: ObjectStore) -> None:
    """Eight create-only puts at once: one is told that it won, and its bytes are the object's."""
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: store.put("race", [b"%d" % n] * 1000, is_create_only=True), range(8)))
    assert results.count(True) == 1
    assert store.get("race") == b"%d" % results.index(True) * 1000


def test_listing_is_by_folder(store: ObjectStore) -> None:
    """A listing holds keys and sizes below a folder, not those of a folder whose name only begins alike."""
    for key, size in {"p/one": 1, "p/q/two": 2, "pq/three": 3, "four": 4}.items():
        store.put(key, [b"x" * size])
    assert {(entry.key, entry.size_bytes) for entry in store.list("p")} == {("p/one", 1), ("p/q/two", 2)}
    assert {entry.key for entry in store.list("")} == {"p/one", "p/q/two", "pq/three", "four"}
    assert list(store.list("nothing")) == []


def test_missing_objects_are_not_found(store: ObjectStore) -> None:
    """Getting what is not there names the key."""
    with pytest.raises(NotFound, match="a/missing"):
        store.get("a/missing")
    with pytest.raises(NotFound, match="a/missing"):
        store.get_range("a/missing", offset=0, size_bytes=1)


def test_delete_takes_what_is_there(store: ObjectStore) -> None:
    """Deleted objects are gone, missing ones do not matter, others stay."""
    for key in ("a/1", "a/2", "a/3"):
        store.put(key, [b"x"])
    store.delete(["a/1", "a/not-there", "a/2"])
    assert [entry.key for entry in store.list("a")] == ["a/3"]


@pytest.mark.parametrize(
    "key", ["../escape", "/etc/passwd", "a/../../b", "a//b", "", "a/.hidden", "a\\b", "a\nb", "x" * 600]
)
def test_keys_that_could_leave_are_refused(store: ObjectStore, key: str) -> None:
    """No key reaches outside of the store, whoever made it up."""
    for act in (
        lambda: store.put(key, [b"x"]),
        lambda: store.get(key),
        lambda: store.get_range(key, offset=0, size_bytes=1),
        lambda: store.delete([key]),
    ):
        with pytest.raises(DataCorrupt):
            act()
