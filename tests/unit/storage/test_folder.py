"""A folder store: names appear only when the bytes are there, and errors say what to do."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from replicator.errors import (
    AccessDenied,
    ConfigInvalid,
    DataCorrupt,
    NotFound,
    OperationFailed,
    ReplicatorError,
    Unreachable,
)
from replicator.storage import folder, open_store
from replicator.storage.folder import FolderStore


def test_bytes_are_synced_before_the_name_and_the_name_before_return(tmp_path: Path, monkeypatch) -> None:
    """The order that survives a power cut: write, sync the file, name it, sync its folder."""
    events: list[str] = []
    real_fsync, real_link = os.fsync, Path.hardlink_to

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("sync folder" if is_folder else "sync file")
        real_fsync(descriptor)

    def link(self: Path, target: Path) -> None:
        events.append("name")
        real_link(self, target)

    store = FolderStore(tmp_path)
    store.put("a/first", [b"x"])
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "hardlink_to", link)
    assert store.put("a/second", [b"y"], is_create_only=True)
    assert events == ["sync file", "name", "sync folder"]


def test_failed_put_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    """When the disk refuses, no name and no residue is left, and the error says what to do."""

    def full(_descriptor: int, _views: list[memoryview]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folder.os, "writev", full)
    with pytest.raises(OperationFailed, match="No space left") as caught:
        FolderStore(tmp_path).put("a/b", [b"x"])
    assert "free space" in str(caught.value.hint)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_half_written_objects_are_never_listed(tmp_path: Path) -> None:
    """What a killed process left beside its place is no object."""
    store = FolderStore(tmp_path)
    store.put("a/whole", [b"x"])
    (tmp_path / "a" / ".part-0123").write_bytes(b"half")
    assert [entry.key for entry in store.list("")] == ["a/whole"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, AccessDenied),
        (errno.EROFS, AccessDenied),
        (errno.ENOSPC, OperationFailed),
        (errno.EIO, Unreachable),
        (errno.ENOTDIR, OperationFailed),
    ],
)
def test_errors_of_the_system_become_ours(
    tmp_path: Path, monkeypatch, number: int, kind: type[ReplicatorError]
) -> None:
    """Each errno has its class, and the message names store and key."""

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folder.os, "open", fail)
    with pytest.raises(kind, match="a/key"):
        FolderStore(tmp_path).get("a/key")


@pytest.mark.parametrize(
    ("url", "path"),
    [("/srv/x", "/srv/x"), ("file:///srv/x%20y", "/srv/x y"), ("file://localhost/srv", "/srv")],
)
def test_paths_and_file_urls_name_folders(url: str, path: str) -> None:
    """A path is a folder; so is a file URL, decoded."""
    assert open_store(url).url == Path(path).as_uri()


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file://host/x", "file:relative", "http://x/y", "s3://user:secret@bucket/x"]
)
def test_other_urls_are_refused(url: str) -> None:
    """What cannot be a store is refused before anything is touched, and no credential is repeated."""
    with pytest.raises(ConfigInvalid) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_remote_urls_open_without_asking_anybody(monkeypatch) -> None:
    """Buckets are opened by URL; nothing is contacted before the first request."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    assert open_store("s3://bucket/prefix").url == "s3://bucket/prefix"


def test_unreachable_bucket_is_unreachable(monkeypatch) -> None:
    """A store that does not answer is told as unreachable, not as a missing object."""
    from datetime import timedelta

    from replicator.storage import remote

    monkeypatch.setattr(remote, "RETRY_TIMEOUT", timedelta(seconds=0.2))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(Unreachable, match="bucket"):
        remote.open_remote("s3://bucket/prefix").get("a/b")


def test_what_is_no_regular_file_is_no_object(tmp_path: Path) -> None:
    """A pipe that nobody writes, a link to itself, a dangling one and a socket are not listed; read by name, each is
    an error that says what to do, at once."""
    store = FolderStore(tmp_path)
    store.put("a/whole", [b"x"])
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "loop").symlink_to("loop")
    (tmp_path / "a" / "nowhere").symlink_to("absent")
    (tmp_path / "a" / "folder").mkdir()
    assert [entry.key for entry in store.list("a")] == ["a/whole"]
    for name in ("pipe", "loop", "folder"):
        with pytest.raises(OperationFailed) as whole:
            store.get(f"a/{name}")
        with pytest.raises(OperationFailed):
            store.get_range(f"a/{name}", offset=0, size_bytes=1)
        assert "only folders and regular files" in str(whole.value.hint)
    with pytest.raises(NotFound):
        store.get("a/nowhere")


def test_a_linked_object_is_read_like_any_other(tmp_path: Path) -> None:
    """Who moved objects to another disk and left links finds them again."""
    store = FolderStore(tmp_path / "store")
    store.put("a/first", [b"x"])
    (tmp_path / "elsewhere").write_bytes(b"moved")
    (tmp_path / "store" / "a" / "second").symlink_to(tmp_path / "elsewhere")
    assert {(entry.key, entry.size_bytes) for entry in store.list("")} == {("a/first", 1), ("a/second", 5)}
    assert store.get("a/second") == b"moved"


def test_a_document_too_large_to_be_one_is_not_read_into_memory(tmp_path: Path, monkeypatch) -> None:
    """A file that somebody put in an object's place cannot fill our memory."""
    monkeypatch.setattr(folder, "WHOLE_BYTES_MAX", 10)
    store = FolderStore(tmp_path)
    store.put("a", [b"x" * 10])
    store.put("b", [b"x" * 11])
    assert len(store.get("a")) == 10
    with pytest.raises(DataCorrupt, match="larger than 10 bytes"):
        store.get("b")
