"""Decisions of the supervisor: functions of values to values. No clock, no thread, no client is known here."""

__all__: list[str] = []
