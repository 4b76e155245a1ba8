"""Plans by table: what of a drifted world is noticed, and that a changed plan is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.errors import DataCorrupt, PreflightBlocked
from replicator.failover.forecasting import MovePlan, find_drift, plan_from, require_same
from replicator.model.forms.plain import to_plain

PLAN = MovePlan(
    flow="shop",
    kind="failover",
    source="east",
    target="west",
    target_cluster_id="w1",
    topics={"orders": "id1/3"},
    groups=("billing", "search"),
    steps=("survey", "promote"),
    accepted=(),
    fence=None,
    made_at=datetime(2026, 11, 22, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target_cluster_id": "w2"}, "target_cluster_id is w2, was w1"),
        ({"groups": ("billing",)}, "groups: search is gone"),
        ({"groups": ("billing", "search", "new")}, "groups: new is new"),
        ({"topics": {"orders": "id2/3"}}, "topic orders was made anew, or has grown"),
        ({"topics": {}}, "topic orders is gone"),
        ({"topics": {"orders": "id1/3", "more": "id9/1"}}, "topic more is new"),
        ({"accepted": ("loss",)}, "accepted: loss is new"),
        ({"steps": ("survey",)}, "steps: promote is gone"),
        ({"fence": "attested"}, "fence is attested, was None"),
    ],
)
def test_drift_is_named(changes: dict[str, Any], told: str) -> None:
    """Each difference in shape is one line, changes the digest, and refuses the plan."""
    now = replace(PLAN, **changes)
    assert find_drift(PLAN, now) == [told]
    assert now.digest != PLAN.digest
    with pytest.raises(PreflightBlocked, match="does not fit any more"):
        require_same(PLAN, now)


def test_time_alone_is_no_drift() -> None:
    """The same shape a day later is the same plan."""
    later = replace(PLAN, made_at=PLAN.made_at + timedelta(days=1))
    assert later.digest == PLAN.digest
    require_same(PLAN, later)


def test_a_plan_reads_back_and_a_changed_one_does_not() -> None:
    """What was written is what is read; a changed word is noticed."""
    told = {"plan": to_plain(PLAN), "digest": PLAN.digest}
    assert plan_from(told) == PLAN
    forged = {**told, "plan": {**to_plain(PLAN), "target": "north"}}
    with pytest.raises(DataCorrupt):
        plan_from(forged)
    with pytest.raises(DataCorrupt):
        plan_from({"plan": {}, "digest": ""})
