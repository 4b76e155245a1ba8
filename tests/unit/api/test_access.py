"""Who is let in: the decision as a table."""

from __future__ import annotations

import pytest

from replicator.api.access import (
    AccessRole,
    AccessRules,
    Caller,
    Refusal,
    admit,
    check_exposure,
    is_own_host,
    make_token,
)
from replicator.errors import ConfigInvalid
from replicator.model.cluster import Secret

VIEWER = "viewer-token-0123456789"
OPERATOR = "operator-token-0123456789"
OPEN = AccessRules()
RULES = AccessRules(
    tokens=(
        make_token("grafana", role=AccessRole.VIEWER, secret=Secret("env:V", VIEWER)),
        make_token("kim", role=AccessRole.OPERATOR, secret=Secret("env:O", OPERATOR)),
    ),
    hosts=frozenset({"replicator.example"}),
)


def ask(rules: AccessRules, method: str, path: str, **headers: str) -> Caller | Refusal:
    """Return the answer to a request with these headers."""
    return admit(rules, method=method, path=path, headers={"host": "127.0.0.1:9108"} | headers)


def test_without_tokens_everybody_here_reads() -> None:
    """Without tokens a request from this machine is a viewer's."""
    assert ask(OPEN, "GET", "/v1/status") == Caller("anonymous", AccessRole.VIEWER)


def test_without_tokens_nobody_acts() -> None:
    """Without tokens nothing that acts is let in."""
    refusal = ask(OPEN, "POST", "/v1/flows/orders/pause")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 403


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {OPERATOR}", OPERATOR, f"Bearer {VIEWER}x"])
def test_a_wrong_token_is_no_token(given: str) -> None:
    """Anything but a configured bearer token is answered 401."""
    refusal = ask(RULES, "GET", "/v1/status", authorization=given)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


@pytest.mark.parametrize(
    ("token", "method", "expected"),
    [
        (VIEWER, "GET", "grafana"),
        (VIEWER, "POST", 403),
        (OPERATOR, "GET", "kim"),
        (OPERATOR, "POST", "kim"),
    ],
)
def test_roles(token: str, method: str, expected: str | int) -> None:
    """A viewer reads; an operator reads and acts."""
    answer = ask(RULES, method, "/v1/flows/orders/pause", authorization=f"Bearer {token}")
    assert (answer.status if isinstance(answer, Refusal) else answer.name) == expected


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_token(path: str) -> None:
    """Probes are answered to everybody; metrics are not."""
    assert isinstance(ask(RULES, "GET", path), Caller)
    assert isinstance(ask(RULES, "GET", "/metrics"), Refusal)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9108"])
def test_web_pages_are_refused(origin: str) -> None:
    """A request with an Origin is a browser's, even with a good token."""
    refusal = ask(RULES, "GET", "/v1/status", origin=origin, authorization=f"Bearer {OPERATOR}")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 403


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:9108", True),
        ("localhost", True),
        ("LOCALHOST:9108", True),
        ("[::1]:9108", True),
        ("10.1.2.3", True),
        ("replicator.example:443", True),
        ("evil.example", False),
        ("evil.example:9108", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("", False),
        ("[evil", False),
    ],
)
def test_only_own_names_are_hosts(host: str, is_own: bool) -> None:
    """Addresses, localhost and configured names are ours; a name that others may point at us is not."""
    assert is_own_host(RULES, host) is is_own
    refusal = ask(RULES, "GET", "/livez", host=host)
    assert (refusal.status == 421 if isinstance(refusal, Refusal) else True) is True
    assert isinstance(refusal, Refusal) is not is_own


@pytest.mark.parametrize(
    ("host", "rules", "has_tls", "lacking"),
    [
        ("127.0.0.1", OPEN, False, None),
        ("::1", OPEN, False, None),
        ("localhost", OPEN, False, None),
        ("0.0.0.0", OPEN, False, "a token and TLS"),  # noqa: S104 - nothing is bound
        ("::", RULES, False, "TLS"),
        ("10.0.0.7", OPEN, True, "a token"),
        ("replicator.example", RULES, True, None),
    ],
)
def test_beyond_this_machine_it_takes_a_token_and_tls(
    host: str, rules: AccessRules, has_tls: bool, lacking: str | None
) -> None:
    """A bind that others can reach is refused without a token and TLS, and the refusal says what lacks."""
    if lacking is None:
        check_exposure(host, rules=rules, has_tls=has_tls)
        return
    with pytest.raises(ConfigInvalid, match=f"lacks {lacking}"):
        check_exposure(host, rules=rules, has_tls=has_tls)


@pytest.mark.parametrize("value", ["", "short", "with blanks in it and long enough", "ünïcode-and-long-enough-to-be"])
def test_a_weak_token_is_refused_without_telling_it(value: str) -> None:
    """What cannot be a token is refused, and the refusal does not show it."""
    with pytest.raises(ConfigInvalid) as caught:
        make_token("kim", role=AccessRole.VIEWER, secret=Secret("env:T", value))
    assert not value or value not in str(caught.value)


def test_a_token_is_kept_as_a_hash() -> None:
    """Nothing that is kept of a token shows its value."""
    assert VIEWER not in repr(RULES)
