"""The story's groups, one of them named by somebody hostile, its snapshots and schedules."""

from __future__ import annotations

from typing import Any

from tui.scenes.times import at

HOSTILE = "\x1b]52;c;ZXZpbA==\x07[bold red]risk[/]\u202escorer\n[@click=app.quit]x[/]"
"""A group's name as somebody hostile would choose it."""


def groups(flow: str, second: float) -> list[dict[str, Any]]:
    """Return a flow's groups, one of them named by somebody hostile."""
    known: list[tuple[str, str, int | None]] = [
        ("billing", "EXACT", 0),
        ("fraud-detection", "EXACT", 0),
        ("warehouse-sync", "EXACT", 0),
        (HOSTILE, "BOUNDED", 412),
        ("ledger-writer", "BOUNDED", 96),
        ("customer-notifications-email-and-push-europe-v2", "BOUNDED", 1204),
        ("nightly-report", "FLOOR", None),
    ]
    return [
        {
            "flow": flow,
            "group": name,
            "state": "EMPTY" if grade == "FLOOR" else "ACTIVE",
            "members": 0 if grade == "FLOOR" else 3,
            "observed_at": at(second),
            "partitions": 6,
            "lag_records": 40 * place,
            "grade": grade,
            "reread_records_max": reread,
            "is_active_on_target": False,
            "translations": translations(grade, reread),
        }
        for place, (name, grade, reread) in enumerate(known)
    ]


def translations(grade: str, reread: int | None) -> list[dict[str, Any]]:
    """Return a group's translation of six partitions."""
    return [
        {
            "topic": "orders.created",
            "partition": number,
            "target_topic": "orders.created",
            "target_partition": number,
            "source_offset": 4_811_200 + 977 * number,
            "target_offset": 4_810_077 + 970 * number,
            "grade": grade if number < 3 else "EXACT",
            "reread_records_max": 0 if number >= 3 else None if reread is None else reread // 3,
            "rule": {"EXACT": "rank", "BOUNDED": "between_syncs", "FLOOR": "log_start"}.get(grade, "none"),
            "is_clamped": False,
        }
        for number in range(6)
    ]


def snapshots() -> list[dict[str, Any]]:
    """Return a catalog: one that was verified, one that was not yet, one with a gap, one that is damaged."""
    kinds = [(True, 0, 41), (None, 0, 41), (True, 2, 40), (False, 0, 40), (True, 0, 39)]
    return [
        {
            "id": f"20260115T{12 - hour:02d}1500Z-7f3a{hour}",
            "created_at": at(-2700 - 3600 * hour),
            "cluster": "west",
            "flow": "orders",
            "topics": 4,
            "records": 412_000_000 - 9_000_000 * hour,
            "size_bytes": gib * 2**30,
            "new_bytes": (900 - hour * 40) * 2**20,
            "gaps": gaps,
            "missing_topics": 0,
            "tags": ["hourly"],
            "verified_at": None if is_sound is None else at(-1500 - 3600 * hour),
            "is_sound": is_sound,
        }
        for hour, (is_sound, gaps, gib) in enumerate(kinds)
    ]


def schedules() -> list[dict[str, Any]]:
    """Return the schedules."""
    return [
        {
            "name": "hourly",
            "flow": "orders",
            "cron": "15 * * * *",
            "timezone": "UTC",
            "next_run_at": at(900),
            "last_run_at": at(-2700),
            "last_success_at": at(-2700),
            "last_duration_seconds": 362.0,
            "missed_total": 0,
        },
        {
            "name": "nightly",
            "flow": "payments",
            "cron": "30 2 * * *",
            "timezone": "Europe/Zurich",
            "next_run_at": at(45_000),
            "last_run_at": at(-41_400),
            "last_success_at": at(-127_800),
            "last_duration_seconds": 1220.0,
            "missed_total": 1,
        },
    ]
