"""Schedules of snapshots: when they run, what they do, how they went.

Owns the runs of this process alone. What was run before is asked of the repository, which survives us.
"""

from replicator.supervisor.schedules.runner import Schedule, ScheduleRunner, Work
from replicator.supervisor.schedules.snapshots import (
    SnapshotWork,
    capture_flow,
    keep_rules,
    open_repository,
    schedule_tag,
)

__all__ = [
    "Schedule",
    "ScheduleRunner",
    "SnapshotWork",
    "Work",
    "capture_flow",
    "keep_rules",
    "open_repository",
    "schedule_tag",
]
