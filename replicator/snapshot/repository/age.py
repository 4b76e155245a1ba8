"""The repository's key wrapped for age recipients or under a passphrase. The only file that imports pyrage."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from replicator.errors import AccessDenied, ConfigInvalid
from replicator.model.archive.unlocking import Unlock

_SSH_IDENTITY = "OPENSSH PRIVATE KEY"


def wrap_key(key: bytes, unlock: Unlock) -> bytes:
    """Return an age file that holds `key`, for the passphrase or for every recipient.

    Raises: ConfigInvalid when a recipient is none, or there is nobody to wrap it for.
    """
    age = _load()
    if unlock.passphrase is not None:
        return bytes(age.passphrase.encrypt(key, unlock.passphrase))
    if not unlock.recipients:
        raise ConfigInvalid(
            "snapshots.encryption names nobody to encrypt for", hint="set its recipients, or its passphrase"
        )
    return bytes(age.encrypt(key, [_read_recipient(age, text) for text in unlock.recipients]))


def open_wrapped(files: Sequence[bytes], unlock: Unlock, *, where: str) -> bytes:
    """Return what the first of these age files holds that opens.

    Raises: AccessDenied when there is nothing to open them with, or it opens none.
    """
    if not unlock.can_open:
        raise AccessDenied(
            f"{where} is encrypted, and no key to it is configured",
            hint="set snapshots.encryption.identity or snapshots.encryption.passphrase",
        )
    age = _load()
    attempt = _by_passphrase(age, unlock.passphrase) if unlock.passphrase is not None else _by_identity(age, unlock)
    for data in files:
        try:
            return bytes(attempt(data))
        except age.DecryptError:
            continue
    used = "snapshots.encryption.passphrase" if unlock.passphrase is not None else "snapshots.encryption.identity"
    raise AccessDenied(f"{where}: {used} does not open it: it is another key", hint=f"set {used} to the key in use")


def check_recipients(recipients: Sequence[str]) -> None:
    """Return if every text is a public age key (`age1…` or an SSH one). Raises: ConfigInvalid."""
    age = _load()
    for text in recipients:
        _read_recipient(age, text)


def _by_passphrase(age: ModuleType, passphrase: str) -> Any:
    return lambda data: age.passphrase.decrypt(data, passphrase)


def _by_identity(age: ModuleType, unlock: Unlock) -> Any:
    text = (unlock.identity or "").strip()
    try:
        if _SSH_IDENTITY in text:
            identities = [age.ssh.Identity.from_buffer(text.encode())]
        else:
            lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
            identities = [age.x25519.Identity.from_str(line) for line in lines]
    except age.IdentityError as exc:
        raise _no_identity() from exc
    if not identities:
        raise _no_identity()
    return lambda data: age.decrypt(data, identities)


def _no_identity() -> ConfigInvalid:
    return ConfigInvalid(
        "snapshots.encryption.identity is no age identity", hint="make one with `replicator repo keygen FILE`"
    )


def _read_recipient(age: ModuleType, text: str) -> object:
    kind = age.ssh if text.startswith("ssh-") else age.x25519
    try:
        found: object = kind.Recipient.from_str(text)
    except age.RecipientError as exc:
        raise ConfigInvalid(f"snapshots.encryption.recipients: {text[:80]!r} is no public age key: {exc}") from exc
    return found


def make_identity() -> tuple[str, str]:
    """Return a fresh age identity and its recipient. Raises: ConfigInvalid without the `encryption` extra."""
    identity = _load().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def _load() -> ModuleType:
    try:
        import pyrage
    except ImportError as exc:
        raise ConfigInvalid(
            "encrypted repositories need the package pyrage", hint="pip install 'replicator[encryption]'"
        ) from exc
    module: ModuleType = pyrage
    return module
