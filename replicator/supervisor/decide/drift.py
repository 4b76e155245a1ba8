"""A plan told as drift: what is not as the configuration says. Values to values."""

from __future__ import annotations

from replicator.flow import Act, Plan
from replicator.model.supervision.status import Drift

TOLD_MAX = 100

_TOPIC_ACTS = frozenset({Act.CREATE_TOPIC, Act.GROW_TOPIC, Act.ALTER_TOPIC})


def drift_of(plan: Plan) -> tuple[Drift, ...]:
    """Return what forbids to apply the flow, what no `apply` can mend, and what it would change, each in one line, at
    most TOLD_MAX of them."""
    changes = [
        Drift(kind="topic" if change.act in _TOPIC_ACTS else "connector", name=change.name, told=change.line)
        for change in plan.changes
    ]
    refusals = [Drift(kind="refusal", name=refusal.subject, told=refusal.line) for refusal in plan.refusals]
    mismatches = [Drift(kind="topic", name=one.name, told=one.line) for one in plan.mismatches]
    return (*refusals, *mismatches, *changes)[:TOLD_MAX]
