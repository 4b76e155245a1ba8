"""Codecs of MM2's internal topics against bytes made by Kafka's own classes (tests/data/mm2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.connect import codecs
from replicator.connect.codecs import Checkpoint, Heartbeat
from replicator.errors import DataCorrupt
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.offsets import OffsetSync

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "mm2" / "golden.json").read_text(encoding="utf-8"))


def _case(entry: dict[str, Any]) -> Any:
    value = None if entry["value"] is None else bytes.fromhex(entry["value"])
    return pytest.param(bytes.fromhex(entry["key"]), value, entry["fields"])


def _golden(kind: str) -> list[Any]:
    cases = [_case(entry) for entry in GOLDEN if entry["kind"] == kind]
    assert len(cases) >= 2
    return cases


def _partition(fields: dict[str, Any]) -> TopicPartition:
    return TopicPartition(TopicName(fields["topic"]), fields["partition"])


@pytest.mark.parametrize(("key", "value", "fields"), _golden("offset_sync"))
def test_offset_sync_is_what_kafka_writes(key: bytes, value: bytes, fields: dict[str, Any]) -> None:
    """An offset sync reads as Kafka meant it and writes back to the same bytes."""
    sync = OffsetSync(_partition(fields), fields["source_offset"], fields["target_offset"])
    assert codecs.decode_offset_sync(key, value) == sync
    assert codecs.encode_offset_sync(sync) == (key, value)


@pytest.mark.parametrize(("key", "value", "fields"), _golden("checkpoint"))
def test_checkpoint_is_what_kafka_writes(key: bytes, value: bytes, fields: dict[str, Any]) -> None:
    """A checkpoint reads as Kafka meant it and writes back to the same bytes."""
    checkpoint = Checkpoint(
        group=GroupName(fields["group"]),
        partition=_partition(fields),
        source_offset=fields["source_offset"],
        target_offset=fields["target_offset"],
        metadata=fields["metadata"],
    )
    assert codecs.decode_checkpoint(key, value) == checkpoint
    assert codecs.encode_checkpoint(checkpoint) == (key, value)


@pytest.mark.parametrize(("key", "value", "fields"), _golden("heartbeat"))
def test_heartbeat_is_what_kafka_writes(key: bytes, value: bytes, fields: dict[str, Any]) -> None:
    """A heartbeat has the 10-byte value of MM2 and survives both ways."""
    beat = Heartbeat(fields["source"], fields["target"], fields["timestamp_ms"])
    assert codecs.decode_heartbeat(key, value) == beat
    assert codecs.encode_heartbeat(beat) == (key, value)
    assert len(value) == 10


@pytest.mark.parametrize(("key", "value", "fields"), _golden("stored_offset"))
def test_stored_offset_is_what_connect_writes(key: bytes, value: bytes | None, fields: dict[str, Any]) -> None:
    """A stored offset names its partition, and the next record is the one after the stored one."""
    stored = codecs.decode_stored_offset(key, value)
    assert stored.connector == fields["connector"]
    assert stored.topic_partition == _partition(fields)
    offset = fields["offset"]
    assert stored.next_to_mirror == (None if offset is None else offset + 1)
    if offset is not None:
        made = codecs.encode_stored_offset(fields["connector"], fields["cluster"], _partition(fields), offset)
        assert made == (key, value)


def test_tombstones_are_no_entries() -> None:
    """A null value is read as nothing, not as a record of zeros."""
    key, _ = codecs.encode_heartbeat(Heartbeat("a", "b", 1))
    assert codecs.decode_offset_sync(b"", None) is None
    assert codecs.decode_checkpoint(b"", None) is None
    assert codecs.decode_heartbeat(key, None) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"\0" * 16),
        (b"\x00\x05ab", b"\0" * 16),
        (b"\xff\xff", b"\0" * 16),
        (b"\x00\x01\xff\0\0\0\0", b"\0" * 16),
        (b"\x00\x01a\0\0\0\0", b"\0" * 15),
    ],
    ids=["empty", "short string", "negative length", "not UTF-8", "short value"],
)
def test_bytes_that_do_not_fit_are_refused(key: bytes, value: bytes) -> None:
    """Damaged bytes raise DataCorrupt instead of giving a wrong point of the map."""
    with pytest.raises(DataCorrupt):
        codecs.decode_offset_sync(key, value)


def test_an_unknown_version_is_refused() -> None:
    """A checkpoint or heartbeat of a version we do not know is not read as version 0."""
    key, value = codecs.encode_heartbeat(Heartbeat("a", "b", 1))
    with pytest.raises(DataCorrupt, match="version 1"):
        codecs.decode_heartbeat(key, b"\x00\x01" + value[2:])


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"x", b"{}"), (b'["a"]', b"{}"), (b'[1,{"a":1}]', b"{}"), (b'["a",{}]', b"[]"), (b'["a",{}]', b"\xff")],
)
def test_other_topics_are_no_offsets_topic(key: bytes, value: bytes) -> None:
    """Records of another form raise DataCorrupt: the wrong topic was read."""
    with pytest.raises(DataCorrupt):
        codecs.decode_stored_offset(key, value)


def test_checkpoint_connectors_store_no_source_position() -> None:
    """Entries of checkpoint and heartbeat connectors are no positions of source partitions."""
    key = b'["cp",{"partition":3,"topic":"A.orders","group":"g1"}]'
    assert codecs.decode_stored_offset(key, b'{"offset":0}').topic_partition is None


NAMES = st.text(max_size=60)
OFFSETS = st.integers(min_value=0, max_value=2**63 - 1)
PARTITIONS = st.integers(min_value=0, max_value=2**31 - 1)


@given(group=NAMES, topic=NAMES, partition=PARTITIONS, source=OFFSETS, target=OFFSETS, metadata=NAMES)
def test_checkpoints_survive_both_ways(
    group: str, topic: str, partition: int, source: int, target: int, metadata: str
) -> None:
    """Whatever the names are, what is written reads back the same."""
    made = Checkpoint(
        group=GroupName(group),
        partition=TopicPartition(TopicName(topic), partition),
        source_offset=source,
        target_offset=target,
        metadata=metadata,
    )
    assert codecs.decode_checkpoint(*codecs.encode_checkpoint(made)) == made
