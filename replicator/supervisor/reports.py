"""Reports of operations as documents: sealed, signed where there is a key, kept beside the snapshots."""

from __future__ import annotations

import json
from typing import Any

from replicator.errors import ConfigInvalid, DataCorrupt, NotFound
from replicator.failover import OperationReport
from replicator.model.forms.plain import to_plain
from replicator.model.operations import OperationState
from replicator.settings import Settings
from replicator.snapshot import DocumentKind, Repository, Shelf, load_keys

API_VERSION = "replicator/v1"
KIND = "OperationReport"


def report_document(report: OperationReport) -> bytes:
    """Return the report as JSON. Computed from the journal alone, it is the same bytes whenever it is made."""
    is_passed = report.state is OperationState.DONE
    body = {"apiVersion": API_VERSION, "kind": KIND, "is_passed": is_passed, "report": to_plain(report)}
    return json.dumps(body, indent=1, sort_keys=True).encode()


def open_shelf(settings: Settings) -> Shelf:
    """Return the shelf of the configured repository.

    Raises:
        ConfigInvalid: no store is configured. NotFound: it holds no repository. The store's errors.
    """
    if settings.store is None:
        raise ConfigInvalid("reports are kept in snapshots.store, which is not configured", hint="set snapshots.store")
    secret = settings.signing_key()
    return Shelf(Repository.open(settings.store, keys=load_keys(None if secret is None else secret.value)))


def keep_report(settings: Settings, report: OperationReport) -> str | None:
    """Leave the report in the store, and return its key there; None where no store is configured.

    Raises:
        NotFound: the store holds no repository. The store's errors.
    """
    if settings.store is None:
        return None
    return open_shelf(settings).put(DocumentKind.REPORT, report.operation_id, report_document(report))


def read_report(settings: Settings, operation_id: str) -> tuple[dict[str, Any], str | None]:
    """Return the document of an operation, seal and signature proven, and the fingerprint of the key that signed it.

    Raises:
        NotFound: none is kept. DataCorrupt: it was changed, or another key signed it.
    """
    try:
        found = open_shelf(settings).read(DocumentKind.REPORT, operation_id)
    except NotFound as exc:
        raise NotFound(
            f"no report of {operation_id} is kept in {settings.store}", hint=f"replicator op show {operation_id}"
        ) from exc
    document = json.loads(found.payload)
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise DataCorrupt(f"reports/{operation_id}: holds no report of an operation")
    return document, found.signed_by
