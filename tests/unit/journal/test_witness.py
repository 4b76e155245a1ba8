"""Journals proven: alone, and beside the heads that another cluster keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.journal import HEAD_ITEM, HEAD_STEP, Entry, KeptHead, prove_journals
from replicator.journal.chain import Head, Stored, canonical_json, encode, next_head, seal
from replicator.model.names import ClusterName, FlowName, OperationId

NOW = datetime(2026, 11, 22, 16, 8, 1, tzinfo=UTC)
WEST, EAST = ClusterName("west"), ClusterName("east")


def entry(step: str, *, phase: str = "fact", item: str | None = None, body: dict[str, Any] | None = None) -> Entry:
    """Return an entry of one operation."""
    return Entry(
        operation_id=OperationId("op-1"),
        flow=FlowName("f"),
        kind="switchover",
        step=step,
        phase=phase,
        actor="ann@host",
        item=item,
        body=body or {},
    )


def chain_of(entries: Sequence[Entry], *, writer: str = "main") -> list[Stored]:
    """Return a chain as the log holds it."""
    head, values = Head(), []
    for offset, one in enumerate(entries):
        record = seal(one, head=head, writer=writer, epoch=1, written_at=NOW)
        values.append(Stored(offset, encode(record)))
        head = next_head(record)
    return values


def kept_head(of: list[Stored]) -> list[Stored]:
    """Return the journal of the other cluster, which keeps the head of this one."""
    last = json.loads(of[-1].value)
    body = {"cluster": WEST, "writer": "main", "sequence": last["sequence"], "digest": last["digest"]}
    return chain_of([entry(HEAD_STEP, item=HEAD_ITEM, body=body)], writer="copy.main")


REQUEST = entry("operation", phase="requested", body={"source": "east", "target": "west"})
JOURNAL = chain_of([REQUEST, *(entry(step) for step in ("cut", "commit", "promote", "verify"))])


def findings(west: list[Stored]) -> tuple[str, ...]:
    """Return what is found of the journal on west beside the head that east keeps."""
    return {proof.cluster: proof for proof in prove_journals({WEST: west, EAST: kept_head(JOURNAL)})}[WEST].findings


def test_a_whole_journal_is_whole() -> None:
    """Nothing is found, the head on the other cluster was held against it, and it may have grown since."""
    grown = chain_of([REQUEST, *(entry(step) for step in ("cut", "commit", "promote", "verify", "report"))])
    for journal in (JOURNAL, grown):
        (west, east) = prove_journals({WEST: journal, EAST: kept_head(JOURNAL)})
        assert (west.is_whole, west.witnesses, east.is_whole, east.witnesses) == (True, 1, True, 0)


@pytest.mark.parametrize("place", range(len(JOURNAL)))
def test_a_flipped_byte_is_found(place: int) -> None:
    """Whatever record it is in, the chain alone tells it."""
    value = bytearray(JOURNAL[place].value)
    value[len(value) // 2] ^= 1
    changed = [*JOURNAL[:place], Stored(place, bytes(value)), *JOURNAL[place + 1 :]]
    assert any(f"offset {place}" in told for told in findings(changed))


def test_a_deleted_middle_is_found() -> None:
    """The record behind the gap names another one before it."""
    assert any("follows" in told for told in findings([*JOURNAL[:2], *JOURNAL[3:]]))


@pytest.mark.parametrize("left", range(len(JOURNAL)))
def test_a_cut_tail_is_found_by_the_kept_head(left: int) -> None:
    """The chain by itself is whole; the head that the other cluster keeps is missing in it."""
    assert prove_journals({WEST: JOURNAL[:left]})[0].is_whole
    assert any("tail was cut" in told for told in findings(JOURNAL[:left]))


def test_a_journal_written_anew_is_found_by_the_kept_head() -> None:
    """A forger with the code and the lease makes a whole chain; the kept digest is not in it."""
    forged = chain_of([REQUEST, *(entry(step) for step in ("cut", "commit", "promote", "forged"))])
    assert prove_journals({WEST: forged})[0].is_whole
    assert any("written anew" in told for told in findings(forged))


def test_a_forged_record_breaks_the_next_link() -> None:
    """A digest that fits the changed bytes does not fit the link of the record behind it."""
    fields = json.loads(JOURNAL[1].value)
    del fields["digest"]
    fields["actor"] = "mallory"
    digest = hashlib.sha256(canonical_json(fields)).hexdigest()
    forged = Stored(1, canonical_json({**fields, "digest": digest}))
    assert any("offset 2" in told for told in findings([JOURNAL[0], forged, *JOURNAL[2:]]))


def test_a_head_that_is_kept_elsewhere_is_a_witness_too() -> None:
    """With no other cluster's journal at hand, a cut tail and a rewrite show beside the head in the store."""
    last = json.loads(JOURNAL[-1].value)
    head = KeptHead(cluster=WEST, writer="main", sequence=last["sequence"], digest=last["digest"], kept_at=NOW)
    (whole,) = prove_journals({WEST: JOURNAL}, kept_elsewhere=[head])
    assert (whole.is_whole, whole.witnesses) == (True, 1)
    (cut,) = prove_journals({WEST: JOURNAL[:-1]}, kept_elsewhere=[head])
    assert "the tail was cut" in cut.findings[0]
    anew = chain_of([entry(step) for step in ("survey", "cut", "commit", "promote", "verified")])
    (forged,) = prove_journals({WEST: anew}, kept_elsewhere=[head])
    assert "it was written anew" in forged.findings[0]


def test_values_that_are_no_records_are_found_and_the_rest_is_proven() -> None:
    """Foreign bytes in the topic are a finding; every record is proven beside them."""
    strange = [Stored(5, b"hello"), Stored(6, b"{}")]
    (proof,) = prove_journals({WEST: [*JOURNAL, *strange]})
    assert proof.records == len(JOURNAL)
    assert proof.findings[0] == (
        "2 values are no records and left out, written by somebody else: the record at offset 5 is no JSON"
    )


def test_a_head_that_says_nothing_and_an_operation_nobody_requested_are_findings() -> None:
    """Well chained records that make no sense are named, and nothing else stops."""
    odd = chain_of([entry(HEAD_STEP, item=HEAD_ITEM, body={"cluster": WEST})])
    (proof,) = prove_journals({EAST: odd})
    assert "the record at offset 0 keeps no head" in proof.findings
    assert any("op-1: it begins with head fact" in finding for finding in proof.findings)
