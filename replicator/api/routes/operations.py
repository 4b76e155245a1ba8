"""Operations: those the journal tells of, and the acts that are asked for here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from replicator.api.acting import Acting
from replicator.api.envelopes import item_response, items_response
from replicator.api.routes.flows import Limit
from replicator.api.routes.serving import Here, Who, find_flow
from replicator.api.runbooks import operation_view, runbook_views
from replicator.api.schema import ActRequest, ItemEnvelope, ItemsEnvelope, OperationView, RunbookView
from replicator.errors import NotFound
from replicator.model.forms.text import safe_text
from replicator.model.supervision.overview import Overview

NOTHING_SAID = ActRequest()
"""A moderate act needs no body."""

router = APIRouter(prefix="/v1", tags=["operations"])


def list_known(overview: Overview, acting: Acting) -> list[OperationView]:
    """Return every operation, oldest first; where the journal knows an act, its word counts."""
    journaled = {operation.id: operation_view(operation) for operation in overview.operations or ()}
    begun = {operation.id: operation for operation in acting.operations()}
    return sorted((begun | journaled).values(), key=lambda operation: operation.started_at)


@router.get("/operations", responses={200: {"model": ItemsEnvelope[OperationView]}})
async def list_operations(here: Here, flow: str | None = None, limit: Limit = 50) -> Response:
    """Operations, newest first."""
    known = [one for one in list_known(here.feed.overview, here.acting) if flow in (None, one.flow)]
    return items_response("Operation", known[::-1][:limit], total=len(known))


@router.get("/operations/{operation_id}", responses={200: {"model": ItemEnvelope[OperationView]}})
async def read_operation(operation_id: str, here: Here) -> Response:
    """One operation with its steps."""
    known = list_known(here.feed.overview, here.acting)
    found = next((operation for operation in known if operation.id == operation_id), None)
    if found is None:
        raise NotFound(f"there is no operation {safe_text(operation_id[:80])}", hint="`replicator op list` lists them")
    return item_response("Operation", found)


@router.get("/runbooks", responses={200: {"model": ItemsEnvelope[RunbookView]}})
async def list_runbooks() -> Response:
    """The steps of every kind of operation, before one is asked for."""
    return items_response("Runbook", runbook_views())


@router.post("/flows/{flow}/{act}", status_code=202, responses={202: {"model": ItemEnvelope[OperationView]}})
async def begin_act(
    flow: str, act: str, here: Here, who: Who, request: Annotated[ActRequest, Body()] = NOTHING_SAID
) -> Response:
    """Begin an act on a flow and answer the operation that stands for it; its end is asked for by its id."""
    status = find_flow(here.feed.overview, flow)
    chosen = here.acting.require(act, flow=status.flow, confirm=request.confirm)
    begun = here.acting.begin(
        chosen,
        flow=status.flow,
        clusters=(status.source.cluster, status.target.cluster),
        actor=f"api:{who.name}",
        reason=request.reason,
        accept=request.accept,
        restore=request.restore,
        key=request.idempotency_key,
    )
    return item_response("Operation", begun, status=202)
