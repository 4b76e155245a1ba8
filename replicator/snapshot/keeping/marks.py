"""What is said of a snapshot after it was taken: that it is held, that it was verified (FORMAT.md)."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replicator.errors import DataCorrupt, NotFound
from replicator.model.archive.keeping import Candidate
from replicator.model.archive.snapshots import VerifyLevel, VerifyReport
from replicator.model.names import SnapshotId
from replicator.snapshot.repository import Repository

HOLDS = "holds"
VERIFICATIONS = "verifications"
PROVEN_LEVEL = VerifyLevel.CHECKSUM
"""From this level on a verification has read every chunk: a snapshot is called verified."""
_STAMP = "%Y%m%dT%H%M%SZ"


class _Hold(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot: str
    reason: str = Field(max_length=500)
    held_at: datetime


class _Verification(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot: str
    level: int
    chunks: int
    verified_at: datetime


def hold_snapshot(repository: Repository, snapshot_id: SnapshotId, *, reason: str, now: datetime) -> bool:
    """No retention takes the snapshot until it is released; return False when it was held already.

    Raises: NotFound for an unknown id.
    """
    repository.read_manifest(snapshot_id)
    payload = _Hold(snapshot=snapshot_id, reason=reason, held_at=now).model_dump_json().encode()
    data = repository.seal("hold", payload, subject=snapshot_id)
    return repository.store.put(f"{HOLDS}/{snapshot_id}", [data], is_create_only=True)


def release_snapshot(repository: Repository, snapshot_id: SnapshotId) -> None:
    """The snapshot is held no more. Raises: NotFound when it was not."""
    if snapshot_id not in read_holds(repository):
        raise NotFound(f"snapshot {snapshot_id} is not held", hint="replicator snapshot list")
    repository.store.delete([f"{HOLDS}/{snapshot_id}"])


def read_holds(repository: Repository) -> Mapping[SnapshotId, str]:
    """Return the reason of every hold. One whose text cannot be read holds as well."""
    found = {}
    for entry in repository.store.list(HOLDS):
        snapshot_id = SnapshotId(entry.key.rpartition("/")[2])
        found[snapshot_id] = _read_reason(repository, snapshot_id)
    return found


def _read_reason(repository: Repository, snapshot_id: SnapshotId) -> str:
    where = f"{HOLDS}/{snapshot_id}"
    try:
        payload = repository.unseal("hold", repository.store.get(where), subject=snapshot_id, where=where)
        return _Hold.model_validate_json(payload).reason
    except (DataCorrupt, ValidationError, NotFound):
        return "its text cannot be read"


def note_verified(repository: Repository, report: VerifyReport, *, now: datetime) -> bool:
    """The repository remembers that the snapshot was proven; return False for a report that proves too little."""
    if not report.is_ok or report.level < PROVEN_LEVEL or report.sample_percent is not None:
        return False
    verification = _Verification(
        snapshot=report.snapshot, level=int(report.level), chunks=report.chunks, verified_at=now
    )
    data = repository.seal("verification", verification.model_dump_json().encode(), subject=report.snapshot)
    key = f"{VERIFICATIONS}/{report.snapshot}/{now.astimezone(UTC).strftime(_STAMP)}-{secrets.token_hex(3)}"
    return repository.store.put(key, [data], is_create_only=True)


def list_verified(repository: Repository) -> Mapping[SnapshotId, str]:
    """Return the key of each snapshot's newest verification: one listing, nothing is read."""
    newest: dict[SnapshotId, str] = defaultdict(str)
    for entry in repository.store.list(VERIFICATIONS):
        snapshot_id = SnapshotId(entry.key.split("/", 2)[1])
        newest[snapshot_id] = max(newest[snapshot_id], entry.key)
    return newest


def read_verification(repository: Repository, snapshot_id: SnapshotId, *, key: str) -> datetime | None:
    """Return when the snapshot was verified by that note; None where the note does not prove itself."""
    try:
        payload = repository.unseal("verification", repository.store.get(key), subject=snapshot_id, where=key)
        return _Verification.model_validate_json(payload).verified_at
    except (DataCorrupt, ValidationError, NotFound):
        return None


def read_verified(repository: Repository) -> Mapping[SnapshotId, datetime]:
    """Return when each snapshot was last verified; a note that does not prove itself counts for nothing."""
    notes = list_verified(repository)
    read = {one: read_verification(repository, one, key=key) for one, key in notes.items()}
    return {one: verified_at for one, verified_at in read.items() if verified_at is not None}


def read_candidates(repository: Repository) -> tuple[Candidate, ...]:
    """Return every snapshot as retention sees it."""
    holds, verified = read_holds(repository), read_verified(repository)
    return tuple(
        Candidate(
            id=one.id,
            cut_at=None if one.manifest is None else one.manifest.consistency.cut_at,
            tags=() if one.manifest is None else one.manifest.tags,
            hold=holds.get(one.id),
            verified_at=verified.get(one.id),
            problem=one.problem,
        )
        for one in repository.list_snapshots()
    )
