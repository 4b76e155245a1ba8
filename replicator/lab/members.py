"""The members of a lab as commands name them: `east`, `west/connect`, `east/broker-2`."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.errors import UsageError
from replicator.lab.plan import LabPlan


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One process of a lab: a broker (`node_id`) or the worker beside a cluster (None)."""

    cluster: str
    node_id: int | None

    @property
    def name(self) -> str:
        """As in `lab status`."""
        return f"{self.cluster}/connect" if self.node_id is None else f"{self.cluster}/broker-{self.node_id}"


def brokers_of(plan: LabPlan, cluster: str) -> tuple[Member, ...]:
    """Return every broker of one cluster."""
    return tuple(Member(cluster, node.node_id) for node in plan.cluster(cluster).nodes)


def all_members(plan: LabPlan) -> tuple[Member, ...]:
    """Return every member there may be: brokers first, then a worker for each cluster."""
    brokers = [member for c in plan.clusters for member in brokers_of(plan, c.name)]
    return (*brokers, *(Member(c.name, None) for c in plan.clusters))


def find_members(plan: LabPlan, target: str) -> tuple[Member, ...]:
    """Return the members that `target` names: a cluster's brokers, one broker, or a worker.

    Raises: UsageError naming what there is.
    """
    names = {c.name: brokers_of(plan, c.name) for c in plan.clusters}
    names |= {member.name: (member,) for member in all_members(plan)}
    if target not in names:
        raise UsageError(f"no lab member {target!r}", hint=f"there are: {', '.join(names)}")
    return names[target]
