"""What every route stands on: the feed, the acts, who asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from replicator.api.access import AccessRules, Caller
from replicator.api.acting import Acting
from replicator.api.live import Feed
from replicator.clock import Clock
from replicator.errors import NotFound
from replicator.model.supervision.overview import Overview
from replicator.model.supervision.status import FlowStatus
from replicator.supervisor.metrics import Granularity
from replicator.supervisor.metrics.firing import AlertWatch


@dataclass(slots=True, kw_only=True)
class Serving:
    """One server's things. `answers` are counted by route and HTTP status, `readers` follow the events now."""

    feed: Feed
    acting: Acting
    rules: AccessRules
    clock: Clock
    alerts: AlertWatch = field(default_factory=AlertWatch)
    granularity: Granularity = Granularity.TOPIC
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    readers: int = 0

    def note_answer(self, scope: Scope, status: int) -> None:
        """Count an answer by its route as it is declared; what no route took is `other`: paths are anybody's words."""
        self.answers[(getattr(scope.get("route"), "path", "other"), status)] += 1


def serving_of(request: Request) -> Serving:
    """Return the server's things."""
    serving: Serving = request.app.state.serving
    return serving


def caller_of(request: Request) -> Caller:
    """Return who asks; the guard has let it in."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def find_flow(overview: Overview, name: str) -> FlowStatus:
    """Return a flow's status.

    Raises:
        NotFound: there is none of this name.
    """
    flow = overview.status.flow(name)
    if flow is None:
        known = ", ".join(flow.flow for flow in overview.status.flows) or "none"
        raise NotFound(f"there is no flow {name[:80]!r}", hint=f"known: {known}")
    return flow


Here = Annotated[Serving, Depends(serving_of)]
Who = Annotated[Caller, Depends(caller_of)]
