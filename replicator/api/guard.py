"""What every request passes first: host, origin, token, rate and size. Nothing behind it sees what was refused."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from replicator.api.access import AccessRules, Caller, Refusal, admit
from replicator.api.envelopes import refusal_response
from replicator.clock import SYSTEM_CLOCK, Clock

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX = 64 * 1024
BODY_SECONDS_MAX = 10.0
REQUESTS_PER_SECOND = 100.0
CALLERS_MAX = 1024
_METHODS = frozenset({"GET", "HEAD", "POST"})
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


@dataclass(slots=True)
class Bucket:
    """What one caller may still ask now, and when that was true."""

    left: float
    at: float


class RateLimit:
    """Lets each caller ask so often in a second, with as many at once. Remembers a bounded number of callers."""

    def __init__(self, *, per_second: float = REQUESTS_PER_SECOND, clock: Clock = SYSTEM_CLOCK) -> None:
        self._per_second = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def takes(self, caller: str) -> bool:
        """Whether the caller may ask once more; if so, that was counted."""
        now = self._clock.monotonic()
        bucket = self._buckets.pop(caller, None) or Bucket(self._per_second, now)
        bucket.left = min(self._per_second, bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        self._buckets[caller] = bucket
        if len(self._buckets) > CALLERS_MAX:
            self._buckets.popitem(last=False)
        if bucket.left < 1.0:
            return False
        bucket.left -= 1.0
        return True


class Guard:
    """Stands before the application. `scope["state"]["caller"]` says who asks; a body arrives whole or not at all."""

    def __init__(
        self,
        app: App,
        *,
        rules: AccessRules,
        clock: Clock = SYSTEM_CLOCK,
        per_second: float = REQUESTS_PER_SECOND,
        note: Callable[[Scope, int], None] = lambda _scope, _status: None,
    ) -> None:
        self._app = app
        self._rules = rules
        self._rate = RateLimit(per_second=per_second, clock=clock)
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        told = self._telling(scope, send)
        refusal, body = await self._admit(scope, receive)
        if refusal is not None:
            await refusal_response(refusal)(scope, receive, told)
        elif body is None:
            await self._app(scope, receive, told)
        else:
            await self._app(scope, _once(body, receive), told)

    async def _admit(self, scope: Scope, receive: Receive) -> tuple[Refusal | None, bytes | None]:
        if scope["method"] not in _METHODS:
            return Refusal(405, "method.refused", f"the method {scope['method'][:20]} is not served"), None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        caller = admit(self._rules, method=scope["method"], path=scope["path"], headers=headers)
        peer = scope["client"][0] if scope.get("client") else "unknown"
        if not self._rate.takes(f"{caller.name}@{peer}" if isinstance(caller, Caller) else peer):
            return Refusal(429, "rate.exceeded", f"more than {REQUESTS_PER_SECOND:g} requests a second"), None
        if isinstance(caller, Refusal):
            return caller, None
        scope.setdefault("state", {})["caller"] = caller
        return await _read_body(headers, receive) if scope["method"] == "POST" else (None, None)

    def _telling(self, scope: Scope, send: Send) -> Send:
        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"])
                message = {**message, "headers": [*message.get("headers", []), *_SECURITY_HEADERS]}
            await send(message)

        return telling


async def _read_body(headers: dict[str, str], receive: Receive) -> tuple[Refusal | None, bytes | None]:
    """Return the whole body of a POST, proven to be JSON of a sane depth, or why it is refused."""
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > BODY_BYTES_MAX:
        return _too_large(), None
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return Refusal(400, "body.cut", "the body broke off"), None
                body += message.get("body", b"")
                if len(body) > BODY_BYTES_MAX:
                    return _too_large(), None
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        return Refusal(408, "body.late", f"the body took longer than {BODY_SECONDS_MAX:g} seconds"), None
    if body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "body.invalid", "the body is not sent as JSON", "send Content-Type: application/json"), None
    return _check_json(bytes(body))


def _too_large() -> Refusal:
    return Refusal(413, "body.too_large", f"the body exceeds {BODY_BYTES_MAX} bytes")


def _check_json(body: bytes) -> tuple[Refusal | None, bytes | None]:
    if not body:
        return None, b""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(400, "body.invalid", "the body is no JSON"), None
    if not isinstance(parsed, dict):
        return Refusal(400, "body.invalid", "the body is no JSON object"), None
    return None, body


def _once(body: bytes, receive: Receive) -> Receive:
    is_given = False

    async def receiving() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
