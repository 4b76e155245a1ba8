"""Heads of journals in the store: where each chain ended when an operation was over, sealed, never overwritten."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from replicator.errors import DataCorrupt
from replicator.journal import KeptHead
from replicator.model.forms.plain import to_plain
from replicator.model.names import ClusterName
from replicator.settings import Settings
from replicator.snapshot import DocumentKind, Shelf
from replicator.supervisor.reports import open_shelf

HEADS_MAX = 20
"""So many of the newest heads of each chain are read, and its very first: a rewrite contradicts any of them."""


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: str
    writer: str
    sequence: int
    digest: str
    kept_at: datetime
    epoch: int = 0


def put_head(settings: Settings, head: KeptHead) -> None:
    """The head is in the store, beside what an older or newer holder of the lease has put there.

    Raises:
        NotFound: the store holds no repository. OperationFailed: another head of this number and epoch is there: the
            chain was written anew. The store's errors.
    """
    name = f"{head.cluster}/{head.writer}/{head.sequence:012d}-{head.epoch}"
    open_shelf(settings).put(DocumentKind.HEAD, name, json.dumps(to_plain(head), sort_keys=True).encode())


def read_heads(settings: Settings) -> tuple[KeptHead, ...]:
    """Return the heads that the store keeps, each proven: of every chain the first and the newest.

    Raises:
        NotFound: the store holds no repository. DataCorrupt: a document was changed. The store's errors.
    """
    shelf = open_shelf(settings)
    chains: dict[str, list[str]] = defaultdict(list)
    for name in shelf.names(DocumentKind.HEAD):
        chains[name.rpartition("/")[0]].append(name)
    chosen = [name for names in chains.values() for name in sorted({names[0], *names[-HEADS_MAX:]})]
    return tuple(_read(shelf, name) for name in chosen)


def _read(shelf: Shelf, name: str) -> KeptHead:
    payload = shelf.read(DocumentKind.HEAD, name).payload
    try:
        found = _Head.model_validate_json(payload)
    except ValidationError as exc:
        raise DataCorrupt(f"heads/{name}: is no head of a journal", detail=str(exc)) from exc
    return KeptHead(
        cluster=ClusterName(found.cluster),
        writer=found.writer,
        sequence=found.sequence,
        digest=found.digest,
        kept_at=found.kept_at,
        epoch=found.epoch,
    )
