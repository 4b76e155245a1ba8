"""The chain of the journal: what was written reads back, and no change of it goes unseen."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import DataCorrupt
from replicator.journal.chain import (
    GENESIS,
    STRAYS_MAX,
    Chain,
    Entry,
    Head,
    Stored,
    canonical_json,
    encode,
    next_head,
    seal,
    verify,
)
from replicator.model.names import FlowName, OperationId

NOW = datetime(2026, 11, 22, 16, 8, 1, 123456, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def entry(step: str = "cut", **fields: Any) -> Entry:
    """Return an entry of one operation."""
    told = {"phase": "fact", "actor": "ann@host", "item": None, "body": {}} | fields
    return Entry(operation_id=OperationId("op-1"), flow=FlowName("f"), kind="failover", step=step, **told)


def chain_of(*entries: Entry, writer: str = "main", epoch: int = 1) -> list[bytes]:
    """Return the bytes of a chain of entries."""
    head, values = Head(), []
    for one in entries:
        record = seal(one, head=head, writer=writer, epoch=epoch, written_at=NOW)
        values.append(encode(record))
        head = next_head(record)
    return values


def read(values: list[bytes]) -> Chain:
    """Return the verified chain of these bytes, stored one after the other."""
    return verify([Stored(offset, value) for offset, value in enumerate(values)])


def resealed(value: bytes, **changes: Any) -> bytes:
    """Return a record with other fields and a digest that fits them: a careful forgery."""
    fields = {**json.loads(value), **changes}
    del fields["digest"]
    return canonical_json({**fields, "digest": hashlib.sha256(canonical_json(fields)).hexdigest()})


@given(body=st.dictionaries(st.text(), json_values, max_size=4), actor=st.text(), item=st.none() | st.text())
def test_what_was_sealed_reads_back(body: dict[str, Any], actor: str, item: str | None) -> None:
    """Every field of an entry, of any text and any JSON, comes back from the bytes as it went in."""
    (record,) = read(chain_of(entry(body=body, actor=actor, item=item))).records
    assert (record.body, record.actor, record.item) == (body, actor, item)
    assert (record.previous, record.offset, record.writer, record.epoch) == (GENESIS, 0, "main", 1)
    assert record.written_at == NOW.replace(microsecond=123000)


def test_the_bytes_are_canonical_and_end_in_no_surprise() -> None:
    """A record is one line of sorted, compact, pure ASCII JSON, so that its digest can be checked by anybody."""
    (value,) = chain_of(entry(body={"b": "é\u202e", "a": 1}))
    fields = json.loads(value)
    assert value == json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    digest = fields.pop("digest")
    assert hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest() == digest


def test_each_record_names_the_one_before_it() -> None:
    """Sequence numbers run and each `previous` is the digest of the record before."""
    chain = read(chain_of(entry("a"), entry("b"), entry("c")))
    first, second, third = chain.records
    assert [r.sequence for r in chain.records] == [0, 1, 2]
    assert (second.previous, third.previous) == (first.digest, second.digest)
    assert chain.heads == {"main": Head(sequence=3, digest=third.digest)}


@given(data=st.data())
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    """One bit flipped anywhere: the link after it breaks and the error names its offset too; at the very end, where
    no link follows, it is named as a stray."""
    values = chain_of(entry("a"), entry("b", body={"cut": [1, 2, 3]}), entry("c"))
    which = data.draw(st.integers(0, 2))
    bit = data.draw(st.integers(0, len(values[which]) * 8 - 1))
    flipped = bytearray(values[which])
    flipped[bit // 8] ^= 1 << (bit % 8)
    values[which] = bytes(flipped)
    if which == 2:
        assert [stray.offset for stray in read(values).strays] == [2]
        return
    with pytest.raises(DataCorrupt, match=f"offset {which + 1} .*offset {which} "):
        read(values)


@given(size=st.integers(0, 400))
def test_any_cut_record_is_found(size: int) -> None:
    """A record cut short at any byte is no record: it is named."""
    (value,) = chain_of(entry())
    chain = read([value[: min(size, len(value) - 1)]])
    assert (chain.records, [stray.offset for stray in chain.strays]) == ((), [0])


def test_a_deleted_middle_is_found() -> None:
    """A record missing in the middle is found at the record after it."""
    values = chain_of(entry("a"), entry("b"), entry("c"))
    with pytest.raises(DataCorrupt, match=r"offset 1 .*sequence 2"):
        read([values[0], values[2]])


def test_another_order_is_found() -> None:
    """Two records in the wrong order are found."""
    values = chain_of(entry("a"), entry("b"), entry("c"))
    with pytest.raises(DataCorrupt, match="offset 1"):
        read([values[0], values[2], values[1]])


def test_a_missing_beginning_is_found() -> None:
    """A journal that does not begin with the first record is refused."""
    with pytest.raises(DataCorrupt, match="offset 0"):
        read(chain_of(entry("a"), entry("b"))[1:])


def test_a_repeated_record_is_named_and_left_out() -> None:
    """Anybody with the right to write can send a record again: it stops nothing, and says nothing a second time."""
    values = chain_of(entry("a"), entry("b"), entry("c"))
    chain = read([*values[:2], values[0], values[2], values[2]])
    assert [record.step for record in chain.records] == ["a", "b", "c"]
    assert [str(stray) for stray in chain.strays] == [
        "the record at offset 2 is a copy of the one at 0",
        "the record at offset 4 is a copy of the one at 3",
    ]


def test_a_record_rewritten_with_a_fitting_digest_breaks_the_next_link() -> None:
    """Who rewrites a record and its digest is betrayed by the record after it."""
    values = chain_of(entry("a", body={"lost": 5}), entry("b"))
    values[0] = resealed(values[0], body={"lost": 0})
    with pytest.raises(DataCorrupt, match=r"offset 1 names .* as the record before it"):
        read(values)


def test_an_epoch_that_goes_back_is_found() -> None:
    """No holder writes after a newer one: an older epoch behind a newer is refused."""
    first = seal(entry("a"), head=Head(), writer="main", epoch=2, written_at=NOW)
    second = seal(entry("b"), head=next_head(first), writer="main", epoch=1, written_at=NOW)
    with pytest.raises(DataCorrupt, match="epoch 1 follows 2"):
        read([encode(first), encode(second)])


def test_two_writers_have_a_chain_each() -> None:
    """Supervisors with different ids share a topic without breaking each other's chain."""
    ann, bob = chain_of(entry("a"), entry("b"), writer="ann"), chain_of(entry("c"), writer="bob", epoch=7)
    chain = read([ann[0], bob[0], ann[1]])
    assert [(r.writer, r.sequence) for r in chain.records] == [("ann", 0), ("bob", 0), ("ann", 1)]
    assert chain.highest_epoch == 7


def test_an_unknown_version_makes_the_journal_read_only() -> None:
    """Records of a newer version keep their place in the chain and are not interpreted."""
    values = chain_of(entry("a"))
    (first,) = read(values).records
    newer = resealed(values[0], v=2, sequence=1, previous=first.digest, written_at="in another form")
    chain = read([values[0], newer])
    assert chain.is_read_only
    assert chain.newest_version == 2
    assert [r.step for r in chain.records] == ["a"]
    assert chain.heads["main"].sequence == 2


@pytest.mark.parametrize("changes", [{"written_at": "yesterday"}, {"body": 3}, {"epoch": None}])
def test_a_field_of_another_kind_is_refused(changes: dict[str, Any]) -> None:
    """A record whose digest and links fit but whose fields make no sense is refused, not half understood."""
    (value,) = chain_of(entry())
    with pytest.raises(DataCorrupt, match="offset 0"):
        read([resealed(value, **changes)])


@pytest.mark.parametrize("changes", [{"sequence": "0"}, {"writer": None}, {"v": True}, {"previous": 0}])
def test_a_value_without_a_place_in_a_chain_is_a_stray(changes: dict[str, Any]) -> None:
    """A value whose digest fits but that names no place in a chain is no record."""
    (value,) = chain_of(entry())
    assert [str(stray) for stray in read([resealed(value, **changes)]).strays] == [
        f"the record at offset 0 has a field {next(iter(changes))} that is missing or odd"
    ]


@given(before=st.binary(max_size=200), between=st.binary(max_size=200), after=st.binary(max_size=200))
def test_foreign_bytes_keep_nobody_from_the_journal(before: bytes, between: bytes, after: bytes) -> None:
    """Whatever bytes somebody else left before, between and after our records, ours read back and theirs are named."""
    ours = chain_of(entry("a"), entry("b"))
    chain = read([before, ours[0], between, ours[1], after])
    assert [record.step for record in chain.records] == ["a", "b"]
    assert ([stray.offset for stray in chain.strays], chain.strays_count) == ([0, 2, 4], 3)


def test_strays_are_named_up_to_a_bound_and_counted_without_one() -> None:
    """A topic full of nonsense costs no memory for each of it, and the count is right."""
    chain = read([b"x"] * 1_000)
    assert (len(chain.strays), chain.strays_count) == (STRAYS_MAX, 1_000)


def test_deep_nesting_is_a_stray_not_a_crash() -> None:
    """A value nested a hundred thousand deep is left out like any other nonsense."""
    assert read([b"[" * 100_000]).strays_count == 1


def test_an_empty_journal_is_whole() -> None:
    """Nothing written is no error; the next record is the first."""
    assert read([]) == Chain()
