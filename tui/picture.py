"""All the dashboard knows at one moment: what was told last, when, and how contact stands. Frozen; None is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from replicator.api.schema import (
    AlertView,
    EventView,
    FlowLagView,
    GroupView,
    HistoryView,
    MissedView,
    OperationView,
    RunbookView,
    ScheduleView,
    SessionView,
    SnapshotView,
    StatusView,
)

EVENTS_MAX = 500
OPERATIONS_MAX = 50


class Contact(StrEnum):
    """How contact to the supervisor stands. DENIED is not tried again by itself."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    DENIED = "denied"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is asked for while it is looked at: what came, or why nothing did. Times are monotonic seconds."""

    value: object = None
    received_at: float | None = None
    refusal: str | None = None

    def of(self, kind: type[T]) -> T | None:
        """Return the value if it is of this kind."""
        return self.value if isinstance(self.value, kind) else None


NOTHING = Part()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything known. `received_at` is when the status came, on the monotonic clock."""

    contact: Contact = Contact.CONNECTING
    contact_since: float = 0.0
    contact_reason: str | None = None
    status: StatusView | None = None
    received_at: float | None = None
    session: SessionView | None = None
    events: tuple[EventView, ...] = ()
    missed: tuple[MissedView, ...] = ()
    operations: Mapping[str, OperationView] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)

    def age_seconds(self, now: float) -> float | None:
        """Return how old the status is; None when there is none."""
        return None if self.received_at is None else max(0.0, now - self.received_at)

    def part(self, key: str) -> Part:
        """Return a part; one that never came is empty."""
        return self.parts.get(key, NOTHING)

    def groups(self, flow: str) -> tuple[GroupView, ...] | None:
        """Return a flow's groups, None while unknown."""
        return _many(self.part(f"groups:{flow}"), GroupView)

    def snapshots(self) -> tuple[SnapshotView, ...] | None:
        """Return the catalog, None while unknown."""
        return _many(self.part("snapshots"), SnapshotView)

    def schedules(self) -> tuple[ScheduleView, ...] | None:
        """Return the schedules, None while unknown."""
        return _many(self.part("schedules"), ScheduleView)

    def alerts(self) -> tuple[AlertView, ...] | None:
        """Return the alerts that hold, None while unknown."""
        return _many(self.part("alerts"), AlertView)

    def runbook(self, kind: str) -> RunbookView | None:
        """Return the steps of a kind of operation, None while unknown."""
        known = _many(self.part("runbooks"), RunbookView) or ()
        return next((one for one in known if one.kind == kind), None)

    def lag(self, flow: str) -> FlowLagView | None:
        """Return a flow's lag by topic, None while unknown."""
        return self.part(f"lag:{flow}").of(FlowLagView)

    def history(self, flow: str, window_seconds: float) -> HistoryView | None:
        """Return a flow's lag over time, None while unknown."""
        return self.part(f"history:{flow}:{window_seconds:g}").of(HistoryView)

    def newest_operation(self, flow: str | None = None) -> OperationView | None:
        """Return the operation to look at: the newest that runs or stands still, else the newest."""
        found = [one for one in self.operations.values() if flow in (None, one.flow)]
        open_ones = [one for one in found if one.ended_at is None]
        return max(open_ones or found, key=lambda one: one.started_at, default=None)


def _many(part: Part, kind: type[T]) -> tuple[T, ...] | None:
    value = part.of(tuple)
    return None if value is None else tuple(one for one in value if isinstance(one, kind))


def with_contact(picture: Picture, contact: Contact, *, now: float, reason: str | None = None) -> Picture:
    """Return the picture with contact standing so; its beginning is kept while it does not change."""
    since = picture.contact_since if picture.contact is contact else now
    return replace(picture, contact=contact, contact_since=since, contact_reason=reason)


def with_told(picture: Picture, told: StatusView | EventView | OperationView | MissedView, *, now: float) -> Picture:
    """Return the picture with one thing more known; contact stands."""
    picture = with_contact(picture, Contact.CONNECTED, now=now)
    match told:
        case StatusView():
            return replace(picture, status=told, received_at=now)
        case EventView():
            if any(event.id == told.id for event in picture.events):
                return picture
            return replace(picture, events=(*picture.events, told)[-EVENTS_MAX:])
        case OperationView():
            others = {id_: one for id_, one in picture.operations.items() if id_ != told.id}
            kept = [*others.values(), told][-OPERATIONS_MAX:]
            return replace(picture, operations={one.id: one for one in kept})
        case MissedView():
            return replace(picture, missed=(*picture.missed, told)[-10:])


def with_part(picture: Picture, key: str, part: Part) -> Picture:
    """Return the picture with a part replaced. A refusal keeps the last value: it is old, not gone."""
    if part.value is None:
        before = picture.part(key)
        part = replace(part, value=before.value, received_at=before.received_at)
    return replace(picture, parts={**picture.parts, key: part})
