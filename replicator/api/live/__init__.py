"""What the API keeps between two statuses: the newest overview, what happened, and lag over time.

Owns a bounded ring of events with their ids, a bounded history, and the one task that watches the source of
both. Never blocks, never asks a cluster.
"""

from replicator.api.live.differences import find_events
from replicator.api.live.feed import Feed, OverviewSource
from replicator.api.live.history import History
from replicator.api.live.ring import EventRing, Reading, StoredEvent

__all__ = ["EventRing", "Feed", "History", "OverviewSource", "Reading", "StoredEvent", "find_events"]
