"""Recordings: everything that was told, a line each, with the second it came. Played back they make the same pictures.

One JSON object a line: `{"at": seconds, "kind": …, "value": …}`. Good for a look at an incident afterwards, and
for tests and pictures that are the same every time.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from replicator.api.client import parse_told
from replicator.api.schema import (
    ActRequest,
    AlertView,
    FlowLagView,
    GroupView,
    HistoryView,
    OperationView,
    RunbookView,
    ScheduleView,
    SessionView,
    SnapshotView,
    Travelling,
)
from replicator.clock import SYSTEM_CLOCK, Clock
from replicator.errors import AccessDenied, DataCorrupt, NotFound
from replicator.model.forms.plain import to_json
from tui.picture import Contact, Part, Picture, with_contact, with_part, with_told

LINES_MAX = 500_000

_PART_KINDS: dict[str, type[Travelling]] = {
    "group": GroupView,
    "groups": GroupView,
    "lag": FlowLagView,
    "history": HistoryView,
    "snapshots": SnapshotView,
    "schedules": ScheduleView,
    "alerts": AlertView,
    "runbooks": RunbookView,
}
_TOLD_KINDS = ("status", "event", "operation", "missed")


class Recorder:
    """Writes what changes between two pictures. Stops writing at a bound, so that no disk fills."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began_at: float | None = None
        self._lines = 0

    @classmethod
    def open(cls, path: Path) -> Recorder:
        """Return a recorder that writes a new file.

        Raises:
            NotFound: it cannot be written.
        """
        try:
            return cls(path.open("x", encoding="utf-8"))
        except OSError as exc:
            raise NotFound(
                f"{path}: cannot be written: {exc.strerror}", hint="name a file that does not exist"
            ) from exc

    def note(self, before: Picture, after: Picture, *, at: float) -> None:
        """Write what `after` knows and `before` did not."""
        began = at if self._began_at is None else self._began_at
        self._began_at = began
        for kind, value in find_news(before, after):
            if self._lines < LINES_MAX:
                self._stream.write(to_json({"at": round(at - began, 3), "kind": kind, "value": value}) + "\n")
                self._lines += 1
        self._stream.flush()

    def close(self) -> None:
        """Leave the file whole."""
        if isinstance(self._stream, TextIOWrapper):
            self._stream.close()


def find_news(before: Picture, after: Picture) -> Iterator[tuple[str, Any]]:
    """Yield the kind and plain value of everything that is new in a picture."""
    if before.contact is not after.contact:
        yield "contact", {"contact": after.contact.value, "reason": after.contact_reason}
    if after.session is not None and before.session != after.session:
        yield "session", _plain(after.session)
    if after.status is not None and before.status is not after.status:
        yield "status", _plain(after.status)
    known = {event.id for event in before.events}
    yield from (("event", _plain(event)) for event in after.events if event.id not in known)
    for operation in after.operations.values():
        if before.operations.get(operation.id) != operation:
            yield "operation", _plain(operation)
    yield from (("missed", _plain(missed)) for missed in after.missed[len(before.missed) :])
    for key, part in after.parts.items():
        if before.parts.get(key) != part:
            yield "part", {"key": key, "refusal": part.refusal, "value": _plain(part.value)}


def _plain(value: object) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, Travelling) else value


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a recording."""

    at: float
    kind: str
    value: Any


def read_recording(path: Path) -> tuple[Moment, ...]:
    """Return the moments of a recording, in order.

    Raises:
        NotFound: there is no such file. DataCorrupt: a line is none of a recording.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            return tuple(_read_lines(lines, name=str(path)))
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise DataCorrupt(f"{path}: is no recording: it is no whole gzip file") from exc
    except OSError as exc:
        raise NotFound(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DataCorrupt(f"{path}: is no recording: it is no UTF-8 text") from exc


def _read_lines(lines: Iterable[str], *, name: str) -> Iterator[Moment]:
    for number, line in enumerate(lines, start=1):
        if number > LINES_MAX:
            raise DataCorrupt(f"{name}: more than {LINES_MAX} lines")
        try:
            plain = json.loads(line)
            yield Moment(float(plain["at"]), str(plain["kind"]), plain["value"])
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise DataCorrupt(f"{name}:{number}: no line of a recording") from exc


def apply_moment(picture: Picture, moment: Moment) -> Picture:
    """Return the picture after one moment.

    Raises:
        DataCorrupt: its value is not what its kind says.
    """
    if moment.kind in _TOLD_KINDS:
        told = parse_told(moment.kind, json.dumps(moment.value))
        return replace(with_told(picture, told, now=moment.at), contact=picture.contact)
    try:
        return _apply_rest(picture, moment)
    except (ValidationError, ValueError, KeyError, TypeError) as exc:
        raise DataCorrupt(f"second {moment.at:g} of the recording: {moment.kind} is not what it says") from exc


def _apply_rest(picture: Picture, moment: Moment) -> Picture:
    match moment.kind:
        case "contact":
            contact = Contact(moment.value["contact"])
            return with_contact(picture, contact, now=moment.at, reason=moment.value.get("reason"))
        case "session":
            return replace(picture, session=SessionView.model_validate(moment.value))
        case "part":
            return with_part(picture, str(moment.value["key"]), _to_part(moment))
        case _:
            return picture


def _to_part(moment: Moment) -> Part:
    plain, refusal = moment.value["value"], moment.value.get("refusal")
    kind = _PART_KINDS[str(moment.value["key"]).partition(":")[0]]
    if plain is None:
        return Part(refusal=refusal)
    value = tuple(map(kind.model_validate, plain)) if isinstance(plain, list) else kind.model_validate(plain)
    return Part(value, moment.at, refusal)


class ReplayFeed:
    """Plays a recording at its own pace, from `started_at` seconds on; it stands still at its end."""

    def __init__(
        self,
        moments: Iterable[Moment],
        *,
        name: str = "recording",
        from_seconds: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._moments = sorted(moments, key=lambda moment: moment.at)
        self._name = name
        self._clock = clock
        self._from_seconds = from_seconds
        self._began_at = clock.monotonic()
        self._next = 0
        self._picture = Picture(contact=Contact.CONNECTED)

    @property
    def picture(self) -> Picture:
        """The picture of this second of the recording."""
        now = self.now()
        while self._next < len(self._moments) and self._moments[self._next].at <= now:
            self._picture = apply_moment(self._picture, self._moments[self._next])
            self._next += 1
        return self._picture

    @property
    def where(self) -> str:
        """Which recording."""
        return f"replay of {self._name}"

    def now(self) -> float:
        """Return the second of the recording; its end is never passed."""
        last = self._moments[-1].at if self._moments else 0.0
        return min(last, self._from_seconds + self._clock.monotonic() - self._began_at)

    def start(self) -> None:
        """Begin at the chosen second."""
        self._began_at = self._clock.monotonic()

    def close(self) -> None:
        """Nothing is open."""

    def want(self, parts: Iterable[str]) -> None:
        """A recording holds what was recorded."""

    def refresh(self) -> None:
        """A recording has nothing newer."""

    def begin(self, act: str, *, flow: str, request: ActRequest) -> OperationView:  # noqa: ARG002 - a feed's signature
        """Refuse: nothing can be done in a recording.

        Raises:
            AccessDenied: always.
        """
        raise AccessDenied(f"{act} of {flow}: this is a recording, nothing can be done in it")
