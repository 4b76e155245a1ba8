"""Which snapshots stay: every part of a rule, what is never let go, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.model.archive.keeping import Candidate, KeepRule
from replicator.model.names import SnapshotId
from replicator.settings.upkeep import KeepSettings
from replicator.snapshot.keeping import decide_retention

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def taken(at: datetime, *, tags: tuple[str, ...] = (), **more: object) -> Candidate:
    """A snapshot whose cut was at that moment."""
    return Candidate(id=SnapshotId(f"{at:%Y%m%dT%H%M%SZ}-000000"), cut_at=at, tags=tags, **more)  # type: ignore[arg-type]


def hourly(count: int, *, until: datetime = NOW) -> list[Candidate]:
    """One snapshot an hour, the last one at `until`."""
    return [taken(until - timedelta(hours=number)) for number in range(count)]


def kept(candidates: list[Candidate], *rules: KeepRule, now: datetime = NOW) -> list[str]:
    """When the kept ones were taken, oldest first."""
    decisions = decide_retention(candidates, rules, now=now)
    return [f"{one.cut_at:%m-%dT%H}" for one in decisions if one.is_kept and one.cut_at is not None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (KeepRule(last=2), ["11-22T11", "11-22T12"]),
        (KeepRule(hourly=3), ["11-22T10", "11-22T11", "11-22T12"]),
        (KeepRule(daily=2), ["11-21T23", "11-22T12"]),
        (KeepRule(daily=2, zone="Asia/Tokyo"), ["11-22T12", "11-21T14"][::-1]),
        (KeepRule(weekly=2), ["11-15T23", "11-22T12"]),
        (KeepRule(monthly=2), ["10-31T23", "11-22T12"]),
        (KeepRule(yearly=2), ["11-22T12"]),
        (KeepRule(within_seconds=7200), ["11-22T10", "11-22T11", "11-22T12"]),
        (KeepRule(last=1, daily=3), ["11-20T23", "11-21T23", "11-22T12"]),
        (KeepRule(last=1, minimum=3), ["11-22T10", "11-22T11", "11-22T12"]),
    ],
)
def test_each_part_of_a_rule(rule: KeepRule, expected: list[str]) -> None:
    """Of hourly snapshots over a month each part keeps the newest of each period, in the rule's own zone."""
    assert kept(hourly(24 * 30), rule) == expected


def test_without_a_rule_everything_stays() -> None:
    """No rule, or one that wants nothing, decides nothing."""
    assert len(kept(hourly(5))) == 5
    assert len(kept(hourly(5), KeepRule())) == 5


def test_a_rule_is_about_its_own_snapshots_only() -> None:
    """What carries another tag stays; a tag to keep keeps."""
    mine = [taken(NOW - timedelta(hours=n), tags=("schedule:night",)) for n in range(3)]
    other = [taken(NOW - timedelta(days=9), tags=("by hand",))]
    assert kept(mine + other, KeepRule(last=1, tag="schedule:night")) == ["11-13T12", "11-22T12"]
    assert kept(mine + other, KeepRule(last=1, tags=frozenset({"by hand"}))) == ["11-13T12", "11-22T12"]


def test_what_is_never_let_go() -> None:
    """Held, newest verified, unreadable and wrongly dated ones stay, and take nobody's place."""
    old = NOW - timedelta(days=30)
    candidates = [
        taken(old, hold="lawsuit"),
        taken(old + timedelta(days=1), verified_at=NOW),
        taken(old + timedelta(days=2), verified_at=NOW),
        taken(old + timedelta(days=3)),
        taken(NOW),
        taken(NOW + timedelta(days=400)),
        Candidate(id=SnapshotId("20250101T000000Z-000000"), cut_at=None, problem="does not match its SHA-256"),
    ]
    decisions = decide_retention(candidates, [KeepRule(last=1)], now=NOW)
    assert {one.id[:8]: one.reasons for one in decisions} == {
        "20250101": ("cannot be read: does not match its SHA-256",),
        "20261023": ("held: lawsuit",),
        "20261024": (),
        "20261025": ("newest verified",),
        "20261026": (),
        "20261122": ("last 1 of 1",),
        "20271227": ("dated in the future",),
    }


counts = st.integers(0, 4)
rules = st.builds(
    KeepRule, last=counts, hourly=counts, daily=counts, weekly=counts, monthly=counts, minimum=st.integers(1, 3)
)


@given(rule=rules, hours=st.sets(st.integers(0, 5000), max_size=60), extra=st.integers(0, 5000))
def test_what_always_holds(rule: KeepRule, hours: set[int], extra: int) -> None:
    """The newest stays; deciding again changes nothing; without the one that goes the others stay."""
    candidates = [taken(NOW - timedelta(hours=hour)) for hour in hours]
    first = kept(candidates, rule)
    if candidates:
        newest = max(one.cut_at for one in candidates if one.cut_at is not None)
        assert f"{newest:%m-%dT%H}" in first
        assert len(first) >= min(len(candidates), rule.minimum)
    survivors = [
        one
        for one, decision in zip(
            sorted(candidates, key=lambda c: c.id), decide_retention(candidates, [rule], now=NOW), strict=True
        )
        if decision.is_kept
    ]
    assert kept(survivors, rule) == first
    newer = NOW + timedelta(hours=extra)
    assert set(kept(survivors, rule, now=newer)) <= set(first)


def test_a_schedules_rule_says_all_that_the_command_can() -> None:
    """Tags and a minimum too; a minimum alone keeps nothing, so it is no rule."""
    rule = KeepSettings(daily=7, tags=("audit",), minimum=3, within="2d").to_rule(tag="schedule:x", zone="UTC")
    assert rule == KeepRule(daily=7, within_seconds=172_800, tags=frozenset({"audit"}), tag="schedule:x", minimum=3)
    assert KeepSettings(minimum=3).is_empty
    assert not KeepSettings(tags=("audit",)).is_empty
