"""A store behind obstore: S3, GCS, Azure, or the memory of this process. The only file that imports it.

Create-only puts use the service's own precondition (If-None-Match on S3). Credentials come from the
service's usual environment and files; a URL carries none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import MemoryStore, from_url

from replicator.errors import AccessDenied, ConfigInvalid, NotFound, OperationFailed, ReplicatorError, Unreachable
from replicator.storage.base import Content, StoredObject, check_key

CHUNK_BYTES = 16 * 1024 * 1024
"""Part size of a multipart upload; below 5 MiB services refuse, above this memory only grows."""
REQUEST_TIMEOUT = timedelta(seconds=60)
MAX_RETRIES = 8
RETRY_TIMEOUT = timedelta(seconds=180)
_CONNECTION_WORDS = ("error sending request", "connection", "timed out", "timeout", "dns", "HTTP error")


class RemoteStore:
    """Objects in a bucket below an optional prefix."""

    def __init__(self, url: str, store: obstore.store.ObjectStore) -> None:
        self._url = url
        self._store = store

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._url

    def put(self, key: str, parts: Sequence[Content], *, is_create_only: bool = False) -> bool:
        """See ObjectStore.put. The bytes are copied: obstore's memory store keeps what it is handed."""
        body = b"".join(parts)
        with self._translated(key):
            try:
                if is_create_only:
                    obstore.put(self._store, check_key(key), body, mode="create")
                else:
                    obstore.put(self._store, check_key(key), body, chunk_size=CHUNK_BYTES)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def get(self, key: str) -> bytes:
        """See ObjectStore.get."""
        with self._translated(key):
            return bytes(obstore.get(self._store, check_key(key)).bytes())

    def get_range(self, key: str, *, offset: int, size_bytes: int) -> memoryview:
        """See ObjectStore.get_range."""
        if size_bytes == 0:
            return memoryview(b"")
        with self._translated(key):
            return memoryview(obstore.get_range(self._store, check_key(key), start=offset, length=size_bytes))

    def delete(self, keys: Iterable[str]) -> None:
        """See ObjectStore.delete."""
        wanted = [check_key(key) for key in keys]
        with self._translated(", ".join(wanted[:3])):
            try:
                obstore.delete(self._store, wanted)
            except FileNotFoundError:
                self._delete_one_by_one(wanted)

    def _delete_one_by_one(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See ObjectStore.list."""
        with self._translated(prefix):
            for page in obstore.list(self._store, prefix or None, chunk_size=1000):
                for entry in page:
                    yield StoredObject(entry["path"], entry["size"], entry["last_modified"])

    def delete_unfinished(self, before: datetime) -> int:
        """See ObjectStore.delete_unfinished."""
        del before
        return 0

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as exc:
            raise _to_error(exc, f"store {self._url}: {key}") from exc


def open_remote(url: str) -> RemoteStore:
    """Return the store a URL names. Raises: ConfigInvalid when obstore cannot understand it."""
    try:
        store = from_url(
            url,
            client_options={"timeout": REQUEST_TIMEOUT, "allow_http": True},
            retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT},
        )
    except (BaseError, ValueError) as exc:
        raise ConfigInvalid(f"store {url}: cannot be used: {_first_line(exc)}") from exc
    return RemoteStore(url, store)


def open_memory() -> RemoteStore:
    """Return an empty store in this process's memory, for tests of what is built on stores."""
    return RemoteStore("memory://", MemoryStore())


def _to_error(error: Exception, where: str) -> ReplicatorError:
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{where}: does not exist")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return AccessDenied(
            f"{where}: {_first_line(error)}", hint="check the store's credentials and the bucket's policy"
        )
    if isinstance(error, NotSupportedError):
        return OperationFailed(f"{where}: the store cannot do this: {_first_line(error)}")
    text = _first_line(error)
    if any(word.lower() in text.lower() for word in _CONNECTION_WORDS):
        return Unreachable(f"{where}: {text}", hint="check the store's address and network")
    return OperationFailed(f"{where}: {text}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
