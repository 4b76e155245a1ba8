"""The keys of a repository: one that opens all others, and one per topic, each of which can be destroyed alone."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replicator.errors import AccessDenied, DataCorrupt, NotFound, PreflightBlocked
from replicator.model.archive.unlocking import ShreddedKey, Unlock
from replicator.snapshot.repository.ciphers import KEY_BYTES, Cipher, key_id
from replicator.snapshot.repository.sealing import Keys, canonical, seal, unseal
from replicator.snapshot.repository.wrapping import Ring, decode, open_rings, wrap_key
from replicator.storage import ObjectStore

KEYS = "keys"
RING, TOPICS = "ring", "topics"
_KEY_ID = r"^[0-9a-f]{32}$"
_Document = TypeVar("_Document")


class TopicKey(BaseModel):
    """One topic's key, wrapped by the repository's; `wrapped` null once it was shredded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=_KEY_ID)
    topic: str = Field(min_length=1, max_length=249)
    wrapped: str | None
    shredded_at: datetime | None = None
    reason: str = Field(default="", max_length=500)


class _TopicKeys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[TopicKey, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """Every key object there is, proven by its seal; every key by its id, and the one each topic uses from now on."""

    rings: Mapping[str, Ring]
    topics: Mapping[str, _TopicKeys]
    by_key: Mapping[str, TopicKey]
    by_topic: Mapping[str, str]


def _sort(rings: Mapping[str, Ring], topics: Mapping[str, _TopicKeys]) -> _Seen:
    """A key that one object says is shredded is shredded, whatever another one still holds."""
    by_key: dict[str, TopicKey] = {}
    for document in topics.values():
        for one in document.keys:
            if one.key not in by_key or one.wrapped is None:
                by_key[one.key] = one
    alive = sorted((one for one in by_key.values() if one.wrapped is not None), key=lambda one: one.key, reverse=True)
    return _Seen(rings, topics, by_key, {one.topic: one.key for one in alive})


class Vault:
    """The keys in a store. Reads them once, when they are first asked for; opens them only when they are needed."""

    def __init__(self, store: ObjectStore, *, repository: str, keys: Keys) -> None:
        self._store = store
        self._repository = repository
        self._keys = keys
        self._seen: _Seen | None = None
        self._key: bytes | None = None
        self._opening = Lock()
        self._ciphers: dict[str, Cipher] = {}

    @property
    def key(self) -> str | None:
        """The id of the repository's key; None where nothing is encrypted. Raises: DataCorrupt; the store's errors."""
        found = {ring.key for ring in self._look().rings.values()}
        if len(found) > 1:
            raise DataCorrupt(f"{self._store.url}: its keyrings hold {len(found)} different keys")
        return next(iter(found), None)

    @property
    def is_unlock_given(self) -> bool:
        """Whether there is something configured to open it with."""
        return self._keys.unlock.can_open

    def recipients(self) -> tuple[str, ...]:
        """Return the public keys that open it; none where a passphrase does."""
        return tuple(sorted({one for ring in self._look().rings.values() for one in ring.recipients}))

    def topic_key(self, topic: str) -> str | None:
        """Return the id of the key that a topic is encrypted under from now on; None when it has none."""
        return self._look().by_topic.get(topic)

    def keys_of(self, topic: str) -> list[TopicKey]:
        """Return every key the topic ever had, shredded ones too."""
        return [one for one in self._look().by_key.values() if one.topic == topic]

    def shredded(self, key: str) -> ShreddedKey | None:
        """Return when and why a key was destroyed; None when it was not."""
        one = self._look().by_key.get(key)
        if one is None or one.wrapped is not None or one.shredded_at is None:
            return None
        return ShreddedKey(key=one.key, topic=one.topic, at=one.shredded_at, reason=one.reason)

    def check_for_writing(self) -> None:
        """Return if a snapshot may be written as it is configured: encrypted, or plain, never by mistake.

        Raises: PreflightBlocked; AccessDenied without the key, or with another one.
        """
        if self.key is None:
            if self._keys.unlock.is_given:
                raise PreflightBlocked(
                    f"{self._store.url} is not encrypted, and snapshots.encryption asks for it",
                    hint="replicator repo encrypt",
                )
            return
        if self.recipients() and self._keys.trusted is None:
            raise _needs_signature(self._store.url)
        self._open()

    def make_topic_keys(self, topics: Iterable[str]) -> None:
        """Every topic has a key, stored and durable, where the repository is encrypted.

        Raises: as `check_for_writing`; the store's errors.
        """
        self.check_for_writing()
        if self.key is None:
            return
        lacking = [topic for topic in topics if self.topic_key(topic) is None]
        if not lacking:
            return
        wrapping = self._wrapping()
        fresh = [self._wrap(secrets.token_bytes(KEY_BYTES), topic, wrapping) for topic in sorted(lacking)]
        self._put(TOPICS, _TopicKeys(keys=tuple(fresh)))

    def chunk_cipher(self, key: str) -> Cipher:
        """Return what names and opens the chunks of a topic.

        Raises: NotFound when the key was shredded or lost; AccessDenied without the repository's key.
        """
        if key not in self._ciphers:
            self._ciphers[key] = Cipher(self._unwrap(key), purpose="chunk", repository=self._repository)
        return self._ciphers[key]

    def state_cipher(self, key: str) -> Cipher:
        """Return what encrypts states under the repository's key. Raises: NotFound; AccessDenied."""
        if self.key != key:
            raise NotFound(f"{self._store.url}: key {key} is not there", hint="restore the folder keys/ of the store")
        return Cipher(self._open(), purpose="state", repository=self._repository)

    def check_present(self, key: str) -> None:
        """Return if a topic's key is there, shredded or not; it is not opened. Raises: NotFound when it was lost."""
        self._find(key)

    def begin(self) -> str:
        """The repository has a key, wrapped as configured; return its id. Call under a claim that bears no other.

        Raises: PreflightBlocked when it has one, or recipients are to be used without signatures; ConfigInvalid.
        """
        if self.key is not None:
            raise PreflightBlocked(f"{self._store.url} is encrypted already", hint="replicator repo rekey")
        return self._wrap_anew(secrets.token_bytes(KEY_BYTES), old=())

    def rewrap(self, opened_by: Unlock) -> str:
        """The repository's key is wrapped as configured now and in no other way; no data is touched.

        Raises: AccessDenied when `opened_by` does not open it; as `begin`.
        """
        key = self._open_with(opened_by)
        return self._wrap_anew(key, old=tuple(self._look().rings))

    def shred(self, topic: str, *, now: datetime, reason: str) -> list[str]:
        """No key of the topic is left; return which went. Call under a claim that bears no other."""
        gone: list[str] = []
        for name, document in list(self._look().topics.items()):
            kept = [self._shredded(one, now, reason) if one.topic == topic else one for one in document.keys]
            if (changed := tuple(kept)) != document.keys:
                gone += [one.key for one in document.keys if one.topic == topic and one.wrapped is not None]
                self._put(TOPICS, _TopicKeys(keys=changed))
                self._store.delete([name])
        self._forget()
        return sorted(set(gone))

    @staticmethod
    def _shredded(one: TopicKey, now: datetime, reason: str) -> TopicKey:
        if one.wrapped is None:
            return one
        return one.model_copy(update={"wrapped": None, "shredded_at": now, "reason": reason})

    def _wrap_anew(self, key: bytes, *, old: tuple[str, ...]) -> str:
        unlock = self._keys.unlock
        if unlock.passphrase is None and self._keys.signing is None:
            raise _needs_signature(self._store.url)
        self._put(RING, wrap_key(key, unlock, name=key_id(key), repository=self._repository))
        self._store.delete(old)
        self._forget()
        return key_id(key)

    def _wrapping(self) -> Cipher:
        return Cipher(self._open(), purpose="topic key", repository=self._repository)

    def _wrap(self, key: bytes, topic: str, wrapping: Cipher) -> TopicKey:
        name = key_id(key)
        sealed = wrapping.encrypt([key], about=f"{name}/{topic}", told={"topic": topic, "wrapped": name})
        return TopicKey(key=name, topic=topic, wrapped=base64.b64encode(b"".join(sealed)).decode())

    def _find(self, key: str) -> TopicKey:
        one = self._look().by_key.get(key)
        if one is None:
            raise NotFound(
                f"{self._store.url}: the topic key {key} is lost: what it encrypted cannot be read",
                hint="bring back the folder keys/ of the store, from its older versions or a copy",
            )
        return one

    def _unwrap(self, key: str) -> bytes:
        one = self._find(key)
        if one.wrapped is None:
            raise NotFound(
                f"topic {one.topic} was shredded at {one.shredded_at:%Y-%m-%dT%H:%M:%SZ}: nobody can read it any more",
                detail=one.reason,
            )
        where = f"{self._store.url}: key {key} of topic {one.topic}"
        told: dict[str, object] = {"topic": one.topic, "wrapped": key}
        opened = self._wrapping().decrypt(decode(one.wrapped, where), told=told, where=where)
        if key_id(opened) != key:
            raise DataCorrupt(f"{where}: is another key")
        return opened

    def _open(self) -> bytes:
        """A passphrase takes a while and 128 MiB to try, so threads wait for the first one's answer."""
        with self._opening:
            if self._key is None:
                self._key = self._open_with(self._keys.unlock)
            return self._key

    def _open_with(self, unlock: Unlock) -> bytes:
        expected = self.key
        if expected is None:
            raise AccessDenied(f"{self._store.url} holds no key", hint="replicator repo encrypt")
        rings = tuple(self._look().rings.values())
        key = open_rings(rings, unlock, where=self._store.url, repository=self._repository)
        if key_id(key) != expected:
            raise DataCorrupt(f"{self._store.url}: a keyring holds another key than it says")
        return key

    def _look(self) -> _Seen:
        if self._seen is None:
            rings: dict[str, Ring] = {}
            topics: dict[str, _TopicKeys] = {}
            for entry in sorted(self._store.list(KEYS), key=lambda one: one.key):
                if entry.key.startswith(f"{KEYS}/{RING}-"):
                    rings[entry.key] = self._read(entry.key, RING, Ring.model_validate_json)
                elif entry.key.startswith(f"{KEYS}/{TOPICS}-"):
                    topics[entry.key] = self._read(entry.key, TOPICS, _TopicKeys.model_validate_json)
            self._seen = _sort(rings, topics)
        return self._seen

    def _read(self, name: str, kind: str, parse: Callable[[bytes], _Document]) -> _Document:
        document = unseal(f"keys.{kind}", self._store.get(name), keys=self._keys, where=name)
        if (document.subject, document.repository) != (name.rpartition("-")[2], self._repository):
            raise DataCorrupt(f"{name}: belongs to {document.subject} of repository {document.repository}")
        try:
            return parse(document.payload)
        except ValidationError as exc:
            raise DataCorrupt(f"{name}: cannot be read", detail=str(exc)) from exc

    def _put(self, kind: str, document: BaseModel) -> None:
        subject = secrets.token_hex(8)
        payload = canonical(document.model_dump(mode="json"))
        data = seal(
            f"keys.{kind}", payload, subject=subject, repository=self._repository, keys=self._keys, is_compressed=False
        )
        self._store.put(f"{KEYS}/{kind}-{subject}", [data], is_create_only=True)
        self._forget()

    def _forget(self) -> None:
        self._seen = None
        self._ciphers.clear()


def _needs_signature(url: str) -> PreflightBlocked:
    return PreflightBlocked(
        f"{url}: recipients are public, so without signatures anybody who can write there could plant a key",
        hint="set snapshots.signing_key, or use snapshots.encryption.passphrase",
    )
