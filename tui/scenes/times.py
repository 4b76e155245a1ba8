"""When the story happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 15, 13, 0, 0, tzinfo=UTC)
OUTAGE_AT = 300.0
FAILOVER_AT = 330.0
END_AT = 372.0
HISTORY_SECONDS = 900


def at(second: float) -> str:
    """Return the time of a second of the story."""
    return (START + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
