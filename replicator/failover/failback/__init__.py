"""The way home: the old active is reconciled, the difference brought back, and the configured flow set going again.

Owns the seams between two histories, the reverse flow and its positions, the orphan tail's export, and where
groups resume at home. It moves clients by the same steps as any planned move.
"""

from replicator.failover.failback.home import SEED_FORWARD, START_FORWARD
from replicator.failover.failback.orphans import EXPORT_ORPHANS
from replicator.failover.failback.reconcile import RECONCILE
from replicator.failover.failback.reverse import SEED_REVERSE, START_REVERSE

__all__ = [
    "EXPORT_ORPHANS",
    "RECONCILE",
    "SEED_FORWARD",
    "SEED_REVERSE",
    "START_FORWARD",
    "START_REVERSE",
]
