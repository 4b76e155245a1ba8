"""Sealed documents: one line that describes, proves and signs the bytes after it (FORMAT.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, replace

import cramjam
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replicator.errors import ConfigInvalid, DataCorrupt, PreflightBlocked
from replicator.model.archive.unlocking import Unlock

MAX_HEAD_BYTES = 8 * 1024
MAX_PLAIN_BYTES = 1024 * 1024 * 1024
VERSION = 1
KNOWN_VERSIONS: dict[str, tuple[int, ...]] = {"manifest": (1, 2, 3)}
"""Of other kinds there is version 1 alone. Version 2 of a manifest is one of an encrypted snapshot, version 3 one that
tells the evidence for its consistency."""
_ZSTD_LEVEL = 3
_SHA256 = r"^[0-9a-f]{64}$"


@dataclass(frozen=True, slots=True)
class Keys:
    """The key we sign with, the one whose signatures we accept (None: any, for integrity only), and what decrypts."""

    signing: Ed25519PrivateKey | None = None
    trusted: bytes | None = None
    unlock: Unlock = Unlock()


@dataclass(frozen=True, slots=True)
class Unsealed:
    """A document whose bytes were proven. `signed_by` is the fingerprint of the key, None when unsigned."""

    subject: str
    repository: str
    payload: bytes
    signed_by: str | None
    version: int = VERSION


class _Signature(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    algorithm: str = Field(pattern="^ed25519$")
    public_key: str = Field(max_length=64)
    value: str = Field(max_length=128)


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: str = Field(max_length=64)
    subject: str = Field(max_length=128)
    repository: str = Field(max_length=64)
    encoding: str = Field(pattern="^(none|zstd)$")
    stored_bytes: int = Field(ge=0, le=MAX_PLAIN_BYTES)
    plain_bytes: int = Field(ge=0, le=MAX_PLAIN_BYTES)
    sha256: str = Field(pattern=_SHA256)
    signature: _Signature | None


def load_keys(text: str | None, *, unlock: Unlock | None = None) -> Keys:
    """Return the keys of a PEM text: a private Ed25519 key signs and is trusted, a public one is trusted only.

    `unlock` opens an encrypted repository.
    Raises: ConfigInvalid when it is neither.
    """
    return replace(_load_signing(text), unlock=unlock or Unlock())


def _load_signing(text: str | None) -> Keys:
    if text is None:
        return Keys()
    data = text.encode()
    try:
        if b"PRIVATE KEY" in data:
            private = _load_private(data)
            return Keys(signing=private, trusted=private.public_key().public_bytes_raw())
        public = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _bad_key(str(exc)) from exc
    if not isinstance(public, Ed25519PublicKey):
        raise _bad_key("it is of another kind")
    return Keys(trusted=public.public_bytes_raw())


def _load_private(data: bytes) -> Ed25519PrivateKey:
    is_openssh = b"OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    private = load(data, password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise _bad_key("it is of another kind")
    return private


def _bad_key(why: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"snapshots.signing_key is no unencrypted Ed25519 key in PEM: {why}",
        hint="make one with `openssl genpkey -algorithm ed25519 -out signing.pem`",
    )


def fingerprint(public_key: bytes) -> str:
    """Return the short name of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def seal(
    kind: str,
    payload: bytes,
    *,
    subject: str,
    repository: str,
    keys: Keys,
    is_compressed: bool,
    version: int = VERSION,
) -> bytes:
    """Return the sealed document of a payload, signed when there is a key to sign with."""
    stored = bytes(cramjam.zstd.compress(payload, level=_ZSTD_LEVEL)) if is_compressed else payload
    head = _Head(
        format=f"replicator.{kind}/{version}",
        subject=subject,
        repository=repository,
        encoding="zstd" if is_compressed else "none",
        stored_bytes=len(stored),
        plain_bytes=len(payload),
        sha256=hashlib.sha256(stored).hexdigest(),
        signature=None,
    )
    if keys.signing is not None:
        signature = _Signature(
            algorithm="ed25519",
            public_key=base64.b64encode(keys.signing.public_key().public_bytes_raw()).decode(),
            value=base64.b64encode(keys.signing.sign(_encode(head))).decode(),
        )
        head = head.model_copy(update={"signature": signature})
    return _encode(head) + b"\n" + stored


def unseal(kind: str, data: bytes, *, keys: Keys, where: str) -> Unsealed:
    """Return a document whose size, hash, kind and signature were proven, in that order, before it was decoded.

    Raises: DataCorrupt naming `where`; PreflightBlocked for a version this program does not know.
    """
    line, newline, stored = data[: MAX_HEAD_BYTES + 1].partition(b"\n")
    if not newline:
        raise DataCorrupt(f"{where}: is no sealed document")
    stored = data[len(line) + 1 :]
    head = _read_head(line, where)
    version = _check_kind(head, kind, where)
    if len(stored) != head.stored_bytes:
        raise DataCorrupt(f"{where}: holds {len(stored)} bytes, {head.stored_bytes} were sealed")
    if hashlib.sha256(stored).hexdigest() != head.sha256:
        raise DataCorrupt(f"{where}: does not match its SHA-256")
    signed_by = _check_signature(head, keys, where)
    payload = stored if head.encoding == "none" else decompress(stored, plain_bytes=head.plain_bytes, where=where)
    if len(payload) != head.plain_bytes:
        raise DataCorrupt(f"{where}: decodes to {len(payload)} bytes, {head.plain_bytes} were sealed")
    return Unsealed(head.subject, head.repository, bytes(payload), signed_by, version)


def decompress(stored: bytes | memoryview, *, plain_bytes: int, where: str) -> bytearray:
    """Return the bytes of one zstd frame that must be exactly `plain_bytes` long; never writes more.

    Raises: DataCorrupt.
    """
    plain = bytearray(plain_bytes)
    try:
        written = cramjam.zstd.decompress_into(bytes(stored), plain)
    except cramjam.DecompressionError as exc:
        raise DataCorrupt(f"{where}: does not decompress to {plain_bytes} bytes: {exc}") from exc
    if written != plain_bytes:
        raise DataCorrupt(f"{where}: decompresses to {written} bytes, {plain_bytes} were stored")
    return plain


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, no blanks and ASCII only: one value, one text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _encode(head: _Head) -> bytes:
    return canonical(head.model_dump())


def _read_head(line: bytes, where: str) -> _Head:
    try:
        head = _Head.model_validate_json(line)
    except ValidationError as exc:
        raise DataCorrupt(f"{where}: its first line is not a sealed head", detail=str(exc)) from exc
    if _encode(head) != line:
        raise DataCorrupt(f"{where}: its first line was changed")
    return head


def _check_kind(head: _Head, kind: str, where: str) -> int:
    name, _, version = head.format.rpartition("/")
    if name != f"replicator.{kind}":
        raise DataCorrupt(f"{where}: is a {name!r}, not a replicator.{kind}")
    known = KNOWN_VERSIONS.get(kind, (VERSION,))
    if version not in map(str, known):
        raise PreflightBlocked(
            f"{where}: format version {version} is not known to this program (it knows {', '.join(map(str, known))})",
            hint="use a newer replicator",
        )
    return int(version)


def _decode(text: str) -> bytes:
    """Return what a base64 text says. The last character has bits that say nothing: they must be as they were."""
    decoded = base64.b64decode(text, validate=True)
    if base64.b64encode(decoded).decode() != text:
        raise binascii.Error("its last character is not the one that was written")
    return decoded


def _check_signature(head: _Head, keys: Keys, where: str) -> str | None:
    if head.signature is None:
        if keys.trusted is not None:
            raise DataCorrupt(f"{where}: is not signed, and snapshots.signing_key demands a signature")
        return None
    try:
        public_key, value = _decode(head.signature.public_key), _decode(head.signature.value)
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            value, _encode(head.model_copy(update={"signature": None}))
        )
    except (InvalidSignature, ValueError, binascii.Error) as exc:
        raise DataCorrupt(f"{where}: its signature is wrong") from exc
    if keys.trusted is not None and public_key != keys.trusted:
        raise DataCorrupt(
            f"{where}: is signed by key {fingerprint(public_key)}, not by {fingerprint(keys.trusted)}",
            hint="set snapshots.signing_key to the key this repository is signed with",
        )
    return fingerprint(public_key)
