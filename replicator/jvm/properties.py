"""Java's `.properties` text, and Kafka's client security in its terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from replicator.errors import ConfigInvalid
from replicator.model.cluster import Secret, Security

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}
_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


_PKCS8 = re.compile("-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----")


def render_properties(properties: Mapping[str, str]) -> str:
    """Return the text of a properties file; no value can add a line or a key of its own."""
    return "".join(f"{_escape_key(key)}={_escape(value)}\n" for key, value in properties.items())


def _escape(value: str) -> str:
    text = "".join(_ESCAPES.get(char, char) for char in value)
    text = "\\" + text if text.startswith(" ") else text
    return "".join(char if 0x20 <= ord(char) < 0x7F else _unicode_escape(char) for char in text)


def _escape_key(key: str) -> str:
    return "".join("\\" + char if char in " :=#!" else _escape(char) for char in key)


def _unicode_escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def jaas_config(mechanism: str, *, username: str, password: str) -> str:
    """Return the value of `sasl.jaas.config` for a mechanism with a user name and a password."""
    user, secret = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (username, password))
    return f'{_LOGIN_MODULES[mechanism]} required username="{user}" password="{secret}";'


def client_security_properties(security: Security) -> dict[str, str]:
    """Return what a Java client needs to prove itself as `security` says; secrets in clear.

    Host names are validated: `ssl.endpoint.identification.algorithm` keeps its default, https. Our own certificate
    and key travel as text: the worker may run where our files are not.

    Raises:
        ConfigInvalid: the certificate or the key cannot be read, or is none that Java takes.
    """
    found: dict[str, str | None] = {"security.protocol": security.protocol.value}
    if security.mechanism is not None:
        found["sasl.mechanism"] = security.mechanism
    if security.mechanism in _LOGIN_MODULES and security.username is not None and security.password is not None:
        found["sasl.jaas.config"] = jaas_config(
            security.mechanism, username=security.username, password=security.password.value
        )
    if security.ca_file is not None:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": security.ca_file}
    if security.certificate_file is not None and security.key_file is not None:
        found |= _own_certificate(security.certificate_file, security.key_file, security.key_password)
    return {key: value for key, value in found.items() if value is not None}


def _own_certificate(certificate_file: str, key_file: str, key_password: Secret | None) -> dict[str, str | None]:
    """Return what mutual TLS takes, each of its two files without what else stands there: the chain is no secret."""
    chain = _pem_blocks(certificate_file, "CERTIFICATE")
    key = _pem_blocks(key_file, "(?:[A-Z0-9]+ )?PRIVATE KEY")
    if not chain or not key:
        missing = "certificate" if not chain else "private key"
        raise ConfigInvalid(f"{certificate_file if not chain else key_file}: holds no {missing} in PEM")
    if not _PKCS8.search(key):
        raise ConfigInvalid(
            f"{key_file}: MirrorMaker 2 reads private keys in PKCS #8 alone",
            hint=f"openssl pkcs8 -topk8 -in {key_file} -out client.key.pem",
        )
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": chain,
        "ssl.keystore.key": key,
        "ssl.key.password": key_password.value if key_password is not None else None,
    }


def _pem_blocks(path: str, kind: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigInvalid(f"{path}: cannot be read as PEM: {exc}") from exc
    return "".join(re.findall(rf"-----BEGIN {kind}-----\n[^-]+-----END {kind}-----\n?", text))
