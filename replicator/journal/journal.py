"""`Journal`: read a whole chain, or open it for writing once the lease is won."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import Fenced, LimitExceeded, OutcomeUnknown, PreflightBlocked
from replicator.journal.chain import VERSION, Break, Chain, Entry, Head, Stored, encode, next_head, seal, verify
from replicator.journal.log import RECORD_BYTES_MAX, KafkaLog, LogWriter, RecordLog
from replicator.journal.operations import list_operations
from replicator.kafka import KafkaCluster
from replicator.model.names import OperationId, TopicName
from replicator.model.operations import JournalRecord, Operation

TOPIC_PREFIX = "__replicator"


def journal_topic(topic_prefix: str = TOPIC_PREFIX) -> TopicName:
    """Return the name of the journal's topic."""
    return TopicName(f"{topic_prefix}.journal")


class Journal:
    """The journal at one place. Reading needs nothing; opening it for writing needs the lease."""

    def __init__(
        self, place: KafkaCluster | RecordLog, topic_prefix: str = TOPIC_PREFIX, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.topic = journal_topic(topic_prefix)
        self._clock = clock
        self._log: RecordLog = KafkaLog(place, self.topic) if isinstance(place, KafkaCluster) else place

    def exists(self, deadline: Deadline) -> bool:
        """Whether a journal was begun here."""
        return self._log.exists(deadline)

    def ensure_topic(self, deadline: Deadline) -> None:
        """Leave the journal's topic existing; one that exists is left as it is."""
        self._log.ensure(deadline)

    def read_stored(self, deadline: Deadline) -> list[Stored]:
        """Return every value as the log holds it, nothing proven; none where no journal was begun."""
        return self._log.read(deadline)

    def read_chain(self, deadline: Deadline) -> Chain:
        """Return the whole journal, its chain verified; an empty one where none was begun.

        Raises:
            DataCorrupt: a link of the chain is broken; the message names the offset.
        """
        return verify(self._log.read(deadline))

    def read(self, deadline: Deadline) -> tuple[JournalRecord, ...]:
        """Return every record in order, the chain verified."""
        return self.read_chain(deadline).records

    def operations(self, deadline: Deadline) -> dict[OperationId, Operation]:
        """Return every operation as its records tell it, oldest first."""
        return list_operations(self.read(deadline))

    def open_writer(
        self,
        writer_id: str,
        *,
        is_allowed: Callable[[], bool],
        deadline: Deadline,
        epoch_elsewhere: int = 0,
        accepting: Sequence[Break] = (),
    ) -> JournalWriter:
        """Return the only writer of this id, with an epoch above every one seen here and elsewhere.

        Call it only after the lease is won; `is_allowed` says whether it still is, and is asked before
        each append. The former writer is fenced first and the chain read afterwards, so nothing can
        come in between. `accepting` are breaks of the chain that this writer is about to accept by a record.

        Raises:
            PreflightBlocked: a newer version of this program has written here; the journal is read-only.
            DataCorrupt: a link of the chain is broken.
        """
        writer = self._log.open_writer(writer_id, deadline)
        try:
            chain = verify(self._log.read(deadline), accepting=accepting)
            _refuse_newer(chain, self.topic)
        except BaseException:
            writer.close()
            raise
        epoch = max(chain.highest_epoch, epoch_elsewhere) + 1
        return JournalWriter(
            self._log, writer, chain=chain, writer_id=writer_id, epoch=epoch, is_allowed=is_allowed, clock=self._clock
        )


def _refuse_newer(chain: Chain, topic: TopicName) -> None:
    if chain.is_read_only:
        raise PreflightBlocked(
            f"{topic} holds records of version {chain.newest_version}; this program writes version {VERSION}",
            hint="use the newer replicator that wrote them; this one may only read (`replicator op list`)",
        )


class JournalWriter:
    """Appends to the chain for as long as the lease is held; holds every record in memory too."""

    def __init__(
        self,
        log: RecordLog,
        writer: LogWriter,
        *,
        chain: Chain,
        writer_id: str,
        epoch: int,
        is_allowed: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.epoch = epoch
        self.writer_id = writer_id
        self._log = log
        self._writer = writer
        self._records = list(chain.records)
        self._head = chain.heads.get(writer_id, Head())
        self._unsettled: list[JournalRecord] = []
        self._is_allowed = is_allowed
        self._clock = clock

    @property
    def records(self) -> tuple[JournalRecord, ...]:
        """Every record of the journal, those appended here included."""
        return tuple(self._records)

    def append(self, entries: Sequence[Entry], deadline: Deadline) -> tuple[JournalRecord, ...]:
        """Return the records of the entries, durable in one transaction: all of them or none.

        An append that was cut off (Ctrl-C, a lost answer) is settled first: what of it is in the log counts.

        Raises:
            Fenced: the lease is lost, or a newer writer was opened; nothing was written.
            OutcomeUnknown: contact was lost and whether they were written could not be learnt.
        """
        self.require_lease()
        if self._unsettled:
            self._settle(deadline)
        if not entries:
            return ()
        records = self._seal(entries)
        values = [_encode_within(record) for record in records]
        self._unsettled = records
        try:
            return self._keep(records, self._writer.append(values, deadline))
        except OutcomeUnknown:
            if not self._settle(deadline):
                self._unsettled = records
                return self._keep(records, self._writer.append(values, deadline))
            return tuple(self._records[-len(records) :])

    def is_lease_held(self) -> bool:
        """Whether this process may still act."""
        return self._is_allowed()

    def require_lease(self) -> None:
        """Return only while this process may act.

        Raises:
            Fenced: the lease is lost.
        """
        if not self._is_allowed():
            raise Fenced(
                "the lease is lost: another process may act now, this one may not",
                hint="`replicator op list` shows who goes on; the same command again resumes",
            )

    def _seal(self, entries: Sequence[Entry]) -> list[JournalRecord]:
        records: list[JournalRecord] = []
        head, now = self._head, self._clock.now()
        for entry in entries:
            record = seal(entry, head=head, writer=self.writer_id, epoch=self.epoch, written_at=now)
            records.append(record)
            head = next_head(record)
        return records

    def _settle(self, deadline: Deadline) -> bool:
        """Whether the unsettled records are in the log; they count from then on, or it is as if they never were.

        Opening again ends a transaction that was left open, so nothing can turn up later. Where the log cannot be
        read they stay unsettled: written again, they would break the chain.
        """
        self.require_lease()
        records = self._unsettled
        self._writer.close()
        self._writer = self._log.open_writer(self.writer_id, deadline)
        chain = verify(self._log.read(deadline))
        found = {record.digest: record.offset for record in chain.records}
        offsets = [offset for record in records if (offset := found.get(record.digest)) is not None]
        if len(offsets) == len(records):
            self._keep(records, offsets)
        if chain.heads.get(self.writer_id, Head()) != self._head:
            raise Fenced("another process has written the journal meanwhile", hint="see `replicator op list`")
        self._unsettled = []
        return bool(offsets)

    def _keep(self, records: list[JournalRecord], offsets: list[int]) -> tuple[JournalRecord, ...]:
        kept = tuple(replace(record, offset=offset) for record, offset in zip(records, offsets, strict=True))
        self._records.extend(kept)
        self._head = next_head(kept[-1])
        self._unsettled = []
        return kept

    def close(self) -> None:
        """Let go of the writer; the journal stays."""
        self._writer.close()


def _encode_within(record: JournalRecord) -> bytes:
    value = encode(record)
    if len(value) > RECORD_BYTES_MAX:
        raise LimitExceeded(
            f"journal: {record.step} {record.item or ''}: a record of {len(value)} bytes is above {RECORD_BYTES_MAX}"
        )
    return value
