"""The terminal face of consumer groups: where they stand, where they resume on the target, and moving them there."""

__all__: list[str] = []
