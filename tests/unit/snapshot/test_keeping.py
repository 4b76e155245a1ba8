"""Holds, verifications, claims and prunes on a store: nothing that is named, held or in use ever goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.errors import NotFound, OperationFailed, PreflightBlocked
from replicator.model.archive.keeping import KeepRule
from replicator.model.archive.snapshots import Consistency, Manifest, VerifyLevel
from replicator.model.names import SnapshotId
from replicator.snapshot import (
    Keys,
    Repository,
    apply_prune,
    check_repository,
    count_repository,
    hold_snapshot,
    note_verified,
    plan_prune,
    read_holds,
    read_verified,
    release_snapshot,
    unlock,
    verify_snapshot,
)
from replicator.snapshot.keeping import Claim, Purpose, claimed
from replicator.snapshot.keeping.claims import RENEW_SECONDS, STALE_SECONDS
from replicator.storage import ObjectStore, StoredObject, open_store
from tests.unit.snapshot.conftest import NOW, FixedClock, Workshop, make_batch, make_slice

DAY = timedelta(days=1)
LATER = NOW + 3 * DAY
IDS = [f"2026111{day}T000000Z-00000{day}" for day in range(5)]


@dataclass
class AgedStore:
    """A store that was made at `NOW` whatever the day is, in which what it is told to be old is as old as told."""

    inner: ObjectStore
    ages: dict[str, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inner.put("clock/made", [b""])
        (made,) = self.inner.list("clock")
        self.inner.delete(["clock/made"])
        self.made_at = made.modified_at

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects, made older where told."""
        for entry in self.inner.list(prefix):
            age = self.ages.get(entry.key, timedelta())
            yield replace(entry, modified_at=NOW + (entry.modified_at - self.made_at) - age)

    def age(self, folder: str, by: timedelta) -> None:
        """Everything in the folder is older by that much."""
        self.ages |= {entry.key: by for entry in self.inner.list(folder)}


class MovingClock(FixedClock):
    """A clock that is moved by hand."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        """Where it was moved to."""
        return self.at

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return (self.at - NOW).total_seconds()


@dataclass
class Yard(Workshop):
    """Snapshots in a folder, one a day, each with data of its own and all with a chunk they share."""

    aged: AgedStore
    clock: MovingClock

    def fill(self) -> None:
        """Take a snapshot a day; the data is stored days ago."""
        for number, snapshot_id in enumerate(IDS):
            self.take_day(snapshot_id, NOW - (len(IDS) - number) * DAY, number)
        self.aged.age("packs", 2 * DAY)
        self.aged.age("states", 2 * DAY)

    def take_day(self, snapshot_id: str, cut_at: datetime, number: int) -> Manifest:
        """One snapshot whose one record is its own."""

        def date(manifest: Manifest) -> Manifest:
            consistency = Consistency(groups_read_at=cut_at, cut_at=cut_at, cut_skew_ms=1, finished_at=cut_at)
            return replace(manifest, consistency=consistency)

        return self.take(
            snapshot_id, [make_slice(make_batch(0, [b"%d" % number]), start=0, stop=1)], stop=1, change=date
        )

    def ids(self) -> list[str]:
        """The snapshots there are."""
        return list(self.repository.list_ids())

    def are_whole(self) -> bool:
        """Whether every snapshot that is there can be restored."""
        return all(verify_snapshot(self.repository, one, clock=self.clock).is_ok for one in self.repository.list_ids())


def make_yard(path: Path, keys: Keys | None = None) -> Yard:
    """A yard in a fresh folder."""
    aged = AgedStore(open_store(str(path / "repository")))
    clock = MovingClock()
    repository, _is_new = Repository.init(aged, clock=clock, tool="test", keys=keys)  # type: ignore[arg-type]
    return Yard(aged, repository, aged, clock)  # type: ignore[arg-type]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A yard with five snapshots."""
    found = make_yard(tmp_path)
    found.fill()
    return found


def test_a_prune_takes_what_it_planned_and_nothing_else(yard: Yard) -> None:
    """The plan changes nothing; the act leaves whole snapshots, and only what they name."""
    before = yard.keys_of()
    plan = plan_prune(yard.repository, [KeepRule(last=2)], now=NOW)
    assert (list(plan.forgotten), yard.keys_of()) == (IDS[:3], before)
    assert plan.freed_bytes > 0
    done = apply_prune(yard.repository, [KeepRule(last=2)], clock=yard.clock, expected=plan)
    assert done.forgotten == plan.forgotten
    assert yard.ids() == IDS[3:]
    assert yard.are_whole()
    named = {
        f"packs/{p[:2]}/{p}" for one in yard.ids() for p in yard.repository.read_manifest(SnapshotId(one)).pack_sizes
    }
    assert set(yard.keys_of("packs")) == named
    assert apply_prune(yard.repository, [KeepRule(last=2)], clock=yard.clock).forgotten == ()


def test_without_rules_only_left_overs_go(yard: Yard) -> None:
    """Packs of a capture that never published go once they are a day old; a young one stays."""
    yard.store.put("packs/aa/old", [b"x" * 10])
    yard.aged.age("packs/aa", 2 * DAY)
    yard.store.put("packs/bb/young", [b"y" * 10])
    plan = apply_prune(yard.repository, [], clock=yard.clock)
    assert {one.key: one.is_young for one in plan.garbage} == {"packs/aa/old": False, "packs/bb/young": True}
    assert [key for key in yard.keys_of("packs") if key.endswith(("old", "young"))] == ["packs/bb/young"]
    assert yard.ids() == IDS


def test_a_hold_beats_every_rule(yard: Yard) -> None:
    """A held snapshot stays, also when it is held between plan and act; released, it goes."""
    plan = plan_prune(yard.repository, [KeepRule(last=1)], now=NOW)
    assert hold_snapshot(yard.repository, SnapshotId(IDS[0]), reason="lawsuit", now=NOW)
    assert not hold_snapshot(yard.repository, SnapshotId(IDS[0]), reason="again", now=NOW)
    assert read_holds(yard.repository) == {IDS[0]: "lawsuit"}
    apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock, expected=plan)
    assert yard.ids() == [IDS[0], IDS[4]]
    assert yard.are_whole()
    release_snapshot(yard.repository, SnapshotId(IDS[0]))
    with pytest.raises(NotFound, match="is not held"):
        release_snapshot(yard.repository, SnapshotId(IDS[0]))
    apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert yard.ids() == [IDS[4]]


def test_the_newest_verified_stays(yard: Yard) -> None:
    """A check of every chunk is remembered and protects; a shallow one is not."""
    for number, level in ((1, VerifyLevel.BATCHES), (2, VerifyLevel.PRESENCE)):
        report = verify_snapshot(yard.repository, SnapshotId(IDS[number]), level=level, clock=yard.clock)
        assert note_verified(yard.repository, report, now=NOW) is (level is VerifyLevel.BATCHES)
    assert read_verified(yard.repository) == {IDS[1]: NOW}
    apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert yard.ids() == [IDS[1], IDS[4]]


def test_a_forged_verification_protects_nothing_and_a_forged_hold_does(tmp_path: Path) -> None:
    """In a signed repository a note by another hand counts for nothing; a hold counts whoever wrote it."""
    key = Ed25519PrivateKey.generate()
    yard = make_yard(tmp_path, Keys(signing=key, trusted=key.public_key().public_bytes_raw()))
    yard.fill()
    stranger = Repository.open(yard.aged, keys=Keys())  # type: ignore[arg-type]
    report = verify_snapshot(stranger, SnapshotId(IDS[1]), clock=yard.clock)
    assert note_verified(stranger, report, now=NOW)
    assert hold_snapshot(stranger, SnapshotId(IDS[0]), reason="not ours", now=NOW)
    assert read_verified(yard.repository) == {}
    apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert yard.ids() == [IDS[0], IDS[4]]


def test_a_manifest_that_cannot_be_read_stops_every_prune(yard: Yard) -> None:
    """Nobody knows what it needs; the check names it."""
    path = f"manifests/{IDS[2]}"
    data = bytearray(yard.store.get(path))
    data[-1] ^= 1
    yard.store.put(path, [bytes(data)])
    before = yard.keys_of()
    with pytest.raises(PreflightBlocked, match=IDS[2]):
        apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert yard.keys_of() == before
    found = check_repository(yard.repository, now=NOW)
    assert not found.is_ok
    assert IDS[2] in found.problems[0]


def test_a_snapshot_taken_since_the_plan_lets_no_other_go(yard: Yard) -> None:
    """Under `last 2` a new snapshot would push out one more: the act refuses and asks to look again."""
    plan = plan_prune(yard.repository, [KeepRule(last=2)], now=NOW)
    yard.take_day("20261122T110000Z-0000aa", NOW - timedelta(hours=1), 9)
    with pytest.raises(PreflightBlocked, match=IDS[3]):
        apply_prune(yard.repository, [KeepRule(last=2)], clock=yard.clock, expected=plan)
    assert len(yard.ids()) == 6


def test_nobody_prunes_while_somebody_is_at_work(yard: Yard) -> None:
    """A capture keeps a prune out, and a prune keeps captures and other prunes out; then all is free again."""
    with (
        claimed(yard.repository, Purpose.USE, clock=yard.clock),
        claimed(yard.repository, Purpose.USE, clock=yard.clock),
    ):
        with pytest.raises(PreflightBlocked, match="at work in it"):
            apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
        assert len(yard.keys_of("claims")) == 2
    with claimed(yard.repository, Purpose.PRUNE, clock=yard.clock):
        for purpose in Purpose:
            with pytest.raises(PreflightBlocked, match="cleared out"):
                Claim(yard.repository, purpose, clock=yard.clock).take()
    assert yard.keys_of("claims") == []
    assert len(yard.ids()) == 5


def test_a_claim_of_the_dead_gives_way_and_its_holder_notices(yard: Yard) -> None:
    """A capture that slept too long loses its claim to a prune, and does not publish when it wakes."""
    sleeper = Claim(yard.repository, Purpose.USE, clock=yard.clock).take()
    yard.aged.age("claims", timedelta(seconds=STALE_SECONDS + 1))
    apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert yard.ids() == [IDS[4]]
    with pytest.raises(OperationFailed, match="taken for dead"):
        sleeper.confirm()
    assert yard.keys_of("claims") == []


def test_a_sleeper_that_wakes_during_a_prune_gives_way(yard: Yard) -> None:
    """Stale but not yet taken: renewing under a live prune fails, whoever looks first."""
    sleeper = Claim(yard.repository, Purpose.USE, clock=yard.clock).take()
    with claimed(yard.repository, Purpose.USE, clock=yard.clock):
        pass
    yard.store.put("claims/prune-00", [b""])
    with pytest.raises(OperationFailed, match="taken for dead"):
        sleeper.confirm()


def test_a_claim_is_renewed_before_it_is_old(yard: Yard) -> None:
    """Young, the store is not asked; later one new claim stands for the old one."""
    claim = Claim(yard.repository, Purpose.USE, clock=yard.clock).take()
    first = claim.key
    claim.renew_if_old()
    assert claim.key == first
    yard.clock.at += timedelta(seconds=RENEW_SECONDS)
    claim.renew_if_old()
    assert claim.key != first
    assert yard.keys_of("claims") == [claim.key]
    claim.release()


@pytest.mark.parametrize(("is_forced", "expected"), [(False, 1), (True, 2)])
def test_unlock_takes_the_claims_of_the_dead(yard: Yard, is_forced: bool, expected: int) -> None:
    """Without force the living keep theirs."""
    Claim(yard.repository, Purpose.USE, clock=yard.clock).take()
    yard.aged.age("claims", timedelta(seconds=STALE_SECONDS + 1))
    Claim(yard.repository, Purpose.USE, clock=yard.clock).take()
    assert len(count_repository(yard.repository, clock=yard.clock).claims) == 2
    assert len(unlock(yard.repository, clock=yard.clock, is_forced=is_forced)) == expected
    assert len(yard.keys_of("claims")) == 2 - expected


def test_half_written_files_go_after_a_day(tmp_path: Path) -> None:
    """What a killed put left beside its place is cleared out when it is old, not before."""
    yard = make_yard(tmp_path)
    left = tmp_path / "repository" / ".part-0011"
    left.write_bytes(b"half")
    os.utime(left, (NOW.timestamp(), NOW.timestamp()))
    apply_prune(yard.repository, [], clock=yard.clock)
    assert left.exists()
    apply_prune(yard.repository, [], clock=MovingClock(NOW + 2 * DAY))
    assert not left.exists()


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("alive_for", range(6))
def test_killed_anywhere_a_prune_leaves_whole_snapshots(yard: Yard, alive_for: int) -> None:
    """After any number of deletions what can be listed can be restored, and the next prune ends the work."""
    deletions = 0
    delete: Callable[..., None] = yard.aged.inner.delete

    def dying(keys: list[str]) -> None:
        nonlocal deletions
        for key in list(keys):
            if not key.startswith("claims/"):
                if deletions == alive_for:
                    raise Killed
                deletions += 1
            delete([key])

    yard.aged.delete = dying  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert yard.are_whole()
    del yard.aged.delete  # type: ignore[attr-defined]
    unlock(yard.repository, clock=yard.clock, is_forced=True)
    apply_prune(yard.repository, [KeepRule(last=1)], clock=yard.clock)
    assert (yard.ids(), yard.are_whole(), len(yard.keys_of("packs"))) == ([IDS[4]], True, 1)


def test_check_names_what_is_missing_or_short(yard: Yard) -> None:
    """A deleted pack, a cut one and a deleted state are each told, with the snapshots they hurt."""
    assert check_repository(yard.repository, now=NOW).is_ok
    first, second = yard.keys_of("packs")[:2]
    yard.store.put(second, [yard.store.get(second)[:-1]])
    yard.store.delete([first, yard.keys_of("states")[0]])
    problems = "\n".join(check_repository(yard.repository, now=NOW).problems)
    assert f"pack {first.rpartition('/')[2]} is missing" in problems
    assert f"pack {second.rpartition('/')[2]} is " in problems
    assert "are missing (states/" in problems
