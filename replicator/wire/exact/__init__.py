"""Offsets taken on purpose: batches of empty records, and transactions that leave nothing but their markers.

A client cannot say at which offset a record goes; it can only fill what lies before. Below a log start plain empty
records do, deleted afterwards; in between, aborted ones and markers, which a reader of committed data never sees.
"""

from replicator.wire.exact.fillers import FILLER_RECORDS_MAX, encode_filler, is_filler
from replicator.wire.exact.filling import Hole, HoleFiller

__all__ = ["FILLER_RECORDS_MAX", "Hole", "HoleFiller", "encode_filler", "is_filler"]
