"""A story to show: a flow that runs, an outage of its source, a failover, and the snapshots beside it.

Owns the values of one recording, for pictures and for tests. Asks no cluster and reads no clock: every run
gives the same.
"""

from tui.scenes.failover import operation
from tui.scenes.story import story

__all__ = ["operation", "story"]
