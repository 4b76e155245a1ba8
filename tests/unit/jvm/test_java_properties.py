"""Properties files and login strings: no value can become a line, a key or a quote of its own."""

from __future__ import annotations

import pytest

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
