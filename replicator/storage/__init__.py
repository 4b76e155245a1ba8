"""Objects by key in a folder, S3, GCS or Azure, behind one door: `open_store(url)`.

Owns durability (a put that returned survives a power cut), create-only puts, and translated errors. The only
room that imports obstore. Never interprets a byte, never overwrites unless asked, knows no repository.
"""

from replicator.storage.base import Content, ObjectStore, StoredObject, check_key
from replicator.storage.opening import open_store

__all__ = ["Content", "ObjectStore", "StoredObject", "check_key", "open_store"]
