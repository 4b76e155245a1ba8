"""Restores snapshots: look, plan, apply. Proves every chunk before a byte of it is produced.

Never touches a topic that holds anything but the snapshot's own records, never writes a record twice.
"""

from replicator.snapshot.restore.apply import Restorer, restore_snapshot
from replicator.snapshot.restore.asking import RestoreRequest
from replicator.snapshot.restore.narrowing import Extent

__all__ = ["Extent", "RestoreRequest", "Restorer", "restore_snapshot"]
