"""Which snapshots stay. Pure: candidates and rules to decisions, each with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from replicator.model.archive.keeping import Candidate, KeepDecision, KeepRule
from replicator.model.names import SnapshotId

FUTURE = timedelta(minutes=10)
"""A cut that much ahead of our clock was dated wrongly: it stays, and never takes the place of another."""

Bucket = Callable[[datetime], str]


def _week(moment: datetime) -> str:
    year, week, _day = moment.isocalendar()
    return f"{year}-W{week:02}"


BUCKETS: Mapping[str, Bucket] = MappingProxyType(
    {
        "hourly": lambda at: at.strftime("%Y-%m-%dT%H%z"),
        "daily": lambda at: at.strftime("%Y-%m-%d"),
        "weekly": _week,
        "monthly": lambda at: at.strftime("%Y-%m"),
        "yearly": lambda at: at.strftime("%Y"),
    }
)
"""The name of the hour … year that a moment lies in."""


def decide_retention(
    candidates: Iterable[Candidate], rules: Sequence[KeepRule], *, now: datetime
) -> tuple[KeepDecision, ...]:
    """Return for each snapshot, oldest first, why it stays; one without a reason goes.

    What no rule is about stays. So do held ones, the newest that was verified, and whatever cannot be read:
    nobody knows what it is.
    """
    found = sorted(candidates, key=lambda one: one.id)
    reasons: dict[SnapshotId, list[str]] = {one.id: list(_own_reasons(one, rules, now=now)) for one in found}
    if (verified := _newest_verified(found, now=now)) is not None:
        reasons[verified].append("newest verified")
    for rule in rules:
        for snapshot_id, reason in _wanted(rule, [one for one in found if _is_judged(one, rule, now=now)], now=now):
            reasons[snapshot_id].append(reason)
    return tuple(KeepDecision(id=one.id, cut_at=one.cut_at, reasons=tuple(reasons[one.id])) for one in found)


def _own_reasons(one: Candidate, rules: Sequence[KeepRule], *, now: datetime) -> Iterator[str]:
    if one.hold is not None:
        yield f"held: {one.hold}" if one.hold else "held"
    if one.cut_at is None:
        yield f"cannot be read: {one.problem}"
    elif one.cut_at > now + FUTURE:
        yield "dated in the future"
    if not any(_is_about(one, rule) for rule in rules):
        yield "no rule is about it"


def _newest_verified(found: Sequence[Candidate], *, now: datetime) -> SnapshotId | None:
    proven = [one for one in found if one.verified_at is not None and one.cut_at is not None]
    past = [one for one in proven if one.cut_at is not None and one.cut_at <= now + FUTURE]
    return max((one.id for one in past), default=None)


def _is_about(one: Candidate, rule: KeepRule) -> bool:
    return not rule.is_empty and (rule.tag is None or rule.tag in one.tags)


def _is_judged(one: Candidate, rule: KeepRule, *, now: datetime) -> bool:
    return _is_about(one, rule) and one.cut_at is not None and one.cut_at <= now + FUTURE


def _wanted(rule: KeepRule, found: Sequence[Candidate], *, now: datetime) -> Iterator[tuple[SnapshotId, str]]:
    """Yield each snapshot a rule wants, with the part of it that does."""
    newest_first = sorted(found, key=lambda one: (one.cut_at, one.id), reverse=True)
    for place, one in enumerate(newest_first, start=1):
        if place <= rule.last:
            yield one.id, f"last {place} of {rule.last}"
        elif place <= rule.minimum:
            yield one.id, f"at least {rule.minimum} stay"
        if _is_within(one, rule, now=now):
            yield one.id, "within the time to keep"
        for tag in sorted(rule.tags & set(one.tags)):
            yield one.id, f"tag {tag}"
    for name, bucket in BUCKETS.items():
        yield from _first_of_each(newest_first, bucket, name, getattr(rule, name), ZoneInfo(rule.zone))


def _is_within(one: Candidate, rule: KeepRule, *, now: datetime) -> bool:
    if rule.within_seconds is None or one.cut_at is None:
        return False
    return (now - one.cut_at).total_seconds() <= rule.within_seconds


def _first_of_each(
    newest_first: Sequence[Candidate], bucket: Bucket, name: str, count: int, zone: ZoneInfo
) -> Iterator[tuple[SnapshotId, str]]:
    """Yield the newest snapshot of each of the newest `count` buckets that hold one."""
    seen: set[str] = set()
    for one in newest_first:
        if one.cut_at is None or len(seen) >= count:
            return
        place = bucket(one.cut_at.astimezone(zone))
        if place not in seen:
            seen.add(place)
            yield one.id, f"{name} {place}"
