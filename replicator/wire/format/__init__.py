"""The record batch format v2: walked, proven, decoded, encoded. Bytes to values and back; knows no socket."""

from replicator.wire.format.batches import Batch, BatchHeader, Codec, prove_batch, walk_batches
from replicator.wire.format.records import ProducerStamp, RawRecord, decode_records, encode_batch, patch_batch

__all__ = [
    "Batch",
    "BatchHeader",
    "Codec",
    "ProducerStamp",
    "RawRecord",
    "decode_records",
    "encode_batch",
    "patch_batch",
    "prove_batch",
    "walk_batches",
]
