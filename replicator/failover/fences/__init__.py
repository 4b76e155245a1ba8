"""Fences of a source: which rules deny whom, which of them stand by the journals, and how they look from outside.

Owns the rules and the probe. It puts nothing up and takes nothing down: that is a step's act.
"""

from replicator.failover.fences.outside import call_hooks, probe_fence, probe_topics
from replicator.failover.fences.proof import Probed, ProbeOutcome, is_verified, reached_grade
from replicator.failover.fences.rules import (
    FENCE_STEP,
    LIFTED_ITEM,
    RULES_ITEM,
    fence_rules,
    rule_to_row,
    rules_of,
    standing_fences,
)

__all__ = [
    "FENCE_STEP",
    "LIFTED_ITEM",
    "RULES_ITEM",
    "ProbeOutcome",
    "Probed",
    "call_hooks",
    "fence_rules",
    "is_verified",
    "probe_fence",
    "probe_topics",
    "reached_grade",
    "rule_to_row",
    "rules_of",
    "standing_fences",
]
