"""The last events, numbered. A reader names the last it has seen and gets the rest, or is told what it missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.model.supervision.events import Event

EVENTS_MAX = 2000


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its id: `<life>-<number>`."""

    id: str
    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class Reading:
    """What follows a reader's last event. `missed` counts those that are gone; None: nobody knows how many.

    `reason` says why, and is None when nothing was missed.
    """

    events: tuple[StoredEvent, ...]
    missed: int | None = 0
    reason: str | None = None


class EventRing:
    """Keeps the newest events of one life of the supervisor. One thread at a time."""

    def __init__(self, life: str, *, events_max: int = EVENTS_MAX) -> None:
        self.life = life
        self._events: deque[StoredEvent] = deque(maxlen=events_max)
        self._next = 1

    @property
    def last_number(self) -> int:
        """Number of the newest event; 0 before the first."""
        return self._next - 1

    def add(self, events: Iterable[Event]) -> None:
        """Number the events and keep them; the oldest go when there are too many."""
        for event in events:
            self._events.append(StoredEvent(f"{self.life}-{self._next}", self._next, event))
            self._next += 1

    def newest(self, count: int) -> tuple[StoredEvent, ...]:
        """Return the newest events, oldest first."""
        return tuple(self._events)[-count:] if count > 0 else ()

    def after(self, number: int) -> Reading:
        """Return what followed the event of this number."""
        kept = tuple(stored for stored in self._events if stored.number > number)
        oldest = self._events[0].number if self._events else self._next
        missed = max(0, oldest - number - 1)
        return Reading(kept, missed, f"only the last {len(self._events)} events are kept" if missed else None)

    def resume(self, last_event_id: str | None) -> Reading:
        """Return what follows the id a reader saw last; a new reader, and one from another life, gets all kept."""
        if not last_event_id:
            return Reading(tuple(self._events))
        number = self._number_of(last_event_id)
        if number is None:
            return Reading(tuple(self._events), None, "the supervisor was started again, or is another")
        return self.after(number)

    def _number_of(self, event_id: str) -> int | None:
        life, _, digits = event_id.rpartition("-")
        if life != self.life or not digits.isascii() or not digits.isdigit() or len(digits) > 15:
            return None
        number = int(digits)
        return number if number < self._next else None
