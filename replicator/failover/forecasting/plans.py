"""A plan that was looked at yesterday must be the plan that is carried out today: its digest refuses a drifted world.

What counts is the shape of the move: which clusters, topics, partitions, groups and steps, which fence and which
overrides. Lag, positions and time are meant to change and do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from replicator.errors import DataCorrupt, PreflightBlocked
from replicator.failover.copies import describe_copies
from replicator.failover.facts import digest_of
from replicator.failover.failback.rebuilding import sizes_of_rebuilt
from replicator.failover.groups.known import selected_groups
from replicator.failover.runbooks import runbook_of
from replicator.failover.world import ASK_SECONDS, World
from replicator.journal.codec import from_plain
from replicator.model.operations import OperationKind

LISTED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What a rehearsal saw of the move. `topics` are those of the target, by name: id and number of partitions;
    `rebuild` are those that a failback makes anew, with the bytes to copy: these are meant to change."""

    flow: str
    kind: str
    source: str
    target: str
    target_cluster_id: str
    topics: Mapping[str, str]
    groups: tuple[str, ...]
    steps: tuple[str, ...]
    accepted: tuple[str, ...]
    fence: str | None
    made_at: datetime
    rebuild: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What tells this plan from another; the moment it was made does not count."""
        return digest_of(shape_of(self))


def shape_of(plan: MovePlan) -> dict[str, Any]:
    """Return all that counts of a plan, in JSON's own types."""
    return {
        "flow": plan.flow,
        "kind": plan.kind,
        "source": plan.source,
        "target": plan.target,
        "target_cluster_id": plan.target_cluster_id,
        "topics": dict(plan.topics),
        "groups": list(plan.groups),
        "steps": list(plan.steps),
        "accepted": list(plan.accepted),
        "fence": plan.fence,
        "rebuild": sorted(plan.rebuild),
    }


def make_plan(world: World, kind: OperationKind) -> MovePlan:
    """Return the plan of a move as the world is now; nothing is changed.

    Raises:
        Unreachable, WrongCluster, AccessDenied: a side that is needed does not answer.
    """
    described = world.target.verify_identity(world.deadline(ASK_SECONDS))
    copies = describe_copies(world)
    return MovePlan(
        flow=world.name,
        kind=kind.value,
        source=world.flow.source,
        target=world.flow.target,
        target_cluster_id=described.cluster_id,
        topics={name: f"{topic.topic_id}/{len(topic.partitions)}" for name, topic in sorted(copies.items())},
        groups=tuple(sorted(selected_groups(world))),
        steps=tuple(step.name for step in runbook_of(kind).steps),
        accepted=tuple(sorted(override.value for override in world.choices.accepted)),
        fence=world.fencing.grade.value,
        made_at=world.now(),
        rebuild={str(name): size for name, size in sizes_of_rebuilt(world).items()},
    )


def plan_from(told: Mapping[str, Any]) -> MovePlan:
    """Return the plan that a file holds.

    Raises:
        DataCorrupt: it is none, or was changed since it was written.
    """
    plan = from_plain(MovePlan, told.get("plan"))
    if told.get("digest") != plan.digest:
        raise DataCorrupt("the plan does not match its digest: it was changed since it was written")
    return plan


def require_same(plan: MovePlan, now: MovePlan) -> None:
    """Return only if the world still has the shape that was planned with.

    Raises:
        PreflightBlocked: it has not; the message tells what differs.
    """
    found = find_drift(plan, now)
    if found:
        raise PreflightBlocked(
            f"the plan of {plan.flow} does not fit any more: {'; '.join(found[:LISTED_MAX])}",
            detail="\n".join(found),
            hint=f"look again: `replicator {plan.kind} {plan.flow} --dry-run --plan-out FILE`",
        )


def find_drift(plan: MovePlan, now: MovePlan) -> list[str]:
    """Return what of the move's shape is otherwise than planned, in words."""
    was, is_ = shape_of(plan), shape_of(now)
    found = [
        f"{key} is {is_[key]}, was {was[key]}"
        for key in ("flow", "kind", "source", "target", "target_cluster_id", "fence")
        if was[key] != is_[key]
    ]
    for key in ("groups", "steps", "accepted", "rebuild"):
        found += [f"{key}: {name} is new" for name in is_[key] if name not in was[key]]
        found += [f"{key}: {name} is gone" for name in was[key] if name not in is_[key]]
    for name in sorted({*was["topics"], *is_["topics"]}):
        before, after = was["topics"].get(name), is_["topics"].get(name)
        if before != after:
            told = "is new" if before is None else "is gone" if after is None else "was made anew, or has grown"
            found.append(f"topic {name} {told}")
    return found
