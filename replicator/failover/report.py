"""The report of an operation, computed from its journal alone: today, or six months later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replicator.clock import from_rfc3339, seconds_between
from replicator.errors import DataCorrupt
from replicator.failover.access import access_exceptions, rights_told
from replicator.failover.facts import Survey, cut_from_facts
from replicator.failover.fences.telling import Fence, fence_exceptions, fence_of, has_found_unfenced
from replicator.failover.groups.moves import GroupMove, Outcome, group_of, move_from_fact
from replicator.journal import ACTIVE_ITEM, OPERATION_STEP, PROMOTE_STEP, facts_of, to_operation
from replicator.journal.codec import from_plain
from replicator.model.forms.figures import show_count, show_items, show_seconds
from replicator.model.names import ClusterName, FlowName, GroupName, OperationId, TopicPartition
from replicator.model.objectives import Objectives, Verdict
from replicator.model.offsets import Grade, Translation
from replicator.model.operations import JournalRecord, LossReport, Operation, OperationKind, OperationState, StepPhase

LOST_ORPHANS_ITEM = "lost_orphans"
EXCEPTIONS_MAX = 1_000
"""So many exceptions are told one by one; their number is told always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReport:
    """One group: where it ended up and what that costs it.

    `reread_records_max` bounds what it reads twice, None where nothing is known. `observed_at` is when its
    positions were read: what it committed after that comes on top. `outcome` None: not committed yet.
    """

    group: GroupName
    grade: Grade
    outcome: Outcome | None
    reread_records_max: int | None
    translations: tuple[Translation, ...]
    observed_at: datetime | None
    reason: str | None = None

    @property
    def unavailable(self) -> tuple[TopicPartition, ...]:
        """The source partitions that could not be set."""
        return tuple(t.partition for t in self.translations if t.target_offset is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanReport:
    """What only the old active had: so many records did the move `of` lose, counted. `topics` and `snapshot` keep
    them."""

    of: OperationId
    records: int
    partitions: Mapping[str, int]
    topics: tuple[str, ...]
    snapshot: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step: how it ended and how long it took, in seconds, from its first word to its last."""

    step: str
    phase: str
    began_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationReport:
    """All an operator wants to know of an operation. None is unknown, or not reached yet; of `loss_max`: no limit.

    `rto_seconds` runs from the command to the verified target, halts and restarts included (None too where the clock
    stepped back in between);
    `unwritable_seconds` from the fence of a living source to the promotion: applications can write nowhere.
    """

    operation_id: OperationId
    flow: FlowName
    kind: OperationKind
    source: ClusterName
    target: ClusterName
    state: OperationState
    actor: str
    is_past_promote: bool
    commanded_at: datetime
    verified_at: datetime | None
    ended_at: datetime | None
    rto_seconds: float | None
    unwritable_seconds: float | None
    accepted: tuple[str, ...]
    loss_max: int | None
    fence: Fence | None
    loss: LossReport | None
    orphans: OrphanReport | None
    groups: tuple[GroupReport, ...]
    exceptions: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    evidence: Mapping[str, Any]
    steps: tuple[StepReport, ...]
    halted_because: str | None


def report_of(records: Sequence[JournalRecord], *, objectives: Objectives) -> OperationReport:
    """Return the report of the operation whose records these are, in order.

    Raises:
        DataCorrupt: they do not tell an operation of ours: something else has written the journal.
    """
    operation = to_operation(records)
    try:
        return _compose_report(records, operation, objectives=objectives)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
        raise DataCorrupt(
            f"operation {operation.id}: its records tell no report: {exc!r}",
            hint="something else has written the journal: `replicator audit verify` names what",
        ) from exc


def _compose_report(
    records: Sequence[JournalRecord], operation: Operation, *, objectives: Objectives
) -> OperationReport:
    loss = _loss_of(records)
    survey = _survey_of(records)
    groups = _groups_of(records, operation.flow)
    commanded_at = from_rfc3339(records[0].body["commanded_at"])
    verified_at = _verified_at(records)
    rto_seconds = None if verified_at is None else seconds_between(commanded_at, verified_at)
    promised = Objectives(rto_seconds=objectives.rto_seconds) if operation.kind is OperationKind.DRILL else objectives
    verdicts = judge(promised, rto_seconds=rto_seconds, loss=loss)
    fenced = fence_exceptions(records, operation.kind)
    exceptions = (*fenced, *_exceptions_of(records, groups, survey), *_drill_exceptions(operation.kind, verdicts))
    return OperationReport(
        operation_id=operation.id,
        flow=operation.flow,
        kind=operation.kind,
        source=operation.source,
        target=operation.target,
        state=operation.state,
        actor=operation.actor,
        is_past_promote=operation.is_past_promote,
        commanded_at=commanded_at,
        verified_at=verified_at,
        ended_at=operation.ended_at,
        rto_seconds=rto_seconds,
        unwritable_seconds=_unwritable_seconds(records),
        accepted=accepted_of(records),
        loss_max=loss_max_of(records),
        fence=fence_of(records, survey, operation.kind, accepted=accepted_of(records)),
        loss=loss,
        orphans=_orphans_of(records),
        groups=groups,
        exceptions=exceptions[:EXCEPTIONS_MAX],
        verdicts=verdicts,
        evidence=_evidence_of(records, survey),
        steps=_steps_of(records),
        halted_because=_halted_because(records),
    )


def accepted_of(records: Sequence[JournalRecord]) -> tuple[str, ...]:
    """Return every override that was accepted in any run of the operation."""
    told = [record.body.get("accepted", ()) for record in records if record.step == OPERATION_STEP]
    return tuple(sorted({name for names in told for name in names}))


def rto_told(records: Sequence[JournalRecord]) -> float | None:
    """Return how long the operation took from command to verified, in seconds; None where that is not told, be it
    that something else has written its records: statistics of many operations go on without it."""
    try:
        return report_of(records, objectives=Objectives()).rto_seconds
    except DataCorrupt:
        return None


def loss_max_of(records: Sequence[JournalRecord]) -> int | None:
    """Return the limit of records lost that was set last in any run of the operation; None: none was set."""
    told = [record.body.get("loss_max") for record in records if record.step == OPERATION_STEP]
    limits = [limit for limit in told if isinstance(limit, int)]
    return limits[-1] if limits else None


def _survey_of(records: Sequence[JournalRecord]) -> Survey | None:
    fact = facts_of(records, "survey").get("survey")
    return None if fact is None else from_plain(Survey, fact)


def _loss_of(records: Sequence[JournalRecord]) -> LossReport | None:
    fact = facts_of(records, "cut").get("loss")
    return None if fact is None else from_plain(LossReport, fact)


def _verified_at(records: Sequence[JournalRecord]) -> datetime | None:
    found = [r for r in records if r.step == "verify" and r.phase == StepPhase.FACT and r.item == "verified"]
    return found[-1].written_at if found else None


def _unwritable_seconds(records: Sequence[JournalRecord]) -> float | None:
    """Return for how long applications could write nowhere: from the fence's intent to the promotion."""
    fenced = [r.written_at for r in records if r.step == "fence_source" and r.phase == StepPhase.INTENT]
    if has_found_unfenced(records):
        return None
    active = [r.written_at for r in records if r.step == PROMOTE_STEP and r.item == ACTIVE_ITEM]
    return (active[0] - fenced[0]).total_seconds() if fenced and active else None


def _groups_of(records: Sequence[JournalRecord], flow: FlowName) -> tuple[GroupReport, ...]:
    cut = cut_from_facts(facts_of(records, "cut"))
    if cut is None:
        return ()
    digest = cut.digest
    found = {name: f for item, f in facts_of(records, "translate").items() if (name := group_of(item)) is not None}
    moves = [move_from_fact(flow, name, fact) for name, fact in sorted(found.items()) if fact["cut"] == digest]
    outcomes = facts_of(records, "commit")
    return tuple(_report_group(move, outcomes.get(f"group:{move.group}")) for move in moves)


def _report_group(move: GroupMove, outcome: Mapping[str, Any] | None) -> GroupReport:
    return GroupReport(
        group=move.group,
        grade=move.translation.grade,
        outcome=None if outcome is None else Outcome(outcome["outcome"]),
        reread_records_max=move.translation.reread_records_max,
        translations=move.translation.translations,
        observed_at=move.observed_at,
        reason=None if outcome is None else outcome.get("reason"),
    )


def _exceptions_of(
    records: Sequence[JournalRecord], groups: Sequence[GroupReport], survey: Survey | None
) -> tuple[str, ...]:
    """Return what makes this operation less than wholly done, in words."""
    found = [f"group {g.group}: {g.reason or g.outcome}" for g in groups if g.outcome not in (None, Outcome.COMMITTED)]
    found += [
        f"group {g.group}: {tp} cannot be set: the target has no copy of it" for g in groups for tp in g.unavailable
    ]
    if survey is not None:
        found += [f"observation left out: {told}" for told in survey.unreadable]
    found += _cut_exceptions(records) + _failback_exceptions(records) + access_exceptions(records)
    verified = facts_of(records, "verify").get("verified")
    return (*found, *(verified["findings"] if verified else ()))


def _cut_exceptions(records: Sequence[JournalRecord]) -> list[str]:
    cut = cut_from_facts(facts_of(records, "cut"))
    missing = sorted({p.source.topic for p in cut.partitions if p.ends is None}) if cut else []
    loss = _loss_of(records)
    overtaken = [
        f"{one.partition}: {show_count(one.overtaken_offsets)} offsets were deleted on the source before they were "
        "mirrored; how many records they held nobody can tell any more"
        for one in (loss.partitions if loss is not None else ())
        if one.overtaken_offsets
    ]
    strangers = [r.body["foreign_offsets"] for r in records if r.step == "cut" and "foreign_offsets" in r.body]
    found = [f"topic {name}: some of it has no copy on the target" for name in missing]
    return [
        *found,
        *overtaken,
        *(f"{count} offsets were written to the copies by somebody else after the cut" for count in strangers[-1:]),
    ]


def _failback_exceptions(records: Sequence[JournalRecord]) -> list[str]:
    """Return what a forward flow that had come back mirrored after the cut, which came home a second time, and the
    topics of which nobody can tell what they lost."""
    facts = facts_of(records, "reconcile")
    leaked = sum(row[7] for item, fact in facts.items() if item.startswith("part:") for row in fact["rows"])
    rebuilding = facts_of(records, "seed_reverse").get("rebuilding", {})
    untold = [
        f"topic {name} was made anew: what only the old active had of it could not be told"
        for name in rebuilding.get("untold", ())
    ]
    return [
        *([f"the forward flow had come back and mirrored {leaked} records after the cut"] if leaked else []),
        *untold,
        *([str(lost["told"])] if (lost := facts_of(records, "report").get(LOST_ORPHANS_ITEM)) else []),
    ]


def _drill_exceptions(kind: OperationKind, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Return the promises that a drill has broken: it does not pass then. A real move is done all the same."""
    if kind is not OperationKind.DRILL:
        return ()
    return tuple(f"{one.objective} not held: {one.evidence}" for one in verdicts if one.is_held is False)


def _orphans_of(records: Sequence[JournalRecord]) -> OrphanReport | None:
    facts = facts_of(records, "reconcile")
    if "move" not in facts:
        return None
    rows = [row for item, fact in facts.items() if item.startswith("part:") for row in fact["rows"]]
    kept, snapshot = (
        facts_of(records, "export_orphans").get("kept"),
        facts_of(records, "export_orphans").get("snapshot"),
    )
    return OrphanReport(
        of=OperationId(facts["move"]["operation_id"]),
        records=sum(row[4] for row in rows),
        partitions={f"{row[0]}[{row[1]}]": row[4] for row in rows if row[4]},
        topics=tuple(kept["topics"]) if kept else (),
        snapshot=snapshot["id"] if snapshot else None,
    )


def judge(objectives: Objectives, *, rto_seconds: float | None, loss: LossReport | None) -> tuple[Verdict, ...]:
    """Return a verdict per promise that was made, with the figures it rests on."""
    found = []
    if objectives.rpo_records is not None:
        found.append(_judge_records(objectives.rpo_records, loss))
    if objectives.rpo_seconds is not None:
        found.append(_judge_seconds(objectives.rpo_seconds, loss))
    if objectives.rto_seconds is not None:
        is_held = None if rto_seconds is None else rto_seconds <= objectives.rto_seconds
        evidence = (
            f"{show_seconds(rto_seconds)} from command to verified, promised {show_seconds(objectives.rto_seconds)}"
        )
        found.append(Verdict("rto_seconds", is_held, evidence))
    return tuple(found)


def _judge_records(promised: int, loss: LossReport | None) -> Verdict:
    if loss is None:
        return Verdict("rpo_records", None, "no cut was taken")
    bound = "unknown" if loss.possible_lost_max is None else show_count(loss.possible_lost_max)
    evidence = f"lost {show_count(loss.known_lost)} to {bound} records, promised {show_count(promised)}"
    if loss.known_lost > promised:
        return Verdict("rpo_records", False, evidence)
    is_sure = loss.possible_lost_max is not None and loss.possible_lost_max <= promised
    return Verdict("rpo_records", True if is_sure else None, evidence)


def _judge_seconds(promised: float, loss: LossReport | None) -> Verdict:
    """A bound on when the lost was written keeps the promise; one beyond it leaves it unknown, as it may be less."""
    if loss is None or loss.unknown_window_seconds is None:
        return Verdict("rpo_seconds", None, "the source was never read, or a clock stepped since: nobody knows")
    window, told = loss.unknown_window_seconds, f"promised {show_seconds(promised)}"
    if loss.lost_seconds_max is None:
        lost = show_items(loss.known_lost, "record")
        return Verdict(
            "rpo_seconds", None, f"unread for {show_seconds(window)}, {told}; when {lost} were written is not known"
        )
    evidence = f"what is lost was written within {show_seconds(loss.lost_seconds_max)}, {told}"
    return Verdict("rpo_seconds", True if loss.lost_seconds_max <= promised else None, evidence)


def _evidence_of(records: Sequence[JournalRecord], survey: Survey | None) -> dict[str, Any]:
    cut = facts_of(records, "cut").get("cut", {})
    verified = facts_of(records, "verify").get("verified", {})
    seen = survey.observation if survey else None
    return {
        "cut_digest": cut.get("digest"),
        "source_last_read_at": seen.last_reached_at if seen else None,
        "source_answer": survey.answer if survey else None,
        "groups_known_from": survey.groups_known_from if survey else None,
        "target_cluster_id": survey.target_cluster_id if survey else None,
        "canary_offset": verified.get("canary_offset"),
        "compared": verified.get("compared"),
        "rights_given": rights_told(records),
        "journal_digest": records[-1].digest,
        "journal_records": len(records),
    }


def _steps_of(records: Sequence[JournalRecord]) -> tuple[StepReport, ...]:
    """Return the steps in order; each took as long as it was at work, not as long as the operation stood still."""
    grouped: dict[str, list[JournalRecord]] = {}
    seconds: dict[str, float] = {}
    before: JournalRecord | None = None
    for record in records:
        if record.step != OPERATION_STEP:
            grouped.setdefault(record.step, []).append(record)
            is_at_work = before is not None and before.step == record.step
            spent = (record.written_at - before.written_at).total_seconds() if before and is_at_work else 0.0
            seconds[record.step] = seconds.get(record.step, 0.0) + spent
        before = record
    return tuple(_report_step(own, seconds=seconds[step]) for step, own in grouped.items())


def _report_step(records: list[JournalRecord], *, seconds: float) -> StepReport:
    words = [r for r in records if r.phase != StepPhase.FACT] or records
    done = [r.phase for r in words if r.phase in (StepPhase.DONE, StepPhase.UNDONE)]
    return StepReport(
        step=records[0].step,
        phase=done[-1] if done else words[-1].phase,
        began_at=words[0].written_at,
        seconds=seconds,
    )


def _halted_because(records: Sequence[JournalRecord]) -> str | None:
    last = [record for record in records if record.step == OPERATION_STEP][-1]
    reason = last.body.get("reason")
    return None if reason is None else str(reason)
