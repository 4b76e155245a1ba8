"""How an encrypted repository is opened, and for whom its key is wrapped. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """A passphrase; or an age identity that opens, and the public recipients for whom the key is wrapped."""

    recipients: tuple[str, ...] = ()
    identity: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)

    @property
    def is_given(self) -> bool:
        """Whether encryption is wanted at all."""
        return self.can_open or bool(self.recipients)

    @property
    def can_open(self) -> bool:
        """Whether there is something to open a repository with."""
        return self.identity is not None or self.passphrase is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShreddedKey:
    """A topic's key that is no more: nobody can read what was encrypted under it."""

    key: str
    topic: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShredPlan:
    """What a shred would do. Nothing happens while `refusals` is not empty; without `keys` there is nothing to do."""

    topic: str
    keys: tuple[str, ...]
    snapshots: tuple[str, ...]
    plain_snapshots: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
