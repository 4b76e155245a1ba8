"""Parts of the schema that stand by themselves; clients find them all in `replicator.api.schema`."""

__all__: list[str] = []
