"""The kinds of value a configuration holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest
from pydantic_core import PydanticCustomError

from replicator.settings import values, zone_of

ACCEPTED: list[tuple[Callable[[str], str], str, str]] = [
    (values.check_addresses, "a:1, b:65535", "a:1,b:65535"),
    (values.check_addresses, "[::1]:9092", "[::1]:9092"),
    (values.check_topic_pattern, "orders.*", "orders.*"),
    (values.check_topic_pattern, "re:[a-z]+", "re:[a-z]+"),
    (values.check_pattern, "group with spaces", "group with spaces"),
    (values.check_secret_reference, "env:NAME", "env:NAME"),
    (values.check_secret_reference, "file:/run/x", "file:/run/x"),
    (values.check_cron, "15 2 * * *", "15 2 * * *"),
    (values.check_cron, "0 0 29 2 *", "0 0 29 2 *"),
    (values.check_zone, "UTC", "UTC"),
    (values.check_duration, "48h", "48h"),
    (values.check_url, "https://c:8083/", "https://c:8083"),
    (values.check_store, "/var/repo", "/var/repo"),
    (values.check_store, "s3://bucket/prefix", "s3://bucket/prefix"),
]


@pytest.mark.parametrize(("check", "text", "kept"), ACCEPTED)
def test_good_values_are_kept(check: Callable[[str], str], text: str, kept: str) -> None:
    """A good value comes back, in its normal form."""
    assert check(text) == kept


REFUSED: list[tuple[Callable[[str], str], str]] = [
    (values.check_addresses, "a:0"),
    (values.check_addresses, "a:1,,b:2"),
    (values.check_addresses, "http://a:1"),
    (values.check_topic_pattern, "a b"),
    (values.check_topic_pattern, "a" * 250),
    (values.check_topic_pattern, "re:("),
    (values.check_pattern, ""),
    (values.check_pattern, "a\x1b[2J"),
    (values.check_pattern, "a,b"),
    (values.check_secret_reference, "hunter2"),
    (values.check_secret_reference, "env:"),
    (values.check_secret_reference, "vault:x"),
    (values.check_cron, "often"),
    (values.check_cron, "61 * * * *"),
    (values.check_cron, "0 0 30 2 *"),
    (values.check_zone, "Mars/Olympus"),
    (values.check_zone, "../../etc/passwd"),
    (values.check_zone, "Europe"),
    (values.check_zone, "a\x00b"),
    (values.check_duration, "0d"),
    (values.check_duration, "999999999w"),
    (values.check_duration, "soon"),
    (values.check_url, "ftp://a"),
    (values.check_url, "http://"),
    (values.check_url, "http://[::1"),
    (values.check_url, "http://a:port"),
    (values.check_store, " "),
    (values.check_store, "s3://key:secret@bucket"),
    (values.check_store, "gopher://x"),
]


@pytest.mark.parametrize(("check", "text"), REFUSED)
def test_bad_values_are_refused(check: Callable[[str], str], text: str) -> None:
    """A bad value is refused with our own sentence, never with another exception."""
    with pytest.raises(PydanticCustomError) as caught:
        check(text)
    assert str(caught.value)


def test_zone_and_duration_become_values() -> None:
    """UTC is known without zone data; a duration is a timedelta."""
    assert zone_of("UTC") is UTC
    assert values.duration_of("2w") == timedelta(weeks=2)
