"""Where consumer groups resume on the other cluster.

Owns the offset map (points read from MM2's offset-syncs topic), the rules that translate a position, and
the commit of translated positions. It never guesses, never moves a group past its true place, and never
touches an active group; what it cannot prove it bounds, and says so.
"""

from replicator.offsets.groups import (
    PartitionComparison,
    Translator,
    commit_group,
    compare_group,
    survey_groups,
    topics_of,
    translate_group,
    translate_groups,
)
from replicator.offsets.history import OffsetHistory
from replicator.offsets.incarnations import SOURCE_ID, copies_observed, examine_copies
from replicator.offsets.inverse import INVERSE_RULES, invert_offset
from replicator.offsets.points import BreakKind, OffsetMap, OffsetMapBuilder, PartitionMap, StretchEnd
from replicator.offsets.proofs import with_proof, with_proofs
from replicator.offsets.rules import RULES
from replicator.offsets.views import SourceView, TargetView, open_source
from replicator.offsets.warm import PlacedGroup, WarmMap

__all__ = [
    "INVERSE_RULES",
    "RULES",
    "SOURCE_ID",
    "BreakKind",
    "OffsetHistory",
    "OffsetMap",
    "OffsetMapBuilder",
    "PartitionComparison",
    "PartitionMap",
    "PlacedGroup",
    "SourceView",
    "StretchEnd",
    "TargetView",
    "Translator",
    "WarmMap",
    "commit_group",
    "compare_group",
    "copies_observed",
    "examine_copies",
    "invert_offset",
    "open_source",
    "survey_groups",
    "topics_of",
    "translate_group",
    "translate_groups",
    "with_proof",
    "with_proofs",
]
