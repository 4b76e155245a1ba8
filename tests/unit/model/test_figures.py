"""Figures look the same on every face, and unknown is never 0."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from replicator.model.forms import figures

CASES: list[tuple[Callable[..., str], object, str]] = [
    (figures.show_seconds, 0, "0.0s"),
    (figures.show_seconds, 1.84, "1.8s"),
    (figures.show_seconds, 9.96, "10s"),
    (figures.show_seconds, 59.6, "1m00s"),
    (figures.show_seconds, 372, "6m12s"),
    (figures.show_seconds, 11_100, "3h05m"),
    (figures.show_seconds, 187_200, "2d04h"),
    (figures.show_seconds, -3, "-3.0s"),
    (figures.show_count, 31_204, "31,204"),
    (figures.show_short_count, 842, "842"),
    (figures.show_short_count, 999.6, "1.0k"),
    (figures.show_short_count, 48_100, "48.1k"),
    (figures.show_short_count, 999_960, "1.0M"),
    (figures.show_short_count, 1e21, "1000000.0P"),
    (figures.show_rate, 3_900, "3.9k/s"),
    (figures.show_bytes, 0, "0 B"),
    (figures.show_bytes, 1024, "1.0 KiB"),
    (figures.show_bytes, 44_238_012_416, "41.2 GiB"),
    (figures.show_moment, datetime(2026, 11, 22, 14, 2, 11, tzinfo=UTC), "2026-11-22T14:02:11.000Z"),
]


@pytest.mark.parametrize(("show", "value", "shown"), CASES)
def test_figures_as_people_read_them(show: Callable[..., str], value: object, shown: str) -> None:
    """Durations, counts, rates, sizes and moments have one short form each."""
    assert show(value) == shown


@pytest.mark.parametrize("show", {case[0] for case in CASES})
def test_unknown_is_a_dash(show: Callable[..., str]) -> None:
    """None is shown as unknown by every figure."""
    assert show(None) == "—"


def test_a_lag_that_may_be_longer_says_so() -> None:
    """At least so long; unknown stays unknown."""
    assert figures.show_lag_seconds(4.2, is_minimum=True) == "≥4.2s"
    assert figures.show_lag_seconds(4.2, is_minimum=False) == "4.2s"
    assert figures.show_lag_seconds(None, is_minimum=True) == "—"


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 groups"), (1, "1 group"), (1204, "1,204 groups"), (None, "— groups")]
)
def test_items_are_counted_in_words(count: int | None, shown: str) -> None:
    """One is singular; unknown is not."""
    assert figures.show_items(count, "group") == shown
