"""Kafka Connect: the only room that speaks its REST, and the bytes and configurations of MM2.

Owns `ConnectClient`, the templates of MM2's connectors, the rules for raw overrides, and the codecs of
MM2's internal topics and Connect's offsets topic. Never decides what a flow should be, never touches a
Kafka cluster itself, never takes a connector's RUNNING for proof that records move.
"""

from replicator.connect.client import ConnectClient
from replicator.connect.codecs import (
    Checkpoint,
    Heartbeat,
    StoredOffset,
    decode_checkpoint,
    decode_heartbeat,
    decode_offset_sync,
    decode_stored_offset,
    encode_checkpoint,
    encode_heartbeat,
    encode_offset_sync,
    encode_stored_offset,
)
from replicator.connect.mirror import (
    CHECKPOINT_CLASS,
    LABEL_EPOCH,
    LABEL_FLOW,
    SOURCE_CLASS,
    MirrorSides,
    checkpoint_config,
    source_config,
    uncopied_settings,
)
from replicator.connect.overrides import RefusedOverride, lint_overrides, require_sound_overrides
from replicator.connect.security import client_config, secret_text, secrets_path
from replicator.connect.stored import StoredConnector, fold_connectors

__all__ = [
    "CHECKPOINT_CLASS",
    "LABEL_EPOCH",
    "LABEL_FLOW",
    "SOURCE_CLASS",
    "Checkpoint",
    "ConnectClient",
    "Heartbeat",
    "MirrorSides",
    "RefusedOverride",
    "StoredConnector",
    "StoredOffset",
    "checkpoint_config",
    "client_config",
    "decode_checkpoint",
    "decode_heartbeat",
    "decode_offset_sync",
    "decode_stored_offset",
    "encode_checkpoint",
    "encode_heartbeat",
    "encode_offset_sync",
    "encode_stored_offset",
    "fold_connectors",
    "lint_overrides",
    "require_sound_overrides",
    "secret_text",
    "secrets_path",
    "source_config",
    "uncopied_settings",
]
