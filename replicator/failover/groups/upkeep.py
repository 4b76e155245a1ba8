"""What to do on the standby about a group that waits there: leave it, commit it again, delete it. Pure.

A broker forgets the positions of an empty group some days after they were committed (`offsets.retention.minutes`).
Committing the same positions again moves nothing and begins that time anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from replicator.model.flow import DeletedGroups, Flow
from replicator.model.names import TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import GroupTranslation

COMMIT_AGAIN_SECONDS = 6 * 3600.0
"""Positions are committed again after so long, or after a third of the retention where that is shorter."""
RETENTION_PARTS = 3


class Upkeep(StrEnum):
    """What is done about a group on the standby."""

    LEAVE = "leave"
    COMMIT_AGAIN = "commit_again"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done, why, and with which positions: those that stand there, nothing else."""

    act: Upkeep
    reason: str
    positions: dict[TopicPartition, int] = field(default_factory=dict)


def decide_upkeep(
    seen: GroupObservation,
    *,
    flow: Flow,
    is_deleted: bool,
    translation: GroupTranslation | None,
    committed_seconds_ago: float | None,
    retention_seconds: float | None = None,
) -> Decision:
    """Return what is to be done about a group as it stands on the standby.

    `is_deleted`: the source has answered and has no such group any more. `translation`: the newest that is known of
    it. `committed_seconds_ago`: since we committed it last; None: we never did, or another process. A group with
    members is never touched; one that stands beyond its translation has commits of its own and is never deleted.
    """
    if seen.state is not GroupState.EMPTY:
        return Decision(Upkeep.LEAVE, f"it is {seen.state.value} on the standby: its positions are its own")
    ours = {tp: at for tp, at in seen.committed.items() if flow.source_topic(tp.topic) is not None}
    if not ours:
        return Decision(Upkeep.LEAVE, "it has no positions on topics of the flow")
    if is_deleted and flow.deleted_groups is DeletedGroups.DELETE:
        own = _own_commits(seen, ours, translation)
        if own is None:
            return Decision(Upkeep.DELETE, "it was deleted on the source", ours)
        if not is_due(committed_seconds_ago, retention_seconds):
            return Decision(Upkeep.LEAVE, own)
    if not is_due(committed_seconds_ago, retention_seconds):
        return Decision(Upkeep.LEAVE, "it was committed not long ago")
    return Decision(Upkeep.COMMIT_AGAIN, "its positions would expire", ours)


def is_due(committed_seconds_ago: float | None, retention_seconds: float | None) -> bool:
    """Whether positions are to be committed again: well before the broker forgets them."""
    if committed_seconds_ago is None:
        return True
    limit = COMMIT_AGAIN_SECONDS
    if retention_seconds is not None:
        limit = min(limit, retention_seconds / RETENTION_PARTS)
    return committed_seconds_ago >= limit


def _own_commits(
    seen: GroupObservation, ours: dict[TopicPartition, int], translation: GroupTranslation | None
) -> str | None:
    """Return why the positions on the standby may be the group's own; None where they are surely not."""
    if len(ours) < len(seen.committed):
        return "it has positions on other topics"
    if translation is None:
        return "nothing is known of where it stood on the source"
    known = {t.target_partition: t.target_offset for t in translation.translations}
    for tp, at in sorted(ours.items()):
        meant = known.get(tp)
        if meant is None or at > meant:
            return f"{tp}: it stands at {at}, beyond its translation: it has commits of its own"
    return None
