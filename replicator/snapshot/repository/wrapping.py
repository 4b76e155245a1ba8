"""The repository's key wrapped for those who may open it: age recipients, or who knows a passphrase."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field

from replicator.errors import AccessDenied, ConfigInvalid, DataCorrupt
from replicator.model.archive.unlocking import Unlock
from replicator.snapshot.repository.age import open_with, wrap_for
from replicator.snapshot.repository.ciphers import KEY_BYTES, Cipher

SCRYPT_LOG_N = 17
"""128 MiB and about half a second a try: what OWASP asks for, and within a snapshot's own memory."""
SCRYPT_R, SCRYPT_P = 8, 1
SALT_BYTES = 16
_PURPOSE = "passphrase"


class Stretching(BaseModel):
    """How a passphrase becomes a key: scrypt with r = 8 and p = 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log_n: int = Field(ge=14, le=20)
    salt: str = Field(max_length=64)


class Ring(BaseModel):
    """The repository's key, wrapped for recipients, or under a passphrase where there is a `scrypt`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=r"^[0-9a-f]{32}$")
    recipients: tuple[str, ...]
    scrypt: Stretching | None = None
    wrapped: str


def wrap_key(key: bytes, unlock: Unlock, *, name: str, repository: str) -> Ring:
    """Return the ring that holds `key` as configured: under the passphrase, or for every recipient.

    Raises: ConfigInvalid when a recipient is none, or there is nobody to wrap it for.
    """
    if unlock.passphrase is not None:
        stretching = Stretching(log_n=SCRYPT_LOG_N, salt=_encode(secrets.token_bytes(SALT_BYTES)))
        cipher = _stretch(unlock.passphrase, stretching, repository)
        sealed = b"".join(cipher.encrypt([key], about=name, told={"wrapped": name}))
        return Ring(key=name, recipients=(), scrypt=stretching, wrapped=_encode(sealed))
    if not unlock.recipients:
        raise ConfigInvalid(
            "snapshots.encryption names nobody to encrypt for", hint="set its recipients, or its passphrase"
        )
    return Ring(key=name, recipients=unlock.recipients, wrapped=_encode(wrap_for(key, unlock.recipients)))


def open_rings(rings: Sequence[Ring], unlock: Unlock, *, where: str, repository: str) -> bytes:
    """Return the key that the first of these rings holds that opens.

    Raises: AccessDenied when there is nothing to open them with, or it opens none.
    """
    if not unlock.can_open:
        raise AccessDenied(
            f"{where} is encrypted, and no key to it is configured",
            hint="set snapshots.encryption.identity or snapshots.encryption.passphrase",
        )
    if unlock.passphrase is not None:
        key, used = _open_with_passphrase(rings, unlock.passphrase, where, repository), "passphrase"
    else:
        files = [decode(ring.wrapped, where) for ring in rings if ring.scrypt is None]
        key, used = open_with(files, unlock.identity or ""), "identity"
    if key is None:
        raise AccessDenied(
            f"{where}: snapshots.encryption.{used} does not open it: it is another key",
            hint=f"set snapshots.encryption.{used} to the key in use",
        )
    return key


def _open_with_passphrase(rings: Sequence[Ring], passphrase: str, where: str, repository: str) -> bytes | None:
    for ring in rings:
        if ring.scrypt is not None:
            cipher = _stretch(passphrase, ring.scrypt, repository)
            try:
                return cipher.decrypt(decode(ring.wrapped, where), told={"wrapped": ring.key}, where=where)
            except DataCorrupt:  # the ring's bytes were proven by its seal: it is the passphrase that is another
                continue
    return None


def _stretch(passphrase: str, how: Stretching, repository: str) -> Cipher:
    machine = Scrypt(salt=decode(how.salt, "keys"), length=KEY_BYTES, n=1 << how.log_n, r=SCRYPT_R, p=SCRYPT_P)
    return Cipher(machine.derive(passphrase.encode()), purpose=_PURPOSE, repository=repository)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decode(text: str, where: str) -> bytes:
    """Return what a base64 text says. Raises: DataCorrupt naming `where`."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise DataCorrupt(f"{where}: cannot be read") from exc
