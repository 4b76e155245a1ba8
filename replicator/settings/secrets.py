"""Secrets are fetched by reference when a door is about to need them, and never before."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from replicator.errors import ConfigInvalid
from replicator.model.cluster import Secret

SECRET_BYTES_MAX = 64 * 1024

TOKEN_LENGTH_MIN = 20


def resolve_secret(reference: str, *, where: str, environ: Mapping[str, str], folder: Path) -> Secret:
    """Return the secret that `env:NAME` or `file:/path` stands for; `where` names the key that asks.

    A relative path is relative to `folder`; one line break at the end of a file is not part of the secret.

    Raises:
        ConfigInvalid: the variable is unset, or the file is missing, empty, too large, or readable by others.
    """
    kind, _, rest = reference.partition(":")
    value = _from_environment(rest, where, environ) if kind == "env" else _from_file(rest, where, folder)
    if not value:
        raise ConfigInvalid(f"{where}: the secret behind {reference} is empty")
    return Secret(reference, value)


def check_token(secret: Secret, *, where: str) -> None:
    """Return only if the secret can be a bearer token of the API; `where` names the key that asks.

    Raises:
        ConfigInvalid: it is too short to be one, or holds what no header can carry; its value is not told.
    """
    value = secret.value.strip()
    if len(value) < TOKEN_LENGTH_MIN or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigInvalid(
            f"{where}: {secret} is no token: at least {TOKEN_LENGTH_MIN} printable characters without blanks",
            hint="make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )


def private_file(path: str, *, where: str, folder: Path) -> str:
    """Return the absolute path of a file that only its owner can read.

    Raises:
        ConfigInvalid: it is missing, or its group or the world may read it.
    """
    place = folder / Path(path).expanduser()
    with _open_private(place, where):
        return str(place.absolute())


def readable_file(path: str, *, where: str, folder: Path) -> str:
    """Return the absolute path of a file that can be read.

    Raises:
        ConfigInvalid: it cannot.
    """
    place = folder / Path(path).expanduser()
    try:
        with place.open("rb"):
            return str(place.absolute())
    except OSError as error:
        raise ConfigInvalid(f"{where}: {place}: {error.strerror}") from error


def _from_environment(name: str, where: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise ConfigInvalid(f"{where}: the environment variable {name} is not set", hint=f"export {name}=…")
    return environ[name]


def _from_file(path: str, where: str, folder: Path) -> str:
    place = folder / Path(path).expanduser()
    with _open_private(place, where) as stream:
        data = stream.read(SECRET_BYTES_MAX + 1)
    if len(data) > SECRET_BYTES_MAX:
        raise ConfigInvalid(f"{where}: {place}: larger than 64 KiB; a secret is short")
    try:
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{where}: {place}: not UTF-8") from error


def _open_private(place: Path, where: str) -> BinaryIO:
    """Return the open file; its rights are those of the file that was opened, not of one put there since."""
    try:
        # A named pipe would wait for its writer for ever; without blocking it is opened, and refused below.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigInvalid(f"{where}: {place}: {error.strerror}") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) and not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if not stat.S_ISREG(mode):
        raise ConfigInvalid(f"{where}: {place}: not a regular file")
    raise ConfigInvalid(
        f"{where}: {place}: others than its owner may use it (mode {stat.S_IMODE(mode):04o})", hint=f"chmod 600 {place}"
    )
