"""Batches of empty records: what a broker gets is what was asked for, and told from anything else."""

from __future__ import annotations

import pytest

from replicator.wire.exact import FILLER_RECORDS_MAX, encode_filler, is_filler
from replicator.wire.format.batches import Batch, Codec, prove_batch, walk_batches
from replicator.wire.format.records import ProducerStamp, RawRecord, decode_records, encode_batch

STAMP = ProducerStamp(producer_id=7, producer_epoch=3, base_sequence=11)


def only(data: bytes) -> Batch:
    """The one batch in these bytes."""
    (batch,) = walk_batches(memoryview(data))
    return batch


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 127, 128, 8191, 8192, 8193, 20_000, FILLER_RECORDS_MAX])
def test_a_filler_holds_so_many_empty_records(count: int) -> None:
    """Whatever the length of its offsets' varints: null keys, null values, one time, offsets in a row."""
    batch = only(encode_filler(count, timestamp_ms=1234, stamp=STAMP, is_transactional=True))
    prove_batch(batch.header, batch.data, where="a filler")
    records = decode_records(batch)
    assert [record.offset for record in records] == list(range(count))
    assert {(r.timestamp_ms, r.key, r.value, r.headers) for r in records} == {(1234, None, None, ())}
    header = batch.header
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 3, 11)
    assert header.is_transactional
    assert is_filler(batch)


def test_a_plain_filler_is_no_part_of_a_transaction() -> None:
    """What is deleted afterwards needs no transaction, and no producer."""
    header = only(encode_filler(5, timestamp_ms=0, stamp=None, is_transactional=False)).header
    assert (header.is_transactional, header.producer_id) == (False, -1)


@pytest.mark.parametrize("count", [0, -1, FILLER_RECORDS_MAX + 1])
def test_sizes_that_hurt_a_broker_are_refused(count: int) -> None:
    """None is no batch; millions take a broker's memory."""
    with pytest.raises(ValueError, match="1 to"):
        encode_filler(count, timestamp_ms=0, stamp=None, is_transactional=False)


OTHERS = [
    ([RawRecord(0, 1, None, None)], Codec.NONE),
    ([RawRecord(0, 1, None, b"")], Codec.ZSTD),
    ([RawRecord(0, 1, b"", None)], Codec.ZSTD),
    ([RawRecord(0, 1, None, None), RawRecord(1, 2, None, None)], Codec.ZSTD),
    ([RawRecord(0, 1, None, None, (("h", None),))], Codec.ZSTD),
]


@pytest.mark.parametrize(("records", "codec"), OTHERS)
def test_other_records_are_not_taken_for_fillers(records: list[RawRecord], codec: Codec) -> None:
    """Not even records that are nearly as empty."""
    assert not is_filler(only(encode_batch(records, codec=codec)))
