"""What happened, as a list or as a stream that can be resumed.

A stream carries: `event` (one fact, with its id), `missed` (some facts are gone), `status` (the newest status
whenever it changed) and `operation` (one that changed). Only facts have ids: a reader that comes back with its
last one gets what followed, and the newest of the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from replicator.api.access import Refusal
from replicator.api.envelopes import dump, items_response, refusal_response
from replicator.api.live import Reading, StoredEvent
from replicator.api.routes.operations import list_known
from replicator.api.routes.serving import Here, Serving
from replicator.api.schema import EventView, ItemsEnvelope, MissedView, OperationView, Travelling
from replicator.model.forms.plain import to_json

READERS_MAX = 64
PING_SECONDS = 5.0
SHUTDOWN_SECONDS_MAX = 0.5
RETRY_MILLISECONDS = 1000
BACKLOG = 200
OPERATIONS_MAX = 20

router = APIRouter(prefix="/v1", tags=["events"])


@router.get("/events", responses={200: {"model": ItemsEnvelope[EventView]}})
async def read_events(
    here: Here,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str | None, Header()] = None,
    limit: Annotated[int, Query(ge=0, le=2000)] = BACKLOG,
) -> Response:
    """The newest `limit` facts; as a stream, with all that follows, when asked for text/event-stream."""
    if "text/event-stream" not in accept:
        return items_response("Event", [event_view(stored) for stored in here.feed.ring.newest(limit)])
    if here.readers >= READERS_MAX:
        return refusal_response(Refusal(503, "limit.exceeded", f"{here.readers} readers follow the events already"))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = follow(here, last_event_id=last_event_id, backlog=limit)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def event_view(stored: StoredEvent) -> EventView:
    """Return an event as it travels."""
    event = stored.event
    return EventView(
        id=stored.id,
        at=event.at,
        kind=event.kind,
        severity=event.severity.value,
        text=event.text,
        flow=event.flow,
        cluster=event.cluster,
        operation_id=event.operation_id,
    )


async def follow(here: Serving, *, last_event_id: str | None, backlog: int) -> AsyncIterator[bytes]:
    """Yield what is new, as one piece, until the server closes or the reader goes.

    A slow reader skips statuses, never facts it was not told of. One piece, because in a busy supervisor every
    write waits for its turn: two hundred facts written one by one would hold the first status up for a second.
    """
    here.readers += 1
    try:
        feed = here.feed
        _ = feed.overview
        reader = Reader(here, last_event_id=last_event_id, backlog=backlog)
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        idle_seconds = 0.0
        while not feed.is_closing:
            version = feed.version
            news = b"".join(reader.frames())
            if news:
                yield news
            idle_seconds = 0.0 if news else idle_seconds + SHUTDOWN_SECONDS_MAX
            if idle_seconds >= PING_SECONDS:
                yield KEEPALIVE_COMMENT
                idle_seconds = 0.0
            await feed.wait_changed(version, timeout_seconds=SHUTDOWN_SECONDS_MAX)
    finally:
        here.readers -= 1


class Reader:
    """One reader's place: the last fact, status and operations it was told of."""

    def __init__(self, here: Serving, *, last_event_id: str | None, backlog: int) -> None:
        self._here = here
        self._first: Reading | None = here.feed.ring.resume(last_event_id)
        if not last_event_id or self._first.missed is None:
            self._first = Reading(
                self._first.events[-backlog:] if backlog else (), self._first.missed, self._first.reason
            )
        self._number = here.feed.ring.last_number
        self._version: int | None = None
        self._told: dict[str, OperationView] = {}

    def frames(self) -> Iterator[bytes]:
        """Yield what is new since the last call."""
        feed = self._here.feed
        reading, self._first = self._first or feed.ring.after(self._number), None
        self._number = feed.ring.last_number
        if reading.reason is not None:
            yield frame("missed", MissedView(reason=reading.reason, count=reading.missed))
        for stored in reading.events:
            yield frame("event", event_view(stored), id_=stored.id)
        if self._version != feed.version:
            self._version = feed.version
            yield frame("status", feed.view)
        yield from self._operations()

    def _operations(self) -> Iterator[bytes]:
        newest = list_known(self._here.feed.overview, self._here.acting)[-OPERATIONS_MAX:]
        for operation in newest:
            if self._told.get(operation.id) != operation:
                yield frame("operation", operation)
        self._told = {operation.id: operation for operation in newest}


def frame(event: str, view: Travelling, *, id_: str | None = None) -> bytes:
    """Return one frame of the stream; its data is one line of ASCII."""
    return format_sse_event(data_str=to_json(dump(view)), event=event, id=id_)
