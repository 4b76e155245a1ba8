"""What a key does: it names and encrypts chunks, states and other keys. Pure (FORMAT.md, Encryption)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as Machine
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from replicator.errors import DataCorrupt
from replicator.snapshot.repository.sealing import canonical
from replicator.storage import Content

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
"""What encryption adds to whatever is encrypted."""


def key_id(key: bytes) -> str:
    """Return the name of a key: 32 hex digits that tell nothing of it."""
    return hashlib.sha256(b"replicator key id/1" + key).hexdigest()[:32]


class Cipher:
    """One data key at work for one purpose (`chunk`, `state`, `topic key`). Equal bytes become equal bytes:

    the nonce is a keyed hash of what is encrypted, so a capture that is run again stores the same objects.
    """

    def __init__(self, key: bytes, *, purpose: str, repository: str) -> None:
        self.id = key_id(key)
        self._repository = repository
        self._naming = _derive(key, f"replicator {purpose} id/1")
        self._sealing = _derive(key, f"replicator {purpose} encryption/1")
        self._nonces = _derive(key, f"replicator {purpose} nonce/1")

    def name(self, parts: Sequence[Content]) -> str:
        """Return the id of these bytes: who lacks the key cannot tell from it what they are."""
        digest = hmac.new(self._naming, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(part)
        return digest.hexdigest()

    def encrypt(self, parts: Sequence[Content], *, about: str, told: dict[str, object]) -> list[bytes]:
        """Return the encrypted parts: nonce, ciphertext, tag. `about` must differ wherever the parts do."""
        nonce = hmac.digest(self._nonces, about.encode(), "sha256")[:NONCE_BYTES]
        machine = Machine(AES(self._sealing), GCM(nonce)).encryptor()
        machine.authenticate_additional_data(self._bind(told))
        sealed = [nonce, *(machine.update(part) for part in parts)]
        machine.finalize()
        return [*sealed, machine.tag]

    def decrypt(self, data: Content, *, told: dict[str, object], where: str) -> bytes:
        """Return what was encrypted. Raises: DataCorrupt when a bit of it, or of what was told, is another."""
        view = memoryview(data)
        try:
            return AESGCM(self._sealing).decrypt(view[:NONCE_BYTES], view[NONCE_BYTES:], self._bind(told))
        except (InvalidTag, ValueError) as exc:
            raise DataCorrupt(f"{where}: does not decrypt under key {self.id}") from exc

    def _bind(self, told: dict[str, object]) -> bytes:
        return canonical({**told, "key": self.id, "repository": self._repository})


def digest_of(parts: Sequence[Content]) -> str:
    """Return the SHA-256 of the parts, one after another, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _derive(key: bytes, info: str) -> bytes:
    return HKDFExpand(SHA256(), KEY_BYTES, info.encode()).derive(key)
