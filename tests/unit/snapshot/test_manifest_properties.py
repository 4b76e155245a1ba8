"""Any manifest that fits together survives being written and read; any that does not is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replicator.errors import DataCorrupt
from replicator.model.archive.snapshots import (
    CapturedCluster,
    CapturedPartition,
    CapturedTopic,
    Chunk,
    ChunkEncoding,
    ChunkFacts,
    Consistency,
    Gap,
    GapReason,
    Manifest,
    MissingTopic,
    NotCaptured,
    StoredChunk,
    Totals,
)
from replicator.model.names import ClusterName, SnapshotId, TopicName
from replicator.snapshot.repository.manifest import check_manifest, read_manifest, write_manifest

ON_A_BUSY_MACHINE = settings(suppress_health_check=[HealthCheck.too_slow])
"""Whole manifests take a while to be made up where others compute too."""
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
PACKS = ["a" * 64, "b" * 64, "c" * 64]
counts = st.integers(0, 1 << 40)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
names = st.text("abcXYZ019._-", min_size=1, max_size=30).filter(lambda name: name not in (".", ".."))
words = st.text(max_size=20)


@st.composite
def chunks(draw: st.DrawFn, start: int, stop: int) -> Chunk:
    """A chunk covering [start, stop) in one of the packs."""
    digest, size = draw(digests), draw(st.integers(1, 1 << 24))
    is_plain = draw(st.booleans())
    return Chunk(
        start=start,
        stop=stop,
        stored=StoredChunk(
            id=digest,
            encoding=ChunkEncoding.NONE if is_plain else ChunkEncoding.ZSTD,
            plain_bytes=size,
            stored_bytes=size if is_plain else draw(st.integers(1, size)),
            stored_sha256=digest if is_plain else draw(digests),
        ),
        pack=draw(st.sampled_from(PACKS)),
        offset=draw(st.integers(0, 1 << 30)),
        facts=ChunkFacts(
            batches=draw(counts),
            records=draw(counts),
            markers=draw(counts),
            rebuilds=draw(counts),
            codecs=draw(st.dictionaries(st.sampled_from(["none", "lz4", "unknown-7"]), counts, max_size=3)),
            largest_batch_bytes=draw(counts),
            min_base_timestamp_ms=draw(st.none() | st.integers(-1, 1 << 62)),
            max_timestamp_ms=draw(st.none() | st.integers(-1, 1 << 62)),
        ),
        aborted=tuple(draw(st.lists(st.tuples(counts, counts, counts), max_size=3))),
    )


@st.composite
def partitions(draw: st.DrawFn, number: int) -> CapturedPartition:
    """A partition tiled by chunks and gaps."""
    start = position = draw(st.integers(0, 1 << 40))
    found, gaps = [], []
    for width in draw(st.lists(st.integers(1, 1000), max_size=4)):
        if draw(st.booleans()):
            found.append(draw(chunks(position, position + width)))
        else:
            gaps.append(Gap(position, position + width, draw(st.sampled_from(GapReason))))
        position += width
    return CapturedPartition(
        partition=number,
        start=start,
        end=position,
        high_watermark=position + draw(st.integers(0, 5)),
        leader_epoch=draw(st.integers(-1, 1000)),
        chunks=tuple(found),
        gaps=tuple(gaps),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """A manifest that fits together."""
    topics = [
        CapturedTopic(
            name=TopicName(name),
            topic_id=draw(st.text("abc123_-", min_size=1, max_size=22)),
            replication_factor=draw(st.integers(1, 5)),
            is_compacted=draw(st.booleans()),
            partitions=tuple(draw(partitions(number)) for number in range(draw(st.integers(1, 3)))),
        )
        for name in draw(st.lists(names, max_size=3, unique=True))
    ]
    used = {chunk.pack for topic in topics for partition in topic.partitions for chunk in partition.chunks}
    numbers = draw(st.lists(counts, min_size=7, max_size=7))
    return Manifest(
        id=SnapshotId("20261122T120000Z-0a1b2c"),
        repository=draw(words),
        parent=draw(st.none() | st.just(SnapshotId("20261121T120000Z-0a1b2c"))),
        created_at=NOW,
        tool=draw(words),
        tags=tuple(draw(st.lists(words, max_size=3))),
        cluster=CapturedCluster(name=ClusterName(draw(words)), id=draw(words), brokers=draw(st.integers(1, 9))),
        flow=None,
        include=tuple(draw(st.lists(words, max_size=3))),
        exclude=tuple(draw(st.lists(words, max_size=3))),
        consistency=Consistency(groups_read_at=NOW, cut_at=NOW, cut_skew_ms=draw(counts), finished_at=NOW),
        states={"configs": draw(digests)},
        topics=tuple(topics),
        pack_sizes=dict.fromkeys(sorted(used), 1 << 40),
        missing=tuple(
            MissingTopic(name=TopicName(name), reason=draw(words)) for name in draw(st.lists(names, max_size=2))
        ),
        warnings=tuple(draw(st.lists(words, max_size=2))),
        not_captured=tuple(NotCaptured(what=what, reason=draw(words)) for what in draw(st.lists(words, max_size=2))),
        totals=Totals(
            records=sum(topic.records for topic in topics),
            bytes=numbers[0],
            stored_bytes=numbers[1],
            chunks=numbers[2],
            new_bytes=numbers[3],
            new_stored_bytes=numbers[4],
            new_chunks=numbers[5],
            new_packs=numbers[6],
        ),
    )


@ON_A_BUSY_MACHINE
@given(manifests())
def test_written_and_read_is_the_same(manifest: Manifest) -> None:
    """No field is lost, rounded or reordered on the way through JSON."""
    assert list(check_manifest(manifest)) == []
    assert read_manifest(write_manifest(manifest), where="test") == manifest


@ON_A_BUSY_MACHINE
@given(manifests(), st.data())
def test_shifted_edges_are_noticed(manifest: Manifest, data: st.DataObject) -> None:
    """A partition whose end does not meet its last chunk or gap is refused: something would be missing unseen."""
    topics = [topic for topic in manifest.topics if topic.partitions[0].end > topic.partitions[0].start]
    if not topics:
        return
    topic = data.draw(st.sampled_from(topics))
    first = topic.partitions[0]
    moved = replace(first, end=first.end + data.draw(st.sampled_from([-1, 1, 1000])))
    changed = replace(topic, partitions=(moved, *topic.partitions[1:]))
    wrong = replace(manifest, topics=tuple(changed if one is topic else one for one in manifest.topics))
    with pytest.raises(DataCorrupt, match="tile"):
        read_manifest(write_manifest(wrong), where="test")


@given(st.binary(max_size=200))
def test_rubbish_is_refused(payload: bytes) -> None:
    """Bytes that are no manifest raise DataCorrupt, nothing else."""
    with pytest.raises(DataCorrupt):
        read_manifest(payload, where="test")
