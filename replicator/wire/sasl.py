"""The SASL exchange over a connection: PLAIN and SCRAM by kafka-python's mechanisms, which do no IO."""

from __future__ import annotations

import binascii
from typing import Any, Protocol

from kafka.net.sasl import get_sasl_mechanism

from replicator.clock import Deadline
from replicator.errors import AccessDenied, ConfigInvalid
from replicator.model.cluster import Security
from replicator.wire.answers import SaslAnswer
from replicator.wire.messages import Call, call_sasl_authenticate, call_sasl_handshake, name_error

SUPPORTED_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_MAX_ROUNDS = 5


class Asker(Protocol):
    """A connection as this exchange needs it."""

    def ask(self, call: Call[SaslAnswer], *, deadline: Deadline) -> SaslAnswer:
        """Return the answer to one call."""
        ...


def authenticate(connection: Asker, security: Security, *, who: str, deadline: Deadline) -> None:
    """The connection is authenticated as `security.username`.

    Raises: AccessDenied when the broker or the broker's proof is refused; ConfigInvalid for a mechanism
    this path does not speak.
    """
    mechanism = _make_mechanism(security)
    hello = connection.ask(call_sasl_handshake(security.mechanism or ""), deadline=deadline)
    if hello.error_code:
        raise AccessDenied(
            f"{who}: SASL mechanism {security.mechanism} refused: {name_error(hello.error_code)}",
            detail=f"the broker offers: {hello.text}",
            hint="set clusters.NAME.security.mechanism to one the broker offers",
        )
    for _ in range(_MAX_ROUNDS):
        if mechanism.is_done():
            break
        answer = connection.ask(call_sasl_authenticate(mechanism.auth_bytes()), deadline=deadline)
        if answer.error_code:
            raise _refused(who, security, answer.text or name_error(answer.error_code))
        _take_token(mechanism, answer.token, who, security)
    if not mechanism.is_authenticated():
        raise _refused(who, security, "the exchange did not end")


def _make_mechanism(security: Security) -> Any:
    name = security.mechanism or ""
    if name not in SUPPORTED_MECHANISMS:
        raise ConfigInvalid(
            f"SASL mechanism {name or '(none)'} cannot be used for snapshots",
            hint=f"use one of {', '.join(SUPPORTED_MECHANISMS)}",
        )
    if security.username is None or security.password is None:
        raise ConfigInvalid(f"SASL mechanism {name} needs username and password")
    return get_sasl_mechanism(name)(
        sasl_mechanism=name,
        sasl_plain_username=_escape(name, security.username),
        sasl_plain_password=security.password.value,
    )


def _escape(mechanism: str, username: str) -> str:
    """Source: RFC 5802 §5.1: `=` and `,` in a SCRAM name travel as =3D and =2C."""
    return username.replace("=", "=3D").replace(",", "=2C") if mechanism.startswith("SCRAM") else username


def _take_token(mechanism: Any, token: bytes, who: str, security: Security) -> None:
    try:
        mechanism.receive(token)
    except (ValueError, KeyError, binascii.Error) as exc:
        raise _refused(who, security, f"the broker's proof is wrong: {exc}") from exc


def _refused(who: str, security: Security, why: str) -> AccessDenied:
    return AccessDenied(
        f"{who}: {security.mechanism} as {security.username!r} refused: {why}",
        hint="check the cluster's security section with `replicator config show`",
    )
