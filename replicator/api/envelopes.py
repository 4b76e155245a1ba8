"""Answers as bytes: the JSON envelope around views, and errors in the same form."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Response

from replicator.api.access import Refusal
from replicator.api.schema import API_VERSION, ErrorView, Travelling
from replicator.errors import (
    AccessDenied,
    ConfirmationMissing,
    DeadlineExceeded,
    LimitExceeded,
    LockHeld,
    NotFound,
    PreflightBlocked,
    ReplicatorError,
    Unreachable,
    UsageError,
)
from replicator.model.forms.plain import to_json

NOT_STORED = {"Cache-Control": "no-store"}

_STATUS_OF: tuple[tuple[type[ReplicatorError], int], ...] = (
    (NotFound, 404),
    (UsageError, 400),
    (ConfirmationMissing, 409),
    (LockHeld, 409),
    (PreflightBlocked, 409),
    (LimitExceeded, 409),
    (AccessDenied, 403),
    (DeadlineExceeded, 504),
    (Unreachable, 503),
)
_CODE_OF_STATUS = {400: 2, 401: 12, 403: 12, 404: 10, 408: 13, 413: 2, 415: 2, 421: 2, 429: 5, 503: 13}


def item_response(kind: str, item: Travelling, *, status: int = 200) -> Response:
    """Return one item in its envelope."""
    return plain_response(_envelope(kind) | {"item": dump(item)}, status=status)


def items_response(kind: str, items: Sequence[Travelling], *, total: int | None = None) -> Response:
    """Return items in their envelope; `total` counts those there are where only some are returned."""
    counted = len(items) if total is None else total
    return plain_response(_envelope(kind) | {"items": [dump(item) for item in items], "total": counted})


def _envelope(kind: str) -> dict[str, object]:
    return {"apiVersion": API_VERSION, "kind": kind, "warnings": []}


def dump(view: Travelling) -> dict[str, object]:
    """Return a view as JSON's own types."""
    return view.model_dump(mode="json", by_alias=True)


def json_response(view: Travelling, *, status: int = 200) -> Response:
    """Return a view as it travels."""
    return plain_response(dump(view), status=status)


def plain_response(plain: object, *, status: int = 200) -> Response:
    """Return JSON's own types as a response nobody keeps."""
    return Response(to_json(plain), status_code=status, media_type="application/json", headers=NOT_STORED)


def error_response(error: ReplicatorError) -> Response:
    """Return an error of ours as a refusal."""
    status = next((status for kind, status in _STATUS_OF if isinstance(error, kind)), 500)
    view = ErrorView(
        code=error.exit_status,
        reason=error.code,
        message=error.message,
        detail=error.detail,
        hint=error.hint,
        operation_id=error.operation_id,
    )
    return json_response(view, status=status)


def refusal_response(refusal: Refusal) -> Response:
    """Return a refusal that no error of ours stands behind."""
    view = ErrorView(
        code=_CODE_OF_STATUS.get(refusal.status, 1),
        reason=refusal.reason,
        message=refusal.message,
        hint=refusal.hint,
    )
    response = json_response(view, status=refusal.status)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if refusal.status == 429:
        response.headers["Retry-After"] = "1"
    return response
