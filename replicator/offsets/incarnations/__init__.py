"""Incarnations: which points of a map are of the topics that exist now, on both sides.

Owns what is remembered of a topic that was deleted and made again, and its proof by content. MM2 writes on into the
same copy, and neither its syncs nor its stored positions name a topic's id: nothing but the records tells.
"""

from replicator.offsets.incarnations.copies import (
    COPY_ID,
    SOURCE_ID,
    copies_observed,
    former_evidence,
    incarnation_evidence,
    is_of_former_topic,
    narrow_map,
)
from replicator.offsets.incarnations.examining import examine_copies

__all__ = [
    "COPY_ID",
    "SOURCE_ID",
    "copies_observed",
    "examine_copies",
    "former_evidence",
    "incarnation_evidence",
    "is_of_former_topic",
    "narrow_map",
]
