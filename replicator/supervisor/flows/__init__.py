"""One flow's supervision: the steps of looking at it, the loops that take them, and what they record and mend."""

__all__: list[str] = []
