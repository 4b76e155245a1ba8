"""Whether a principal may write to a partition, found out without writing: a batch that no broker appends.

The broker asks its authorizer before it looks at a batch, and looks at the CRC before it appends one. So a
batch with a wrong CRC is refused as not authorised where the principal is fenced, as corrupt where it is not.
Source: KafkaApis.handleProduceRequest (authorisation first), LogValidator (CRC before append).
"""

from __future__ import annotations

from enum import StrEnum

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded
from replicator.model.names import TopicPartition
from replicator.wire.answers import Fault
from replicator.wire.client import PAUSE_SECONDS, REQUEST_SECONDS, RawClient
from replicator.wire.format.batches import CRC_AT
from replicator.wire.format.records import RawRecord, encode_batch
from replicator.wire.messages import call_produce, classify, name_error


class WriteProbe(StrEnum):
    """FENCED: the authorizer says no. OPEN: it would have been written. REFUSED: another reason forbids it. UNKNOWN:
    nobody answered, or not about writing."""

    FENCED = "fenced"
    OPEN = "open"
    REFUSED = "refused"
    UNKNOWN = "unknown"


_CORRUPT_MESSAGE = 2


def probe_write(client: RawClient, partition: TopicPartition, *, deadline: Deadline) -> tuple[WriteProbe, str]:
    """Return whether the client's principal may write to the partition, and the broker's word; nothing is appended.

    Raises: NotFound when there is no such partition; AccessDenied when even its leader is hidden from the
    principal; Unreachable; DeadlineExceeded.
    """
    is_fresh = False
    while True:
        leader = client.find_leaders([partition], deadline=deadline, is_fresh=is_fresh)[partition]
        within = Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)
        connection = client.open_connection(leader, deadline=within)
        try:
            (produced,) = connection.ask(
                call_produce({partition: corrupt_batch()}, timeout_ms=int(REQUEST_SECONDS * 1000)), deadline=within
            )
        finally:
            connection.close()
        if classify(produced.error_code) is not Fault.STALE_LEADER:
            return judge_write(produced.error_code), name_error(produced.error_code)
        if deadline.left <= PAUSE_SECONDS:
            raise DeadlineExceeded(f"cluster {client.access.name}: {partition}: no leader took the probe in time")
        deadline.clock.sleep(PAUSE_SECONDS)
        is_fresh = True


def judge_write(code: int) -> WriteProbe:
    """Return what the broker's answer to a corrupt batch says of the right to write."""
    if code in (0, _CORRUPT_MESSAGE):
        return WriteProbe.OPEN
    return WriteProbe.FENCED if classify(code) is Fault.DENIED else WriteProbe.REFUSED


def corrupt_batch() -> bytearray:
    """Return a batch of one record whose CRC is wrong in every bit."""
    batch = bytearray(encode_batch([RawRecord(offset=0, timestamp_ms=0, key=None, value=b"probe")]))
    for at in range(CRC_AT, CRC_AT + 4):
        batch[at] ^= 0xFF
    return batch
