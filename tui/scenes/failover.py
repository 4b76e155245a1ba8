"""The story's failover, step by step, and what is told on the way."""

from __future__ import annotations

from typing import Any

from tui.scenes.times import FAILOVER_AT, at

STEPS = (
    ("hold_lease", "take the lease on west, so that nobody else acts", "epoch 7", 0.9),
    ("survey", "look at both clusters and write down what is seen", "east refused, west reachable, 21 groups", 1.6),
    ("stop_flow", "stop the connectors of the flow", "orders.source STOPPED, orders.checkpoint STOPPED", 1.1),
    ("fence_mm2", "fence MirrorMaker's transactions on west", "4 transactional ids fenced", 2.4),
    ("cut", "take the cut: the end of every partition on west", "24 partitions", 1.2),
    ("translate", "say where each group resumes", "21 EXACT", 6.3),
    ("commit", "commit the translated offsets and read them back", "21 groups committed", 8.8),
    ("promote", "publish west as active: the point of no return", "active west", 1.0),
    ("verify", "produce and consume a probe on west", "probe came back in 0.2 s", 3.4),
    ("report", "count what was lost and what is read twice", "known_lost 1,204, possible_lost_max 1,310", 0.8),
)


def operation(second: float) -> dict[str, Any]:
    """Return the failover as it stands at a second of the story."""
    steps: list[dict[str, Any]] = []
    began = FAILOVER_AT + 0.4
    for name, says, finding, took in STEPS:
        ended = began + took
        state = "done" if second >= ended else "running" if second >= began else "pending"
        steps.append(
            {
                "name": name,
                "state": state,
                "says": says,
                "started_at": at(began) if state != "pending" else None,
                "ended_at": at(ended) if state == "done" else None,
                "finding": finding if state == "done" else None,
                "is_point_of_no_return": name == "promote",
            }
        )
        began = ended
    begun = [step for step in steps if step["state"] != "pending"]
    is_over = second >= began
    return {
        "id": "failover-20260115-130530-5fe2a1",
        "flow": "orders",
        "kind": "failover",
        "source": "east",
        "target": "west",
        "state": "done" if is_over else "running",
        "actor": "kim@ops-7",
        "started_at": at(FAILOVER_AT),
        "ended_at": at(began) if is_over else None,
        "step": begun[-1]["name"] if begun else None,
        "is_past_promote": any(step["name"] == "promote" for step in begun),
        "steps": steps,
    }


def runbooks() -> list[dict[str, Any]]:
    """Return the steps of each kind of move, as the story's supervisor would tell them."""
    steps = [{"name": name, "says": says, "is_point_of_no_return": name == "promote"} for name, says, _f, _t in STEPS]
    return [{"kind": kind, "steps": steps} for kind in ("failover", "switchover", "failback")]


EVENTS = (
    (-3100.0, "snapshot_taken", "info", "orders", "snapshot 20260115T121500Z-7f3a0 of west taken, 0 gaps"),
    (
        18.0,
        "connector_changed",
        "critical",
        "audit",
        "audit.source is RUNNING, 1 of 4 tasks failed: TopicAuthorizationException",
    ),
    (
        19.0,
        "flow_state_changed",
        "critical",
        "audit",
        "STALLED (was HEALTHY): Not authorized to access topics: [audit.raw]",
    ),
    (60.0, "flow_state_changed", "warning", "payments", "LAGGING (was HEALTHY): beyond rpo_seconds"),
    (301.0, "cluster_reachability_changed", "critical", "orders", "east refuses connections: every listener refuses"),
    (302.0, "flow_state_changed", "critical", "orders", "UNKNOWN (was HEALTHY): east refuses connections"),
    (303.0, "readiness_changed", "warning", "orders", "can fail over, at a cost: east has not been read for 0.8s"),
    (330.0, "operation_requested", "info", "orders", "failover requested by kim@ops-7"),
    (352.9, "step_intent", "warning", "orders", "promote intent"),
    (364.0, "active_changed", "warning", "orders", "west is active now (was east)"),
)
