"""Objects of a locked bucket whose lock ends before that of a snapshot that needs them.

A bucket's default retention locks each object from the moment it was put. Snapshots share what did not change, so a
pack put a year ago may be needed by yesterday's snapshot and be unlocked long before it. Stores do not tell locks
through the interface we use: the bucket's retention is given, the objects' times are the store's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from replicator.model.archive.keeping import EarlyEnd, LockReport
from replicator.model.names import SnapshotId
from replicator.snapshot.keeping.pruning import named_objects
from replicator.snapshot.repository import Repository
from replicator.snapshot.repository.repository import MANIFESTS, PACKS, REPOSITORY_KEY, STATES
from replicator.snapshot.repository.vault import KEYS
from replicator.storage import StoredObject

SLACK = timedelta(hours=1)
"""Our clock and the store's differ, and what a snapshot needs is put a little before it: this is not too early."""


def report_locks(repository: Repository, *, lock: timedelta, needed: timedelta | None, now: datetime) -> LockReport:
    """Return every object that can be deleted before a snapshot that names it may be.

    `lock` is the bucket's default retention. A snapshot is to be protected for `needed` from its cut on; None:
    as long as the lock would be.
    Raises: the store's errors. Manifests that cannot be read are told, their needs are not known.
    """
    objects = {entry.key: entry for entry in repository.store.list("")}
    listed = repository.list_snapshots()
    span = lock if needed is None else needed
    uses: dict[SnapshotId, tuple[datetime, set[str]]] = {}
    for one in listed:
        stored = objects.get(f"{MANIFESTS}/{one.id}")
        if one.manifest is not None and stored is not None:
            names = {*named_objects([one.manifest]), stored.key, REPOSITORY_KEY}
            if one.manifest.encryption is not None:
                names |= {key for key in objects if key.startswith(f"{KEYS}/")}
            uses[one.id] = (min(one.manifest.consistency.cut_at, stored.modified_at) + span, names)
    return LockReport(
        lock_seconds=lock.total_seconds(),
        needed_seconds=span.total_seconds(),
        snapshots=len(listed),
        unreadable=tuple(one.id for one in listed if one.manifest is None),
        objects=sum(key.split("/")[0] in (MANIFESTS, PACKS, STATES, KEYS, REPOSITORY_KEY) for key in objects),
        early=find_early_ends(objects.values(), uses, lock=lock, now=now),
    )


def find_early_ends(
    objects: Iterable[StoredObject],
    uses: Mapping[SnapshotId, tuple[datetime, set[str]]],
    *,
    lock: timedelta,
    now: datetime,
) -> tuple[EarlyEnd, ...]:
    """Return the objects whose lock ends before a snapshot that uses them is no longer to be protected.

    `uses` says of each snapshot until when that is, and what it names. Soonest end first; what nobody has to
    protect any more is left out.
    """
    needs: dict[str, list[tuple[datetime, SnapshotId]]] = {}
    for snapshot_id, (until, names) in uses.items():
        for key in names if until > now else ():
            needs.setdefault(key, []).append((until, snapshot_id))
    found = []
    for entry in objects:
        locked_until = entry.modified_at + lock
        late = sorted(one for one in needs.get(entry.key, ()) if one[0] > locked_until + SLACK)
        if late:
            found.append(
                EarlyEnd(
                    key=entry.key, size_bytes=entry.size_bytes, locked_until=locked_until, needed_until=late[-1][0],
                    snapshots=tuple(sorted(snapshot_id for _until, snapshot_id in late)),
                )
            )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.locked_until, one.key)))
