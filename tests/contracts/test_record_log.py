"""What every place of the journal promises: the in-memory log and the Kafka topic, by one suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replicator.clock import Deadline
from replicator.errors import Fenced
from replicator.journal import Entry, Journal, MemoryLog
from replicator.journal.chain import Stored
from replicator.journal.log import KafkaLog, RecordLog
from replicator.kafka import KafkaCluster
from replicator.model.names import FlowName, OperationId, TopicName


def soon() -> Deadline:
    """Return a budget that a healthy log never needs."""
    return Deadline.after(30)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.lab)])
def log(request: pytest.FixtureRequest, names) -> Iterator[RecordLog]:
    """A fresh log of each kind; only the real one starts a lab."""
    if request.param == "memory":
        yield MemoryLog()
        return
    lab = request.getfixturevalue("lab")
    with KafkaCluster(lab.west) as cluster:
        yield KafkaLog(cluster, TopicName(names.topic("journal")))


@pytest.fixture
def writer_id(names) -> str:
    """A transactional id of this test alone."""
    return names.prefix


def read_at_least(log: RecordLog, count: int) -> list[Stored]:
    """Return what readers see once they see `count` values: they may see an append a moment late."""
    deadline = soon()
    while len(found := log.read(deadline)) < count:
        deadline.check(f"{count} values in the log, {len(found)} seen")
        deadline.clock.sleep(0.02)
    return found


def values(log: RecordLog, count: int) -> list[bytes]:
    """Return the values readers see."""
    return [stored.value for stored in read_at_least(log, count)]


def entry(step: str) -> Entry:
    """Return an entry of one operation."""
    return Entry(
        operation_id=OperationId("op-1"), flow=FlowName("f"), kind="failover", step=step, phase="fact", actor="ann"
    )


def test_a_log_that_was_never_made_is_empty_and_does_not_exist(log: RecordLog) -> None:
    """Reading first is no error: a failover asks before it makes anything."""
    assert not log.exists(soon())
    assert log.read(soon()) == []
    assert not log.exists(soon())


def test_ensure_makes_it_once(log: RecordLog, writer_id: str) -> None:
    """A second ensure leaves what is there as it is."""
    log.ensure(soon())
    assert log.exists(soon())
    log.open_writer(writer_id, soon()).append([b"one"], soon())
    log.ensure(soon())
    assert values(log, 1) == [b"one"]


def test_a_new_writer_reads_all_that_the_old_one_appended(log: RecordLog, writer_id: str) -> None:
    """After opening, nothing of the writer before is still on its way: the chain is read whole at once."""
    log.ensure(soon())
    for count in range(1, 6):
        log.open_writer(writer_id, soon()).append([b"x"], soon())
        log.open_writer(writer_id, soon())
        assert len(log.read(soon())) == count


def test_what_was_appended_is_read_in_order(log: RecordLog, writer_id: str) -> None:
    """Values come back byte for byte, in order, at the offsets that append told."""
    log.ensure(soon())
    writer = log.open_writer(writer_id, soon())
    told = [*writer.append([b"\x00\xff", b""], soon()), *writer.append(["é".encode()], soon())]
    writer.close()
    assert [(stored.offset, stored.value) for stored in read_at_least(log, 3)] == list(
        zip(told, [b"\x00\xff", b"", "é".encode()], strict=True)
    )
    assert told == sorted(set(told))


def test_opening_again_fences_the_writer_before(log: RecordLog, writer_id: str) -> None:
    """The old holder's next append is refused and leaves nothing; the new one goes on."""
    log.ensure(soon())
    old = log.open_writer(writer_id, soon())
    old.append([b"old"], soon())
    new = log.open_writer(writer_id, soon())
    with pytest.raises(Fenced):
        old.append([b"late"], soon())
    new.append([b"new"], soon())
    with pytest.raises(Fenced):
        old.append([b"later"], soon())
    assert values(log, 2) == [b"old", b"new"]


def test_writers_of_different_ids_leave_each_other_alone(log: RecordLog, writer_id: str) -> None:
    """Only the same id is fenced."""
    log.ensure(soon())
    one, other = log.open_writer(f"{writer_id}-1", soon()), log.open_writer(f"{writer_id}-2", soon())
    one.append([b"1"], soon())
    other.append([b"2"], soon())
    one.append([b"3"], soon())
    assert values(log, 3) == [b"1", b"2", b"3"]


def test_a_journal_goes_on_where_another_process_left_it(log: RecordLog, writer_id: str) -> None:
    """The chain runs over writers; each opening has a higher epoch; the reader proves every link."""
    journal = Journal(log)
    journal.ensure_topic(soon())
    for step in ("a", "b"):
        writer = journal.open_writer(writer_id, is_allowed=lambda: True, deadline=soon())
        (written,) = writer.append([entry(step)], soon())
        assert writer.records[-1] == written
        writer.close()
    read_at_least(log, 2)
    chain = journal.read_chain(soon())
    assert [(r.step, r.epoch, r.sequence) for r in chain.records] == [("a", 1, 0), ("b", 2, 1)]
    assert chain.records[1].previous == chain.records[0].digest


def test_a_new_epoch_is_above_every_one_seen_anywhere(log: RecordLog, writer_id: str) -> None:
    """An epoch that the other cluster's journal has seen is not used again."""
    journal = Journal(log)
    journal.ensure_topic(soon())
    writer = journal.open_writer(writer_id, is_allowed=lambda: True, deadline=soon(), epoch_elsewhere=41)
    assert writer.epoch == 42


def test_entries_of_one_append_are_there_together(log: RecordLog, writer_id: str) -> None:
    """Many facts cost one transaction and are chained like single ones."""
    journal = Journal(log)
    journal.ensure_topic(soon())
    writer = journal.open_writer(writer_id, is_allowed=lambda: True, deadline=soon())
    assert writer.append([], soon()) == ()
    written = writer.append([entry(f"s{number}") for number in range(50)], soon())
    read_at_least(log, 50)
    assert journal.read(soon()) == written
    assert [record.sequence for record in written] == list(range(50))


def test_who_lost_the_lease_appends_nothing(log: RecordLog, writer_id: str) -> None:
    """A holder that was told so stops by itself, before the log has to refuse it."""
    journal = Journal(log)
    journal.ensure_topic(soon())
    writer = journal.open_writer(writer_id, is_allowed=lambda: False, deadline=soon())
    with pytest.raises(Fenced, match="lease"):
        writer.append([entry("a")], soon())
    assert values(log, 0) == []
