"""Verbs about operations: failover and the journal of operations."""

__all__: list[str] = []
