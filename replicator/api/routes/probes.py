"""Is it alive, is it ready, and its metrics. None of them asks whether Kafka answers: an outage must not
restart the supervisor that handles it."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from replicator.api.envelopes import plain_response
from replicator.api.routes.serving import Here
from replicator.model.supervision.overview import Overview
from replicator.supervisor.metrics import CONTENT_TYPE, render_metrics

STATUS_SECONDS_MAX = 10.0
"""A status is computed every second; one this old means that the supervisor stands still."""

router = APIRouter(tags=["probes"])


@router.get("/livez")
async def read_livez(here: Here) -> Response:
    """200 while a status was computed within the last 10 seconds."""
    return _answer(_why_not_alive(here))


@router.get("/readyz")
async def read_readyz(here: Here) -> Response:
    """200 once every loop has run, whatever it met."""
    return _answer(_why_not_alive(here) or _why_not_ready(here.feed.overview))


def _why_not_alive(here: Here) -> str | None:
    age = (here.clock.now() - here.feed.overview.status.computed_at).total_seconds()
    return f"the last status is {age:.0f} s old" if age > STATUS_SECONDS_MAX else None


def _why_not_ready(overview: Overview) -> str | None:
    waiting = [collector.name for collector in overview.status.collectors if collector.steps_total == 0]
    return f"{len(waiting)} loops have not run yet, the first is {waiting[0]}" if waiting else None


def _answer(why_not: str | None) -> Response:
    return plain_response({"is_ok": why_not is None, "reason": why_not}, status=503 if why_not else 200)


@router.get("/metrics")
async def read_metrics(here: Here) -> Response:
    """The last overview as Prometheus text."""
    overview = here.feed.overview
    text = await run_in_threadpool(render_metrics, overview, answers=dict(here.answers), granularity=here.granularity)
    return Response(text, media_type=CONTENT_TYPE)
