"""A snapshot told to people and to other programs: compared with another one, and written out as files.

Owns no format of the repository, changes nothing in it, and asks no cluster.
"""

from replicator.snapshot.outward.diff import diff_snapshots
from replicator.snapshot.outward.export import Exported, ExportFormat, export_snapshot

__all__ = ["ExportFormat", "Exported", "diff_snapshots", "export_snapshot"]
