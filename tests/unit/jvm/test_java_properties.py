"""Properties files and login strings: no value can become a line, a key or a quote of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.errors import ConfigInvalid
from replicator.jvm import client_security_properties, jaas_config, render_properties
from replicator.model.cluster import Secret, Security, SecurityProtocol


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("a=b:c#d!e", "a=b:c#d!e"),
        (" leading", "\\ leading"),
        ("two\nlines", "two\\nlines"),
        ("C:\\path", "C:\\\\path"),
        ("ümläut", "\\u00fcml\\u00e4ut"),
        ("\N{GRINNING FACE}", "\\ud83d\\ude00"),
        ("\x1b[31m", "\\u001b[31m"),
    ],
)
def test_values_are_escaped(value: str, written: str) -> None:
    """Java reads back what was meant."""
    assert render_properties({"key": value}) == f"key={written}\n"


def test_keys_are_escaped() -> None:
    """A key with a separator in it stays one key."""
    assert render_properties({"a b=c:d": "x"}) == "a\\ b\\=c\\:d=x\n"


def test_quotes_in_a_password_stay_inside() -> None:
    """A password cannot end its own quotes."""
    text = jaas_config("SCRAM-SHA-512", username="app", password='x" superuser="y\\')
    assert text.endswith('username="app" password="x\\" superuser=\\"y\\\\";')


def test_a_plain_client_needs_its_protocol_alone() -> None:
    """Without security there is nothing to prove."""
    assert client_security_properties(Security()) == {"security.protocol": "PLAINTEXT"}


def test_a_scram_client_trusts_only_the_named_authority() -> None:
    """The Java client gets mechanism, login and authority, and keeps validating host names."""
    found = client_security_properties(
        Security(
            protocol=SecurityProtocol.SASL_SSL,
            mechanism="SCRAM-SHA-512",
            username="app",
            password=Secret("env:X", "canary"),
            ca_file="/ca.pem",
        )
    )
    assert found["sasl.mechanism"] == "SCRAM-SHA-512"
    assert 'password="canary"' in found["sasl.jaas.config"]
    assert (found["ssl.truststore.type"], found["ssl.truststore.location"]) == ("PEM", "/ca.pem")
    assert "ssl.endpoint.identification.algorithm" not in found


CHAIN = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n"


def mutual(tmp_path: Path, *, chain: str = CHAIN, key: str = KEY, password: Secret | None = None) -> Security:
    """Return how a client with a certificate of its own logs in."""
    for name, text in (("client.pem", chain), ("client.key.pem", key)):
        (tmp_path / name).write_text(text)
    return Security(
        protocol=SecurityProtocol.SSL,
        certificate_file=str(tmp_path / "client.pem"),
        key_file=str(tmp_path / "client.key.pem"),
        key_password=password,
    )


def test_a_certificate_of_our_own_travels_as_text(tmp_path: Path) -> None:
    """The chain and the key are given whole, and a key's password too."""
    found = client_security_properties(mutual(tmp_path, password=Secret("env:P", "open")))
    assert found == {
        "security.protocol": "SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": CHAIN,
        "ssl.keystore.key": KEY,
        "ssl.key.password": "open",
    }


def test_a_key_beside_its_certificate_is_not_taken_for_part_of_the_chain(tmp_path: Path) -> None:
    """The chain stands in a connector's configuration, where a key must never be."""
    found = client_security_properties(mutual(tmp_path, chain=KEY + CHAIN + CHAIN, key=KEY + CHAIN))
    assert found["ssl.keystore.certificate.chain"] == CHAIN + CHAIN
    assert found["ssl.keystore.key"] == KEY


@pytest.mark.parametrize(
    ("bent", "told"),
    [
        ({"key": KEY.replace("PRIVATE", "RSA PRIVATE")}, "PKCS #8"),
        ({"key": CHAIN}, "no private key"),
        ({"chain": KEY}, "no certificate"),
        ({"chain": "what?"}, "no certificate"),
    ],
)
def test_what_java_cannot_read_is_refused_here(tmp_path: Path, bent: dict[str, str], told: str) -> None:
    """A worker would only fail later, and far away."""
    with pytest.raises(ConfigInvalid, match=told):
        client_security_properties(mutual(tmp_path, **bent))
