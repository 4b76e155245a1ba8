"""What every store can do. One contract suite (tests/contracts) runs against each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from replicator.errors import DataCorrupt

Content = bytes | bytearray | memoryview

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*(/[A-Za-z0-9][A-Za-z0-9._=+-]*)*")
MAX_KEY_LENGTH = 512


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing tells it; `modified_at` is by the store's own clock."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Objects by key. Keys are `/`-separated words; a put is whole or absent, and durable when it returns."""

    @property
    def url(self) -> str:
        """Where the store is, without secrets."""
        ...

    def put(self, key: str, parts: Sequence[Content], *, is_create_only: bool = False) -> bool:
        """The object holds the parts, one after another; it is durable. Return False, having changed nothing,
        when it is create-only and the key exists already. The parts may be reused by the caller afterwards.

        Raises: Unreachable, AccessDenied, OperationFailed.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return the whole object. Raises: NotFound, Unreachable, AccessDenied."""
        ...

    def get_range(self, key: str, *, offset: int, size_bytes: int) -> memoryview:
        """Return `size_bytes` from `offset`; fewer only when the object ends before that.

        Raises: NotFound, Unreachable, AccessDenied.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object below the folder `prefix`, in no order; half-written ones are never seen."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """The objects are gone; missing ones are fine."""
        ...

    def delete_unfinished(self, before: datetime) -> int:
        """What puts that never returned left behind before that moment is gone; return how many pieces.

        A bucket's own rule for unfinished uploads does this there: 0 is returned.
        """
        ...


def check_key(key: str) -> str:
    """Return the key. Raises: DataCorrupt for one that could leave the repository: `..`, absolute, odd signs."""
    if len(key) > MAX_KEY_LENGTH or not _KEY.fullmatch(key):
        raise DataCorrupt(f"not an object key: {key[:80]!r}")
    return key
