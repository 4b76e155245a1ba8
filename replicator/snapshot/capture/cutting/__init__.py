"""The cut of a snapshot: where every partition ends, which transactions are in it, and how still it was held.

Reads ends, markers and positions; pauses a mirror where asked to and lets it go on. Never copies data.
"""

from replicator.snapshot.capture.cutting.quieting import Hold, Stillness, end_still, hold_still, wait_still
from replicator.snapshot.capture.cutting.sweeping import Cut, read_cut
from replicator.snapshot.capture.cutting.weighing import weigh_consistency

__all__ = ["Cut", "Hold", "Stillness", "end_still", "hold_still", "read_cut", "wait_still", "weigh_consistency"]
