"""How figures look to people, the same on every face. None is unknown and shows as a dash, never as 0."""

from __future__ import annotations

from datetime import datetime

from replicator.clock import to_rfc3339
from replicator.model.forms.text import UNKNOWN

_THOUSANDS = ("", "k", "M", "G", "T", "P")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def show_seconds(seconds: float | None) -> str:
    """Return a duration as people read it: `0.3s`, `14s`, `6m12s`, `3h05m`, `2d04h`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0:
        return f"-{show_seconds(-seconds)}"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f}s"
    return _show_whole_seconds(round(seconds))


def show_lag_seconds(seconds: float | None, *, is_minimum: bool) -> str:
    """Return a lag in time as `show_seconds` does, with `≥` before what may be longer."""
    return f"≥{show_seconds(seconds)}" if is_minimum and seconds is not None else show_seconds(seconds)


def _show_whole_seconds(whole: int) -> str:
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def show_count(count: float | None) -> str:
    """Return a number with thousands separated, exact: `31,204`. A float is rounded to a whole number."""
    return UNKNOWN if count is None else f"{round(count):,}"


def show_items(count: float | None, noun: str) -> str:
    """Return how many there are of what: `1 group`, `1,204 groups`, `— groups`."""
    return f"{show_count(count)} {noun if count == 1 else noun + 's'}"


def show_short_count(count: float | None) -> str:
    """Return a number in at most five characters: `842`, `48.1k`, `1.2M`."""
    return UNKNOWN if count is None else _scaled(count, 1000, _THOUSANDS, separator="")


def show_rate(records_per_second: float | None) -> str:
    """Return a rate: `3.9k/s`."""
    return UNKNOWN if records_per_second is None else f"{show_short_count(records_per_second)}/s"


def show_bytes(size_bytes: float | None) -> str:
    """Return a size in IEC units: `41.2 GiB`."""
    return UNKNOWN if size_bytes is None else _scaled(size_bytes, 1024, _BINARY, separator=" ")


def show_moment(moment: datetime | None) -> str:
    """Return a moment as RFC 3339 in UTC."""
    return UNKNOWN if moment is None else to_rfc3339(moment)


def _scaled(value: float, base: int, units: tuple[str, ...], *, separator: str) -> str:
    if abs(round(value)) < base:
        return f"{round(value)}{separator}{units[0]}"
    for unit in units[1:]:
        value /= base
        if abs(round(value, 1)) < base or unit == units[-1]:
            return f"{value:.1f}{separator}{unit}"
    raise AssertionError("the last unit takes every value")
