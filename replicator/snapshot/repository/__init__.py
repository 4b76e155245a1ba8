"""The repository on a store: sealed documents, packs of chunks, manifests (FORMAT.md, one folder up).

Owns the bytes at rest and their proofs. Never talks to a cluster, never overwrites an object.
"""

from replicator.snapshot.repository.repository import Listed, Repository, new_snapshot_id
from replicator.snapshot.repository.sealing import Keys, Unsealed, load_keys

__all__ = ["Keys", "Listed", "Repository", "Unsealed", "load_keys", "new_snapshot_id"]
