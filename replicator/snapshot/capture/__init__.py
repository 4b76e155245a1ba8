"""Takes snapshots: survey, cut, copy, publish. Reads from one cluster, writes to one repository, alters neither."""

from replicator.snapshot.capture.create import SnapshotRequest, create_snapshot
from replicator.snapshot.capture.packing import Compression
from replicator.snapshot.capture.surroundings import MirrorSource

__all__ = ["Compression", "MirrorSource", "SnapshotRequest", "create_snapshot"]
