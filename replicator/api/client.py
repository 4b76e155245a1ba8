"""A typed client of a supervisor's API, for the command line and the dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from replicator.api.schema import (
    ActRequest,
    AlertView,
    ErrorView,
    EventView,
    FlowLagView,
    FlowView,
    GroupView,
    HistoryView,
    MissedView,
    OperationView,
    RunbookView,
    ScheduleView,
    SessionView,
    SnapshotView,
    StatusView,
    Travelling,
)
from replicator.errors import AccessDenied, ConfigInvalid, DataCorrupt, ReplicatorError, Unreachable
from replicator.http import HttpClient, Response, ServerEvent, open_stream
from replicator.model.cluster import Secret
from replicator.settings.values import is_loopback

TIMEOUT_SECONDS = 5.0
IDLE_SECONDS = 20.0
"""The server says something every few seconds; a stream silent for longer is dead."""

V = TypeVar("V", bound=Travelling)

Told = StatusView | EventView | OperationView | MissedView
"""What a stream of events carries."""

_TOLD: Mapping[str, type[Travelling]] = {
    "status": StatusView,
    "event": EventView,
    "operation": OperationView,
    "missed": MissedView,
}


class ApiClient:
    """Asks one supervisor. A context manager; safe to share between threads.

    Every call raises Unreachable or DeadlineExceeded when nobody answers in time, AccessDenied when the token
    does not suffice, DataCorrupt when another program answers, and else the error the supervisor names.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Secret | None = None,
        ca_file: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Ask nothing yet.

        Raises:
            ConfigInvalid: the token would leave this machine in plain text, or `ca_file` cannot be read.
        """
        if token is not None:
            check_token_is_hidden(url)
        self.url = url.rstrip("/")
        self._token = token
        self._ca_file = ca_file
        self._http = HttpClient(self.url, timeout_seconds=timeout_seconds, token=token, ca_file=ca_file)

    def session(self) -> SessionView:
        """Return who we are there, and what we may ask for."""
        return self._item(SessionView, "/v1/session")

    def status(self) -> StatusView:
        """Return all flows."""
        return self._item(StatusView, "/v1/status")

    def flow(self, name: str) -> FlowView:
        """Return one flow. Raises NotFound."""
        return self._item(FlowView, f"/v1/flows/{_quoted(name)}")

    def lag(self, flow: str, *, limit: int = 50, has_partitions: bool = False) -> FlowLagView:
        """Return a flow's lag by topic, those furthest behind first. Raises NotFound."""
        params = {"limit": str(limit), "partitions": str(has_partitions).lower()}
        return self._item(FlowLagView, f"/v1/flows/{_quoted(flow)}/lag", params)

    def history(self, flow: str, *, window_seconds: float = 3600.0) -> HistoryView:
        """Return a flow's lag over time. Raises NotFound."""
        params = {"window_seconds": f"{window_seconds:g}"}
        return self._item(HistoryView, f"/v1/flows/{_quoted(flow)}/history", params)

    def is_active(self, flow: str, *, cluster: str) -> bool:
        """Whether the cluster is the flow's active one. Raises NotFound."""
        path = f"/v1/flows/{_quoted(flow)}/active"
        response = self._http.request("GET", path, params={"cluster": cluster})
        return response.status == 200 if response.status in (200, 503) else bool(_checked(response))

    def groups(self, flow: str | None = None) -> tuple[GroupView, ...]:
        """Return the groups of one flow, or of all. Raises NotFound when the supervisor observes none."""
        return self._items(GroupView, "/v1/groups", None if flow is None else {"flow": flow})

    def group(self, flow: str, group: str) -> GroupView:
        """Return one group with its translation of each partition. Raises NotFound."""
        return self._item(GroupView, f"/v1/flows/{_quoted(flow)}/groups/{_quoted(group)}")

    def operations(self, *, flow: str | None = None, limit: int = 50) -> tuple[OperationView, ...]:
        """Return operations, newest first."""
        params = {"limit": str(limit)} | ({} if flow is None else {"flow": flow})
        return self._items(OperationView, "/v1/operations", params)

    def operation(self, operation_id: str) -> OperationView:
        """Return one operation with its steps. Raises NotFound."""
        return self._item(OperationView, f"/v1/operations/{_quoted(operation_id)}")

    def snapshots(self, *, limit: int = 200) -> tuple[SnapshotView, ...]:
        """Return the catalog, newest first. Raises NotFound when there is none."""
        return self._items(SnapshotView, "/v1/snapshots", {"limit": str(limit)})

    def schedules(self) -> tuple[ScheduleView, ...]:
        """Return the schedules. Raises NotFound when none run."""
        return self._items(ScheduleView, "/v1/schedules")

    def runbooks(self) -> tuple[RunbookView, ...]:
        """Return the steps of every kind of operation."""
        return self._items(RunbookView, "/v1/runbooks")

    def alerts(self) -> tuple[AlertView, ...]:
        """Return the alerts that are pending or fire, the gravest first. Raises NotFound before the first look."""
        return self._items(AlertView, "/v1/alerts")

    def events(self, *, limit: int = 200) -> tuple[EventView, ...]:
        """Return the newest events, oldest first."""
        return self._items(EventView, "/v1/events", {"limit": str(limit)})

    def begin(self, act: str, *, flow: str, request: ActRequest) -> OperationView:
        """Ask for an act and return the operation that stands for it. Never asked twice: see idempotency_key."""
        body = request.model_dump(mode="json", exclude_none=True)
        response = self._ask("POST", f"/v1/flows/{_quoted(flow)}/{_quoted(act)}", json_body=body)
        return _parse(OperationView, _checked(response).get("item"), response.url)

    @contextmanager
    def follow(self, *, last_event_id: str = "", idle_seconds: float = IDLE_SECONDS) -> Iterator[Iterator[Told]]:
        """Yield what the supervisor tells from now on, and first what followed `last_event_id`.

        It ends by raising Unreachable, or when the reader has enough; kinds we do not know are left out.
        """
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        with open_stream(
            f"{self.url}/v1/events",
            idle_seconds=idle_seconds,
            token=self._token,
            ca_file=self._ca_file,
            headers=headers,
        ) as events:
            yield self._told(events)

    def _told(self, events: Iterator[ServerEvent]) -> Iterator[Told]:
        for event in events:
            if event.kind in _TOLD:
                yield parse_told(event.kind, event.data)
        raise Unreachable(f"{self.url}: the supervisor ended the stream", hint="it may be stopping")

    def _item(self, kind: type[V], path: str, params: Mapping[str, str] | None = None) -> V:
        response = self._ask("GET", path, params=params)
        return _parse(kind, _checked(response).get("item"), response.url)

    def _items(self, kind: type[V], path: str, params: Mapping[str, str] | None = None) -> tuple[V, ...]:
        response = self._ask("GET", path, params=params)
        items = _checked(response).get("items")
        if not isinstance(items, list):
            raise DataCorrupt(f"{response.url}: the answer holds no items")
        return tuple(_parse(kind, item, response.url) for item in items)

    def _ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json_body: Any = None
    ) -> Response:
        try:
            return self._http.request(method, path, params=params, json=json_body)
        except AccessDenied as error:
            raise AccessDenied(
                f"{method} {self.url}{path}: the supervisor refuses us: {error.message.partition(': status ')[2][:3]}",
                hint="name a token: --token env:NAME or file:PATH; acting needs the role operator",
            ) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_token_is_hidden(url: str) -> None:
    """Return only if nobody on the way can read a token that is sent to `url`.

    Raises:
        ConfigInvalid: it is plain HTTP to another machine.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as exc:
        raise ConfigInvalid(f"{url}: not a URL: {exc}") from exc
    if parts.scheme != "https" and not is_loopback(host):
        raise ConfigInvalid(
            f"{url}: the token would travel in plain text", hint="use https://; the API serves it with a certificate"
        )


def parse_told(kind: str, data: str) -> Told:
    """Return what one event of the stream carries.

    Raises:
        DataCorrupt: it is not what its kind says.
    """
    try:
        told = _TOLD[kind].model_validate_json(data)
    except ValidationError as exc:
        raise DataCorrupt(f"an event of kind {kind} is not what it says: {_first(exc)}") from exc
    assert isinstance(told, Told)  # noqa: S101 - the table holds these four
    return told


def _parse(kind: type[V], plain: object, url: str) -> V:
    try:
        return kind.model_validate(plain)
    except ValidationError as exc:
        raise DataCorrupt(
            f"{url}: the answer is no {kind.__name__}: {_first(exc)}", hint="does another program answer there?"
        ) from exc


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _checked(response: Response) -> dict[str, Any]:
    """Return the answer's object, or raise the error it carries."""
    plain = response.json()
    if not isinstance(plain, dict):
        raise DataCorrupt(f"{response.url}: the answer is no object")
    if response.is_success:
        return plain
    raise _to_error(plain, response)


def _to_error(plain: dict[str, Any], response: Response) -> ReplicatorError:
    try:
        told = ErrorView.model_validate(plain)
    except ValidationError:
        return Unreachable(f"{response.url}: status {response.status}")
    kind = next((kind for kind in _all_errors(ReplicatorError) if kind.code == told.reason), ReplicatorError)
    return kind(told.message, detail=told.detail, hint=told.hint, operation_id=told.operation_id)


def _all_errors(kind: type[ReplicatorError]) -> Iterator[type[ReplicatorError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all_errors(below)


def _quoted(name: str) -> str:
    return quote(name, safe="")
