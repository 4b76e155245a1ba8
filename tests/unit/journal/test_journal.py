"""The journal over a log that misbehaves: lost answers, newer versions, oversized records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from unittest import mock

import pytest

from replicator.clock import Deadline
from replicator.errors import Fenced, LimitExceeded, OutcomeUnknown, PreflightBlocked, Unreachable
from replicator.journal import Entry, Journal, MemoryLog
from replicator.journal.chain import Stored
from replicator.journal.log import LogWriter
from replicator.model.names import FlowName, OperationId


def soon() -> Deadline:
    """Return a budget that memory never needs."""
    return Deadline.after(5)


def entry(step: str = "cut", size: int = 0) -> Entry:
    """Return an entry of one operation."""
    return Entry(
        operation_id=OperationId("op-1"),
        flow=FlowName("f"),
        kind="failover",
        step=step,
        phase="fact",
        actor="ann",
        body={"filler": "x" * size},
    )


class LossyLog:
    """A log whose answers get lost: before anything was written, or after everything was."""

    def __init__(self, *, is_written: bool, meanwhile: Callable[[MemoryLog], None] = lambda _: None) -> None:
        self.inner = MemoryLog()
        self.losses_left = 1
        self._is_written = is_written
        self._meanwhile = meanwhile

    def exists(self, deadline: Deadline) -> bool:
        """Whether it was made."""
        return self.inner.exists(deadline)

    def ensure(self, deadline: Deadline) -> None:
        """Make it."""
        self.inner.ensure(deadline)

    def read(self, deadline: Deadline) -> list[Stored]:
        """Return every value."""
        return self.inner.read(deadline)

    def open_writer(self, writer_id: str, deadline: Deadline) -> LogWriter:
        """Open the inner log's writer behind the lossy line."""
        return _LossyWriter(self, self.inner.open_writer(writer_id, deadline))

    def pass_on(self, writer: LogWriter, values: Sequence[bytes], deadline: Deadline) -> list[int]:
        """Append, or lose the answer."""
        if self.losses_left == 0:
            return writer.append(values, deadline)
        self.losses_left -= 1
        if self._is_written:
            writer.append(values, deadline)
        self._meanwhile(self.inner)
        raise OutcomeUnknown("the answer was lost")


class _LossyWriter:
    def __init__(self, log: LossyLog, inner: LogWriter) -> None:
        self._log = log
        self._inner = inner

    def append(self, values: Sequence[bytes], deadline: Deadline) -> list[int]:
        """Append, or lose the answer."""
        return self._log.pass_on(self._inner, values, deadline)

    def close(self) -> None:
        """Let go."""
        self._inner.close()


@pytest.mark.parametrize("is_written", [False, True])
def test_a_lost_answer_is_learnt_by_reading_back(is_written: bool) -> None:
    """Whether or not the append had happened, afterwards the entries are there exactly once."""
    log = LossyLog(is_written=is_written)
    journal = Journal(log)
    writer = journal.open_writer("main", is_allowed=lambda: True, deadline=soon())
    written = writer.append([entry("a"), entry("b")], soon())
    writer.append([entry("c")], soon())
    assert [r.step for r in journal.read(soon())] == ["a", "b", "c"]
    assert [r.offset for r in written] == [0, 1]


def test_a_lost_answer_after_the_lease_is_not_asked_for_again() -> None:
    """Who has lost the lease must not open the transactional id: that would fence the new holder."""
    answers = iter([True, False])  # the append is begun with the lease; the question after it comes without
    log = LossyLog(is_written=False)
    writer = Journal(log).open_writer("main", is_allowed=lambda: next(answers), deadline=soon())
    with pytest.raises(Fenced):
        writer.append([entry()], soon())
    assert log.inner.values == []


def test_another_holders_records_stop_a_writer_that_lost_an_answer() -> None:
    """When somebody has written under our id meanwhile, we are the old holder."""

    def write(inner: MemoryLog) -> None:
        Journal(inner).open_writer("main", is_allowed=lambda: True, deadline=soon()).append([entry("x")], soon())

    log = LossyLog(is_written=False, meanwhile=write)
    writer = Journal(log).open_writer("main", is_allowed=lambda: True, deadline=soon())
    with pytest.raises(Fenced, match="another process"):
        writer.append([entry("a")], soon())
    assert [r.step for r in Journal(log.inner).read(soon())] == ["x"]


@pytest.mark.parametrize("is_written", [False, True])
def test_an_append_cut_off_midway_is_settled_before_the_next(is_written: bool) -> None:
    """Ctrl-C in the middle of an append leaves a chain that the next record fits, whatever had been written."""

    def interrupt(_inner: MemoryLog) -> None:
        raise KeyboardInterrupt

    log = LossyLog(is_written=is_written, meanwhile=interrupt)
    journal = Journal(log)
    writer = journal.open_writer("main", is_allowed=lambda: True, deadline=soon())
    with pytest.raises(KeyboardInterrupt):
        writer.append([entry("a")], soon())
    writer.append([entry("halted")], soon())
    assert [r.step for r in journal.read(soon())] == (["a", "halted"] if is_written else ["halted"])
    assert writer.records == journal.read(soon())


def test_an_append_whose_log_cannot_be_read_back_stays_unsettled() -> None:
    """The record is in the log and nobody could look: the next append looks again and does not write over it."""
    log = LossyLog(is_written=True)
    journal = Journal(log)
    writer = journal.open_writer("main", is_allowed=lambda: True, deadline=soon())
    with mock.patch.object(log, "read", side_effect=Unreachable("no answer")), pytest.raises(Unreachable):
        writer.append([entry("a")], soon())
    writer.append([entry("halted")], soon())
    assert [r.step for r in journal.read(soon())] == ["a", "halted"]
    assert writer.records == journal.read(soon())


def test_an_answer_lost_twice_leaves_a_chain_that_the_next_record_fits() -> None:
    """The second try is as unknown as the first was: the next append settles it."""
    log = LossyLog(is_written=False)
    journal = Journal(log)
    writer = journal.open_writer("main", is_allowed=lambda: True, deadline=soon())

    def lose_once_more(_inner: MemoryLog) -> None:
        log.losses_left, log._is_written, log._meanwhile = 1, True, lambda _: None

    log._meanwhile = lose_once_more
    with pytest.raises(OutcomeUnknown):
        writer.append([entry("a")], soon())
    writer.append([entry("halted")], soon())
    assert [r.step for r in journal.read(soon())] == ["a", "halted"]


def test_an_answer_lost_twice_is_told_as_unknown() -> None:
    """Nobody says written or not written without having read it."""
    log = LossyLog(is_written=False)
    log.losses_left = 2
    writer = Journal(log).open_writer("main", is_allowed=lambda: True, deadline=soon())
    with pytest.raises(OutcomeUnknown):
        writer.append([entry()], soon())


def test_a_journal_of_a_newer_version_is_read_and_not_written() -> None:
    """An older program must not chain onto records that it does not understand."""
    import hashlib
    import json

    from replicator.journal.chain import canonical_json

    log = MemoryLog()
    journal = Journal(log)
    journal.open_writer("main", is_allowed=lambda: True, deadline=soon()).append([entry("a")], soon())
    fields = {**json.loads(log.values[0]), "v": 2, "sequence": 1}
    fields["previous"] = fields.pop("digest")
    fields["digest"] = hashlib.sha256(canonical_json(fields)).hexdigest()
    log.values.append(canonical_json(fields))
    assert [r.step for r in journal.read(soon())] == ["a"]
    with pytest.raises(PreflightBlocked, match="version 2"):
        journal.open_writer("main", is_allowed=lambda: True, deadline=soon())
    assert len(log.values) == 2


def test_an_oversized_record_is_refused_before_it_is_sent() -> None:
    """Every buffer has a bound: a fact too large for a record never reaches the broker."""
    log = MemoryLog()
    writer = Journal(log).open_writer("main", is_allowed=lambda: True, deadline=soon())
    with pytest.raises(LimitExceeded, match="bytes"):
        writer.append([entry("small"), entry("big", size=1_000_000)], soon())
    assert log.values == []
