"""Restores at the offsets the records had: what lies before the log start is burned, holes in between are filled.

Holds for readers of committed data on partitions that nobody else writes to. What it takes is known before it begins.
"""

from replicator.snapshot.restore.exact.effort import EXACT_SECONDS_MAX, measure_effort
from replicator.snapshot.restore.exact.hand import ExactHand
from replicator.snapshot.restore.exact.lines import ExactLine

__all__ = ["EXACT_SECONDS_MAX", "ExactHand", "ExactLine", "measure_effort"]
