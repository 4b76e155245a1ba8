"""A story to show: a flow that runs, an outage of its source, a failover, and the snapshots beside it. No cluster is
asked and no clock is read: every run gives the same recording, for pictures and for tests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tui.feeds.recording import Moment

START = datetime(2026, 1, 15, 13, 0, 0, tzinfo=UTC)
OUTAGE_AT = 300.0
FAILOVER_AT = 330.0
END_AT = 372.0
HISTORY_SECONDS = 900
HOSTILE = "\x1b]52;c;ZXZpbA==\x07[bold red]risk[/]\u202escorer\n[@click=app.quit]x[/]"
"""A group's name as somebody hostile would choose it."""


def at(second: float) -> str:
    """Return the time of a second of the story."""
    return (START + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
            "reasons": ["east is not read since 0.8s", "UNKNOWN: east refuses connections"],
            "loss": _loss(1204, 0.8, 5364),
        }
    return {"answer": "yes", "reasons": [], "loss": _loss(0, 0.5, 2911)}


def _loss(known: int, window: float, bound: int) -> dict[str, Any]:
    return {"known_lost": known, "unknown_window_seconds": window, "possible_lost_max": bound}


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


def groups(flow: str, second: float) -> list[dict[str, Any]]:
    """Return a flow's groups, one of them named by somebody hostile."""
    known: list[tuple[str, str, int | None]] = [
        ("billing", "EXACT", 0),
        ("fraud-detection", "EXACT", 0),
        ("warehouse-sync", "EXACT", 0),
        (HOSTILE, "BOUNDED", 412),
        ("ledger-writer", "BOUNDED", 96),
        ("customer-notifications-email-and-push-europe-v2", "BOUNDED", 1204),
        ("nightly-report", "FLOOR", None),
    ]
    return [
        {
            "flow": flow,
            "group": name,
            "state": "EMPTY" if grade == "FLOOR" else "ACTIVE",
            "members": 0 if grade == "FLOOR" else 3,
            "observed_at": at(second),
            "partitions": 6,
            "lag_records": 40 * place,
            "grade": grade,
            "reread_records_max": reread,
            "is_active_on_target": False,
            "translations": translations(grade, reread),
        }
        for place, (name, grade, reread) in enumerate(known)
    ]


def translations(grade: str, reread: int | None) -> list[dict[str, Any]]:
    """Return a group's translation of six partitions."""
    return [
        {
            "topic": "orders.created",
            "partition": number,
            "target_topic": "orders.created",
            "target_partition": number,
            "source_offset": 4_811_200 + 977 * number,
            "target_offset": 4_810_077 + 970 * number,
            "grade": grade if number < 3 else "EXACT",
            "reread_records_max": 0 if number >= 3 else None if reread is None else reread // 3,
            "rule": {"EXACT": "rank", "BOUNDED": "between_syncs", "FLOOR": "log_start"}.get(grade, "none"),
            "is_clamped": False,
        }
        for number in range(6)
    ]


def snapshots() -> list[dict[str, Any]]:
    """Return a catalog: one that was verified, one that was not yet, one with a gap, one that is damaged."""
    kinds = [(True, 0, 41), (None, 0, 41), (True, 2, 40), (False, 0, 40), (True, 0, 39)]
    return [
        {
            "id": f"20260115T{12 - hour:02d}1500Z-7f3a{hour}",
            "created_at": at(-2700 - 3600 * hour),
            "cluster": "west",
            "flow": "orders",
            "topics": 4,
            "records": 412_000_000 - 9_000_000 * hour,
            "size_bytes": gib * 2**30,
            "new_bytes": (900 - hour * 40) * 2**20,
            "gaps": gaps,
            "missing_topics": 0,
            "tags": ["hourly"],
            "verified_at": None if is_sound is None else at(-1500 - 3600 * hour),
            "is_sound": is_sound,
        }
        for hour, (is_sound, gaps, gib) in enumerate(kinds)
    ]


def schedules() -> list[dict[str, Any]]:
    """Return the schedules."""
    return [
        {
            "name": "hourly",
            "flow": "orders",
            "cron": "15 * * * *",
            "timezone": "UTC",
            "next_run_at": at(900),
            "last_run_at": at(-2700),
            "last_success_at": at(-2700),
            "last_duration_seconds": 362.0,
            "missed_total": 0,
        },
        {
            "name": "nightly",
            "flow": "payments",
            "cron": "30 2 * * *",
            "timezone": "Europe/Zurich",
            "next_run_at": at(45_000),
            "last_run_at": at(-41_400),
            "last_success_at": at(-127_800),
            "last_duration_seconds": 1220.0,
            "missed_total": 1,
        },
    ]


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
    (303.0, "readiness_changed", "warning", "orders", "can fail over, at a cost: east is not read since 0.8s"),
    (330.0, "operation_requested", "info", "orders", "failover requested by kim@ops-7"),
    (352.9, "step_intent", "warning", "orders", "promote intent"),
    (364.0, "active_changed", "warning", "orders", "west is active now (was east)"),
)


def story() -> list[Moment]:
    """Return the whole recording."""
    return sorted(_moments(), key=lambda moment: moment.at)


def _moments() -> Iterator[Moment]:
    session = {"name": "anonymous", "role": "viewer", "acts": []}
    yield Moment(0.0, "session", session)
    for second in range(int(END_AT) + 1):
        yield Moment(float(second), "status", status(float(second)))
    for number, (when, kind, severity, flow, text) in enumerate(EVENTS, start=1):
        value = {"id": f"aa-{number}", "at": at(when), "kind": kind, "severity": severity, "text": text, "flow": flow}
        operation_id = operation(when)["id"] if kind.startswith(("operation", "step")) else None
        yield Moment(max(0.0, when), "event", value | {"operation_id": operation_id})
    for second in range(int(FAILOVER_AT), int(END_AT) + 1):
        yield Moment(float(second), "operation", operation(float(second)))
    yield from _parts()


def _parts() -> Iterator[Moment]:
    yield _part(0.0, "snapshots", snapshots())
    yield _part(0.0, "schedules", schedules())
    for flow in ("orders", "payments", "audit"):
        for second in range(0, int(END_AT) + 1, 5):
            moment = float(second)
            yield _part(moment, f"lag:{flow}", topics(flow, moment))
            yield _part(moment, f"history:{flow}:900", history(flow, moment, HISTORY_SECONDS))
        listed = groups(flow, 0.0)
        yield _part(0.0, f"groups:{flow}", listed)
        for group in listed:
            yield _part(0.0, f"group:{flow}:{group['group']}", group)


def _part(second: float, key: str, value: object) -> Moment:
    return Moment(second, "part", {"key": key, "refusal": None, "value": value})
