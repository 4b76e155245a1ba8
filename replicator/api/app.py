"""The application: routes behind the guard, errors as envelopes, one feed for all readers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from replicator import __version__
from replicator.api.access import AccessRules, Refusal
from replicator.api.acting import Act, Acting
from replicator.api.envelopes import error_response, refusal_response
from replicator.api.guard import REQUESTS_PER_SECOND, Guard
from replicator.api.live import Feed, OverviewSource
from replicator.api.routes import ROUTERS, Serving
from replicator.api.routes.alerts import watch_alerts
from replicator.clock import SYSTEM_CLOCK, Clock
from replicator.errors import ReplicatorError
from replicator.log import get_logger
from replicator.model.forms.text import safe_text
from replicator.model.names import OperationId
from replicator.supervisor.metrics import Granularity


def make_operation_id(act: str, at: datetime) -> OperationId:
    """Return an id that no other operation has."""
    return OperationId(f"{act}-{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")


def create_app(
    source: OverviewSource,
    *,
    rules: AccessRules | None = None,
    acts: Mapping[str, Act] | None = None,
    clock: Clock = SYSTEM_CLOCK,
    make_id: Callable[[str, datetime], OperationId] = make_operation_id,
    life: str | None = None,
    requests_per_second: float = REQUESTS_PER_SECOND,
    granularity: Granularity = Granularity.TOPIC,
) -> FastAPI:
    """Return the application over `source`.

    `rules` says who is let in (by default everybody on this machine, to read); `acts` what an operator may ask
    for. `life` begins the ids of events and differs from that of any other start. `granularity` is that of the metrics.
    """
    feed = Feed(source, life=life or secrets.token_hex(4), clock=clock)
    serving = Serving(
        feed=feed,
        acting=Acting(acts or {}, make_id=make_id, clock=clock),
        rules=rules or AccessRules(),
        clock=clock,
        granularity=granularity,
    )

    @contextlib.asynccontextmanager
    async def watching(_app: FastAPI) -> AsyncIterator[None]:
        tasks = (
            asyncio.create_task(feed.run(), name="api-feed"),
            asyncio.create_task(watch_alerts(serving), name="api-alerts"),
        )
        try:
            yield
        finally:
            feed.close()
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    app = FastAPI(
        title="replicator",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=watching,
    )
    app.state.serving = serving
    for router in ROUTERS:
        app.include_router(router)
    _answer_errors(app)
    app.add_middleware(
        Guard,
        rules=serving.rules,
        clock=clock,
        per_second=requests_per_second,
        note=serving.note_answer,
    )
    return app


def _answer_errors(app: FastAPI) -> None:
    log = get_logger(room="api")

    async def answer_ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ReplicatorError)  # noqa: S101 - registered for this class
        return error_response(error)

    async def answer_invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return refusal_response(Refusal(400, "usage", safe_text(told)[:500], "see /openapi.json"))

    async def answer_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        reason = "not_found" if error.status_code == 404 else "usage"
        return refusal_response(Refusal(error.status_code, reason, str(error.detail), "see /openapi.json"))

    async def answer_fault(request: Request, error: Exception) -> Response:
        log.error("request_crashed", path=request.url.path, exc_info=error)
        return refusal_response(
            Refusal(500, "internal", f"unexpected {type(error).__name__}", "see the supervisor's log")
        )

    app.add_exception_handler(ReplicatorError, answer_ours)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer_fault)
