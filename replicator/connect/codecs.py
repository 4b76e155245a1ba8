"""The bytes of MM2's internal topics and of Connect's offsets topic, both ways.

Layouts (big-endian; a string is an int16 length and UTF-8):
    offset syncs   key  topic, int32 partition                       value  int64 source, int64 target offset
    checkpoints    key  group, target topic, int32 partition         value  int16 0, int64, int64, metadata
    heartbeats     key  source alias, target alias                   value  int16 0, int64 timestamp ms
    Connect's      key  ["connector",{source partition}] as JSON     value  {source offset} as JSON

Readers take a tombstone (value None) as None; anything else that does not fit raises DataCorrupt.
Source: org.apache.kafka.connect.mirror.{OffsetSync,Checkpoint,Heartbeat}; OffsetStorageWriter.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.errors import DataCorrupt
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.offsets import OffsetSync

_VERSION = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """MM2's translation of one group's position; `partition` carries the topic's name on the target."""

    group: GroupName
    partition: TopicPartition
    source_offset: int
    target_offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One beat of a flow, made on the source: `source` and `target` are cluster names."""

    source: str
    target: str
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """One entry of Connect's offsets topic; `offset` None is a reset."""

    connector: str
    partition: Mapping[str, Any]
    offset: Mapping[str, Any] | None

    @property
    def topic_partition(self) -> TopicPartition | None:
        """The source partition meant, if this is an entry of a MirrorSourceConnector."""
        topic, number = self.partition.get("topic"), self.partition.get("partition")
        if not isinstance(topic, str) or not isinstance(number, int) or "cluster" not in self.partition:
            return None
        return TopicPartition(TopicName(topic), number)

    @property
    def next_to_mirror(self) -> int | None:
        """The next source offset to be mirrored: the stored one is the last that was acknowledged."""
        stored = self.offset.get("offset") if self.offset is not None else None
        return stored + 1 if isinstance(stored, int) else None


def decode_offset_sync(key: bytes, value: bytes | None) -> OffsetSync | None:
    """Return the true point of the map that a record of the offset-syncs topic tells; None for a tombstone."""
    if value is None:
        return None
    reader = _Reader(key, what="offset sync key")
    partition = TopicPartition(TopicName(reader.string()), reader.int32())
    fields = _Reader(value, what="offset sync value")
    return OffsetSync(partition, fields.int64(), fields.int64())


def encode_offset_sync(sync: OffsetSync) -> tuple[bytes, bytes]:
    """Return key and value of an offset sync."""
    key = _string(sync.partition.topic) + struct.pack(">i", sync.partition.partition)
    return key, struct.pack(">qq", sync.source_offset, sync.target_offset)


def decode_checkpoint(key: bytes, value: bytes | None) -> Checkpoint | None:
    """Return the checkpoint a record of the checkpoints topic tells; None for a tombstone."""
    if value is None:
        return None
    names = _Reader(key, what="checkpoint key")
    group = GroupName(names.string())
    partition = TopicPartition(TopicName(names.string()), names.int32())
    fields = _Reader(value, what="checkpoint value")
    fields.version()
    return Checkpoint(
        group=group,
        partition=partition,
        source_offset=fields.int64(),
        target_offset=fields.int64(),
        metadata=fields.string(),
    )


def encode_checkpoint(checkpoint: Checkpoint) -> tuple[bytes, bytes]:
    """Return key and value of a checkpoint."""
    partition = checkpoint.partition
    key = _string(checkpoint.group) + _string(partition.topic) + struct.pack(">i", partition.partition)
    value = struct.pack(">hqq", _VERSION, checkpoint.source_offset, checkpoint.target_offset)
    return key, value + _string(checkpoint.metadata)


def decode_heartbeat(key: bytes, value: bytes | None) -> Heartbeat | None:
    """Return the heartbeat a record tells; None for a tombstone."""
    if value is None:
        return None
    names = _Reader(key, what="heartbeat key")
    source, target = names.string(), names.string()
    fields = _Reader(value, what="heartbeat value")
    fields.version()
    return Heartbeat(source, target, fields.int64())


def encode_heartbeat(heartbeat: Heartbeat) -> tuple[bytes, bytes]:
    """Return key and value (10 bytes) of a heartbeat."""
    key = _string(heartbeat.source) + _string(heartbeat.target)
    return key, struct.pack(">hq", _VERSION, heartbeat.timestamp_ms)


def decode_stored_offset(key: bytes, value: bytes | None) -> StoredOffset:
    """Return the entry a record of Connect's offsets topic tells.

    Raises:
        DataCorrupt: the record has another form; the topic is no offsets topic.
    """
    found = _json(key, what="offsets key")
    match found:
        case [str(connector), dict(partition)]:
            return StoredOffset(connector, partition, _stored_value(value))
    raise DataCorrupt(f"offsets key: not a connector and its source partition: {key[:80]!r}")


def _stored_value(value: bytes | None) -> Mapping[str, Any] | None:
    found = None if value is None else _json(value, what="offsets value")
    if found is not None and not isinstance(found, dict):
        raise DataCorrupt("offsets value: not an object")
    return found


def encode_stored_offset(connector: str, cluster: str, partition: TopicPartition, offset: int) -> tuple[bytes, bytes]:
    """Return key and value that say: the record at `offset` of a source partition was mirrored.

    The order of the fields is that of Java's HashMap, which Connect writes and compares by bytes.
    """
    fields = {"cluster": cluster, "partition": partition.partition, "topic": partition.topic}
    return _compact([connector, fields]), _compact({"offset": offset})


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _json(data: bytes, *, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise DataCorrupt(f"{what}: no JSON: {data[:80]!r}") from exc


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


class _Reader:
    """Takes fields off the front of `data`; what is missing or odd raises DataCorrupt."""

    def __init__(self, data: bytes, *, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    def int32(self) -> int:
        return self._number(">i")

    def int64(self) -> int:
        return self._number(">q")

    def version(self) -> None:
        found = self._number(">h")
        if found != _VERSION:
            raise DataCorrupt(f"{self._what}: version {found}, not {_VERSION}")

    def string(self) -> str:
        size = self._number(">h")
        piece = self._data[self._at : self._at + size]
        if size < 0 or len(piece) != size:
            raise DataCorrupt(f"{self._what}: a string of {size} bytes does not fit into {len(self._data)}")
        self._at += size
        try:
            return piece.decode()
        except UnicodeDecodeError as exc:
            raise DataCorrupt(f"{self._what}: not UTF-8") from exc

    def _number(self, layout: str) -> int:
        try:
            (value,) = struct.unpack_from(layout, self._data, self._at)
        except struct.error as exc:
            raise DataCorrupt(f"{self._what}: {len(self._data)} bytes are too few") from exc
        self._at += struct.calcsize(layout)
        return int(value)
