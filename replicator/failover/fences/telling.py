"""How the fences of an operation are told, by its journal alone: which grade was reached, and by what proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.failover.facts import Survey
from replicator.failover.world import FenceGrade, Override
from replicator.journal import facts_of
from replicator.model.observations import Reachability
from replicator.model.operations import JournalRecord, OperationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """What keeps others from writing: `source` says what stops clients there, `mm2` what stops the flow."""

    source: str
    mm2: str


def fence_of(
    records: Sequence[JournalRecord], survey: Survey | None, kind: OperationKind, *, accepted: Collection[str]
) -> Fence | None:
    """Return what keeps the source from writing; None where nothing is to be kept from it, as in a drill."""
    if kind is OperationKind.DRILL:
        return None
    fenced = facts_of(records, "fence_source").get("fenced")
    reached = _reached(records, fenced)
    if fenced is not None and (kind is not OperationKind.FAILOVER or reached is not FenceGrade.NONE):
        return Fence(source=_tell_fence(records, fenced, reached), mm2=_mm2_fence(records))
    if survey is None:
        return None
    told = tell_unfenced(survey.answer, accepted)
    is_tried = fenced is not None and (survey.answer is Reachability.REACHABLE or fenced["grade"] == FenceGrade.HOOK)
    why = f": {fenced['told']}" if fenced is not None and is_tried else ""
    return Fence(source=f"{told}{why}", mm2=_mm2_fence(records))


def _reached(records: Sequence[JournalRecord], fenced: Mapping[str, Any] | None) -> FenceGrade | None:
    """Return the grade that was proven last; None where no proof was journaled."""
    proofs = [r.body["reached"] for r in records if r.step == "fence_source" and "reached" in r.body]
    return FenceGrade(proofs[-1]) if fenced is not None and proofs else None


def has_found_unfenced(records: Sequence[JournalRecord]) -> bool:
    """Whether applications could go on writing the source, by the last look at its fence."""
    return _reached(records, facts_of(records, "fence_source").get("fenced")) is FenceGrade.NONE


def tell_unfenced(answer: Reachability, accepted: Collection[str]) -> str:
    """Return what stands for a fence that no step has set: a dead source, a human's word, or nothing yet.

    >>> tell_unfenced(Reachability.REACHABLE, ())
    'none yet'
    """
    if answer is Reachability.REFUSED:
        return "every known listener refuses"
    return "none: split-brain was accepted" if Override.SPLIT_BRAIN in accepted else "none yet"


def _tell_fence(records: Sequence[JournalRecord], fenced: Mapping[str, Any], reached: FenceGrade | None) -> str:
    match fenced["grade"]:
        case "acl":
            rules = facts_of(records, "fence_source").get("rules", {"rows": []})
            told = f"acl: {len(rules['rows'])} rules deny applications"
        case "attested":
            return f"attested: {fenced['actor']} says that producers are stopped"
        case grade:
            told = str(grade)
    if reached is None or reached == fenced["grade"]:
        return told
    return f"{told}; {reached.value} at most: {_proof_of(records)}"


def _proof_of(records: Sequence[JournalRecord]) -> str:
    """Return what the last proof of the fence told."""
    bodies = [r.body for r in records if r.step == "fence_source" and "reached" in r.body]
    return str(bodies[-1].get("told") or bodies[-1].get("probe"))


def fence_exceptions(records: Sequence[JournalRecord], kind: OperationKind) -> list[str]:
    """Return what keeps the fence of a planned move from the grade that was asked for. A failover fences what it can;
    what that was, its fence tells."""
    fenced = facts_of(records, "fence_source").get("fenced")
    reached = _reached(records, fenced)
    if kind is OperationKind.FAILOVER or fenced is None or reached is None or reached == fenced["grade"]:
        return []
    told = f"{reached.value} at most, {fenced['grade']} was asked for: {_proof_of(records)}"
    return [f"the fence of {fenced['cluster']} is {told}"]


def _mm2_fence(records: Sequence[JournalRecord]) -> str:
    connect = facts_of(records, "stop_flow").get("connect")
    fenced = facts_of(records, "fence_mm2").get("fenced")
    ids = f"{len(fenced['ids'])} transactional ids taken over" if fenced else "no transactional id taken over"
    if connect is not None and not connect["is_reachable"]:
        return f"{ids}; Connect did not answer: it holds until a worker starts"
    return f"stopped; {ids}"
