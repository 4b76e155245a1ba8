"""Verbs about flows: plan, apply, and the flow verbs."""

__all__: list[str] = []
