"""Sealed documents that stand beside the snapshots: reports of operations, heads of journals (FORMAT.md)."""

from __future__ import annotations

from enum import StrEnum

from replicator.errors import OperationFailed
from replicator.snapshot.repository import Repository, Unsealed

NAME_LENGTH_MAX = 128


class DocumentKind(StrEnum):
    """What a document is; its folder is the plural."""

    REPORT = "report"
    HEAD = "head"

    @property
    def folder(self) -> str:
        """Where documents of this kind stand."""
        return f"{self.value}s"


class Shelf:
    """The documents of a repository. None is ever overwritten; each is proven before it is handed out."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def put(self, kind: DocumentKind, name: str, payload: bytes) -> str:
        """The document is stored, signed where there is a key; return its key. The same one again is no error.

        Raises: OperationFailed when another document has the name; the store's errors.
        """
        key = f"{kind.folder}/{name}"
        data = self._repository.seal(kind.value, payload, subject=name[:NAME_LENGTH_MAX])
        store = self._repository.store
        if not store.put(key, [data], is_create_only=True) and store.get(key) != data:
            raise OperationFailed(f"{self._repository.url}/{key} holds another document")
        return key

    def read(self, kind: DocumentKind, name: str) -> Unsealed:
        """Return a document whose seal and signature were proven.

        Raises: NotFound; DataCorrupt; PreflightBlocked for another version.
        """
        key = f"{kind.folder}/{name}"
        data = self._repository.store.get(key)
        return self._repository.unseal_whole(kind.value, data, subject=name[:NAME_LENGTH_MAX], where=key)

    def names(self, kind: DocumentKind) -> list[str]:
        """Return the names of all documents of a kind, sorted."""
        start = f"{kind.folder}/"
        return sorted(entry.key.removeprefix(start) for entry in self._repository.store.list(kind.folder))
