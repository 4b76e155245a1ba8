"""The groups of a failover: which are known, where each resumes under the cut, how each one stands.

Owns the choice of groups and what the journal keeps of a move. It commits nothing: that is a step's act.
"""

from replicator.failover.groups.known import groups_known_from, observed_groups, selected_groups
from replicator.failover.groups.moves import GroupMove, Outcome
from replicator.failover.groups.translating import translate_groups
from replicator.failover.groups.upkeep import Decision, Upkeep, decide_upkeep

__all__ = [
    "Decision",
    "GroupMove",
    "Outcome",
    "Upkeep",
    "decide_upkeep",
    "groups_known_from",
    "observed_groups",
    "selected_groups",
    "translate_groups",
]
