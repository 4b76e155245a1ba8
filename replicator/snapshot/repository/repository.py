"""A repository in a store: what a snapshot needs put, and what a name or an id leads to."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import cramjam
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replicator.clock import Clock
from replicator.errors import DataCorrupt, NotFound, OperationFailed, PreflightBlocked, UsageError
from replicator.model.archive.snapshots import ORPHANS_TAG, Chunk, Manifest, StoredChunk
from replicator.model.archive.unlocking import ShreddedKey
from replicator.model.names import SnapshotId, TopicName
from replicator.snapshot.repository.manifest import SNAPSHOT_ID, read_manifest, version_of, write_manifest
from replicator.snapshot.repository.packs import (
    TRAILER,
    Pack,
    index_bytes,
    open_chunk,
    pack_key,
    prove_stored,
    read_index,
)
from replicator.snapshot.repository.sealing import Keys, Unsealed, canonical, decompress, seal, unseal
from replicator.snapshot.repository.states import read_state_json
from replicator.snapshot.repository.vault import Vault
from replicator.storage import ObjectStore, open_store

REPOSITORY_KEY = "repository.json"
MANIFESTS = "manifests"
STATES = "states"
PACKS = "packs"
LATEST, OLDEST = "latest", "oldest"
MAX_STATE_BYTES = 512 * 1024 * 1024
_ZSTD_LEVEL = 3


class _Identity(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    created_at: datetime
    tool: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One snapshot of a listing: its manifest, or the reason why it cannot be read."""

    id: SnapshotId
    manifest: Manifest | None
    problem: str | None = None


class Repository:
    """An open repository. Reads prove what they return; nothing is ever overwritten."""

    def __init__(self, store: ObjectStore, *, repository_id: str, created_at: datetime, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self.id = repository_id
        self.created_at = created_at
        self.vault = Vault(store, repository=repository_id, keys=keys)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._store.url

    @property
    def store(self) -> ObjectStore:
        """The objects below it, for what keeps the repository itself in order."""
        return self._store

    def seal(self, kind: str, payload: bytes, *, subject: str) -> bytes:
        """Return a sealed document of this repository, signed with its key if there is one."""
        return seal(kind, payload, subject=subject, repository=self.id, keys=self._keys, is_compressed=False)

    def unseal(self, kind: str, data: bytes, *, subject: str, where: str) -> bytes:
        """Return a document's payload, proven to be this repository's. Raises: as `unseal`; DataCorrupt."""
        return self.unseal_whole(kind, data, subject=subject, where=where).payload

    def unseal_whole(self, kind: str, data: bytes, *, subject: str, where: str) -> Unsealed:
        """Return a document, proven to be this repository's, with who signed it. Raises: as `unseal`; DataCorrupt."""
        document = unseal(kind, data, keys=self._keys, where=where)
        if (document.subject, document.repository) != (subject, self.id):
            raise DataCorrupt(f"{where}: belongs to {document.subject} of repository {document.repository}")
        return document

    @classmethod
    def open(cls, url: str | ObjectStore, *, keys: Keys | None = None) -> Self:
        """Return the repository in a store.

        Raises: NotFound when the store holds none; DataCorrupt; Unreachable; AccessDenied.
        """
        store = open_store(url) if isinstance(url, str) else url
        keys = keys or Keys()
        try:
            data = store.get(REPOSITORY_KEY)
        except NotFound as exc:
            raise NotFound(f"{store.url} is not a repository", hint=f"replicator repo init {store.url}") from exc
        where = f"{store.url}/{REPOSITORY_KEY}"
        document = unseal("repository", data, keys=Keys(), where=where)
        try:
            identity = _Identity.model_validate_json(document.payload)
        except ValidationError as exc:
            raise DataCorrupt(f"{where}: cannot be read", detail=str(exc)) from exc
        if not identity.id == document.repository == document.subject:
            raise DataCorrupt(f"{where}: belongs to another repository")
        return cls(store, repository_id=identity.id, created_at=identity.created_at, keys=keys)

    @classmethod
    def init(cls, url: str | ObjectStore, *, clock: Clock, tool: str, keys: Keys | None = None) -> tuple[Self, bool]:
        """The store holds a repository; return it and whether it is new.

        Raises: PreflightBlocked when the store holds other things already; as `open`.
        """
        store = open_store(url) if isinstance(url, str) else url
        if (existing := cls._open_if_there(store, keys)) is not None:
            return existing, False
        if (other := next(iter(store.list("")), None)) is not None:
            raise PreflightBlocked(
                f"{store.url} is no repository and not empty: it holds {other.key}",
                hint="name an empty folder, bucket or prefix",
            )
        identity = _Identity(id=secrets.token_hex(16), created_at=clock.now(), tool=tool)
        payload = identity.model_dump_json(indent=2).encode()
        data = seal(
            "repository", payload, subject=identity.id, repository=identity.id, keys=keys or Keys(), is_compressed=False
        )
        is_new = store.put(REPOSITORY_KEY, [data], is_create_only=True)
        return cls.open(store, keys=keys), is_new

    @classmethod
    def _open_if_there(cls, store: ObjectStore, keys: Keys | None) -> Self | None:
        try:
            return cls.open(store, keys=keys)
        except NotFound:
            return None

    def list_ids(self) -> list[SnapshotId]:
        """Return the ids of all snapshots, oldest first."""
        names = [entry.key.removeprefix(f"{MANIFESTS}/") for entry in self._store.list(MANIFESTS)]
        return sorted(SnapshotId(name) for name in names if re.fullmatch(SNAPSHOT_ID, name))

    def list_snapshots(self) -> list[Listed]:
        """Return every snapshot, oldest first, those that cannot be read with the reason."""
        return [self._read_listed(snapshot_id) for snapshot_id in self.list_ids()]

    def _read_listed(self, snapshot_id: SnapshotId) -> Listed:
        try:
            return Listed(snapshot_id, self.read_manifest(snapshot_id))
        except (DataCorrupt, PreflightBlocked, NotFound) as exc:
            return Listed(snapshot_id, None, exc.message)

    def find(self, reference: str) -> SnapshotId:
        """Return the id that `latest`, `oldest`, an id or a unique beginning of one means.

        `latest` passes over what a failback has kept of its orphans: who restores it means the data.

        Raises: NotFound; UsageError when several ids begin so.
        """
        ids = self.list_ids()
        if not ids:
            raise NotFound(f"{self.url} holds no snapshot yet", hint="replicator snapshot create")
        if reference == LATEST:
            return next((one for one in reversed(ids) if not self._holds_orphans(one)), ids[-1])
        if reference == OLDEST:
            return ids[0]
        found = [snapshot_id for snapshot_id in ids if snapshot_id.startswith(reference)]
        if not found or not reference:
            raise NotFound(f"no snapshot {reference!r} in {self.url}", hint="replicator snapshot list")
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} snapshots begin with {reference!r}",
                detail=", ".join(found[:10]),
                hint="give more of the id",
            )
        return found[0]

    def _holds_orphans(self, snapshot_id: SnapshotId) -> bool:
        found = self._read_listed(snapshot_id).manifest
        return found is not None and ORPHANS_TAG in found.tags

    def read_manifest(self, snapshot_id: SnapshotId) -> Manifest:
        """Return a manifest, seal, signature and consistency proven.

        Raises: NotFound; DataCorrupt naming the manifest; PreflightBlocked for another version.
        """
        return self.read_signed(snapshot_id)[0]

    def read_signed(self, snapshot_id: SnapshotId) -> tuple[Manifest, str | None]:
        """Return a manifest as `read_manifest` does, and the fingerprint of the key it is signed with, if it is."""
        where = f"manifest {snapshot_id}"
        data = self._store.get(f"{MANIFESTS}/{snapshot_id}")
        document = unseal("manifest", data, keys=self._keys, where=where)
        if (document.subject, document.repository) != (snapshot_id, self.id):
            raise DataCorrupt(f"{where}: is manifest {document.subject} of repository {document.repository}")
        manifest = read_manifest(document.payload, where=where, version=document.version)
        if (manifest.id, manifest.repository) != (snapshot_id, self.id):
            raise DataCorrupt(f"{where}: its payload is of another snapshot")
        return manifest, document.signed_by

    def publish(self, manifest: Manifest) -> None:
        """The snapshot exists. Everything it names must be durable before.

        Raises: OperationFailed if the id is taken.
        """
        data = seal(
            "manifest",
            write_manifest(manifest),
            subject=manifest.id,
            repository=self.id,
            keys=self._keys,
            is_compressed=True,
            version=version_of(manifest),
        )
        key = f"{MANIFESTS}/{manifest.id}"
        # A put whose answer was lost is tried again by the client, and then finds itself.
        if not self._store.put(key, [data], is_create_only=True) and self._store.get(key) != data:
            raise OperationFailed(f"snapshot id {manifest.id} is taken", hint="run the command again")

    def put_state(self, kind: str, content: Mapping[str, Any]) -> str:
        """The state object is stored, encrypted where the repository is; return its SHA-256, the name it goes by."""
        payload = canonical({"format": f"replicator.state.{kind}/1", **content})
        stored = len(payload).to_bytes(8, "big") + bytes(cramjam.zstd.compress(payload, level=_ZSTD_LEVEL))
        if (key := self.vault.key) is not None:
            cipher = self.vault.state_cipher(key)
            about = f"{kind}/{cipher.name([stored])}"
            stored = b"".join(cipher.encrypt([stored], about=about, told={"kind": kind}))
        digest = hashlib.sha256(stored).hexdigest()
        self._store.put(f"{STATES}/{digest}", [stored], is_create_only=True)
        return digest

    def read_state(self, manifest: Manifest, kind: str) -> dict[str, Any]:
        """Return the state object of a manifest; empty when it captured none.

        Raises: NotFound; DataCorrupt; AccessDenied without the key of an encrypted one.
        """
        if kind not in manifest.states:
            return {}
        where = f"state {kind} of {manifest.id}"
        data = self.prove_state(manifest, kind)
        if manifest.encryption is not None:
            cipher = self.vault.state_cipher(manifest.encryption)
            data = cipher.decrypt(data, told={"kind": kind}, where=where)
        plain_bytes = int.from_bytes(data[:8], "big")
        if plain_bytes > MAX_STATE_BYTES:
            raise DataCorrupt(f"{where}: claims {plain_bytes} bytes")
        return read_state_json(kind, decompress(data[8:], plain_bytes=plain_bytes, where=where), where=where)

    def prove_state(self, manifest: Manifest, kind: str) -> bytes:
        """Return the bytes a state is stored as, proven by their SHA-256, without a key.

        Raises: NotFound; DataCorrupt.
        """
        digest = manifest.states[kind]
        data = self._store.get(f"{STATES}/{digest}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataCorrupt(f"state {kind} of {manifest.id}: does not match its SHA-256")
        return data

    def find_shredded(self, manifest: Manifest) -> dict[TopicName, ShreddedKey]:
        """Return the topics of a snapshot that nobody can read any more, because their keys were destroyed."""
        found = {t.name: self.vault.shredded(t.key) for t in manifest.topics if t.key is not None}
        return {name: gone for name, gone in found.items() if gone is not None}

    def put_pack(self, pack: Pack) -> bool:
        """The pack is stored and durable; return whether it was not there before."""
        return self._store.put(pack_key(pack.id), pack.parts, is_create_only=True)

    def list_packs(self) -> dict[str, int]:
        """Return the size in bytes of every pack that is there."""
        return {entry.key.rpartition("/")[2]: entry.size_bytes for entry in self._store.list(PACKS)}

    def read_chunk(self, chunk: Chunk) -> memoryview:
        """Return a chunk's plain bytes, proven by its hashes.

        Raises: NotFound, DataCorrupt naming chunk and pack; for an encrypted one NotFound when its key was
            shredded or lost, AccessDenied without the repository's key.
        """
        key = chunk.stored.key
        cipher = None if key is None else self.vault.chunk_cipher(key)
        return open_chunk(self._read_stored(chunk), chunk.stored, where=f"pack {chunk.pack}", cipher=cipher)

    def prove_chunk(self, chunk: Chunk) -> None:
        """Return if a chunk's bytes are those that were stored; needs no key. Raises: NotFound; DataCorrupt."""
        prove_stored(self._read_stored(chunk), chunk.stored, where=f"pack {chunk.pack}")

    def _read_stored(self, chunk: Chunk) -> memoryview:
        try:
            return self._store.get_range(
                pack_key(chunk.pack), offset=chunk.offset, size_bytes=chunk.stored.stored_bytes
            )
        except NotFound as exc:
            raise NotFound(
                f"pack {chunk.pack} is missing from {self.url}", hint="replicator snapshot verify latest"
            ) from exc

    def read_pack_index(self, pack_id: str, size_bytes: int) -> list[tuple[int, StoredChunk]]:
        """Return (offset, chunk) of every chunk of a pack, whose index and trailer are whole and account for its size.

        Raises: DataCorrupt; NotFound.
        """
        key = pack_key(pack_id)
        trailer = self._store.get_range(key, offset=max(0, size_bytes - TRAILER.size), size_bytes=TRAILER.size)
        length = index_bytes(trailer, pack_id=pack_id) + TRAILER.size
        tail = self._store.get_range(key, offset=max(0, size_bytes - length), size_bytes=length)
        return read_index(tail, pack_id=pack_id, size_bytes=size_bytes)


def new_snapshot_id(moment: datetime) -> SnapshotId:
    """Return a fresh id for a snapshot whose cut is at `moment`: ids sort by time, to the millisecond."""
    at = moment.astimezone(UTC)
    return SnapshotId(f"{at:%Y%m%dT%H%M%SZ}-{at.microsecond // 1000:03x}{secrets.randbits(12):03x}")
