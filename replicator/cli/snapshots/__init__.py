"""Verbs about snapshots: the repository, the snapshots in it, their schedules."""

__all__: list[str] = []
