"""The way on behind a broken chain: somebody's word, by name, that what is left of the journal holds from there on.

    … 6 ── 7 ── X ── 9 ── 10 ── [accepted: the break at 9, by ann, since …] ── 12 …

What stood at X cannot be had back. The record of the acceptance stands in the chain itself: every reader from then on
takes the chain up where it was accepted, and every audit tells it. Nothing else of the journal is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replicator.clock import Clock, Deadline
from replicator.errors import NotFound, PreflightBlocked
from replicator.journal.chain import ACCEPTED_ITEM, AUDIT_STEP, Break, Entry, Stored, find_break, prove_prefix
from replicator.journal.journal import Journal
from replicator.journal.lease import take_lease
from replicator.kafka import KafkaCluster
from replicator.model.names import FlowName, OperationId
from replicator.model.operations import JournalRecord, StepPhase

NO_FLOW = FlowName("-")
"""An acceptance belongs to a journal, not to a flow."""


def choose_breaks(stored: Sequence[Stored], offsets: Iterable[int], *, command: str) -> tuple[Break, ...]:
    """Return the breaks at these offsets, which must be all that the chain has: nothing is accepted unseen.

    Raises:
        NotFound: the chain is not broken, or not there.
        PreflightBlocked: it is broken elsewhere too; the hint names the offsets.
    """
    wanted, found = sorted(set(offsets)), list[Break]()
    while (broken := find_break(stored, accepting=found)) is not None:
        if broken.offset not in wanted:
            told = " ".join(f"--offset {at}" for at in sorted({*(one.offset for one in found), broken.offset}))
            raise PreflightBlocked(
                f"journal: the record at offset {broken.offset} {broken.what}: that break was not named",
                hint=f"{command} {told}",
            )
        found.append(broken)
    missing = [at for at in wanted if at not in {one.offset for one in found}]
    if missing:
        raise NotFound(
            f"journal: the chain is not broken at offset {missing[0]}: there is nothing to accept",
            hint="replicator audit verify",
        )
    return tuple(found)


def to_entries(
    breaks: Iterable[Break], stored: Sequence[Stored], *, actor: str, reason: str, clock: Clock
) -> list[Entry]:
    """Return what the journal is to keep of an acceptance: one record a break."""
    found = tuple(breaks)
    chain, _ = prove_prefix(stored, accepting=found)
    operation = OperationId(f"audit-{clock.now():%Y%m%dT%H%M%S}")
    return [
        Entry(
            operation_id=operation,
            flow=NO_FLOW,
            kind=AUDIT_STEP,
            step=AUDIT_STEP,
            phase=StepPhase.FACT,
            actor=actor,
            item=ACCEPTED_ITEM,
            body={
                "offset": one.offset,
                "digest": one.digest,
                "what": one.what,
                "is_intruder": one.is_intruder,
                "reason": reason,
                "strays_count": chain.strays_count,
            },
        )
        for one in found
    ]


def accept_breaks(
    cluster: KafkaCluster,
    offsets: Sequence[int],
    *,
    topic_prefix: str,
    supervisor_id: str,
    session_seconds: float,
    actor: str,
    reason: str,
    command: str,
    deadline: Deadline,
) -> tuple[JournalRecord, ...]:
    """Return the records by which the breaks of a cluster's journal are accepted, durable; readers go on from then on.

    The lease is taken for it: nobody else writes meanwhile. `command` is how the caller is told to name every break.

    Raises:
        NotFound, PreflightBlocked: as `choose_breaks`; nothing was written.
        LockHeld: an operation runs. DataCorrupt: another break appeared meanwhile.
    """
    journal = Journal(cluster, topic_prefix, clock=deadline.clock)
    stored = journal.read_stored(deadline)
    breaks = choose_breaks(stored, offsets, command=command)
    with take_lease(
        cluster,
        journal,
        topic_prefix=topic_prefix,
        supervisor_id=supervisor_id,
        session_seconds=session_seconds,
        deadline=deadline,
        accepting=breaks,
    ) as hold:
        entries = to_entries(breaks, stored, actor=actor, reason=reason, clock=deadline.clock)
        return hold.writer.append(entries, deadline)
