"""What a check found: about what, how grave, and which command or edit mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """SKIPPED: nothing there to check. UNKNOWN: there is, and it could not be read; it counts as a warning."""

    OK = "ok"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    WARNING = "warning"
    BLOCKED = "blocked"

    @property
    def is_complaint(self) -> bool:
        """Whether somebody should do something."""
        return self in (Severity.UNKNOWN, Severity.WARNING, Severity.BLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `fix` is the next command or edit; None where none is needed."""

    check: str
    subject: str
    severity: Severity
    what: str
    fix: str | None = None


def worst_of(findings: Iterable[Finding]) -> Severity:
    """Return the gravest severity; OK without any finding."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)
