"""Snapshots compared and written out: what changed is told, and files hold just what a consumer would see."""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from crc32c import crc32c

from replicator.errors import ConfigInvalid, DataCorrupt, PreflightBlocked, WrongCluster
from replicator.model.archive.diffs import PartitionDiff
from replicator.model.archive.snapshots import CapturedCluster, Manifest, VerifyLevel
from replicator.model.flow import Selection
from replicator.model.names import ClusterName, TopicName
from replicator.snapshot import ExportFormat, diff_snapshots, export_snapshot, verify_snapshot
from replicator.wire.format.records import RawRecord, encode_batch
from tests.unit.snapshot.conftest import FixedClock, Workshop, make_batch, make_slice, make_workshop

FIRST, SECOND = "20261101T000000Z-0000aa", "20261102T000000Z-0000bb"
TRANSACTIONAL = 0x10
ALL = Selection(include=("*",))


@pytest.fixture
def shop() -> Workshop:
    """An empty repository."""
    return make_workshop()


def one_batch(values: list[bytes | None], *, stop: int | None = None) -> list:
    """One slice with one batch at offset 0."""
    return [make_slice(make_batch(0, values), start=0, stop=stop or len(values))]


def test_a_snapshot_is_no_different_from_itself(shop: Workshop) -> None:
    """Nothing is told where nothing changed."""
    manifest = shop.take(FIRST, one_batch([b"a"]), stop=1)
    found = diff_snapshots(shop.repository, manifest, manifest)
    assert (found.topics, found.groups) == ((), ())


def test_what_changed_is_told(shop: Workshop) -> None:
    """Grown, made anew, gone and new topics, each with what it held."""
    old = shop.take(FIRST, one_batch([b"a", b"b"]), stop=2)
    grown = shop.take(SECOND, one_batch([b"a", b"b", b"c"]), stop=3)
    (topic,) = diff_snapshots(shop.repository, old, grown).topics
    expected = PartitionDiff(partition=0, old_start=0, old_end=2, new_start=0, new_end=3, is_shortened=False)
    assert (topic.change, topic.partitions) == ("same", (expected,))
    (back,) = diff_snapshots(shop.repository, grown, old).topics
    assert back.partitions[0].is_shortened
    anew = replace(grown, topics=(replace(grown.topics[0], topic_id="U"),))
    (topic,) = diff_snapshots(shop.repository, old, anew).topics
    assert (topic.change, topic.partitions[0].old_end, topic.partitions[0].new_end) == ("made anew", None, 3)
    renamed = replace(grown, topics=(replace(grown.topics[0], name=TopicName("other")),))
    changes = {one.topic: one.change for one in diff_snapshots(shop.repository, old, renamed).topics}
    assert changes == {"orders": "removed", "other": "added"}


def test_settings_and_positions_are_compared(shop: Workshop) -> None:
    """A changed setting and a moved group show with both values."""
    old = shop.take(FIRST, one_batch([b"a"]), stop=1)
    rows = [{"group": "g", "state": "EMPTY", "protocol_type": "consumer", "offsets": [["orders", 0, 1]]}]
    states = {
        "configs": shop.repository.put_state("configs", {"topics": {"orders": {"retention.ms": "5"}}}),
        "groups": shop.repository.put_state("groups", {"groups": rows}),
    }
    found = diff_snapshots(shop.repository, old, replace(old, states=states))
    assert [(c.key, c.old, c.new) for c in found.topics[0].settings] == [("retention.ms", "-1", "5")]
    assert [(c.key, c.old, c.new) for c in found.groups] == [("g orders[0]", None, "1")]


def test_two_clusters_are_not_compared(shop: Workshop) -> None:
    """Their offsets say nothing of each other."""
    old = shop.take(FIRST, one_batch([b"a"]), stop=1)
    other = replace(old, cluster=CapturedCluster(name=ClusterName("west"), id="W", brokers=1))
    with pytest.raises(WrongCluster, match="cannot be compared"):
        diff_snapshots(shop.repository, old, other)


def exported(shop: Workshop, manifest: Manifest, folder: Path) -> list[dict]:
    """The lines of an export of everything."""
    (done,) = export_snapshot(shop.repository, manifest, folder, kind=ExportFormat.JSONL, topics=ALL)
    lines = done.path.read_text().splitlines()
    assert (done.records, done.size_bytes) == (len(lines), done.path.stat().st_size)
    return [json.loads(line) for line in lines]


def test_lines_hold_what_a_consumer_would_see(shop: Workshop, tmp_path: Path) -> None:
    """No aborted record and none outside the cut; null, empty, text and bytes stay apart."""
    raw = (
        make_batch(0, [b"kept", None, b"", b"\xff\x00"])
        + make_batch(4, [b"aborted"], producer=7, attributes=TRANSACTIONAL)
        + make_batch(5, [b"line\nbreak \xe2\x82\xac", b"beyond the cut"])
    )
    manifest = shop.take(FIRST, [make_slice(raw, start=0, stop=6, aborted=[(7, 4)])], stop=6)
    found = exported(shop, manifest, tmp_path)
    assert [one["offset"] for one in found] == [0, 1, 2, 3, 5]
    assert [one.get("value", one.get("value_base64")) for one in found] == ["kept", None, "", "/wA=", "line\nbreak €"]
    assert "value" not in found[3]
    assert found[0] | {"timestamp_ms": 0} == {
        "topic": "orders", "partition": 0, "offset": 0, "timestamp_ms": 0, "key": "k0", "value": "kept", "headers": [],
    }  # fmt: skip


def test_raw_files_are_the_brokers_bytes(shop: Workshop, tmp_path: Path) -> None:
    """A segment is every batch back to back, named by its first offset as on a broker."""
    raw = make_batch(30, [b"a", b"b"]) + make_batch(32, [b"c"])
    manifest = shop.take(FIRST, [make_slice(raw, start=30, stop=33)], stop=33)
    (done,) = export_snapshot(shop.repository, manifest, tmp_path, kind=ExportFormat.RAW, topics=ALL)
    assert done.path == tmp_path / "orders-0" / "00000000000000000030.log"
    assert done.path.read_bytes() == raw


def test_nothing_is_overwritten_and_nothing_is_half_written(shop: Workshop, tmp_path: Path) -> None:
    """A file in the way refuses the whole export; a bad chunk leaves no file behind."""
    manifest = shop.take(FIRST, one_batch([b"a"]), stop=1)
    (tmp_path / "orders-0.jsonl").write_text("mine")
    with pytest.raises(PreflightBlocked, match="exists already"):
        export_snapshot(shop.repository, manifest, tmp_path, kind=ExportFormat.JSONL, topics=ALL)
    assert (tmp_path / "orders-0.jsonl").read_text() == "mine"
    (key,) = shop.keys_of("packs")
    data = bytearray(shop.store.get(key))
    data[70] ^= 1
    shop.store.put(key, [bytes(data)])
    with pytest.raises(DataCorrupt):
        export_snapshot(shop.repository, manifest, tmp_path / "new", kind=ExportFormat.JSONL, topics=ALL)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_batch_written_wrong_is_found_by_decoding_only(shop: Workshop) -> None:
    """Offsets that do not rise under a right CRC: level 3 cannot see it, level 4 does."""
    records = [RawRecord(2, 1, b"k", b"b"), RawRecord(1, 1, b"k", b"a"), RawRecord(2, 1, b"k", b"c")]
    good = bytes(encode_batch([RawRecord(n, 1, b"k", b"x") for n in range(3)]))
    bad = bytes(encode_batch_as_is(records))
    assert len(good) == len(bad)
    manifest = shop.take(FIRST, [make_slice(bad, start=0, stop=3)], stop=3)
    clock = FixedClock()
    assert verify_snapshot(shop.repository, manifest.id, level=VerifyLevel.BATCHES, clock=clock).is_ok
    report = verify_snapshot(shop.repository, manifest.id, level=VerifyLevel.RECORDS, clock=clock)
    assert "do not rise" in report.findings[0].problem
    whole = shop.take(SECOND, [make_slice(good, start=0, stop=3)], stop=3)
    assert verify_snapshot(shop.repository, whole.id, level=VerifyLevel.RECORDS, clock=clock).is_ok


def test_a_record_later_than_its_header_says_is_found(shop: Workshop) -> None:
    """The greatest time of the index is true of every record: a look-up by time builds on it."""
    bad = bytearray(encode_batch([RawRecord(n, 5 + n, b"k", b"x") for n in range(3)]))
    struct.pack_into(">q", bad, 35, 6)
    struct.pack_into(">I", bad, 17, crc32c(bytes(bad[21:])))
    manifest = shop.take(FIRST, [make_slice(bytes(bad), start=0, stop=3)], stop=3)
    assert verify_snapshot(shop.repository, manifest.id, level=VerifyLevel.BATCHES, clock=FixedClock()).is_ok
    report = verify_snapshot(shop.repository, manifest.id, level=VerifyLevel.RECORDS, clock=FixedClock())
    assert "is later than its header says" in report.findings[0].problem


def encode_batch_as_is(records: list[RawRecord]) -> bytes:
    """A batch of records whose offsets are swapped inside, with the CRC of just these bytes."""
    raw = bytearray(encode_batch([RawRecord(n, 1, r.key, r.value) for n, r in enumerate(records)]))
    body = bytes(raw[61:])
    step = len(body) // 3
    raw[61:] = body[step : 2 * step] + body[:step] + body[2 * step :]
    struct.pack_into(">I", raw, 17, crc32c(bytes(raw[21:])))
    return bytes(raw)


def test_parquet_holds_what_a_consumer_would_see(shop: Workshop, tmp_path: Path, monkeypatch) -> None:
    """Read back by pyarrow: null beside empty, headers, times and their kind; row groups bound what is held."""
    import pyarrow.parquet

    monkeypatch.setattr("replicator.snapshot.outward.parquet.ROWS_MAX", 2)
    records = [
        RawRecord(0, 1_700_000_000_000, None, b"", (("h", b"\xff"), ("h", None), ("", b""))),
        RawRecord(1, 1_700_000_000_001, b"", None),
        RawRecord(2, -1, b"k", b"v"),
    ]
    first = bytearray(encode_batch(records, codec=0))
    appended = bytearray(make_batch(3, [b"late"], attributes=0x08))
    struct.pack_into(">q", appended, 35, 1_700_000_000_999)
    struct.pack_into(">I", appended, 17, crc32c(bytes(appended[21:])))
    aborted = make_batch(4, [b"never"], producer=9, attributes=TRANSACTIONAL)
    data = bytes(first) + bytes(appended) + aborted
    shop.take(FIRST, [make_slice(data, start=0, stop=5, aborted=[(9, 4)])], stop=5)
    manifest = shop.repository.read_manifest(shop.repository.find(FIRST))
    (done,) = export_snapshot(shop.repository, manifest, tmp_path, kind=ExportFormat.PARQUET, topics=ALL)
    assert (done.records, done.path.name, done.size_bytes) == (4, "orders-0.parquet", done.path.stat().st_size)
    file = pyarrow.parquet.ParquetFile(done.path)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2]
    assert file.schema_arrow.metadata[b"topic"] == b"orders"
    table = file.read()
    assert table.column_names == ["partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers"]
    rows = table.to_pylist()
    assert [(row["partition"], row["offset"], row["timestamp_type"]) for row in rows] == [
        (0, 0, "create"), (0, 1, "create"), (0, 2, "create"), (0, 3, "append"),
    ]  # fmt: skip
    times = [None if row["timestamp"] is None else round(row["timestamp"].timestamp() * 1000) for row in rows]
    assert times == [1_700_000_000_000, 1_700_000_000_001, None, 1_700_000_000_999]
    assert [(row["key"], row["value"]) for row in rows] == [(None, b""), (b"", None), (b"k", b"v"), (b"k0", b"late")]
    assert rows[0]["headers"] == [
        {"name": "h", "value": b"\xff"}, {"name": "h", "value": None}, {"name": "", "value": b""},
    ]  # fmt: skip
    assert rows[1]["headers"] == []


def test_a_damaged_chunk_leaves_no_parquet_file(shop: Workshop, tmp_path: Path) -> None:
    """What the manifest counted is asked for: with other counts there is an error and no file."""
    manifest = shop.take(FIRST, one_batch([b"a", b"b"]), stop=2)
    topic = manifest.topics[0]
    chunk = topic.partitions[0].chunks[0]
    partition = replace(topic.partitions[0], chunks=(replace(chunk, facts=replace(chunk.facts, records=3)),))
    wrong = replace(manifest, topics=(replace(topic, partitions=(partition,)),))
    with pytest.raises(DataCorrupt, match="the manifest counted 3"):
        export_snapshot(shop.repository, wrong, tmp_path, kind=ExportFormat.PARQUET, topics=ALL)
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_the_extra_is_named(shop: Workshop, tmp_path: Path, monkeypatch) -> None:
    """The error comes before anything is read, and says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    manifest = shop.take(FIRST, one_batch([b"a"]), stop=1)
    with pytest.raises(ConfigInvalid) as caught:
        export_snapshot(shop.repository, manifest, tmp_path / "new", kind=ExportFormat.PARQUET, topics=ALL)
    assert "replicator[parquet]" in str(caught.value.hint)
    assert not (tmp_path / "new").exists()
