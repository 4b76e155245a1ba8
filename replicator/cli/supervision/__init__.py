"""Verbs about the supervisor: run it, and read what it knows."""

__all__: list[str] = []
