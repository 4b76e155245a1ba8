"""What a fence has proven: what a probe's answers say together, and which grade was reached. Values to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from replicator.failover.world import FenceGrade
from replicator.model.names import TopicName
from replicator.wire import WriteProbe

WordsByTopic = Mapping[TopicName, tuple[WriteProbe, str]]
UNPROBED_TOLD = "no application is configured to probe as (clusters.NAME.application)"


class ProbeOutcome(StrEnum):
    """What probes as an application say together. FENCED: the authorizer refused every one. OPEN: one would have been
    written. UNKNOWN: one was not answered, or for a reason that may pass. UNPROBED: there is nobody to probe as."""

    FENCED = "fenced"
    OPEN = "open"
    UNKNOWN = "unknown"
    UNPROBED = "unprobed"


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe as an application found: the whole of it, in words, and the topics it could have written."""

    outcome: ProbeOutcome
    told: str
    open_topics: tuple[TopicName, ...] = ()


NOT_PROBED = Probed(ProbeOutcome.UNPROBED, UNPROBED_TOLD)


def judge_probes(answers: WordsByTopic) -> Probed:
    """Return what the answers say together: one topic that is open is enough, and only a refusal by the authorizer of
    every topic is a fence. Who did not answer has refused nothing."""
    told = f"{len(answers)} topics probed: {', '.join(sorted({word for _, word in answers.values()}))}"
    is_open = tuple(sorted(topic for topic, (answer, _) in answers.items() if answer is WriteProbe.OPEN))
    if is_open:
        return Probed(ProbeOutcome.OPEN, told, is_open)
    is_fenced = bool(answers) and all(answer is WriteProbe.FENCED for answer, _ in answers.values())
    return Probed(ProbeOutcome.FENCED if is_fenced else ProbeOutcome.UNKNOWN, told)


def reached_grade(asked: FenceGrade, probed: Probed, *, is_hook_verified: bool) -> FenceGrade:
    """Return the grade that a fence which stands has reached: without a proof through an application's eyes, or by a
    hook's own verify, it is no more than attested; one that an application can write through is none."""
    if asked is FenceGrade.NONE or probed.outcome is ProbeOutcome.OPEN:
        return FenceGrade.NONE
    is_proven = probed.outcome is ProbeOutcome.FENCED or (asked is FenceGrade.HOOK and is_hook_verified)
    return asked if is_proven else FenceGrade.ATTESTED


def is_verified(grade: FenceGrade) -> bool:
    """Whether a reached grade rests on a proof, and not on somebody's word."""
    return grade in (FenceGrade.ACL, FenceGrade.HOOK)
