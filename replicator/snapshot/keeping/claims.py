"""Who is at work in a repository: users of what it holds, or the one who clears it out; never both.

A claim is an object with a name of its own. Each side first puts its claim and then looks for the other's:
whoever comes second sees the first, on any store whose listings are consistent. A claim not renewed for
STALE_SECONDS belongs to a process that is gone; ages are taken by the store's clock alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from replicator.clock import Clock
from replicator.errors import AccessDenied, OperationFailed, PreflightBlocked
from replicator.log import get_logger
from replicator.snapshot.repository import Repository
from replicator.storage import StoredObject

CLAIMS = "claims"
STALE_SECONDS = 1800.0
RENEW_SECONDS = 300.0


class Purpose(StrEnum):
    """What a claim is for: to read and add, or to delete."""

    USE = "use"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class ClaimSeen:
    """A claim as a listing tells it."""

    key: str
    purpose: Purpose
    is_stale: bool
    age_seconds: float


class Claim:
    """One claim, held. Renewed by whoever works under it; not safe between threads."""

    def __init__(self, repository: Repository, purpose: Purpose, *, clock: Clock) -> None:
        self._repository = repository
        self._purpose = purpose
        self._clock = clock
        self._key = self._put()

    def _put(self) -> str:
        key = f"{CLAIMS}/{self._purpose.value}-{secrets.token_hex(8)}"
        self._repository.store.put(key, [b"replicator.claim/1\n"], is_create_only=True)
        self._renewed = self._clock.monotonic()
        return key

    @property
    def key(self) -> str:
        """The object that stands for it."""
        return self._key

    def take(self) -> Self:
        """The claim holds; those of the dead that stood against it are gone.

        Raises: PreflightBlocked when one that stands against it is alive; then this one is gone.
        """
        others = [one for one in list_claims(self._repository, now_by=self._key) if self._is_against(one)]
        if alive := [one for one in others if not one.is_stale]:
            self.release()
            raise PreflightBlocked(
                f"{self._repository.url}: {_TOLD[alive[0].purpose]} (claim {alive[0].key}, "
                f"{max(0.0, alive[0].age_seconds):.0f} s old)",
                hint="wait for it to end; if its process is gone: replicator repo unlock",
            )
        self._repository.store.delete([one.key for one in others])
        return self

    def _is_against(self, one: ClaimSeen) -> bool:
        """Whether both cannot be: uses bear each other, a prune bears nobody."""
        return one.key != self._key and Purpose.PRUNE in (one.purpose, self._purpose)

    def renew_if_old(self) -> None:
        """The claim is young again. Cheap: it touches the store once in five minutes. Raises: as `confirm`."""
        if self._clock.monotonic() - self._renewed >= RENEW_SECONDS:
            self.confirm()

    def confirm(self) -> None:
        """The claim is young, and was never taken from us.

        Raises: OperationFailed when somebody took us for dead: what this process relied upon may be gone.
        """
        old, self._key = self._key, self._put()
        seen = [one for one in list_claims(self._repository, now_by=self._key) if one.key != self._key]
        is_lost = all(one.key != old for one in seen)
        others = [one for one in seen if one.key != old and self._is_against(one) and not one.is_stale]
        self._repository.store.delete([old])
        if is_lost or others:
            self.release()
            raise OperationFailed(
                f"{self._repository.url}: this run stood still for too long and was taken for dead",
                hint="run the command again",
            )

    def release(self) -> None:
        """The claim is gone."""
        self._repository.store.delete([self._key])


_TOLD = {
    Purpose.USE: "a snapshot or a restore is at work in it",
    Purpose.PRUNE: "it is being cleared out",
}


@contextmanager
def claimed(repository: Repository, purpose: Purpose, *, clock: Clock) -> Iterator[Claim]:
    """Yield a claim that holds, and let go of it afterwards. Raises: PreflightBlocked; the store's errors."""
    claim = Claim(repository, purpose, clock=clock).take()
    try:
        yield claim
    finally:
        claim.release()


@contextmanager
def claimed_if_allowed(repository: Repository, *, clock: Clock) -> Iterator[Claim | None]:
    """Yield a claim to use what is there; None where we may only read, as a restore from a guarded bucket does."""
    try:
        claim = Claim(repository, Purpose.USE, clock=clock).take()
    except AccessDenied:
        get_logger().info("repository_not_claimed", repository=repository.url)
        yield None
        return
    try:
        yield claim
    finally:
        claim.release()


def list_claims(repository: Repository, *, now_by: str) -> list[ClaimSeen]:
    """Return every claim. `now_by` names one put just now: its time is the store's present.

    Raises: OperationFailed when that one is gone already.
    """
    entries = list(repository.store.list(CLAIMS))
    now = next((entry.modified_at for entry in entries if entry.key == now_by), None)
    if now is None:
        raise OperationFailed(f"{repository.url}: our claim was deleted at once", hint="run the command again")
    return [_seen(entry, now) for entry in entries]


def _seen(entry: StoredObject, now: datetime) -> ClaimSeen:
    name = entry.key.rpartition("/")[2]
    age_seconds = (now - entry.modified_at).total_seconds()
    purpose = Purpose.PRUNE if name.startswith(Purpose.PRUNE.value) else Purpose.USE
    return ClaimSeen(entry.key, purpose, age_seconds > STALE_SECONDS, age_seconds)


def look_at_claims(repository: Repository, *, clock: Clock) -> tuple[ClaimSeen, ...]:
    """Return the claims of others, with their ages."""
    probe = Claim(repository, Purpose.USE, clock=clock)
    try:
        return tuple(one for one in list_claims(repository, now_by=probe.key) if one.key != probe.key)
    finally:
        probe.release()


def unlock(repository: Repository, *, clock: Clock, is_forced: bool) -> tuple[str, ...]:
    """The claims of processes that are gone are deleted, with force every claim; return which."""
    gone = tuple(one.key for one in look_at_claims(repository, clock=clock) if is_forced or one.is_stale)
    repository.store.delete(gone)
    return gone
