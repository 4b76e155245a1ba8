"""The steps runbooks are made of. Each asks the world, acts once or again with the same end, and knows its way back."""

from replicator.failover.steps.cut import CUT
from replicator.failover.steps.fence_mm2 import FENCE_MM2
from replicator.failover.steps.groups import COMMIT, TRANSLATE
from replicator.failover.steps.hold_lease import HOLD_LEASE
from replicator.failover.steps.promote import PROMOTE
from replicator.failover.steps.report import REPORT
from replicator.failover.steps.stop_flow import STOP_FLOW
from replicator.failover.steps.survey import SURVEY
from replicator.failover.steps.verify import VERIFY

__all__ = [
    "COMMIT",
    "CUT",
    "FENCE_MM2",
    "HOLD_LEASE",
    "PROMOTE",
    "REPORT",
    "STOP_FLOW",
    "SURVEY",
    "TRANSLATE",
    "VERIFY",
]
