"""Whether journals tell the truth: each chain by itself, and each beside the heads that other clusters keep of it.

A chain shows a changed byte, a missing middle and another order. That its tail was cut, or that it was written
anew from the start, shows only beside a head that somebody else has kept. Values to values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from replicator.errors import DataCorrupt
from replicator.journal.chain import Acceptance, Break, Chain, Stored, find_break, verify
from replicator.journal.operations import is_head, untold_operations
from replicator.model.names import ClusterName
from replicator.model.operations import JournalRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalProof:
    """What was found of one cluster's journal. `witnesses` counts heads kept elsewhere that it was held against;
    without any, a cut tail would not show. `findings` empty: nothing is wrong. `is_readable`: operations can be begun
    and shown, whatever was found. `accepted` tells each break that somebody has accepted: it is wrong no more, and
    told for ever. `next_command` is the way on where the chain is broken."""

    cluster: ClusterName
    records: int
    heads: Mapping[str, str]
    witnesses: int
    findings: tuple[str, ...] = ()
    is_readable: bool = True
    accepted: tuple[str, ...] = ()
    next_command: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing contradicts the journal."""
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHead:
    """Where a cluster's chain of one writer ended when somebody else took a copy of its head. `epoch` is that of the
    holder who took it, 0 where it was not kept."""

    cluster: ClusterName
    writer: str
    sequence: int
    digest: str
    kept_at: datetime
    epoch: int = 0


def prove_journals(
    stored: Mapping[ClusterName, Iterable[Stored]], *, kept_elsewhere: Iterable[KeptHead] = ()
) -> tuple[JournalProof, ...]:
    """Return the proof of every journal, each held against the heads that the others, and others still, have kept."""
    chains: dict[ClusterName, Chain] = {}
    broken: dict[ClusterName, JournalProof] = {}
    for name, values in stored.items():
        rows = list(values)
        try:
            chains[name] = verify(rows)
        except DataCorrupt as exc:
            broken[name] = _broken(name, exc.message, find_break(rows))
    heads = [record for chain in chains.values() for record in chain.records if is_head(record)]
    kept = [head for record in heads if (head := to_kept(record)) is not None]
    kept += kept_elsewhere
    return tuple(broken[name] if name in broken else _prove(name, chains[name], kept) for name in stored)


def to_kept(record: JournalRecord) -> KeptHead | None:
    """Return the head that a record keeps; None where it tells none."""
    body = record.body
    texts = [body.get(name) for name in ("cluster", "writer", "digest")]
    if not all(isinstance(text, str) for text in texts) or type(body.get("sequence")) is not int:
        return None
    return KeptHead(
        cluster=ClusterName(body["cluster"]),
        writer=body["writer"],
        sequence=body["sequence"],
        digest=body["digest"],
        kept_at=record.written_at,
        epoch=body["epoch"] if type(body.get("epoch")) is int else 0,
    )


def _broken(name: ClusterName, finding: str, at: Break | None) -> JournalProof:
    command = None if at is None else f"replicator audit accept {name} --offset {at.offset} --reason TEXT"
    return JournalProof(
        cluster=name,
        records=0,
        heads={},
        witnesses=0,
        findings=(finding,),
        is_readable=False,
        next_command=command,
    )


def _prove(name: ClusterName, chain: Chain, kept: Iterable[KeptHead]) -> JournalProof:
    witnesses = [head for head in kept if head.cluster == name]
    digests = {(record.writer, record.sequence): record.digest for record in chain.records}
    held = [witness for witness in witnesses if not _is_passed(witness, chain)]
    findings = [found for witness in held if (found := _contradiction(witness, digests)) is not None]
    findings += tell_strays(chain)
    findings += [
        f"the record at offset {r.offset} keeps no head" for r in chain.records if is_head(r) and not to_kept(r)
    ]
    findings += untold_operations(chain.records).values()
    return JournalProof(
        cluster=name,
        records=len(chain.records),
        heads={writer: head.digest for writer, head in chain.heads.items()},
        witnesses=len(witnesses),
        findings=tuple(dict.fromkeys(findings)),
        accepted=tuple(tell_accepted(one) for one in chain.accepted),
    )


def tell_accepted(one: Acceptance) -> str:
    """Return who has accepted which break of the chain, when and why, in one line."""
    how = "which is left out" if one.at.is_intruder else "from which on the chain is taken up again"
    when = f"{one.accepted_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{one.by} accepted at {when} the break at offset {one.at.offset}, {how}: {one.reason} ({one.at.what})"


def tell_strays(chain: Chain) -> list[str]:
    """Return what is to be told of values in the journal that are no records: one line, or none.

    >>> tell_strays(Chain())
    []
    """
    known = max((one.strays_count for one in chain.accepted), default=0)
    count = chain.strays_count - known
    if count <= 0:
        return []
    number = "1 value is no record" if count == 1 else f"{count} values are no records"
    first = chain.strays[known] if known < len(chain.strays) else "the first of them is not named any more"
    return [f"{number} and left out, written by somebody else: {first}"]


def _is_passed(witness: KeptHead, chain: Chain) -> bool:
    """Whether what a kept head names is lost at a break that was accepted: it is told there."""
    return any(writer == witness.writer and start <= witness.sequence < stop for writer, start, stop in chain.passed)


def _contradiction(witness: KeptHead, digests: Mapping[tuple[str, int], str]) -> str | None:
    """Return what a kept head says against the chain; None when the chain holds it."""
    found = digests.get((witness.writer, witness.sequence))
    if found == witness.digest:
        return None
    told = f"record {witness.sequence} of {witness.writer}, kept at {witness.kept_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{told}, is missing: the tail was cut" if found is None else f"{told}, is another one: it was written anew"
