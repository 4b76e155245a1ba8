"""The right to act: won in an election on the cluster that an operation promotes, made firm by the journal.

The election says who may act; opening the journal's transactional id makes every older holder's writes
refusable. A newcomer opens it only after it has won.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from replicator.clock import Clock, Deadline
from replicator.errors import DeadlineExceeded, LockHeld
from replicator.journal.chain import Break
from replicator.journal.journal import Journal, JournalWriter
from replicator.journal.operations import running_operation
from replicator.kafka import KafkaCluster, Lease
from replicator.model.names import GroupName, OperationId
from replicator.model.observations import GroupState

SESSION_SECONDS = 10.0
"""A holder that dies loses the lease after this long; one that ends gives it back at once."""

_ELECTION_SECONDS = 15.0
"""What an election takes beyond the dead holder's session: joining, and the holder's next poll."""

_NAMING_SECONDS = 3.0
"""A holder that has just won journals its request within this; until then its operation has no id."""


def lease_group(*, topic_prefix: str, supervisor_id: str) -> GroupName:
    """Return the group in which holders of the operation lease are elected."""
    return GroupName(f"{topic_prefix}.lease.{supervisor_id}")


def has_live_holder(cluster: KafkaCluster, *, topic_prefix: str, supervisor_id: str, deadline: Deadline) -> bool:
    """Whether somebody takes part in the election now; one who was killed counts until its session is over."""
    group = lease_group(topic_prefix=topic_prefix, supervisor_id=supervisor_id)
    return cluster.groups.committed([group], deadline)[group].state is GroupState.ACTIVE


class Hold:
    """The lease, held, and the journal open for writing. Leaving the block gives both back at once."""

    def __init__(self, lease: Lease, writer: JournalWriter) -> None:
        self.lease = lease
        self.writer = writer

    def release(self) -> None:
        """Give the lease back; the next candidate is chosen at once."""
        self.writer.close()
        self.lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_lease(
    cluster: KafkaCluster,
    journal: Journal,
    *,
    topic_prefix: str,
    supervisor_id: str,
    deadline: Deadline,
    session_seconds: float = SESSION_SECONDS,
    epoch_elsewhere: int = 0,
    accepting: Sequence[Break] = (),
) -> Hold:
    """Return the lease with the journal open, its topic made if it was missing.

    A holder that died is waited for until its session is over. Who loses the lease and wins it again may not act by
    this hold any more: others may have acted between.

    Raises:
        LockHeld: somebody alive holds it; the error carries the operation's id.
        DeadlineExceeded: the election gave no answer in time.
    """
    journal.ensure_topic(deadline)
    group = lease_group(topic_prefix=topic_prefix, supervisor_id=supervisor_id)
    lease = cluster.elect(group, topic=journal.topic, session_seconds=session_seconds)
    try:
        _win(lease, cluster, journal, supervisor_id=supervisor_id, session_seconds=session_seconds, deadline=deadline)
        tenure = lease.tenure
        writer = journal.open_writer(
            supervisor_id,
            is_allowed=lambda: lease.is_held and lease.tenure == tenure,
            epoch_elsewhere=epoch_elsewhere,
            deadline=deadline,
            accepting=accepting,
        )
    except BaseException:
        lease.release()
        raise
    return Hold(lease, writer)


def _win(
    lease: Lease,
    cluster: KafkaCluster,
    journal: Journal,
    *,
    supervisor_id: str,
    session_seconds: float,
    deadline: Deadline,
) -> None:
    within = Deadline.after(deadline.capped(2 * session_seconds + _ELECTION_SECONDS), clock=deadline.clock)
    if lease.wait_for_answer(within):
        return
    if not lease.was_answered:
        raise DeadlineExceeded(
            f"cluster {cluster.name}: the election of {supervisor_id} gave no answer in time", hint="replicator op list"
        )
    running = _name_running(journal, supervisor_id, clock=deadline.clock)
    told = f"operation {running} runs" if running else "another operation has just begun"
    raise LockHeld(
        f"cluster {cluster.name}: {told} and holds the lease of {supervisor_id}",
        hint=f"replicator op show {running}" if running else "replicator op list",
        operation_id=running,
    )


def _name_running(journal: Journal, supervisor_id: str, *, clock: Clock) -> OperationId | None:
    deadline = Deadline.after(_NAMING_SECONDS, clock=clock)
    while True:
        running = running_operation(journal.read(Deadline.after(10.0, clock=clock)), supervisor_id)
        if running is not None or deadline.is_over:
            return running.id if running else None
        clock.sleep(0.2)
