"""What a supervisor knows and tells: its status, the overview of a whole configuration, events."""

__all__: list[str] = []
