"""Who may ask for what. Tokens are kept as hashes and compared in constant time; decisions are pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from replicator.errors import ConfigInvalid
from replicator.model.cluster import Secret
from replicator.settings import ApiServing, check_token, is_address, is_loopback

ANONYMOUS = "anonymous"
OPEN_PATHS = frozenset({"/livez", "/readyz"})
"""Probes say nothing about clusters and need no token."""

_READING = frozenset({"GET", "HEAD"})


class AccessRole(StrEnum):
    """VIEWER reads; OPERATOR also acts."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, by its SHA-256. `name` is who holds it: it is told in the audit, the token never."""

    name: str
    role: AccessRole
    digest: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    role: AccessRole


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further. `status` is the HTTP status."""

    status: int
    reason: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Who is let in. Without tokens everybody on this machine may read and nobody may act.

    `hosts` are the names by which this server may be called, besides IP addresses and localhost.
    """

    tokens: tuple[Token, ...] = ()
    hosts: frozenset[str] = frozenset()


def rules_of(serving: ApiServing) -> AccessRules:
    """Return who is let in by the configuration.

    Raises:
        ConfigInvalid: a token is too short to be one.
    """
    tokens = (make_token(token.name, role=AccessRole(token.role), secret=token.secret) for token in serving.tokens)
    return AccessRules(tokens=tuple(tokens), hosts=serving.hosts)


def make_token(name: str, *, role: AccessRole, secret: Secret) -> Token:
    """Return the token that `secret` is; its value is not kept.

    Raises:
        ConfigInvalid: it is too short to be one, or holds what no header can carry.
    """
    check_token(secret, where=f"token {name}")
    return Token(name, role, hash_token(secret.value.strip()))


def hash_token(value: str) -> bytes:
    """Return the SHA-256 of a token. Tokens are random, so that no slow hash is needed."""
    return hashlib.sha256(value.encode("utf-8", errors="surrogateescape")).digest()


def admit(rules: AccessRules, *, method: str, path: str, headers: Mapping[str, str]) -> Caller | Refusal:
    """Return who asks, or why the request is refused. `headers` have lower-case names."""
    refusal = refuse_browser(rules, headers)
    if refusal is not None:
        return refusal
    if path in OPEN_PATHS:
        return Caller(ANONYMOUS, AccessRole.VIEWER)
    caller = identify(rules, authorization=headers.get("authorization"))
    if isinstance(caller, Refusal) or method in _READING or caller.role is AccessRole.OPERATOR:
        return caller
    return Refusal(
        403,
        "access.denied",
        f"{caller.name} has the role {caller.role.value}: acting needs the role operator",
        "name a token of that role; tokens are configured with the supervisor",
    )


def refuse_browser(rules: AccessRules, headers: Mapping[str, str]) -> Refusal | None:
    """Return why a request must come from a web page or was led here by a foreign name; None for others."""
    if "origin" in headers:
        return Refusal(403, "origin.refused", "requests from web pages are refused")
    if not is_own_host(rules, headers.get("host", "")):
        return Refusal(
            421,
            "host.unknown",
            "the Host header is no name of this server",
            "call it by its address, or configure the name",
        )
    return None


def is_own_host(rules: AccessRules, host: str) -> bool:
    """Whether a Host header names this server. An address cannot be re-bound by somebody's name server."""
    name = _host_name(host)
    return is_loopback(name) or name in rules.hosts or is_address(name)


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()


def identify(rules: AccessRules, *, authorization: str | None) -> Caller | Refusal:
    """Return who holds the bearer token; every configured token is compared, whichever matches."""
    if not rules.tokens:
        return Caller(ANONYMOUS, AccessRole.VIEWER)
    scheme, _, value = (authorization or "").partition(" ")
    digest = hash_token(value.strip())
    holders = [token for token in rules.tokens if hmac.compare_digest(token.digest, digest)]
    if scheme.lower() != "bearer" or not holders:
        return Refusal(401, "access.denied", "a bearer token is needed", "name it: --token env:NAME or file:PATH")
    return Caller(holders[0].name, holders[0].role)


def check_exposure(host: str, *, rules: AccessRules, has_tls: bool) -> None:
    """Return only if a server may be bound to `host`: beyond this machine it takes a token and TLS.

    Raises:
        ConfigInvalid: it lacks one of them.
    """
    if is_loopback(host):
        return
    lacking = [what for what, has in (("a token", bool(rules.tokens)), ("TLS", has_tls)) if not has]
    if lacking:
        raise ConfigInvalid(
            f"supervisor.listen: {host} is seen by other machines and lacks {' and '.join(lacking)}",
            hint="configure supervisor.api.tokens, .certificate_file and .key_file, or listen on 127.0.0.1",
        )
