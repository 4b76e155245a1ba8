"""Point-in-time copies of a cluster's topics: taken, listed, verified, restored (FORMAT.md).

Owns the repository, capture, verification, restore and retention. Bytes travel as the broker keeps them; what a
manifest names is durable and proven. Never changes the cluster it reads, never decides when to run.
"""

from replicator.snapshot.capture import Compression, MirrorSource, SnapshotRequest, create_snapshot
from replicator.snapshot.drilling import drill_snapshot
from replicator.snapshot.keeping import (
    apply_prune,
    apply_shred,
    begin_encryption,
    check_repository,
    count_repository,
    hold_snapshot,
    note_verified,
    plan_prune,
    plan_shred,
    read_holds,
    read_verified,
    release_snapshot,
    report_locks,
    rewrap_key,
    unlock,
)
from replicator.snapshot.outward import ExportFormat, diff_snapshots, export_snapshot
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.repository import Keys, Listed, Repository, load_keys
from replicator.snapshot.restore import Extent, Restorer, RestoreRequest, restore_snapshot
from replicator.snapshot.shelf import DocumentKind, Shelf
from replicator.snapshot.verify import verify_snapshot

__all__ = [
    "Compression",
    "DocumentKind",
    "ExportFormat",
    "Extent",
    "Keys",
    "Listed",
    "MirrorSource",
    "Progress",
    "Report",
    "Repository",
    "RestoreRequest",
    "Restorer",
    "Shelf",
    "SnapshotRequest",
    "Stage",
    "apply_prune",
    "apply_shred",
    "begin_encryption",
    "check_repository",
    "count_repository",
    "create_snapshot",
    "diff_snapshots",
    "drill_snapshot",
    "export_snapshot",
    "hold_snapshot",
    "load_keys",
    "note_verified",
    "plan_prune",
    "plan_shred",
    "read_holds",
    "read_verified",
    "release_snapshot",
    "report_locks",
    "restore_snapshot",
    "rewrap_key",
    "say_nothing",
    "unlock",
    "verify_snapshot",
]
