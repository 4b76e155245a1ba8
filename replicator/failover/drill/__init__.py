"""A rehearsal on the real thing: groups are cloned, translated, set, compared with the source, and removed again.

Owns the clones and the comparison. It stops nothing, fences nothing, and touches no group that a client knows.
"""

from replicator.failover.drill.comparing import Likeness, judge_first
from replicator.failover.drill.steps import CLEAN_UP, CLONE, COMPARE, DRILL_CUT

__all__ = ["CLEAN_UP", "CLONE", "COMPARE", "DRILL_CUT", "Likeness", "judge_first"]
