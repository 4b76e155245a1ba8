"""The story's flows: their status, their lag over time and by topic."""

from __future__ import annotations

import math
from typing import Any

from tui.scenes.times import FAILOVER_AT, OUTAGE_AT, at


def lag_seconds(flow: str, second: float) -> float | None:
    """Return how far a flow is behind at a second of the story."""
    if flow == "orders":
        return None if second >= OUTAGE_AT + 6 else round(0.6 + 0.5 * abs(math.sin(second / 37)), 2)
    if flow == "payments":
        return round(4 + 3 * abs(math.sin(second / 90)) + max(0.0, second - 60) / 14, 1)
    return round(max(0.4, second + 72), 1)


def _cluster(name: str, second: float, *, is_lost: bool = False) -> dict[str, Any]:
    return {
        "cluster": name,
        "cluster_id": f"{name}-4f1bQk2vSg6",
        "reachability": "refused" if is_lost else "reachable",
        "observed_at": at(second),
        "last_reached_at": at(OUTAGE_AT if is_lost else second),
        "unreachable_since": at(OUTAGE_AT + 0.8) if is_lost else None,
        "cause": "every listener refuses connections" if is_lost else None,
    }


def _connector(flow: str, *, is_failed: bool = False) -> list[dict[str, Any]]:
    trace = (
        "org.apache.kafka.connect.errors.ConnectException: Unrecoverable exception from producer send callback\n"
        "\tat org.apache.kafka.connect.runtime.AbstractWorkerSourceTask.maybeThrowProducerSendException\n"
        "Caused by: org.apache.kafka.common.errors.TopicAuthorizationException: "
        "Not authorized to access topics: [audit.raw]"
    )
    worker = "10.0.2.11:8083"
    tasks = [{"id": n, "state": "RUNNING", "worker": worker, "trace": None} for n in range(4)]
    if is_failed:
        tasks[2] |= {"state": "FAILED", "trace": trace}
    checkpoint = {"id": 0, "state": "RUNNING", "worker": worker, "trace": None}
    return [
        {"name": f"{flow}.source", "state": "RUNNING", "worker": worker, "trace": None, "tasks": tasks},
        {"name": f"{flow}.checkpoint", "state": "RUNNING", "worker": worker, "trace": None, "tasks": [checkpoint]},
    ]


def _lag(flow: str, second: float) -> dict[str, Any]:
    seconds = lag_seconds(flow, second)
    rate = {"orders": 5200.0, "payments": 3900.0, "audit": 3300.0}[flow]
    is_known = seconds is not None
    records = None if seconds is None else int(seconds * rate)
    return {
        "lag_records": records,
        "lag_seconds": seconds,
        "rate_in": rate if is_known else None,
        "rate_out": {"orders": 5210.0, "payments": 3650.0, "audit": 0.0}[flow] if is_known else None,
        "eta_seconds": {"orders": 1.4, "payments": None, "audit": None}[flow] if is_known else None,
        "stalled_partitions": (3 if flow == "audit" else 0) if is_known else None,
        "observed_at": at(second),
    }


def _state(flow: str, second: float) -> tuple[str, str | None]:
    if flow == "audit":
        return "STALLED", "task 2 FAILED: Not authorized to access topics: [audit.raw]"
    if flow == "payments":
        is_late = (lag_seconds(flow, second) or 0) > 10
        return ("LAGGING", "beyond rpo_seconds for 1m12s") if is_late else ("HEALTHY", None)
    if second >= FAILOVER_AT + 34:
        return "FAILED_OVER", "west is active since the failover of 13:06"
    return ("UNKNOWN", "east refuses connections") if second >= OUTAGE_AT + 2 else ("HEALTHY", None)


def _readiness(flow: str, second: float) -> dict[str, Any]:
    if flow == "audit":
        return {
            "answer": "yes_at_a_cost",
            "reasons": [
                "STALLED: task 2 FAILED: Not authorized to access topics: [audit.raw]",
                f"rpo_seconds not held: {lag_seconds(flow, second):.0f}s behind; promised 60s",
            ],
            "loss": {"known_lost": 238_410, "unknown_window_seconds": 0.7, "possible_lost_max": 241_006},
        }
    if flow == "payments":
        return {"answer": "yes", "reasons": [], "loss": _loss(0, 0.6, 19_402)}
    if second >= FAILOVER_AT + 34:
        why = "west is active already; `replicator failback orders` leads home"
        return {"answer": "no", "reasons": [why], "loss": _loss(1204, 0.8, 1310)}
    if second >= OUTAGE_AT + 2:
        return {
            "answer": "yes_at_a_cost",
            "reasons": ["east has not been read for 0.8s", "UNKNOWN: east refuses connections"],
            "loss": _loss(1204, 0.8, 5364),
        }
    return {"answer": "yes", "reasons": [], "loss": _loss(0, 0.5, 2911)}


def _loss(known: int, window: float, bound: int) -> dict[str, Any]:
    return {"known_lost": known, "unknown_window_seconds": window, "possible_lost_max": bound}


def _forecast(flow: str, second: float) -> dict[str, Any] | None:
    if _state(flow, second)[0] == "FAILED_OVER":
        return None
    is_lost = flow == "orders" and second >= OUTAGE_AT
    told = "the source was read 0.8s ago" if is_lost else "the source was read 0.4s ago"
    gates = [
        _gate("standby_is_free", is_open=True, told="west is the standby"),
        _gate("no_operation_is_open", is_open=True, told="none is open"),
        _gate("something_is_mirrored", is_open=True, told="24 partitions are mirrored"),
        _gate("source_is_observed", is_open=True, told=told),
        _gate("standby_has_room", is_open=None, told="no broker has told how much room it has"),
        _gate("drilled_lately", is_open=flow != "audit", told="the last drill that passed ended 9d ago"),
    ]
    return {
        "computed_at": at(second),
        "is_ready": True,
        "loss": _readiness(flow, second)["loss"],
        "lost_seconds_max": 0.8,
        "groups": 21,
        "groups_unavailable": [],
        "reread_records_max": 48_210,
        "expected_rto_seconds": 21.0,
        "rto_measured_in": 3,
        "retention_runway_seconds": 86_000.0,
        "last_drill_at": at(-777_600),
        "gates": gates,
        "gates_read_at": at(second),
    }


def _gate(name: str, *, is_open: bool | None, told: str) -> dict[str, Any]:
    fix = "replicator drill audit" if is_open is False else None
    return {"name": name, "is_open": is_open, "told": told, "fix": fix, "is_blocking": name.startswith("no_")}


def _flow(flow: str, second: float) -> dict[str, Any]:
    state, cause = _state(flow, second)
    is_lost = flow == "orders" and second >= OUTAGE_AT
    rpo = {"orders": 30.0, "payments": 10.0, "audit": 60.0}[flow]
    lag = lag_seconds(flow, second)
    behind = "lag is unknown: the source is not read" if lag is None else f"{lag:g}s behind; promised {rpo:g}s"
    counts = {"orders": (21, 0, 0, 0), "payments": (12, 5, 1, 0), "audit": (2, 0, 1, 0)}[flow]
    grades = dict(zip(("EXACT", "BOUNDED", "FLOOR", "UNAVAILABLE"), counts, strict=True))
    since = {"audit": 18.0, "payments": 60.0}.get(flow, OUTAGE_AT + 2 if second >= OUTAGE_AT + 2 else 0.0)
    return {
        "flow": flow,
        "source": _cluster("east", second, is_lost=is_lost),
        "target": _cluster("west", second),
        "role": "leader",
        "state": state,
        "cause": cause,
        "since": at(since),
        "lag": _lag(flow, second),
        "objectives": {"rpo_seconds": rpo, "rpo_records": None, "rto_seconds": 60.0},
        "verdicts": [
            {"objective": "rpo_seconds", "is_held": None if lag is None else lag <= rpo, "evidence": behind},
            {"objective": "rto_seconds", "is_held": True, "evidence": "the last drill took 21s; promised 60s"},
        ],
        "window_seconds": 0.8 if is_lost else 0.5,
        "connectors": _connector(flow, is_failed=flow == "audit"),
        "connectors_observed_at": at(second),
        "active": "west" if state == "FAILED_OVER" else "east",
        "groups_observed": sum(counts),
        "groups_observed_at": at(second),
        "heartbeat_sent_at": at(second),
        "recorded_at": at(second),
        "readiness": _readiness(flow, second),
        "forecast": _forecast(flow, second),
        "groups": {"grades": grades, "ungraded": 0, "active_on_target": 0},
    }


def _collectors(second: float) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{what}:{flow}",
            "flow": flow,
            "cluster": "west" if what in ("target", "record") else "east",
            "period_seconds": 1.0,
            "succeeded_at": at(second),
            "duration_seconds": 0.08,
            "steps_total": int(second),
            "errors_total": 0,
            "error": None,
            "error_code": None,
        }
        for flow in ("orders", "payments", "audit")
        for what in ("source", "groups", "target", "record")
    ]


def status(second: float) -> dict[str, Any]:
    """Return the status of a second of the story."""
    return {
        "supervisor": "main",
        "version": "0.1.0",
        "started_at": at(-86_400 * 12),
        "computed_at": at(second),
        "flows": [_flow(flow, second) for flow in ("orders", "payments", "audit")],
        "collectors": _collectors(second),
    }


def alerts(second: float) -> list[dict[str, Any]]:
    """Return the alerts that hold at a second of the story."""
    held = [
        ("ReplicatorFlowStalled", "critical", 19.0, 60.0, "audit", "stands still while its source moves"),
        ("ReplicatorTaskFailed", "warning", 18.0, 120.0, "audit", "has a failed task"),
        ("ReplicatorClusterUnreachable", "critical", 301.0, 30.0, "orders", "has a cluster that does not answer"),
        ("ReplicatorFlowUnknown", "critical", 302.0, 60.0, "orders", "cannot be seen"),
    ]
    found = [
        {
            "name": name,
            "severity": severity,
            "state": "firing" if second - since >= lasting else "pending",
            "labels": {"flow": flow},
            "since": at(since),
            "summary": f"flow {flow} {told}",
            "description": f"`replicator status {flow}` names the cause that was probed.",
        }
        for name, severity, since, lasting, flow, told in held
        if since <= second < FAILOVER_AT + 34 or (flow != "orders" and since <= second)
    ]
    return sorted(found, key=lambda one: (one["state"], one["severity"]))


def history(flow: str, second: float, window: float) -> dict[str, Any]:
    """Return a flow's lag over a window; for two minutes of it nobody could read the source."""
    points = [
        {
            "at": at(moment),
            "state": "HEALTHY",
            "lag_seconds": None if -420 <= moment < -300 else _past(flow, moment),
            "lag_records": None if -420 <= moment < -300 else int((_past(flow, moment) or 0) * 3900),
            "rate_in": 3900.0,
            "rate_out": 3900.0,
        }
        for moment in range(int(second - window), int(second), 5)
    ]
    return {"flow": flow, "window_seconds": window, "step_seconds": 5.0, "points": points}


def _past(flow: str, moment: float) -> float | None:
    if moment >= 0:
        return lag_seconds(flow, moment)
    return round(1.0 + 2.2 * abs(math.sin(moment / 61)) + (1.5 if flow == "payments" else 0), 2)


def topics(flow: str, second: float) -> dict[str, Any]:
    """Return a flow's lag by topic."""
    names = {
        "orders": ("orders.created", "orders.paid", "orders.shipped", "customers"),
        "payments": ("payments.captured", "payments.refunds", "ledger.entries", "fx-rates", "cards"),
        "audit": ("audit.raw", "audit.enriched"),
    }[flow]
    whole = _lag(flow, second)
    listed = []
    for place, topic in enumerate(names):
        share = 1.0 / (place * 1.7 + 1)
        partitions = [
            {
                "partition": number,
                "source_end": 4_812_330 + 977 * number,
                "mirrored_position": None
                if whole["lag_records"] is None
                else 4_812_330 + 977 * number - int(whole["lag_records"] * share / 6),
                "is_stalled": flow == "audit" and place == 0 and number < 3,
                **{key: whole[key] for key in ("lag_seconds", "rate_in", "rate_out", "eta_seconds", "observed_at")},
                "lag_records": None if whole["lag_records"] is None else int(whole["lag_records"] * share / 6),
            }
            for number in range(6)
        ]
        listed.append(
            {
                "topic": topic,
                "partitions_total": 6,
                "partitions": partitions,
                "lag_records": None if whole["lag_records"] is None else int(whole["lag_records"] * share),
                "lag_seconds": None if whole["lag_seconds"] is None else round(whole["lag_seconds"] * share, 1),
                "rate_in": None if whole["rate_in"] is None else whole["rate_in"] * share,
                "rate_out": None if whole["rate_out"] is None else whole["rate_out"] * share,
                "eta_seconds": whole["eta_seconds"],
                "stalled_partitions": 3 if flow == "audit" and place == 0 else 0,
                "observed_at": whole["observed_at"],
            }
        )
    return {**whole, "flow": flow, "topics_total": len(listed), "topics": listed}
