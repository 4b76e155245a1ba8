"""The steps that need a source that answers: both sides are asked, the source is fenced and drained, nothing is lost.
A failover has only the fence of them, as far as its source answers.

Owns the fence of the source, its grades and its proofs, and what is counted at a living source. It never
takes an operator's word for a proof, and never lifts a rule that it did not put there.
"""

from replicator.failover.planned.copy_head import COPY_HEAD
from replicator.failover.planned.drain import DRAIN
from replicator.failover.planned.fence_lost import FENCE_LOST
from replicator.failover.planned.fence_source import FENCE_SOURCE
from replicator.failover.planned.survey import SURVEY_BOTH, SURVEY_WHOLE

__all__ = ["COPY_HEAD", "DRAIN", "FENCE_LOST", "FENCE_SOURCE", "SURVEY_BOTH", "SURVEY_WHOLE"]
