"""A store in a local folder: what a put returns for is on the disk, name and bytes.

Written beside its place, synced, then named by a hard link (create-only) or a rename, then the directory is
synced: after a power cut an object is whole or absent. obstore's own local store names first and syncs never.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from replicator.errors import AccessDenied, DataCorrupt, NotFound, OperationFailed, ReplicatorError, Unreachable
from replicator.storage.base import Content, StoredObject, check_key
from replicator.storage.writing import write_synced

_TEMPORARY = ".part-"
WHOLE_BYTES_MAX = 1024 * 1024 * 1024
"""No object is read at once beyond this; those that are read so are documents, and packs are read in ranges."""


class FolderStore:
    """Objects as files below one folder. What is no regular file, or leads nowhere, is no object: a named pipe there
    would be waited for without end."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def url(self) -> str:
        """The folder as a file URL."""
        return self._root.as_uri()

    def put(self, key: str, parts: Sequence[Content], *, is_create_only: bool = False) -> bool:
        """See ObjectStore.put."""
        path = self._path(key)
        with self._translated(key):
            self._make_folder(path.parent)
            if is_create_only and path.exists():
                return False
            temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
            try:
                write_synced(temporary, parts)
                if not _name(temporary, path, is_create_only=is_create_only):
                    return False
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(path.parent)
        return True

    def get(self, key: str) -> bytes:
        """See ObjectStore.get."""
        with self._translated(key), _open_object(self._path(key)) as file:
            if os.fstat(file.fileno()).st_size > WHOLE_BYTES_MAX:
                raise DataCorrupt(f"store {self.url}: {key}: larger than {WHOLE_BYTES_MAX} bytes, which no document is")
            return file.readall()

    def get_range(self, key: str, *, offset: int, size_bytes: int) -> memoryview:
        """See ObjectStore.get_range."""
        with self._translated(key), _open_object(self._path(key)) as file:
            file.seek(offset)
            buffer = memoryview(bytearray(size_bytes))
            filled = 0
            while filled < size_bytes and (count := file.readinto(buffer[filled:])):
                filled += count
            return buffer[:filled]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See ObjectStore.list."""
        with self._translated(prefix):
            for folder, _folders, names in os.walk(self._root / prefix, onerror=_raise_unless_missing):
                for name in names:
                    if not name.startswith("."):
                        path = Path(folder, name)
                        if (found := _stat(path)) is not None and stat.S_ISREG(found.st_mode):
                            modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
                            yield StoredObject(path.relative_to(self._root).as_posix(), found.st_size, modified_at)

    def delete(self, keys: Iterable[str]) -> None:
        """See ObjectStore.delete."""
        for key in keys:
            with self._translated(key):
                self._path(key).unlink(missing_ok=True)

    def delete_unfinished(self, before: datetime) -> int:
        """See ObjectStore.delete_unfinished."""
        count = 0
        with self._translated(_TEMPORARY):
            for path in self._root.rglob(f"{_TEMPORARY}*"):
                found = _stat(path)
                if found is not None and found.st_mtime < before.timestamp():
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and sync the names on the way, so that a new one survives a power cut too."""
        if folder.is_dir():
            return
        if folder != folder.parent:
            self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise _to_error(exc, f"store {self.url}: {key}") from exc


def _open_object(path: Path) -> FileIO:
    """Return the open file of an object. Opened without blocking: a named pipe has to be told apart first."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file")
    return FileIO(descriptor, "rb")


def _stat(path: Path) -> os.stat_result | None:
    """Return what is known of a file; None when it has gone since it was listed, or leads nowhere."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            return None
        raise


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _name(temporary: Path, path: Path, *, is_create_only: bool) -> bool:
    """Give the written file its name. A hard link fails when the name exists, a rename does not."""
    if not is_create_only:
        temporary.replace(path)
        return True
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _to_error(error: OSError, where: str) -> ReplicatorError:
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{where}: does not exist")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return AccessDenied(f"{where}: {error.strerror}", hint="give this user rights on the store's folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OperationFailed(f"{where}: {error.strerror}", hint="free space in the store, then run again")
    if error.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT):
        return Unreachable(f"{where}: {error.strerror}")
    told = f"{where}: {error.strerror or error}"
    return OperationFailed(told, hint="look at the store's folder: only folders and regular files belong there")
