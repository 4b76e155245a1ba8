"""What must survive us, in Kafka topics on the standby: the journal of operations, the right to write it,
and the observations of the source.

Owns the chain (canonical JSON, SHA-256, epochs), the views that are computed from records alone, and the
observations' topic. It never decides what an operation does next, and never writes without the lease.
"""

from replicator.journal.accepting import accept_breaks
from replicator.journal.chain import Chain, Entry, prove_prefix
from replicator.journal.journal import TOPIC_PREFIX, Journal, JournalWriter, journal_topic
from replicator.journal.lease import SESSION_SECONDS, Hold, has_live_holder, lease_group, take_lease
from replicator.journal.log import internal_topic
from replicator.journal.memory import MemoryLog
from replicator.journal.observations import Observation, Observations, Observed, observations_topic
from replicator.journal.operations import (
    ACTIVE_ITEM,
    HEAD_ITEM,
    HEAD_STEP,
    OPERATION_STEP,
    PROMOTE_STEP,
    OperationPhase,
    active_cluster,
    copy_writer,
    facts_of,
    find_operation,
    is_being_aborted,
    is_point_of_no_return,
    list_operations,
    merge_records,
    open_operation,
    running_operation,
    to_operation,
    untold_operations,
)
from replicator.journal.witness import JournalProof, KeptHead, prove_journals, tell_strays

__all__ = [
    "ACTIVE_ITEM",
    "HEAD_ITEM",
    "HEAD_STEP",
    "OPERATION_STEP",
    "PROMOTE_STEP",
    "SESSION_SECONDS",
    "TOPIC_PREFIX",
    "Chain",
    "Entry",
    "Hold",
    "Journal",
    "JournalProof",
    "JournalWriter",
    "KeptHead",
    "MemoryLog",
    "Observation",
    "Observations",
    "Observed",
    "OperationPhase",
    "accept_breaks",
    "active_cluster",
    "copy_writer",
    "facts_of",
    "find_operation",
    "has_live_holder",
    "internal_topic",
    "is_being_aborted",
    "is_point_of_no_return",
    "journal_topic",
    "lease_group",
    "list_operations",
    "merge_records",
    "observations_topic",
    "open_operation",
    "prove_journals",
    "prove_prefix",
    "running_operation",
    "take_lease",
    "tell_strays",
    "to_operation",
    "untold_operations",
]
