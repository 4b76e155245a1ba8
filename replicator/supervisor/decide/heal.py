"""Whether a failed connector is restarted now, later, or not any more. Values to a value.

    failed ── restart ── failed again ── 5 s ── restart ── 10 s ── restart ── … ── budget spent: FAILED, and an alarm

Restarting for ever hides a fault and loads Connect; a budget makes it seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from replicator.model.connectors import ConnectorState, ConnectorStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class HealRules:
    """At most `attempts_max` restarts of one connector in any `window_seconds`, further and further apart."""

    attempts_max: int = 5
    window_seconds: float = 900.0
    backoff_seconds: float = 5.0
    backoff_seconds_max: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealFacts:
    """What is known when a restart is decided. `is_journal_known`: the journal was read since we lead."""

    is_leader: bool
    is_journal_known: bool
    has_open_operation: bool
    is_failed_over: bool


def has_failed(status: ConnectorStatus) -> bool:
    """Whether the connector or a task of it has failed; what somebody stopped or paused has not."""
    if status.state in (ConnectorState.STOPPED, ConnectorState.PAUSED):
        return False
    return status.state is ConnectorState.FAILED or bool(status.failed_tasks)


def may_heal(facts: HealFacts) -> bool:
    """Whether anything may be restarted at all.

    During an operation, and after a promotion, a restarted task would take back the transactional ids that
    fence it. Where the journal is not known, an operation may be under way.
    """
    return facts.is_leader and facts.is_journal_known and not facts.has_open_operation and not facts.is_failed_over


def recent_attempts(attempts: Sequence[datetime], *, now: datetime, rules: HealRules) -> tuple[datetime, ...]:
    """Return the restarts that still count against the budget."""
    return tuple(at for at in attempts if now - at < timedelta(seconds=rules.window_seconds))


def is_spent(attempts: Sequence[datetime], *, now: datetime, rules: HealRules) -> bool:
    """Whether the budget is spent: nobody restarts the connector until the oldest attempt is out of the window."""
    return len(recent_attempts(attempts, now=now, rules=rules)) >= rules.attempts_max


def is_restart_due(status: ConnectorStatus, attempts: Sequence[datetime], *, now: datetime, rules: HealRules) -> bool:
    """Whether the connector is to be restarted now; `attempts` are the restarts so far, oldest first."""
    recent = recent_attempts(attempts, now=now, rules=rules)
    if not has_failed(status) or len(recent) >= rules.attempts_max:
        return False
    return not recent or now - recent[-1] >= pause_after(len(recent), rules=rules)


def pause_after(attempts: int, *, rules: HealRules) -> timedelta:
    """Return how long to wait after so many restarts."""
    seconds = min(rules.backoff_seconds_max, rules.backoff_seconds * 2 ** (attempts - 1))
    return timedelta(seconds=seconds)
