"""The way on behind a broken chain: what may be accepted, what readers make of it, and what is told for ever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import DataCorrupt, NotFound, PreflightBlocked
from replicator.journal import Entry, Journal, KeptHead, MemoryLog, list_operations, open_operation, prove_journals
from replicator.journal.accepting import choose_breaks, to_entries
from replicator.journal.chain import Break, Head, Stored, canonical_json, encode, find_break, next_head, seal, verify
from replicator.model.names import ClusterName, FlowName, OperationId
from replicator.model.operations import OperationState

WEST = ClusterName("west")
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
COMMAND = "replicator audit accept west --reason TEXT"


def entry(step: str, phase: str = "fact", **body: Any) -> Entry:
    """Return an entry of one operation."""
    return Entry(
        operation_id=OperationId("op-1"),
        flow=FlowName("shop"),
        kind="failover",
        step=step,
        phase=phase,
        actor="ann",
        body=body,
    )


def written(steps: int) -> MemoryLog:
    """Return a log that holds an operation's request and so many facts after it."""
    log = MemoryLog()
    writer = Journal(log).open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5))
    writer.append([entry("operation", "requested", source="east", target="west")], Deadline.after(5))
    for number in range(steps):
        writer.append([entry(f"step-{number}", number=number)], Deadline.after(5))
    return log


def stored(log: MemoryLog) -> list[Stored]:
    """Return what the log holds."""
    return log.read(Deadline.after(5))


def accept(log: MemoryLog, offsets: Iterable[int]) -> None:
    """Accept the breaks at these offsets as the command does, lease and cluster left out."""
    before = stored(log)
    breaks = choose_breaks(before, offsets, command=COMMAND)
    writer = Journal(log).open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5), accepting=breaks)
    writer.append(to_entries(breaks, before, actor="ann", reason="a disk", clock=SYSTEM_CLOCK), Deadline.after(5))


def flip(log: MemoryLog, offset: int) -> None:
    """Change one byte of a record."""
    log.values[offset] = log.values[offset].replace(b'"ann"', b'"bob"')


def steps_of(log: MemoryLog) -> list[str]:
    """Return the steps of the records, as a reader finds them."""
    return [record.step for record in verify(stored(log)).records]


def test_behind_a_changed_record_the_chain_goes_on_once_that_is_accepted() -> None:
    """Readers refuse it before; afterwards the operation goes on, what was changed is left out, and writers append."""
    log = written(4)
    flip(log, 2)
    with pytest.raises(DataCorrupt, match="offset 3"):
        verify(stored(log))
    with pytest.raises(DataCorrupt, match="offset 3"):
        Journal(log).open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5))
    accept(log, [3])
    assert steps_of(log) == ["operation", "step-0", "step-2", "step-3", "audit"]
    records = verify(stored(log)).records
    assert list(list_operations(records)) == ["op-1"]
    found = open_operation(records, FlowName("shop"))
    assert found is not None
    assert found.state is OperationState.RUNNING
    writer = Journal(log).open_writer("main", is_allowed=lambda: True, deadline=Deadline.after(5))
    writer.append([entry("later")], Deadline.after(5))
    assert steps_of(log)[-2:] == ["audit", "later"]
    assert [record.epoch for record in verify(stored(log)).records][-2:] == [2, 3]


def test_an_accepted_break_is_told_for_ever_and_is_wrong_no_more() -> None:
    """Who, when, where and why; what comes in afterwards is a finding again."""
    log = written(4)
    flip(log, 2)
    (before,) = prove_journals({WEST: stored(log)})
    assert not before.is_readable
    assert before.next_command == "replicator audit accept west --offset 3 --reason TEXT"
    accept(log, [3])
    (proof,) = prove_journals({WEST: stored(log)})
    assert (proof.findings, proof.is_readable, proof.next_command) == ((), True, None)
    (told,) = proof.accepted
    assert told.startswith("ann accepted at ")
    assert "the break at offset 3, from which on the chain is taken up again: a disk (sequence 3 of main" in told
    log.values.append(b"nonsense")
    (again,) = prove_journals({WEST: stored(log)})
    assert again.findings == (
        "1 value is no record and left out, written by somebody else: the record at offset 6 is no JSON",
    )
    assert again.accepted == proof.accepted


def test_a_kept_head_of_what_was_lost_is_excused_by_the_acceptance_and_no_other() -> None:
    """What is missing at the break is told there; a head of another record that is not the chain's is a finding."""
    log = written(5)
    whole = verify(stored(log)).records
    heads = [KeptHead(cluster=WEST, writer="main", sequence=r.sequence, digest=r.digest, kept_at=NOW) for r in whole]
    flip(log, 2)
    flip(log, 3)
    accept(log, [4])
    (proof,) = prove_journals({WEST: stored(log)}, kept_elsewhere=heads)
    assert (proof.findings, proof.witnesses) == ((), 6)
    for sequence in (1, 4):
        other = replace(heads[sequence], digest="0" * 64)
        (proof,) = prove_journals({WEST: stored(log)}, kept_elsewhere=[other])
        assert "it was written anew" in proof.findings[0]


def test_a_record_that_the_chain_passes_by_is_left_out() -> None:
    """Somebody wrote one that names another head; ours went on behind the former: what he wrote counts for nothing."""
    log = written(2)
    forged = seal(entry("forged"), head=Head(sequence=9, digest="f" * 64), writer="main", epoch=1, written_at=NOW)
    log.values.insert(2, encode(forged))
    (broken,) = choose_breaks(stored(log), [2], command=COMMAND)
    assert broken.is_intruder
    accept(log, [2])
    assert steps_of(log) == ["operation", "step-0", "step-1", "audit"]
    (proof,) = prove_journals({WEST: stored(log)})
    assert "the break at offset 2, which is left out" in proof.accepted[0]


def test_a_missing_middle_goes_on_with_the_record_behind_it() -> None:
    """Nothing names the head before it: what is left is taken up there."""
    log = written(4)
    del log.values[2]
    accept(log, [2])
    assert steps_of(log) == ["operation", "step-0", "step-2", "step-3", "audit"]


def test_every_break_has_to_be_named() -> None:
    """Of two, the second is found when the first is named, and the hint names both; nothing is written before."""
    log = written(6)
    flip(log, 2)
    flip(log, 4)
    before = list(log.values)
    with pytest.raises(PreflightBlocked, match="offset 3") as nowhere:
        accept(log, [])
    assert nowhere.value.hint == f"{COMMAND} --offset 3"
    with pytest.raises(PreflightBlocked, match="offset 5") as half:
        accept(log, [3])
    assert half.value.hint == f"{COMMAND} --offset 3 --offset 5"
    assert log.values == before
    accept(log, [5, 3])
    assert steps_of(log) == ["operation", "step-0", "step-2", "step-4", "step-5", "audit", "audit"]


@pytest.mark.parametrize("offsets", [[2], [3, 4]])
def test_what_is_not_broken_cannot_be_accepted(offsets: list[int]) -> None:
    """Neither in a whole chain nor beside a break: an acceptance in reserve would hide a later change."""
    log = written(4)
    if 3 in offsets:
        flip(log, 2)
    with pytest.raises(NotFound, match=f"not broken at offset {offsets[-1]}"):
        accept(log, offsets)


def test_an_acceptance_holds_for_that_very_record_alone() -> None:
    """Another record in its place is another break."""
    log = written(4)
    flip(log, 2)
    accept(log, [3])
    fields = json.loads(log.values[3])
    del fields["digest"]
    fields["actor"] = "eve"
    digest = hashlib.sha256(canonical_json(fields)).hexdigest()
    log.values[3] = canonical_json({**fields, "digest": digest})
    with pytest.raises(DataCorrupt, match="offset 3"):
        verify(stored(log))


def test_an_acceptance_that_is_no_part_of_the_chain_accepts_nothing_unseen() -> None:
    """Somebody who forges one breaks the chain with it."""
    log = written(4)
    flip(log, 2)
    broken = find_break(stored(log))
    assert broken is not None
    (word,) = to_entries([broken], stored(log), actor="eve", reason="trust me", clock=SYSTEM_CLOCK)
    log.values.append(encode(seal(word, head=Head(), writer="eve", epoch=1, written_at=NOW)))
    (proof,) = prove_journals({WEST: stored(log)})
    assert proof.accepted[0].startswith("eve accepted at ")
    log.values[-1] = encode(seal(word, head=Head(sequence=5, digest="0" * 64), writer="eve", epoch=1, written_at=NOW))
    with pytest.raises(DataCorrupt, match="sequence 5 of eve"):
        verify(stored(log))


def test_an_epoch_that_goes_back_can_be_accepted_too() -> None:
    """The record counts from then on like any other."""
    first = seal(entry("a"), head=Head(), writer="main", epoch=2, written_at=NOW)
    second = seal(entry("b"), head=next_head(first), writer="main", epoch=1, written_at=NOW)
    log = MemoryLog()
    log.values += [encode(first), encode(second)]
    accept(log, [1])
    assert steps_of(log) == ["a", "b", "audit"]


def test_a_break_names_its_record() -> None:
    """Offset, digest and how it shows; a whole chain has none."""
    log = written(2)
    assert find_break(stored(log)) is None
    flip(log, 1)
    assert find_break(stored(log)) == Break(
        2,
        json.loads(log.values[2])["digest"],
        find_break(stored(log)).what,  # type: ignore[union-attr]
    )
