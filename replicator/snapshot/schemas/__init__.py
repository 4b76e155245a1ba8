"""Schemas of a registry in a snapshot: what a state of them looks like, and how they come back in order."""

from replicator.snapshot.schemas.restoring import SchemaDoor, SchemaRestorer
from replicator.snapshot.schemas.states import content_from_json, content_to_json

__all__ = ["SchemaDoor", "SchemaRestorer", "content_from_json", "content_to_json"]
