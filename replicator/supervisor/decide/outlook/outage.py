"""Whether the source is lost, and whether that may be met without a human. Values to values.

Three probes by two observers, who must agree: our connections to its listeners, our reads of it, and MirrorMaker's
progress, which is another process with another way in. While what is mirrored still moves, the source lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from replicator.model.forms.figures import show_count, show_seconds
from replicator.model.observations import Reachability
from replicator.model.operations import Operation
from replicator.model.supervision.outages import OutagePhase

UNFENCED = (
    "no verified fence: a source that refuses us may be alive for others; set failover.fence: hook, and a verify for "
    "each of failover.hooks.fence"
)
AUTOMATIC = "auto:"
"""First part of the actor's name in operations that nobody ordered."""
SCHEDULED = "schedule:"
"""First part of the actor's name in operations that a schedule began: no human has looked at anything then."""
STEP_SECONDS_MIN = 2.0
"""A wall clock that moved by this much more or less than the counter beside it has stepped; less is how one is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRules:
    """How long every sign must hold before an outage is confirmed, how long the source must be read before it is over,
    and how long the mirrored position must stand before MirrorMaker is taken to read nothing."""

    outage_seconds: float = 60.0
    recovery_seconds: float = 10.0
    stillness_seconds: float = 10.0
    unread_seconds: float = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSigns:
    """What the probes see of a source at one moment. `read_at` is its last whole read, `moved_at` when the mirrored
    position was last seen to move; None: never. Before `watched_since` nobody looked: that is no sign of anything."""

    reachability: Reachability
    watched_since: datetime
    read_at: datetime | None
    moved_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What is known of an outage so far. `since` is when all signs began to hold, `well_since` when the source began
    to be read again."""

    phase: OutagePhase = OutagePhase.NONE
    since: datetime | None = None
    well_since: datetime | None = None


def tell_signs(signs: SourceSigns, *, now: datetime, rules: OutageRules) -> dict[str, bool]:
    """Return each probe's word on the source, and whether it speaks for an outage."""
    still = _age(signs.moved_at, now)
    listeners = {
        Reachability.REACHABLE: "a listener takes connections",
        Reachability.REFUSED: "every listener refuses",
        Reachability.SILENT: "its listeners do not answer",
    }
    return {
        listeners[signs.reachability]: signs.reachability is not Reachability.REACHABLE,
        f"read {_ago(_age(signs.read_at, now))}": _unread_seconds(signs, now) > rules.unread_seconds,
        f"MirrorMaker moved {_ago(still)}": still is None or still > rules.stillness_seconds,
    }


def has_clock_stepped(before: tuple[datetime, float], after: tuple[datetime, float]) -> bool:
    """Whether the wall clock went otherwise between two looks than the counter beside it, which never steps."""
    wall = (after[0] - before[0]).total_seconds()
    return abs(wall - (after[1] - before[1])) > STEP_SECONDS_MIN


def _unread_seconds(signs: SourceSigns, now: datetime) -> float:
    """Return for how long somebody watched and could not read it. A read in the future was before the clock stepped."""
    since = signs.watched_since
    if signs.read_at is not None and signs.read_at <= now:
        since = max(since, signs.read_at)
    return (now - since).total_seconds()


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{show_seconds(max(0.0, seconds))} ago"


def follow_outage(previous: Outage, signs: SourceSigns, *, now: datetime, rules: OutageRules) -> Outage:
    """Return how the outage stands: it begins when all probes agree, and ends when the source is read for a while.

    In between one sign that does not hold lets the time begin anew: a flapping source is never confirmed lost.
    """
    words = tell_signs(signs, now=now, rules=rules)
    if all(words.values()):
        since = previous.since or now
        is_old = (now - since).total_seconds() >= rules.outage_seconds
        phase = OutagePhase.CONFIRMED if is_old else OutagePhase.SUSPECTED
        return Outage(phase=phase, since=since)
    is_read = _unread_seconds(signs, now) <= rules.unread_seconds
    if not is_read or previous.phase is OutagePhase.NONE:
        phase = OutagePhase.NONE if is_read else OutagePhase.SUSPECTED
        return Outage(phase=phase)
    well_since = previous.well_since or now
    if (now - well_since).total_seconds() >= rules.recovery_seconds:
        return Outage()
    return replace(previous, phase=OutagePhase.SUSPECTED, since=None, well_since=well_since)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomatFacts:
    """What must be known before a failover is begun unasked. `loss_allowed` None: nothing is allowed.
    `can_verify_fence`: the configured fence works on a source that does not answer, and proves that it did."""

    outage: Outage
    signs: SourceSigns
    is_leader: bool
    is_standby_answering: bool
    is_active_already: bool
    open_operation: str | None
    possible_lost_max: int | None
    loss_allowed: int | None
    last_operation: Operation | None
    can_verify_fence: bool


def find_holds(facts: AutomatFacts, *, now: datetime, rules: OutageRules) -> tuple[str, ...]:
    """Return everything that keeps a failover from being begun unasked; nothing when it may begin."""
    held = [
        (facts.outage.phase is not OutagePhase.CONFIRMED, _tell_young(facts.outage, now, rules)),
        (facts.is_active_already, "the standby is active already"),
        (not facts.is_leader, "this supervisor does not lead"),
        (not facts.is_standby_answering, "the standby does not answer"),
        (facts.open_operation is not None, f"{facts.open_operation} is not over"),
        (
            facts.signs.reachability is not Reachability.REFUSED,
            "not every listener refuses: the source may be alive for others",
        ),
        (not facts.can_verify_fence, UNFENCED),
        (is_moving(facts.signs, now=now, rules=rules), "what is mirrored still moves"),
        (not _is_allowed(facts), _tell_loss(facts)),
        (needs_acknowledgement(facts.last_operation), _tell_acknowledgement(facts.last_operation)),
    ]
    return tuple(told for is_held, told in held if is_held)


def is_moving(signs: SourceSigns, *, now: datetime, rules: OutageRules) -> bool:
    """Whether MirrorMaker still reads the source, whoever else cannot."""
    still = _age(signs.moved_at, now)
    return still is not None and still <= rules.stillness_seconds


def _tell_young(outage: Outage, now: datetime, rules: OutageRules) -> str:
    lasted = show_seconds(None if outage.since is None else (now - outage.since).total_seconds())
    return f"the outage is not confirmed: {lasted} of {show_seconds(rules.outage_seconds)}"


def _is_allowed(facts: AutomatFacts) -> bool:
    known = facts.possible_lost_max is not None and facts.loss_allowed is not None
    return known and (facts.possible_lost_max or 0) <= (facts.loss_allowed or 0)


def _tell_loss(facts: AutomatFacts) -> str:
    if facts.loss_allowed is None:
        return "no loss is allowed: set failover.loss_max or objectives.rpo_records"
    most = "an unknown number of" if facts.possible_lost_max is None else show_count(facts.possible_lost_max)
    return f"{most} records may be lost, {show_count(facts.loss_allowed)} are allowed"


def needs_acknowledgement(operation: Operation | None) -> bool:
    """Whether the flow's newest operation is one that nobody ordered and no human has touched since."""
    return operation is not None and operation.records[-1].actor.startswith(AUTOMATIC)


def _tell_acknowledgement(operation: Operation | None) -> str:
    told = operation.id if operation is not None else "an operation"
    return f"{told} was begun unasked: a human has to act on this flow first"


def newest_operation(operations: Sequence[Operation], flow: str) -> Operation | None:
    """Return the flow's operation that was begun last, of operations in the order of the journals; None for none.

    One that a schedule began, and that nobody has touched since, is passed over: it tells of no human.
    """
    mine = [operation for operation in operations if operation.flow == flow]
    own = [operation for operation in mine if not operation.records[-1].actor.startswith(SCHEDULED)]
    return own[-1] if own else None
