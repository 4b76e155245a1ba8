"""Whether journals tell the truth: each chain by itself, and each beside the heads that other clusters keep of it.

A chain shows a changed byte, a missing middle and another order. That its tail was cut, or that it was written
anew from the start, shows only beside a head that somebody else has kept. Values to values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from replicator.errors import DataCorrupt
from replicator.journal.chain import Chain, Stored, verify
from replicator.journal.operations import HEAD_STEP
from replicator.model.names import ClusterName
from replicator.model.operations import JournalRecord, StepPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalProof:
    """What was found of one cluster's journal. `witnesses` counts heads kept elsewhere that it was held against;
    without any, a cut tail would not show. `findings` empty: nothing is wrong."""

    cluster: ClusterName
    records: int
    heads: Mapping[str, str]
    witnesses: int
    findings: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing contradicts the journal."""
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHead:
    """Where a cluster's chain of one writer ended when somebody else took a copy of its head."""

    cluster: ClusterName
    writer: str
    sequence: int
    digest: str
    kept_at: datetime


def prove_journals(
    stored: Mapping[ClusterName, Iterable[Stored]], *, kept_elsewhere: Iterable[KeptHead] = ()
) -> tuple[JournalProof, ...]:
    """Return the proof of every journal, each held against the heads that the others, and others still, have kept."""
    chains: dict[ClusterName, Chain] = {}
    broken: dict[ClusterName, str] = {}
    for name, values in stored.items():
        try:
            chains[name] = verify(values)
        except DataCorrupt as exc:
            broken[name] = exc.message
    kept = [to_kept(record) for chain in chains.values() for record in chain.records if is_head(record)]
    kept += kept_elsewhere
    return tuple(_broken(name, broken[name]) if name in broken else _prove(name, chains[name], kept) for name in stored)


def is_head(record: JournalRecord) -> bool:
    """Whether the record keeps the head of another cluster's chain."""
    return record.step == HEAD_STEP and record.phase == StepPhase.FACT


def to_kept(record: JournalRecord) -> KeptHead:
    """Return the head that a record keeps."""
    body = record.body
    return KeptHead(
        cluster=ClusterName(body["cluster"]),
        writer=body["writer"],
        sequence=body["sequence"],
        digest=body["digest"],
        kept_at=record.written_at,
    )


def _broken(name: ClusterName, finding: str) -> JournalProof:
    return JournalProof(cluster=name, records=0, heads={}, witnesses=0, findings=(finding,))


def _prove(name: ClusterName, chain: Chain, kept: Iterable[KeptHead]) -> JournalProof:
    witnesses = [head for head in kept if head.cluster == name]
    digests = {(record.writer, record.sequence): record.digest for record in chain.records}
    findings = [found for witness in witnesses if (found := _contradiction(witness, digests)) is not None]
    return JournalProof(
        cluster=name,
        records=len(chain.records),
        heads={writer: head.digest for writer, head in chain.heads.items()},
        witnesses=len(witnesses),
        findings=tuple(dict.fromkeys(findings)),
    )


def _contradiction(witness: KeptHead, digests: Mapping[tuple[str, int], str]) -> str | None:
    """Return what a kept head says against the chain; None when the chain holds it."""
    found = digests.get((witness.writer, witness.sequence))
    if found == witness.digest:
        return None
    told = f"record {witness.sequence} of {witness.writer}, kept at {witness.kept_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{told}, is missing: the tail was cut" if found is None else f"{told}, is another one: it was written anew"
