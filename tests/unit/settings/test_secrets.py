"""Secrets are fetched by reference, from places nobody else can read, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from replicator.errors import ConfigInvalid
from replicator.model.forms.plain import to_json
from replicator.settings import Settings, load_settings

CANARY = "c4n4ry-5ecret"

SECURE = """\
apiVersion: replicator/v1
clusters:
  east:
    bootstrap: kafka:9093
    security:
      protocol: SASL_SSL
      mechanism: SCRAM-SHA-512
      username: replicator
      password: {reference}
"""


def settings_with(folder: Path, reference: str, environ: dict[str, str] | None = None, more: str = "") -> Settings:
    path = folder / "replicator.yaml"
    path.write_text(SECURE.format(reference=reference) + more)
    return load_settings(path, environ or {})


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_variable_gives_the_secret(tmp_path: Path) -> None:
    """`env:NAME` reads the environment that was passed in, when the access is built."""
    settings = settings_with(tmp_path, "env:PW", {"PW": CANARY})
    password = settings.cluster_access("east").security.password
    assert password is not None
    assert password.value == CANARY


def test_a_file_gives_the_secret_without_its_line_break(tmp_path: Path) -> None:
    """`file:` reads a private file beside the configuration; one line break at its end is not the secret."""
    private(tmp_path / "pw", f"{CANARY}\n")
    password = settings_with(tmp_path, "file:pw").cluster_access("east").security.password
    assert password is not None
    assert (password.value, password.reference) == (CANARY, "file:pw")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    """A secret its group or the world may touch is no secret: refused, with the command that mends it."""
    private(tmp_path / "pw", CANARY, mode)
    with pytest.raises(ConfigInvalid, match="others than its owner") as caught:
        settings_with(tmp_path, "file:pw").cluster_access("east")
    assert caught.value.hint == f"chmod 600 {tmp_path / 'pw'}"
    assert str(caught.value).startswith(f"{tmp_path}/replicator.yaml:9:7: clusters.east.security.password: ")


def test_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    """An unset variable, a missing, empty, huge or binary file, a folder and a pipe are refused at once."""
    private(tmp_path / "empty", "\n")
    private(tmp_path / "huge", "x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    told = {
        "env:GONE": "GONE is not set",
        "file:gone": "No such file",
        "file:empty": "is empty",
        "file:huge": "larger than 64 KiB",
        "file:binary": "not UTF-8",
        "file:folder": "not a regular file",
        "file:pipe": "not a regular file",
    }
    for reference, why in told.items():
        with pytest.raises(ConfigInvalid, match=why):
            settings_with(tmp_path, reference).cluster_access("east")


def test_certificates_are_found_beside_the_file_and_keys_are_private(tmp_path: Path) -> None:
    """Paths become absolute; a key file is held to the same rights as a secret."""
    private(tmp_path / "ca.pem", "ca", 0o644)
    private(tmp_path / "us.pem", "certificate", 0o644)
    key = private(tmp_path / "us.key", "key")
    more = "      ca_file: ca.pem\n      certificate_file: us.pem\n      key_file: us.key\n"
    settings = settings_with(tmp_path, "env:PW", {"PW": CANARY}, more)
    security = settings.cluster_access("east").security
    assert (security.ca_file, security.key_file) == (str(tmp_path / "ca.pem"), str(key))
    key.chmod(0o644)
    with pytest.raises(ConfigInvalid, match=r"key_file: .* others than its owner"):
        settings.cluster_access("east")
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(ConfigInvalid, match=r"ca_file: .*No such file"):
        settings.cluster_access("east")


@pytest.mark.security
def test_no_form_of_settings_or_access_shows_a_secret(tmp_path: Path) -> None:
    """repr, str, JSON, YAML and origins of settings and access never contain the secret's value."""
    settings = settings_with(tmp_path, "env:PW", {"PW": CANARY})
    access = settings.cluster_access("east")
    shown = [
        repr(settings),
        str(settings.document),
        repr(access),
        str(access),
        to_json(access),
        to_json(settings.document),
    ]
    shown += [repr(settings.origins()), to_json(settings.origins())]
    assert not [text for text in shown if CANARY in text]
    assert "env:PW" in to_json(access)
