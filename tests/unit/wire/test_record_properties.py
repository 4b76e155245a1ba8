"""Any records survive encoding; any bytes survive decoding without a crash."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import DataCorrupt, PreflightBlocked
from replicator.wire.format.batches import Batch, is_batch_whole, walk_batches
from replicator.wire.format.records import ProducerStamp, RawRecord, decode_records, encode_batch, patch_batch

maybe_bytes = st.none() | st.binary(max_size=300)
times = st.integers(min_value=-1, max_value=1 << 50)
headers = st.lists(st.tuples(st.text(max_size=20), maybe_bytes), max_size=4).map(tuple)
records = st.builds(
    RawRecord, offset=st.just(0), timestamp_ms=times, key=maybe_bytes, value=maybe_bytes, headers=headers
)
codecs = st.integers(min_value=0, max_value=4)


@given(st.lists(records, min_size=1, max_size=30), codecs)
def test_any_records_survive(originals: list[RawRecord], codec: int) -> None:
    """Encoded and decoded, records differ in their offsets alone, which are 0, 1, 2, …"""
    (batch,) = walk_batches(memoryview(encode_batch(originals, codec=codec)))
    assert is_batch_whole(batch.header, batch.data)
    decoded = decode_records(batch)
    assert [record.offset for record in decoded] == list(range(len(originals)))
    assert [(r.timestamp_ms, r.key, r.value, r.headers) for r in decoded] == [
        (r.timestamp_ms, r.key, r.value, r.headers) for r in originals
    ]


@given(st.lists(records, min_size=1, max_size=10), codecs, st.integers(0, 1 << 40), st.integers(0, (1 << 31) - 1))
def test_patching_changes_no_record(originals: list[RawRecord], codec: int, producer: int, sequence: int) -> None:
    """A patched batch decodes to the same records under any stamp."""
    (batch,) = walk_batches(memoryview(encode_batch(originals, codec=codec)))
    (patched,) = walk_batches(memoryview(patch_batch(batch, stamp=ProducerStamp(producer, 0, sequence))))
    assert is_batch_whole(patched.header, patched.data)
    assert decode_records(patched) == decode_records(batch)


@given(st.lists(records, min_size=1, max_size=5), codecs, st.data())
def test_damage_never_crashes(originals: list[RawRecord], codec: int, data: st.DataObject) -> None:
    """Bytes changed at random give records or DataCorrupt, nothing else."""
    raw = bytearray(encode_batch(originals, codec=codec))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(12, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        for batch in walk_batches(memoryview(raw)):
            decode_records(Batch(batch.header._replace(record_count=min(batch.header.record_count, 1000)), batch.data))
    except (DataCorrupt, PreflightBlocked):
        pass


def test_header_names_that_are_no_text_survive() -> None:
    """Some clients write any bytes as a header's name; they come back as they were."""
    record = RawRecord(0, 5, None, b"v", ((b"\xff\xfe".decode(errors="surrogateescape"), b"x"),))
    (batch,) = walk_batches(memoryview(encode_batch([record])))
    assert b"\xff\xfe" in bytes(batch.data)
    assert decode_records(batch) == [record]
