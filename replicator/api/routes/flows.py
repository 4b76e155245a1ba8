"""Status, flows, lag, groups, snapshots: what the last overview says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from replicator.api.envelopes import item_response, items_response
from replicator.api.routes.serving import Here, Who, find_flow
from replicator.api.schema import (
    ActiveView,
    FlowLagView,
    FlowView,
    GroupView,
    HistoryView,
    ItemEnvelope,
    ItemsEnvelope,
    ScheduleView,
    SessionView,
    SnapshotView,
    StatusView,
)
from replicator.api.views import flow_view, group_views, lag_view
from replicator.errors import NotFound, UsageError
from replicator.model.forms.text import safe_text
from replicator.model.names import FlowName
from replicator.model.supervision.overview import GroupStatus, Overview

LIMIT_MAX = 2000
STATUS_SECONDS_MAX = 30.0
"""Which cluster is active is not told from a status older than this."""

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]

router = APIRouter(prefix="/v1", tags=["flows"])


@router.get("/session")
async def read_session(here: Here, who: Who) -> Response:
    """Who asks, and what may be asked for."""
    acts = here.acting.names if who.role.value == "operator" else ()
    return item_response("Session", SessionView(name=who.name, role=who.role.value, acts=acts))


@router.get("/status", responses={200: {"model": ItemEnvelope[StatusView]}})
async def read_status(here: Here) -> Response:
    """All flows, without their topics."""
    return item_response("Status", here.feed.view)


@router.get("/flows", responses={200: {"model": ItemsEnvelope[FlowView]}})
async def list_flows(here: Here) -> Response:
    """All flows."""
    return items_response("Flow", here.feed.view.flows)


@router.get("/flows/{flow}", responses={200: {"model": ItemEnvelope[FlowView]}})
async def read_flow(flow: str, here: Here) -> Response:
    """One flow."""
    overview = here.feed.overview
    return item_response("Flow", flow_view(find_flow(overview, flow), overview=overview))


@router.get("/flows/{flow}/active", responses={200: {"model": ItemEnvelope[ActiveView]}})
async def read_active(flow: str, here: Here, cluster: str | None = None) -> Response:
    """200 if `cluster` is the active one of the flow, 503 if it is not, or if nobody can say any more."""
    if cluster is None:
        raise UsageError("name the cluster to ask about", hint=f"GET /v1/flows/{safe_text(flow)}/active?cluster=NAME")
    overview = here.feed.overview
    status = find_flow(overview, flow)
    if cluster not in (status.source.cluster, status.target.cluster):
        raise NotFound(
            f"flow {status.flow} has no cluster {cluster[:80]!r}",
            hint=f"it has {status.source.cluster} and {status.target.cluster}",
        )
    age = (here.clock.now() - overview.status.computed_at).total_seconds()
    is_active = status.active == cluster and age <= STATUS_SECONDS_MAX
    view = ActiveView(flow=status.flow, active=status.active, cluster=cluster, is_active=is_active)
    return item_response("Active", view, status=200 if is_active else 503)


@router.get("/flows/{flow}/lag", responses={200: {"model": ItemEnvelope[FlowLagView]}})
async def read_lag(flow: str, here: Here, limit: Limit = 50, partitions: bool = False) -> Response:
    """A flow's lag by topic, those furthest behind first."""
    lag = find_flow(here.feed.overview, flow).lag
    return await run_in_threadpool(
        lambda: item_response("Lag", lag_view(lag, topics_max=limit, has_partitions=partitions))
    )


@router.get("/flows/{flow}/history", responses={200: {"model": ItemEnvelope[HistoryView]}})
async def read_history(
    flow: str, here: Here, window_seconds: Annotated[float, Query(ge=60, le=86_400)] = 3600
) -> Response:
    """A flow's lag over time."""
    name = find_flow(here.feed.overview, flow).flow
    found = here.feed.history.slice(name, window_seconds=window_seconds, now=here.clock.now())
    view = HistoryView(flow=name, window_seconds=window_seconds, step_seconds=found.step_seconds, points=found.points)
    return item_response("History", view)


@router.get("/groups", responses={200: {"model": ItemsEnvelope[GroupView]}})
async def list_groups(here: Here, flow: str | None = None, limit: Limit = LIMIT_MAX) -> Response:
    """Consumer groups of one flow, or of all."""
    groups = _groups_of(here.feed.overview, flow)
    return await run_in_threadpool(
        lambda: items_response("Group", group_views(groups[:limit], has_translations=False), total=len(groups))
    )


@router.get("/flows/{flow}/groups/{group:path}", responses={200: {"model": ItemEnvelope[GroupView]}})
async def read_group(flow: str, group: str, here: Here) -> Response:
    """One group with its translation of each partition."""
    found = next((one for one in _groups_of(here.feed.overview, flow) if one.group == group), None)
    if found is None:
        raise NotFound(f"flow {safe_text(flow)} has no group {group[:80]!r}", hint="`replicator group list` lists them")
    return item_response("Group", group_views([found], has_translations=True)[0])


def _groups_of(overview: Overview, flow: str | None) -> tuple[GroupStatus, ...]:
    if flow is not None:
        find_flow(overview, flow)
    if overview.groups is None:
        raise NotFound("this supervisor does not observe groups yet", hint="`replicator group list` reads them now")
    if flow is not None:
        return overview.groups.get(FlowName(flow), ())
    return tuple(group for groups in overview.groups.values() for group in groups)


@router.get("/snapshots", responses={200: {"model": ItemsEnvelope[SnapshotView]}})
async def list_snapshots(here: Here, limit: Limit = 200) -> Response:
    """The catalog, newest first, and the schedules."""
    overview = here.feed.overview
    if overview.snapshots is None:
        raise NotFound(
            "this supervisor has read no catalog of snapshots",
            hint="configure snapshots.store; where it is, `replicator snapshot list` says why not",
        )
    newest = sorted(overview.snapshots, key=lambda entry: entry.created_at, reverse=True)
    return items_response(
        "Snapshot", [SnapshotView.model_validate(entry) for entry in newest[:limit]], total=len(newest)
    )


@router.get("/schedules", responses={200: {"model": ItemsEnvelope[ScheduleView]}})
async def list_schedules(here: Here) -> Response:
    """The schedules with their next, last and missed runs."""
    schedules = here.feed.overview.schedules
    if schedules is None:
        raise NotFound("this supervisor runs no schedules", hint="configure snapshots.schedules")
    return items_response("Schedule", [ScheduleView.model_validate(schedule) for schedule in schedules])
