"""Java's `.properties` text, and Kafka's client security in its terms."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.model.cluster import Security

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}
_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


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

    Host names are validated: `ssl.endpoint.identification.algorithm` keeps its default, https.
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
    return {key: value for key, value in found.items() if value is not None}
