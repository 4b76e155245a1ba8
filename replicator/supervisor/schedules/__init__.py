"""Schedules of snapshots, proofs and drills: when they run, what they do, how they went.

Owns the runs of this process alone. What was run before is asked of the repository or the journal, which survive us.
"""

from replicator.supervisor.schedules.drills import DrillWork
from replicator.supervisor.schedules.runner import Schedule, ScheduleRunner, Work
from replicator.supervisor.schedules.snapshots import (
    SnapshotWork,
    capture_flow,
    keep_rules,
    open_repository,
    schedule_tag,
)
from replicator.supervisor.schedules.verifying import VerifyWork

__all__ = [
    "DrillWork",
    "Schedule",
    "ScheduleRunner",
    "SnapshotWork",
    "VerifyWork",
    "Work",
    "capture_flow",
    "keep_rules",
    "open_repository",
    "schedule_tag",
]
