"""Takes snapshots: survey, cut, copy, publish. Reads from one cluster, writes to one repository, alters neither."""

from replicator.snapshot.capture.create import SnapshotRequest, create_snapshot
from replicator.snapshot.capture.packing import Compression

__all__ = ["Compression", "SnapshotRequest", "create_snapshot"]
