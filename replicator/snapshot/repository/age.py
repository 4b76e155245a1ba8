"""The repository's key wrapped for age recipients. The only file that imports pyrage.

Its passphrases are not used: it refuses a file that took more work than the machine seems to manage just now, so that
a busy machine could not open what an idle one wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from replicator.errors import ConfigInvalid

_SSH_IDENTITY = "OPENSSH PRIVATE KEY"


def wrap_for(key: bytes, recipients: Sequence[str]) -> bytes:
    """Return an age file that holds `key` for every recipient. Raises: ConfigInvalid when one is none."""
    age = _load()
    return bytes(age.encrypt(key, [_read_recipient(age, text) for text in recipients]))


def open_with(files: Sequence[bytes], identity: str) -> bytes | None:
    """Return what the first of these age files holds that the identity opens; None when it opens none.

    Raises: ConfigInvalid when it is no identity.
    """
    age = _load()
    identities = _read_identities(age, identity.strip())
    for data in files:
        try:
            return bytes(age.decrypt(data, identities))
        except age.DecryptError:
            continue
    return None


def _read_identities(age: ModuleType, text: str) -> list[object]:
    try:
        if _SSH_IDENTITY in text:
            return [age.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        identities = [age.x25519.Identity.from_str(line) for line in lines]
    except age.IdentityError as exc:
        raise _no_identity() from exc
    if not identities:
        raise _no_identity()
    return identities


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
            "age recipients need the package pyrage", hint="pip install 'replicator[encryption]'"
        ) from exc
    module: ModuleType = pyrage
    return module
