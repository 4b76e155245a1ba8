"""What stays in a repository and what goes: retention, holds, claims, pruning, upkeep.

Owns every deletion there is, and makes each plan before it acts. Never touches what a snapshot names, what is
held, or what somebody at work may need.
"""

from replicator.snapshot.keeping.claims import Claim, Purpose, claimed, unlock
from replicator.snapshot.keeping.encrypting import apply_shred, begin_encryption, plan_shred, rewrap_key
from replicator.snapshot.keeping.locks import report_locks
from replicator.snapshot.keeping.marks import (
    hold_snapshot,
    list_verified,
    note_verified,
    read_candidates,
    read_holds,
    read_verification,
    read_verified,
    release_snapshot,
)
from replicator.snapshot.keeping.pruning import (
    GRACE_SECONDS,
    RepositoryCheck,
    apply_prune,
    check_repository,
    count_repository,
    plan_prune,
)
from replicator.snapshot.keeping.retention import decide_retention

__all__ = [
    "GRACE_SECONDS",
    "Claim",
    "Purpose",
    "RepositoryCheck",
    "apply_prune",
    "apply_shred",
    "begin_encryption",
    "check_repository",
    "claimed",
    "count_repository",
    "decide_retention",
    "hold_snapshot",
    "list_verified",
    "note_verified",
    "plan_prune",
    "plan_shred",
    "read_candidates",
    "read_holds",
    "read_verification",
    "read_verified",
    "release_snapshot",
    "report_locks",
    "rewrap_key",
    "unlock",
]
