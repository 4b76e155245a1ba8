"""The shipped alerts that hold now, as this supervisor's own figures have it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from replicator.api.envelopes import items_response
from replicator.api.routes.serving import Here, Serving
from replicator.api.schema import AlertView, ItemsEnvelope
from replicator.errors import NotFound, Unreachable
from replicator.log import get_logger
from replicator.model.supervision.alerts import AlertStatus

LOOK_PERIOD_SECONDS = 5.0

router = APIRouter(prefix="/v1", tags=["alerts"])


@router.get("/alerts", responses={200: {"model": ItemsEnvelope[AlertView]}})
async def list_alerts(here: Here) -> Response:
    """Every alert that is pending or fires, the gravest first; what a Prometheus has silenced is not known here."""
    statuses = here.alerts.statuses
    if statuses is None:
        raise NotFound("the alerts were not looked at yet", hint="ask again in a moment")
    return items_response("Alert", [alert_view(status) for status in statuses])


def alert_view(status: AlertStatus) -> AlertView:
    """Return an alert as it travels."""
    return AlertView(
        name=status.name,
        severity=status.severity,
        state=status.state.value,
        labels=dict(status.labels),
        since=status.since,
        summary=status.summary,
        description=status.description,
    )


async def watch_alerts(serving: Serving, *, period_seconds: float = LOOK_PERIOD_SECONDS) -> None:
    """Look at the newest overview again and again until cancelled."""
    while True:
        try:
            overview = serving.feed.overview
            await asyncio.to_thread(serving.alerts.look, overview, now=serving.clock.now())
        except Unreachable:
            pass  # there is no overview yet: the next look may find one
        except Exception:  # noqa: BLE001 - the task outlives what one overview holds; it is logged whole
            get_logger(room="api").exception("alerts_not_looked_at")
        await asyncio.sleep(period_seconds)
