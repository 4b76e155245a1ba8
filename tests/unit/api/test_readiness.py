"""Can I fail over now, and what would I lose? Every objection by name, and the answer never better than the worst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.model.flow import FlowState
from replicator.model.names import ClusterName
from replicator.model.objectives import Verdict
from replicator.model.observations import Reachability
from replicator.model.offsets import Grade
from replicator.model.operations import LossReport
from replicator.model.supervision.overview import Answer
from replicator.supervisor.decide.readiness import BLOCKING_CHECKS, COST_CHECKS, GROUP_CHECKS, judge_readiness

LOSS = LossReport(known_lost=3, unknown_window_seconds=0.5, possible_lost_max=40)


def case(make: Any, name: str) -> dict[str, Any]:
    """Return what is judged in the case of that name."""
    late = Verdict("rpo_seconds", False, "31s behind; promised 30s")
    never = replace(make.cluster("east"), last_reached_at=None)
    return {
        "active": {"flow": make.flow(state=FlowState.FAILED_OVER, active=ClusterName("west"))},
        "standby": {"flow": make.flow(target=make.lost("west"))},
        "unread": {"flow": make.flow(source=never)},
        "stalled": {"flow": make.flow(state=FlowState.STALLED, cause="a right is gone")},
        "lost": {"flow": make.flow(source=make.lost("east"))},
        "late": {"flow": make.flow(verdicts=(late,))},
        "unplaced": {"flow": make.flow(), "groups": (make.group(grade=Grade.UNAVAILABLE, reread=None),)},
        "floor": {"flow": make.flow(), "groups": (make.group(grade=Grade.FLOOR),)},
        "active_group": {"flow": make.flow(), "groups": (replace(make.group(), is_active_on_target=True),)},
        "well": {"flow": make.flow(), "groups": (make.group(),)},
    }[name]


@pytest.mark.parametrize(
    ("name", "answer", "failed"),
    [
        ("active", Answer.NO, {"standby_is_free"}),
        ("standby", Answer.NO, {"standby_answers"}),
        ("unread", Answer.NO, {"source_was_read"}),
        ("stalled", Answer.AT_A_COST, {"records_move"}),
        ("lost", Answer.AT_A_COST, {"source_is_read"}),
        ("late", Answer.AT_A_COST, {"objectives_hold"}),
        ("unplaced", Answer.AT_A_COST, {"groups_have_a_place"}),
        ("floor", Answer.AT_A_COST, {"groups_start_where_they_were"}),
        ("active_group", Answer.AT_A_COST, {"groups_rest_on_standby"}),
        ("well", Answer.YES, set()),
    ],
)
def test_each_objection_has_its_check(make: Any, name: str, answer: Answer, failed: set[str]) -> None:
    """One objection fails exactly its own check, and decides the answer; every check is always told of."""
    asked = case(make, name)
    judged = judge_readiness(asked["flow"], loss=LOSS, groups=asked.get("groups"))
    assert judged.answer is answer
    assert {check for check, is_ok in judged.checks.items() if is_ok is False} == failed
    assert tuple(judged.checks) == (*BLOCKING_CHECKS, *COST_CHECKS, *GROUP_CHECKS)
    assert len(judged.reasons) == len(failed)
    unknown = {check for check, is_ok in judged.checks.items() if is_ok is None}
    assert unknown == (set() if "groups" in asked else set(GROUP_CHECKS))


def test_a_flow_that_has_failed_over_has_nothing_left_to_lose(make: Any) -> None:
    """What was lost is in the operation's report; what a second failover would lose is no question."""
    assert judge_readiness(case(make, "active")["flow"], loss=LOSS).loss is None
    assert judge_readiness(case(make, "lost")["flow"], loss=LOSS).loss is LOSS


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("refused", "east refuses connections, 1.0s after it was last read"),
        ("silent", "east has not been read for 30s"),
    ],
)
def test_how_long_a_source_is_unread_is_told_as_it_is(make: Any, name: str, told: str) -> None:
    """The window of a source that refuses ends with its first refusal: it is no age that would grow until now."""
    source = make.lost("east") if name == "refused" else make.cluster("east", reachability=Reachability.SILENT)
    flow = make.flow(source=source, window_seconds=1.0 if name == "refused" else 30.0)
    assert told in judge_readiness(flow, loss=LOSS).reasons


@pytest.mark.parametrize(("count", "told"), [(1, "1 group would start"), (2, "2 groups would start")])
def test_one_group_is_one(make: Any, count: int, told: str) -> None:
    """Counts agree with their nouns."""
    groups = [make.group(f"g{number}", grade=Grade.FLOOR) for number in range(count)]
    judged = judge_readiness(make.flow(), loss=LOSS, groups=groups)
    assert any(reason.startswith(told) for reason in judged.reasons)
